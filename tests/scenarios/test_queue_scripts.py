"""What each move of the queue promises, and that sending it twice changes nothing."""
import json

import pytest

from queue_scripts import PREFIX, Queue


def other(q, name="w2"):
    return Queue(q.r, name, q.clock)


def replies(q, stream="rep"):
    return [(f["id"], f["status"]) for _, f in q.r.xrange(PREFIX + stream)]


# ---- the door ----

def test_a_job_goes_in_is_claimed_and_ends(q):
    q.enqueue('{"x":1}', id="a", tenant="t", lane="0", reply_to=PREFIX + "rep", batch="b1")
    assert q.file() == 1
    assert q.r.xlen(q.key("in")) == 0
    assert q.r.hgetall(q.key("bt:b1")) == {"ready": "1"}
    job = q.claim()[0]
    assert (job.id, job.body, job.tenant, job.lane, job.batch) == ("a", '{"x":1}', "t", "0", "b1")
    assert q.state("a") == "active"
    assert job.finish() == 1
    assert q.result("a") == {"id": "a", "status": "done"}
    assert replies(q) == [("a", "done")]
    assert q.r.hgetall(q.key("bt:b1")) == {"ready": "0", "active": "0", "done": "1"}
    assert not q.r.exists(q.key("j:a"), q.key("b:a"), q.key("s:a"))
    assert q.r.zcard(q.key("lse")) == 0


def test_without_an_id_the_stream_s_own_is_the_job_s(q):
    sid = q.enqueue()
    q.file()
    assert q.claim()[0].id == sid


def test_filing_the_same_entry_twice_makes_one_job(q):
    sid = q.enqueue(id="a")
    args = (10, q.ttl_ms, 1 << 20, sid, "-", "1", "-", "", "", "")
    assert q.call("file", *args) == 1
    assert q.call("file", *args) == 0
    assert len(q.claim(10)) == 1


def test_the_same_id_does_not_run_again_and_the_first_result_is_answered(q):
    job = q.one(id="a", reply_to=PREFIX + "rep")
    q.enqueue(id="a", reply_to=PREFIX + "rep2")
    q.file()
    assert q.claim() == []
    job.finish("done")
    assert replies(q) == [("a", "done")]
    assert replies(q, "rep2") == [("a", "done")]
    q.enqueue(id="a", reply_to=PREFIX + "rep3")
    q.file()
    assert replies(q, "rep3") == [("a", "done")]
    assert q.claim() == []


def test_a_body_that_is_no_job_ends_dead_and_the_queue_goes_on(q):
    q.enqueue("{", id="bad", reply_to=PREFIX + "rep")
    q.enqueue("{}", id="good")
    assert q.file(bad=("bad",)) == 1
    assert q.state("bad") == "dead" and q.result("bad")["status"] == "dead"
    assert replies(q) == [("bad", "dead")]
    assert q.claim()[0].id == "good"


def test_a_reply_stream_of_a_wrong_type_stops_nobody(q):
    q.r.set(PREFIX + "rep", "text")
    assert q.one(id="a", reply_to=PREFIX + "rep").finish() == 1
    assert q.result("a")["status"] == "done"


def test_a_body_that_is_too_long_is_not_kept(q):
    sid = q.enqueue("x" * 50, id="a")
    q.call("file", 10, q.ttl_ms, 49, sid, "-", "1", "-", "", "INVALID_JOB", '{"id":"a","status":"dead"}')
    assert q.state("a") == "dead" and not q.r.exists(q.key("b:a"))


def test_entries_that_a_dead_worker_was_given_are_found_again(q):
    sid = q.enqueue(id="a")
    q.enqueue(id="b")
    q.r.xreadgroup("file", "worker", {q.key("in"): ">"}, count=1, noack=True)
    assert [e[0] for e in q.tick()[2]] == [sid]


def test_a_lost_consumer_group_is_made_again(q):
    q.r.xgroup_destroy(q.key("in"), "file")
    q.enqueue(id="a")
    q.tick()
    assert q.r.xreadgroup("file", "worker", {q.key("in"): ">"}, noack=True)


def test_other_workers_are_woken_when_more_is_filed_than_fits(q):
    sub = q.r.pubsub()
    sub.subscribe(q.key("ctl"))
    assert sub.get_message(timeout=30)["type"] == "subscribe"
    for i in range(3):
        q.enqueue(id=str(i))
    q.file(room=2)
    assert sub.get_message(timeout=30)["data"] == "work"


# ---- dedup ----

def test_dedup_keeps_the_first_while_it_is_alive(q):
    job = q.one(id="a", dedup="k")
    q.enqueue(id="b", dedup="k", reply_to=PREFIX + "rep")
    q.file()
    assert q.claim() == []
    assert replies(q) == [("b", "duplicate of a")]
    assert q.result("b")["status"] == "duplicate of a"
    job.finish()
    assert q.one(id="c", dedup="k").id == "c"


def test_latest_replaces_the_body_of_a_waiting_job(q):
    q.enqueue("old", id="a", dedup="k", dedup_mode="latest")
    q.enqueue("new", id="b", dedup="k", dedup_mode="latest", reply_to=PREFIX + "rep")
    q.file()
    jobs = q.claim(10)
    assert [(j.id, j.body) for j in jobs] == [("a", "new")]
    assert replies(q) == [("b", "duplicate of a")]


def test_latest_runs_once_more_after_a_running_job_with_the_newest_body(q):
    job = q.one("1", id="a", dedup="k", dedup_mode="latest")
    for n, body in (("b", "2"), ("c", "3"), ("d", "4")):
        q.enqueue(body, id=n, dedup="k", dedup_mode="latest", batch="x")
    q.file()
    assert q.claim() == []
    assert q.r.hgetall(q.key("bt:x")) == {"next": "1"}
    job.finish()
    jobs = q.claim(10)
    assert [(j.id, j.body) for j in jobs] == [("b", "4")]
    assert q.result("d")["status"] == "duplicate of b"
    jobs[0].finish()
    assert not q.r.exists(q.key("dd:k"), q.key("nx:k"))


def test_a_job_that_waits_behind_another_can_be_cancelled(q):
    job = q.one(id="a", dedup="k", dedup_mode="latest")
    q.enqueue(id="b", dedup="k", dedup_mode="latest")
    q.file()
    assert q.call("cancel", "b", q.ttl_ms) == "waiting"
    job.finish()
    assert q.claim() == [] and not q.r.exists(q.key("nx:k"))


# ---- order ----

def test_delayed_jobs_wait_for_their_time(q, clock):
    q.enqueue(id="a", run_at=clock.ms + 5000)
    assert q.file() == 0
    assert q.claim() == [] and q.next == 5000
    clock.go(4999)
    assert q.claim() == []
    clock.go(1)
    assert q.claim()[0].id == "a"


def test_lanes_share_100_to_10_to_1_and_nobody_starves(q):
    for lane in "012":
        for i in range(120):
            q.enqueue(id=f"{lane}-{i}", lane=lane)
    q.file()
    first = [j.lane for j in q.claim(111)]
    assert 95 <= first.count("0") <= 103
    assert 8 <= first.count("1") <= 12
    assert 1 <= first.count("2") <= 3


def test_a_small_tenant_is_served_beside_a_big_one(q):
    for i in range(300):
        q.enqueue(id=f"L{i}", tenant="L")
    for i in range(10):
        q.enqueue(id=f"S{i}", tenant="S")
    q.file()
    assert sum(j.tenant == "S" for j in q.claim(20)) == 10


def test_tenants_share_tokens_not_jobs(q):
    for i in range(200):
        q.enqueue(id=f"big{i}", tenant="big")
        q.enqueue(id=f"small{i}", tenant="small")
    q.file()
    tokens = {"big": 0, "small": 0}
    for _ in range(220):
        job = q.claim()[0]
        used = 9000 if job.tenant == "big" else 1000
        job.permit()
        job.settle(used=(used, 0, 0), answer="x")
        job.finish()
        tokens[job.tenant] += used
    assert 0.7 < tokens["big"] / tokens["small"] < 1.4


def test_jobs_of_a_group_run_in_the_order_of_arrival_and_a_returned_one_keeps_its_place(q):
    for i in range(4):
        q.enqueue(id=str(i))
    q.file()
    jobs = q.claim(2)
    assert jobs[0].finish("return") == 1
    assert [j.id for j in q.claim(10)] == ["0", "2", "3"]


def test_pause_stops_claims_of_everything_a_route_or_a_tenant(q, clock):
    q.enqueue(id="a", tenant="t1", route="openai/x")
    q.enqueue(id="b", tenant="t2", route="google/y")
    q.file()
    q.r.hset(q.key("cfg"), "paused", 1)
    assert q.claim(5) == []
    q.r.hdel(q.key("cfg"), "paused")
    q.r.hset(q.key("cfg"), "paused:route:openai/x", 1)
    jobs = q.claim(5)
    assert [j.id for j in jobs] == ["b"]
    jobs[0].finish("return")
    q.r.hset(q.key("cfg"), "paused:tenant:t2", 1)
    assert q.claim(5) == []
    q.r.delete(q.key("cfg"))
    clock.go(1000)
    assert len(q.claim(5)) == 2


PAUSED_CALLS = [  # what is paused; by which route the job came; whom it calls; whether its group waits, or only itself
    ("", "openai/gpt", "openai/gpt", "group"),
    ("tenant:shop", "openai/gpt", "google/gemini", "group"),
    ("route:openai/gpt", "openai/gpt", "openai/gpt", "group"),
    ("route:openai", "openai/gpt", "openai/o9", "group"),
    ("route:google/gemini", "openai/gpt", "google/gemini", "itself"),
    ("route:google", "-", "google/gemini", "itself"),
    ("route:google", "openai/gpt", "openai/gpt", None),
    ("tenant:blog", "openai/gpt", "openai/gpt", None),
]


@pytest.mark.parametrize("what, came_by, calls, waits", PAUSED_CALLS)
def test_a_job_that_runs_begins_no_call_that_is_paused(q, clock, what, came_by, calls, waits):
    job = q.one(id="a", tenant="shop", route=came_by)
    mark = "paused:" + what if what else "paused"
    q.r.hset(q.key("cfg"), mark, 1)
    reply = job.permit(route=calls)
    if not waits:
        assert reply == [1]
        return
    assert (reply[0], reply[2], reply[3]) == (0, mark, "paused") and not q.r.exists(q.key("p:" + job.name))
    job.finish("park", at_ms=reply[1])
    assert q.call("list", "", "", "", "", "", 9)[1][0][14] == mark
    clock.go(1000)
    assert q.claim() == [], "it is not tried again and again"
    counts = dict(zip(*[iter(q.call("report", 0, 0)[0])] * 2))
    assert (counts["paused"], counts["ready"], counts["later"]) == (1, 0, 0)
    assert q.call("resume", what) == [0]
    clock.go(1000)
    [job] = q.claim()
    assert job.permit(route=calls) == [1] and not q.r.exists(q.key("qw:" + mark))


# ---- leases ----

def test_a_claim_sent_twice_gives_the_same_jobs(q):
    q.enqueue(id="a")
    q.enqueue(id="b")
    q.file()
    first = q.claim(1)
    again = q.claim(1, again=True)
    assert [(j.id, j.fence) for j in again] == [(j.id, j.fence) for j in first]
    assert q.claim(5)[0].id == "b"


def test_a_job_whose_lease_is_over_goes_to_another_worker_at_once(q, clock):
    job = q.one(id="a")
    clock.go(q.lease_ms - 1)
    assert q.tick()[0] == 0
    assert job.renew() == "ok"
    clock.go(q.lease_ms)
    assert q.tick()[0] == 1
    w2 = other(q)
    mine = w2.claim()[0]
    assert mine.losses == 1
    assert job.renew() == "lost"
    assert job.store(step__x="1") == 0
    assert job.finish() == 0
    assert mine.finish() == 1


def test_finished_steps_and_notes_are_given_to_the_next_owner(q, clock):
    job = q.one(id="a")
    assert job.store(step__one='{"a":1}', note__two="n") == 1
    assert job.store(step__one='{"a":1}', note__two=None) == 1
    clock.go(q.lease_ms)
    q.tick()
    assert other(q).claim()[0].stored == {"step:one": '{"a":1}'}


def test_a_parked_job_comes_back_in_time_with_its_note_and_is_no_attempt(q, clock):
    job = q.one(id="a")
    assert job.finish("park", at_ms=clock.ms + 60000, texts=("note:w", 1, "later")) == 1
    assert job.finish("park", at_ms=clock.ms + 60000, texts=("note:w", 1, "later")) == 1, "sent twice"
    assert q.state("a") == "parked" and q.claim() == []
    clock.go(60000)
    job = q.claim()[0]
    assert job.stored == {"note:w": "later"} and job.losses == 0


def test_a_job_that_was_tried_max_times_is_dead(q, clock):
    job = q.one(id="a", max="2")
    for _ in range(2):
        assert job.finish("retry", at_ms=clock.ms + 10, code="PROVIDER_UNAVAILABLE") == 1
        clock.go(10)
        job = q.claim()[0]
    assert job.finish("retry", '{"id":"a","status":"dead"}', at_ms=clock.ms, code="PROVIDER_UNAVAILABLE") == 2
    assert q.state("a") == "dead" and q.result("a")["status"] == "dead"


# ---- Directus is away ----

def directus_away(q, job, backoff_ms=300_000, not_before=0):
    return job.finish("retry", at_ms=q.clock.ms + backoff_ms, code="SERVICE_UNAVAILABLE", full=f"directus {not_before}")


@pytest.fixture
def waiting(q):
    """Five jobs of two tenants that have found Directus away."""
    for n in range(5):
        q.enqueue(id=f"a{n}", tenant=f"t{n % 2}", route=f"openai/gpt{n // 4}")
    q.file()
    jobs = q.claim(5)
    assert [directus_away(q, job) for job in jobs] == [1] * 5
    return sorted(job.id for job in jobs)


def test_while_directus_is_away_one_job_at_a_time_tries_it(q, clock, waiting):
    tried = []
    for pause in [2000, 4000] + [5000] * 8:
        clock.go(pause - 1)
        assert q.claim(5) == []
        clock.go(1)
        [job] = q.claim(5)
        assert job.is_trial and job.route.startswith("openai/")
        assert q.claim(5) == [], "the others wait for what becomes of it"
        assert directus_away(q, job) == 1
        tried.append(job.id)
    assert sorted(set(tried)) == waiting, "each in its turn"
    assert {q.r.hget(q.key("j:" + id), "losses") for id in waiting} == {"1"}, "their own time has not come"


def test_all_go_on_when_one_has_found_directus_back(q, clock, waiting):
    clock.go(2000)
    [job] = q.claim(5)
    assert q.call("back") == 2 and q.call("back") == 0, "two tenants; sent twice"
    ids = []
    while len(ids) < 4:
        jobs = q.claim(5)
        assert jobs and not any(j.is_trial for j in jobs)
        ids += [j.id for j in jobs]
        clock.go(10)
    assert sorted(ids + [job.id]) == waiting
    assert {q.r.hget(q.key("j:" + id), "route") for id in waiting} == {"openai/gpt0", "openai/gpt1"}
    for key in ["rl:directus", "wt:directus"]:
        assert not q.r.exists(q.key(key))


def test_a_trial_that_nothing_is_heard_of_is_followed_by_another(q, clock, waiting):
    clock.go(2000)
    first = q.claim(5)
    clock.go(14999)
    assert q.claim(5) == []
    clock.go(1)
    second = q.claim(5)
    assert len(first) == len(second) == 1 and first[0].id != second[0].id


def test_who_waits_for_directus_loses_an_attempt_only_when_its_own_time_has_come(q, clock):
    job = q.one(id="a", max="2")
    for backoff_ms, losses, pause in [(10_000, "1", 2000), (10_000, "1", 4000), (10_000, "1", 5000),
                                      (100_000, "2", 5000), (100_000, "2", 5000)]:
        assert directus_away(q, job, backoff_ms) == 1
        assert q.r.hget(q.key("j:a"), "losses") == losses
        clock.go(pause)
        [job] = q.claim()
    clock.go(100_000)
    assert directus_away(q, job) == 2 and q.state("a") == "dead"


def test_what_directus_says_about_coming_back_is_obeyed(q, clock):
    job = q.one(id="a")
    directus_away(q, job, not_before=clock.ms + 60_000)
    clock.go(59_999)
    assert q.claim() == []
    clock.go(1)
    assert q.claim()


def test_a_job_that_waits_for_directus_can_be_cancelled_and_does_not_hold_up_others(q, clock, waiting):
    assert q.call("cancel", "a0", 1000) == "waiting"
    other_job = q.one(id="b", tenant="t0", route="openai/gpt0")
    assert other_job.id == "b" and not other_job.is_trial
    clock.go(2000)
    assert q.claim(5)[0].id in {"a1", "a2", "a3", "a4"}


def test_a_job_that_loses_its_worker_more_than_max_times_is_quarantined(q, clock):
    q.one(id="a", max="2", reply_to=PREFIX + "rep")
    for _ in range(2):
        clock.go(q.lease_ms)
        q.tick()
        assert q.claim()[0].id == "a"
    clock.go(q.lease_ms)
    q.tick()
    assert q.claim() == [] and q.state("a") == "quarantined"
    assert q.result("a")["error"]["code"] == "STALLED"
    assert replies(q) == [("a", "quarantined")]


def test_finish_twice_ends_once(q):
    job = q.one(id="a", reply_to=PREFIX + "rep")
    assert job.finish() == 1
    assert job.finish() == 1
    assert replies(q) == [("a", "done")] and q.count("done") == 1


def test_an_item_that_failed_often_goes_to_quarantine_without_a_call(q):
    for i in range(5):
        q.one(id=f"a{i}", item="f:articles:1").finish("dead", code="INVALID_OUTPUT")
    q.enqueue(id="b", item="f:articles:1")
    q.enqueue(id="c", item="f:articles:2")
    q.file()
    assert [j.id for j in q.claim(5)] == ["c"]
    assert q.state("b") == "quarantined"
    assert q.call("retry", "b", 0) == 1
    assert [j.id for j in q.claim(5)] == ["b"]


def test_a_wrong_key_does_not_blame_the_item(q):
    for i in range(6):
        q.one(id=f"a{i}", item="f:articles:1").finish("dead", code="INVALID_API_KEY")
    assert q.one(id="b", item="f:articles:1").id == "b"


def test_a_dead_job_can_be_run_again_and_keeps_what_it_has_paid_for(q):
    job = q.one(id="a", batch="x")
    job.permit()
    job.settle(answer="paid")
    job.finish("dead", code="FORBIDDEN")
    assert q.r.hget(q.key("bt:x"), "dead") == "1"
    assert q.call("retry", "a", 0) == 1
    assert q.call("retry", "a", 0) == 0, "sent twice"
    job = q.claim()[0]
    assert job.stored["answer:ask#1"] == "paid"
    assert q.r.hget(q.key("bt:x"), "dead") == "0" and q.result("a") is None
    job.finish("dead")
    assert q.call("purge", "a") == 1 and q.call("purge", "a") == 0
    assert not q.r.exists(q.key("j:a"), q.key("b:a"), q.key("s:a"))


def test_cancel_ends_a_waiting_job_and_tells_the_worker_of_a_running_one(q, clock):
    q.enqueue(id="a", reply_to=PREFIX + "rep", dedup="k")
    q.file()
    assert q.call("cancel", "a", q.ttl_ms) == "waiting"
    assert q.call("cancel", "a", q.ttl_ms) == "ended"
    assert q.claim() == [] and replies(q) == [("a", "cancelled")] and not q.r.exists(q.key("dd:k"))
    job = q.one(id="b")
    assert q.call("cancel", "b", q.ttl_ms) == "running"
    assert job.renew() == "cancel"
    assert job.finish("cancelled") == 1
    q.enqueue(id="c", run_at=clock.ms + 1000)
    q.file()
    assert q.call("cancel", "c", q.ttl_ms) == "waiting" and q.r.zcard(q.key("dly")) == 0
    assert q.call("cancel", "nobody", q.ttl_ms) == "unknown"


def test_a_cancelled_job_is_not_put_back(q, clock):
    q.one(id="a")
    q.call("cancel", "a", q.ttl_ms)
    clock.go(q.lease_ms)
    q.tick()
    assert q.result("a")["status"] == "cancelled"
    job = q.one(id="b")
    q.call("cancel", "b", q.ttl_ms)
    job.finish("park", at_ms=clock.ms + 1000)
    assert q.result("b")["status"] == "cancelled" and q.claim() == []


def test_a_layout_that_is_too_new_is_refused_and_a_neighbour_is_not(q):
    q.r.set(q.key("v"), 3)
    assert q.call("hello", 1) == [0, 3]
    assert q.call("hello", 2) == [1, 3]
    q.r.set(q.key("v"), 1)
    q.call("tick", "old", "{}", 1, "", 15000, 30000, 1000, 10)
    assert q.call("hello", 2) == [1, 1], "a worker of layout 1 is alive"
    q.clock.go(30001)
    assert q.call("hello", 2) == [1, 2]


# ---- calls ----

def test_a_permit_sent_twice_reserves_once(q):
    job = q.one()
    rules = [("openai", "rpm", 10, 1), ("openai", "budget", 1000, 300, "total")]
    assert job.permit(rules, cost=300) == [1]
    assert job.permit(rules, cost=300) == [1]
    assert q.r.hget(q.key("bud:openai:total"), "r") == "300"
    assert q.used("openai", "rpm") == 1
    assert q.count("calls") == 1


def test_settle_sent_twice_books_once(q):
    job = q.one()
    job.permit([("*", "budget", 1000, 300, "total")], cost=300)
    for _ in range(2):
        job.settle(answer="x", used=(1, 0, 1), cost=100)
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "s": "100"}
    assert q.count("answers") == 1


def test_a_refusal_of_one_rule_writes_nothing_for_the_others(q):
    job = q.one()
    rules = [("openai", "rpm", 10, 1), ("openai", "concurrency", 5, 1), ("flow:f", "budget", 100, 200, "total")]
    status, _, scope, kind, used, limit = job.permit(rules, cost=200)
    assert (status, scope, kind, used, limit) == (0, "flow:f", "budget", "0", "100")
    for name in ("win:openai|rpm", "cs:openai", "bud:flow:f:total", "px"):
        assert not q.r.exists(q.key(name)), name
    assert "permit" not in q.r.hgetall(q.key("j:" + job.id))


def test_a_worker_lost_between_calls_delays_nobody_and_one_lost_in_a_call_waits_for_its_end(q, clock):
    job = q.one(id="a")
    job.permit([("openai", "concurrency", 1, 1), ("*", "budget", 1000, 300, "total")], cost=300, lasts_ms=25000)
    clock.go(q.lease_ms)
    q.tick()
    assert q.state("a") == "ambiguous"
    assert q.r.zcard(q.key("cs:openai")) == 0, "its slot is free"
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "u": "300"}, "its money may be spent"
    assert q.count("ambiguous") == 1
    clock.go(25000 - q.lease_ms - 1)
    assert q.claim() == []
    clock.go(1)
    assert other(q).claim()[0].id == "a"


def test_nobody_waits_longer_for_a_lost_call_than_the_ambiguous_wait(q, clock):
    q.one(id="a").permit(lasts_ms=600000)
    clock.go(q.lease_ms)
    q.tick()
    clock.go(q.wait_ms - q.lease_ms)
    assert q.claim()[0].id == "a"


def test_a_call_that_redis_forgot_is_counted_when_its_answer_comes(q):
    """Redis was killed before it had written down what it admitted: then neither the permit nor the call is there."""
    job = q.one()
    forgotten = dict(name="w.1", ask=("ask", 1, 1, "openai/gpt"), answer="A", used=(10, 0, 5), cost=7)
    for _ in range(2):  # sent twice: counted once
        assert job.settle(**forgotten)[:2] == [1, 1]
        assert (q.count("calls"), q.count("answers"), q.count("repeated")) == (1, 1, 0)


def test_a_call_that_redis_forgot_and_that_was_made_again_is_counted_as_repeated(q):
    job = q.one()
    job.permit(name="w.2")
    assert job.settle(name="w.1", ask=("ask", 1, 1, "openai/gpt"), answer="A")[:2] == [1, 1]
    assert job.settle(name="w.2", answer="B")[:3] == [1, 1, "A"]  # the first one counts, and who asked again goes on with it
    assert (q.count("calls"), q.count("repeated")) == (2, 1)


def test_a_late_answer_of_a_lost_worker_is_stored_and_the_job_need_not_wait(q, clock):
    job = q.one(id="a")
    job.permit([("*", "budget", 1000, 300, "total")], cost=300)
    clock.go(q.lease_ms)
    q.tick()
    assert q.claim() == []
    assert job.settle(answer="late", used=(5, 0, 5), cost=120) == [0, 1, ""]
    mine = other(q).claim()[0]
    assert mine.stored["answer:ask#1"] == "late"
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "u": "0", "s": "120"}
    assert q.count("late") == 1


def test_of_two_answers_to_one_question_the_first_stored_wins(q, clock):
    first = q.one(id="a")
    first.permit()
    clock.go(q.wait_ms)
    q.tick()
    second = other(q).claim()[0]
    assert second.stored["call:ask#1"].startswith("lost 1 ")
    assert second.permit(n=2, question=1) == [1]
    assert q.count("repeated") == 1
    assert first.settle(answer="one") == [0, 1, ""]
    assert second.settle(answer="two") == [1, 1, "one"]
    clock.go(q.lease_ms)
    q.tick()
    third = q.claim()[0]
    assert third.stored["answer:ask#1"] == "one" and "answer:ask#2" not in third.stored


def test_a_question_that_was_answered_meanwhile_is_not_asked_again(q, clock):
    first = q.one(id="a")
    first.permit()
    clock.go(q.wait_ms)
    q.tick()
    second = other(q).claim()[0]
    first.settle(answer="one")
    assert second.permit(n=2, question=1) == [3]


def test_a_late_answer_reaches_a_job_that_is_held(q, clock):
    first = q.one(id="a")
    first.permit()
    clock.go(q.wait_ms)
    q.tick()
    held = other(q).claim()[0]
    assert held.finish("hold", code="AMBIGUOUS") == 1
    first.settle(answer="late")
    assert q.call("retry", "a", 0) == 1
    assert q.claim()[0].stored["answer:ask#1"] == "late"


def test_retrying_a_held_job_allows_the_call_again(q, clock):
    q.one(id="a").permit()
    clock.go(q.wait_ms)
    q.tick()
    held = other(q).claim()[0]
    held.finish("hold")
    q.call("retry", "a", 0)
    job = q.claim()[0]
    assert "call:ask#1" not in job.stored
    assert job.permit(n=1) == [1]


def test_a_call_that_certainly_did_not_happen_leaves_no_trace(q):
    job = q.one(id="a")
    job.permit([("openai", "concurrency", 1, 1), ("openai", "tpm", 100, 50, "usage"),
                ("*", "budget", 1000, 300, "total")], cost=300)
    assert job.settle("failed") == [1, 0, ""]
    assert not q.r.exists(q.key("s:a"), q.key("px"), q.key("cs:openai"), q.key("p:" + job.name))
    assert q.r.hget(q.key("bud:*:total"), "r") == "0"
    assert q.used("openai", "tpm") == 0
    assert q.r.hget(q.key("j:a"), "permit") is None


def test_a_failed_settle_that_comes_late_does_not_erase_the_next_call(q):
    job = q.one(id="a")
    job.permit(name="p1")
    job.settle("failed")
    job.permit(name="p2")
    job.settle("failed", name="p1")
    assert q.r.hget(q.key("s:a"), "call:ask#1").endswith(" p2")


def test_a_call_without_an_answer_is_counted_and_its_money_kept(q):
    job = q.one(id="a")
    job.permit([("*", "budget", 1000, 300, "total")], cost=300)
    job.settle("unknown")
    assert q.count("ambiguous") == 1
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "u": "300"}
    assert q.r.hget(q.key("s:a"), "call:ask#1").startswith("lost 1 ")


def test_a_permit_for_a_lost_lease_is_refused(q, clock):
    job = q.one(id="a")
    clock.go(q.lease_ms)
    q.tick()
    assert job.permit([("openai", "rpm", 10, 1)]) == [-1]
    assert not q.r.exists(q.key("win:openai|rpm"))


# ---- limits ----

def test_a_free_window_may_be_used_in_one_burst_and_is_full_for_a_minute(q, clock):
    jobs = [q.one(id=str(i)) for i in range(4)]
    rule = [("openai", "rpm", 3, 1)]
    start = clock.ms
    assert [j.permit(rule)[0] for j in jobs] == [1, 1, 1, 0]
    status, at_ms, scope, kind, used, limit = jobs[3].permit(rule)
    assert (scope, kind, used, limit) == ("openai", "rpm", "3", "3")
    assert 60200 <= at_ms - start <= 60301
    clock.ms = at_ms - 1
    assert jobs[3].renew() == "ok" and jobs[3].permit(rule)[0] == 0
    clock.ms = at_ms
    assert jobs[3].permit(rule) == [1]


def test_tokens_by_usage_are_held_until_settled_and_then_count_for_what_they_were(q, clock):
    a, b = q.one(id="a"), q.one(id="b")
    assert a.permit([("openai", "tpm", 1000, 800, "usage")]) == [1]
    assert b.permit([("openai", "tpm", 1000, 500, "usage")])[0] == 0
    a.settle(answer="x", used=(200, 50, 100))
    assert q.used("openai", "tpm") == 300
    assert b.permit([("openai", "tpm", 1000, 500, "usage")]) == [1]


def test_tokens_that_are_charged_at_arrival_are_not_given_back(q):
    a = q.one(id="a")
    a.permit([("openai", "tpm", 1000, 800, "arrival")])
    a.settle(answer="x", used=(200, 0, 100))
    assert q.used("openai", "tpm") == 800


def test_input_and_output_tokens_have_windows_of_their_own(q):
    a = q.one(id="a")
    a.permit([("anthropic", "itpm", 1000, 500, "usage"), ("anthropic", "otpm", 1000, 400, "usage")])
    a.settle(answer="x", used=(300, 100, 50))
    assert q.used("anthropic", "itpm") == 200, "what came from the cache does not count"
    assert q.used("anthropic", "otpm") == 50


def test_a_request_above_the_whole_limit_goes_alone(q):
    a, b = q.one(id="a"), q.one(id="b")
    assert a.permit([("x", "tpm", 100, 500, "arrival")]) == [1]
    assert b.permit([("x", "tpm", 100, 1, "arrival")])[0] == 0


def test_requests_per_day_last_a_day(q, clock):
    a, b = q.one(id="a"), q.one(id="b")
    a.permit([("google", "rpd", 1, 1)])
    at_ms = b.permit([("google", "rpd", 1, 1)])[1]
    assert 86400000 <= at_ms - clock.ms <= 86400000 + 61000


def test_a_clock_that_goes_back_does_not_stop_the_queue_for_long(q, clock):
    a, b = q.one(id="a"), q.one(id="b")
    a.permit([("x", "rpm", 1, 1)])
    clock.go(-3600000)
    status, at_ms = b.permit([("x", "rpm", 1, 1)])[:2]
    assert status == 0 and at_ms - clock.ms <= 60301
    clock.ms = at_ms
    assert b.permit([("x", "rpm", 1, 1)]) == [1]


def test_slots_are_freed_by_settle_and_wake_a_waiting_group(q, clock):
    a, b = q.one(id="a", tenant="t1"), q.one(id="b", tenant="t2")
    rule = [("openai", "concurrency", 1, 1)]
    assert a.permit(rule) == [1]
    status, at_ms, full = b.permit(rule)[:3]
    assert (status, full) == (0, "slot:openai")
    b.finish("park", at_ms=at_ms, full=full)
    assert q.claim() == []
    a.settle(answer="x")
    assert q.claim()[0].id == "b"


def test_a_group_that_met_a_limit_sleeps_and_comes_back_with_one_job_first(q, clock):
    for i in range(20):
        q.enqueue(id=str(i), tenant="t")
    q.enqueue(id="other", tenant="u")
    q.file()
    first = [j for j in q.claim(1) if j.tenant == "t"][0]
    first.finish("park", at_ms=clock.ms + 5000, full="openai")
    assert [j.id for j in q.claim(50)] == ["other"]
    clock.go(5000)
    assert [j.id for j in q.claim(50)] == ["0"]
    clock.go(10)
    assert [j.id for j in q.claim(50)] == ["1", "2"]
    clock.go(10)
    assert len(q.claim(50)) == 4


def test_a_minute_begins_when_the_call_was_sent(q, clock):
    rule = [("openai", "rpm", 1, 1, "arrival")]
    a, b = q.one(id="a"), q.one(id="b")
    begun = clock.ms
    assert a.permit(rule) == [1]
    clock.go(3000)
    a.settle(answer="x", late_ms=2000)
    clock.ms = begun + 60400
    refusal = b.permit(rule)
    assert refusal[0] == 0 and begun + 62200 <= refusal[1] <= begun + 62400
    clock.ms = refusal[1]
    assert b.permit(rule) == [1]


def test_a_call_that_was_sent_late_counts_from_then_also_when_it_lasts_longer_than_the_window(q, clock):
    rule = [("openai", "rpm", 1, 1, "arrival")]
    a, b = q.one(id="a"), q.one(id="b")
    begun = clock.ms
    assert a.permit(rule, lasts_ms=120000) == [1]
    clock.go(61000)
    a.renew()
    a.settle(answer="x", late_ms=3000)
    refusal = b.permit(rule)
    assert refusal[0] == 0, "it came to the provider 58 s ago"
    clock.ms = begun + 63400
    assert b.permit(rule) == [1]


def test_a_call_that_has_left_the_window_is_taken_from_it_once(q, clock):
    rule = [("openai", "rpm", 2, 1, "arrival")]
    a, b = q.one(id="a"), q.one(id="b")
    assert a.permit(rule, lasts_ms=120000) == [1]
    clock.go(59000)
    a.renew()
    assert b.permit(rule) == [1]
    clock.go(2000)
    a.settle(answer="x", late_ms=100)
    assert q.used("openai", "rpm") == 1, "the other one"


def test_what_a_lost_call_held_is_taken_from_the_window_once(q, clock):
    rule = [("openai", "tpm", 1000, 500, "usage")]
    a = q.one(id="a")
    assert a.permit(rule, lasts_ms=20000) == [1]
    clock.go(16000)
    q.tick()
    assert q.used("openai", "tpm") == 500, "until a minute after its last moment"
    clock.go(63000)
    b = q.one(id="b")
    assert b.permit([("openai", "tpm", 1000, 300, "usage")]) == [1]
    b.settle(answer="x", used=(300, 0, 0))
    clock.go(2000)
    a.settle(answer="late", used=(100, 0, 0))
    assert q.used("openai", "tpm") == 400


def test_a_call_is_not_counted_twice_when_the_clock_has_gone_back_meanwhile(q, clock):
    rule = [("openai", "rpm", 10, 1), ("openai", "tpm", 1000, 300, "usage")]
    first, second = q.one(id="a"), q.one(id="b")
    first.permit(rule)
    clock.go(-10_000)
    second.permit(rule)
    assert q.used("openai", "rpm") == 2
    first.settle(answer="x", used=(100, 0, 0), late_ms=300)
    assert (q.used("openai", "rpm"), q.used("openai", "tpm")) == (2, 400)


def test_a_call_whose_owner_died_while_it_was_connecting_counts_from_when_it_may_have_arrived(q, clock):
    q.lease_ms = 3000
    job = q.one(id="a")
    assert job.permit([("openai", "rpm", 10, 1)]) == [1]
    for _ in range(9):  # seconds in which its owner lives, and connects
        clock.go(1000)
        job.renew()
    clock.go(q.lease_ms)
    q.tick()
    clock.go(57000)  # a minute after the call was admitted, and nine seconds
    assert q.used("openai", "rpm") == 1
    clock.go(6000)
    assert q.used("openai", "rpm") in (0, None)


def test_budgets_refuse_by_period_and_say_whether_for_good(q, clock):
    a = q.one(id="a")
    ends = clock.ms + 3600000
    assert a.permit([("*", "budget", 1000, 1001, "day:x", ends, "park")])[:2] == [0, ends]
    assert a.permit([("*", "budget", 1000, 1001, "day:x", ends, "fail")])[:2] == [2, ends]
    assert a.permit([("*", "budget", 1000, 1000, "day:x", ends, "fail")], cost=1000) == [1]
    b = q.one(id="b")
    assert b.permit([("*", "budget", 1000, 0, "day:x", ends, "fail")])[:2] == [0, clock.ms + 500], "it may come back"
    a.settle(answer="x", cost=1000)
    assert b.permit([("*", "budget", 1000, 0, "day:x", ends, "fail")])[0] == 2, "it is used up"


def test_a_soft_budget_warns_once_and_lets_pass(q):
    for i in range(3):
        assert q.one(id=str(i)).permit([("*", "soft", 100, 90, "total")], cost=90) == [1]
    assert [e for _, e in q.r.xrange(q.key("ev")) if e["e"] == "budget"] == [{"e": "budget", "id": "1", "more": "* total"}]
    assert q.r.hget(q.key("bud:*:total"), "r") == "270"


def test_a_429_makes_the_route_rest_and_slows_it_down_and_other_routes_go_on(q, clock):
    a = q.one(id="a", route="openai/gpt")
    a.permit()
    a.settle("failed", rate_limited=1, retry_after_ms=5000)
    status, at_ms, scope, kind = a.permit()[:4]
    assert (status, scope, kind) == (0, "openai/gpt", "cooldown") and 5000 <= at_ms - clock.ms <= 5500
    q.enqueue(id="b", route="openai/gpt")
    q.enqueue(id="c", route="google/gem")
    q.file()
    assert [j.id for j in q.claim(5)] == ["c"]
    clock.ms = at_ms
    assert a.renew() == "ok"
    for i in range(7):
        assert a.permit([("openai/gpt", "rpm", 10, 1)], n=i + 1, name=f"p{i}") == [1]
    assert a.permit([("openai/gpt", "rpm", 10, 1)], n=9)[0] == 0, "seven tenths of ten"


def test_a_route_that_fails_opens_its_circuit_and_one_call_tries_it_out(q, clock):
    a = q.one(id="a")
    for i in range(20):
        assert a.permit(n=1, name=f"p{i}") == [1]
        a.settle("failed", out_of_order=1 if i >= 15 else 0)
    assert a.permit(name="x")[3] == "circuit"
    clock.go(14000)
    a.renew()
    clock.go(14000)
    a.renew()
    clock.go(2000)
    b = q.one(id="b", route="google/other")
    assert a.permit(name="probe") == [1]
    assert b.permit(name="x2")[3] == "circuit", "one at a time"
    a.settle("failed", out_of_order=1, name="probe")
    assert b.permit(name="x3")[1] - clock.ms == 60000, "twice as long"


def test_a_route_without_credit_is_left_alone_and_waits_in_steps_up_to_an_hour(q, clock):
    a, b = q.one(id="a"), q.one(id="b")
    assert a.permit(name="p") == [1] and b.permit(name="late") == [1]
    assert a.settle("failed", no_credit="insufficient_quota", name="p") == [1, 0, ""]
    assert q.r.hget(q.key("rl:openai/gpt"), "dry") == "insufficient_quota"
    b.settle("failed", no_credit="insufficient_quota", name="late")
    assert q.r.hget(q.key("rl:openai/gpt"), "open") == "1", "it was under way: that is no news"
    waits = []
    for n in range(6):
        refused = a.permit(name=f"x{n}")
        assert refused[3] == "credit"
        waits.append((refused[1] - clock.ms) // 60000)
        clock.go(refused[1] - clock.ms)
        q.r.hset(q.key("j:a"), "state", "active")
        assert a.permit(name=f"probe{n}") == [1]
        assert a.permit(name=f"other{n}")[3] == "credit", "one at a time"
        a.settle("failed", no_credit="insufficient_quota", name=f"probe{n}")
    assert waits == [5, 10, 20, 40, 60, 60]
    assert q.r.zscore(q.key("slow"), "openai/gpt") is not None


def test_resume_lets_a_route_without_credit_be_asked_and_tells_what_is_still_paused(q, clock):
    a = q.one(id="a", route="openai/gpt")
    a.permit(name="p")
    a.settle("failed", no_credit="insufficient_quota", name="p")
    at = a.permit(name="x")[1]
    a.finish("park", at_ms=at, full="openai/gpt")
    other = q.one(id="chain", route="google/other")  # a chain whose next step goes there
    other.permit(name="y")
    other.finish("park", at_ms=at)
    q.r.hset(q.key("cfg"), mapping={"paused": 1, "paused:tenant:shop": 1, "paused:route:openai": 1})
    assert q.claim(5) == []
    assert q.call("resume", "route:google")[0] == 0
    reply = q.call("resume", "route:openai")
    assert (reply[0], sorted(reply[1:])) == (1, ["paused", "paused:tenant:shop"])
    assert q.call("resume", "") == [0, "paused:tenant:shop"]
    assert sorted(job.id for job in q.claim(5)) == ["a", "chain"]


def test_a_provider_that_is_paused_pauses_all_its_models(q):
    q.r.hset(q.key("cfg"), "paused:route:openai", 1)
    q.enqueue(id="a", route="openai/gpt")
    q.enqueue(id="b", route="google/gemini")
    q.file()
    assert [job.id for job in q.claim(5)] == ["b"]
    q.call("resume", "route:openai")
    assert [job.id for job in q.claim(5)] == ["a"]


def test_retries_are_limited_to_a_share_of_the_traffic(q):
    a = q.one(id="a")
    for i in range(20):
        assert a.permit(name=f"r{i}", retry=1) == [1]
        assert a.settle("failed", name=f"r{i}")[0] == 1
    for i in range(2):
        assert a.permit(name=f"s{i}", retry=1)[0] == 1, "two in twenty more"
    assert a.permit(name="t", retry=1)[3] == "retries"
    assert a.permit(name="u", retry=0) == [1]


def test_nothing_is_left_when_the_queue_is_empty(q, clock):
    for i in range(10):
        job = q.one(id=str(i), tenant=str(i), route="openai/gpt", dedup=f"k{i}", reply_to=PREFIX + "rep")
        job.permit([("openai", "concurrency", 10, 1), ("openai", "rpm", 100, 1)])
        job.settle(answer="x", used=(1, 0, 1))
        job.store(step__a="1")
        job.finish()
    q.claim(5)
    left = {k.removeprefix(PREFIX).split(":")[0].split("|")[0] for k in q.r.keys("*")}
    assert left <= {"in", "res", "rep", "ev", "n", "m", "v", "vt", "seq", "fin", "tr", "win", "use", "scp", "cl", "clock"}


@pytest.mark.parametrize("outcome", ["answer", "failed", "unknown", "cancelled"])
def test_a_call_whose_cost_is_not_known_can_be_settled_under_a_budget(q, clock, outcome):
    job = q.one()
    job.permit([("*", "budget", 1000, 0, "total")])
    assert job.settle(outcome, answer="x", used=(5, 0, 5))[0] == 1
    assert not q.r.exists(q.key("px"))
    job.permit([("*", "budget", 1000, 0, "total")], n=2)
    clock.go(q.lease_ms)
    q.tick()
    assert not q.r.exists(q.key("px"))


def test_a_call_that_was_closed_costs_its_question_and_the_rest_is_not_known(q):
    job = q.one()
    job.permit([("*", "budget", 1000, 0, "total")], cost=300)
    job.settle("cancelled", used=(5, 0, 0), cost=40)
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "s": "40", "u": "260"}
    assert (q.count("cancelled_calls"), q.count("cancelled")) == (1, 0), "no job was cancelled"


def test_a_call_that_was_taken_for_lost_and_was_not_made_is_counted_apart(q, clock):
    first = q.one(id="a")
    first.permit()
    clock.go(q.wait_ms)
    q.tick()
    second = other(q).claim()[0]
    second.permit(n=2, question=1)
    first.settle("failed")
    assert (q.count("calls"), q.count("repeated"), q.count("failed"), q.count("unfounded")) == (2, 1, 0, 1)
    second.settle("failed")
    assert q.count("failed") == 1


def made(q):
    """What is left of the calls when repetitions and those that were not made are taken away."""
    return q.count("calls") - q.count("repeated") + q.count("unrepeated") - q.count("failed") - q.count("cancelled_calls")


def test_a_call_that_was_repeated_before_it_was_taken_for_lost_and_was_not_made_is_counted_apart(q, clock):
    first = q.one(id="a")
    first.permit()
    clock.go(q.wait_ms)
    q.tick(at_most=1)
    q.r.hset(q.key("s:a"), "call:ask#1", q.r.hget(q.key("s:a"), "call:ask#1").replace("lost", "sent"))  # by a later tick
    second = other(q).claim()[0]
    second.permit(n=2, question=1)
    first.settle("failed")
    assert q.count("unfounded") == 1 and made(q) == 1


def test_a_repetition_that_was_repeated_and_was_not_made_leaves_one_of_them(q, clock):
    q.one(id="a").permit()
    clock.go(q.wait_ms)
    q.tick()
    second = other(q).claim()[0]
    second.permit(n=2, question=1)
    clock.go(q.wait_ms)
    q.tick()
    third = other(q, "w3").claim()[0]
    third.permit(n=3, question=1)
    second.settle("failed")
    third.settle(answer="yes")
    assert q.count("unfounded") == 0 and made(q) == 1


def test_a_call_that_was_made_is_repeated_by_the_next_one_also_when_one_between_was_not_made(q, clock):
    q.one(id="a").permit()
    clock.go(q.wait_ms)
    q.tick()
    second = other(q).claim()[0]
    second.permit(n=2, question=1)
    clock.go(q.wait_ms)
    q.tick()
    third = other(q, "w3").claim()[0]
    second.settle("failed")
    third.permit(n=3, question=1)
    third.settle(answer="yes")
    assert made(q) == 1 and q.count("repeated") - q.count("unrepeated") == 1


def test_a_cancelled_call_is_not_counted_as_a_cancelled_job(q):
    job = q.one(id="a")
    job.permit()
    job.settle("cancelled")
    assert q.count("cancelled_calls") == 1 and q.count("cancelled") == 0


def test_after_a_silence_nobody_is_taken_for_dead_before_the_living_have_said_so(q, clock):
    """Redis was away for a minute: all leases are over, and their owners come back one after another."""
    mine, theirs = q.one(id="a"), other(q).one(id="b")
    q.tick()
    clock.go(60000)
    assert q.tick(after_silence=True)[0] == 0
    assert mine.renew() == "ok"
    q.r.delete(q.key("hold"))  # it is over by itself after two seconds
    clock.go(1000)
    assert q.tick()[0] == 1
    assert mine.finish() == 1 and theirs.finish() == 0
    assert q.r.pttl(q.key("hold")) == -2


def test_what_the_provider_says_is_left_is_left_here_too(q):
    """Somebody else uses the same key."""
    route = [("openai/gpt", "rpm", 10, 1), ("openai/gpt", "tpm", 1000, 100, "usage")]
    first = q.one(id="a")
    assert first.permit(route) == [1]
    first.settle(used=(20, 0, 10), left=(3, 400))
    assert (q.used("openai/gpt", "rpm"), q.used("openai/gpt", "tpm")) == (7, 600)
    second = q.one(id="b")
    assert second.permit(route) == [1]
    second.settle(used=(20, 0, 10), left=(9, 900))
    assert (q.used("openai/gpt", "rpm"), q.used("openai/gpt", "tpm")) == (8, 630), "more than we thought is no reason to believe it"
    third, fourth = q.one(id="c"), q.one(id="d")
    assert third.permit(route) == [1]
    third.settle(used=(20, 0, 10), left=(0, -1))
    assert q.used("openai/gpt", "rpm") == 10
    assert fourth.permit(route)[0] == 0


def test_a_provider_that_always_says_0_is_not_believed(q):
    route = [("openai/gpt", "rpm", 10, 1)]
    for n in range(3):
        job = q.one(id=f"j{n}")
        assert job.permit(route) == [1], "the route does not rest"
        job.settle(used=(20, 0, 10), left=(0, 0))
    assert q.used("openai/gpt", "rpm") == 3


def test_what_is_told_of_one_model_says_nothing_about_the_provider(q):
    rules = [("openai", "rpm", 1000, 1)]
    job = q.one(id="a")
    assert job.permit(rules) == [1]
    job.settle(used=(20, 0, 10), left=(3, 400))
    assert q.used("openai", "rpm") == 1


def test_retries_take_at_most_a_tenth_of_a_minute_s_calls_beyond_twenty(q):
    """Of 40 calls 20 + 4."""
    def ask(n, retry):
        job = q.one(id=f"{n}-{retry}")
        verdict = job.permit(retry=retry)
        if verdict == [1]:
            job.settle("failed")
        return verdict

    q.clock.go(60000 - q.clock.ms % 60000)
    assert all(ask(n, 0) == [1] for n in range(40))
    retries = [ask(n, 1) for n in range(40)]
    given = sum(verdict == [1] for verdict in retries)
    assert given == 27, "20, and a tenth of all 67"
    scope, kind, used, limit = retries[-1][2:]
    assert (scope, kind, int(used)) == ("openai/gpt", "retries", 27) and int(limit) <= 27
    assert q.clock.ms < retries[-1][1] <= q.clock.ms + 2000
    q.clock.go(60000)
    assert ask("later", 1) == [1], "another minute, another budget"
