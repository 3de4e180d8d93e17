"""Dead and quarantined jobs are kept until a person decides; where they take too much, only what was seen goes."""

import json

import pytest
import redis

from processes import wait_for


def die(q, id, bytes=1000):
    q.one("x" * bytes, id=id).finish("dead", code="INVALID_JOB")
    q.clock.go(1000)


def dead(q):
    return q.r.zrange(q.key("dead"), 0, -1)


def test_what_nobody_has_seen_is_never_dropped(q):
    for n in range(10):
        die(q, f"d{n}")
    reply = q.tick(room=3000)
    assert reply[5] == 10000 and len(dead(q)) == 10 and q.count("trimmed") == 0


def test_of_what_was_seen_the_oldest_go_until_there_is_room(q):
    for n in range(10):
        die(q, f"d{n}")
    assert q.call("seen", *[f"d{n}" for n in (1, 3, 5, 7, 9)], "nobody") == 5
    assert q.tick(room=8000)[5] == 8000
    assert dead(q) == ["d0", "d2"] + [f"d{n}" for n in range(4, 10)], "d1 and d3"
    assert q.tick(room=8000)[5] == 8000, "no more than needed"
    assert q.tick(room=1000)[5] == 5000 and dead(q) == ["d0", "d2", "d4", "d6", "d8"], "never one that was not seen"
    assert not q.r.exists(q.key("j:d1"), q.key("b:d1")) and q.result("d1")["status"] == "dead", "the result stays"
    assert q.count("trimmed") == 5 and q.r.zcard(q.key("seen")) == 0
    assert q.tick(room=0)[5] == 5000


def test_bytes_are_those_of_the_jobs_that_are_there_whatever_becomes_of_them(q):
    for n in range(4):
        die(q, f"d{n}")
    q.one("y" * 500, id="held").finish("hold", code="STALLED")
    assert int(q.r.get(q.key("kept"))) == 4500
    assert q.call("retry", "d0", 0) == 1 and int(q.r.get(q.key("kept"))) == 3500
    assert q.call("purge", "d1") == 1 and int(q.r.get(q.key("kept"))) == 2500
    assert q.call("cancel", "held", 1000) == "waiting" and int(q.r.get(q.key("kept"))) == 2000
    job = q.claim()[0]
    job.store(step__a="z" * 100)
    job.finish("dead", code="INVALID_JOB")
    assert int(q.r.get(q.key("kept"))) == 2000 + 1000 + 100 + len("step:a")
    for id in ("d0", "d2", "d3"):
        q.call("purge", id)
    assert int(q.r.get(q.key("kept"))) == 0


def test_a_purged_job_leaves_nothing_behind(q):
    job = q.one('{"secret": 1}', id="a")
    job.store(step__a="secret")
    job.finish("dead", result='{"status":"dead","secret":1}', log='["secret"]', code="INVALID_JOB")
    q.one('{"secret": 1}', id="b").finish("done", log='["secret"]')
    assert q.call("purge", "a") == 1 and q.call("purge", "b") == 1 and q.call("purge", "b") == 0
    for key in q.r.keys(q.key("*")):
        if q.r.type(key) == "string":
            assert "secret" not in q.r.get(key)
        assert not key.endswith((":a", ":b"))
    q.enqueue(id="waits")
    q.file()
    assert q.call("purge", "waits") == 0


# ---- all that there is of an item ----

SECRET = "Ms Doe"


def erase(q, item="articles:12", only_look=0):
    found, cursor = [], ""
    while True:
        cursor, some = q.call("erase", item, only_look, cursor, q.ttl_ms)
        found += zip(some[::2], some[1::2])
        if not cursor:
            return sorted(found)


def values(q):
    """Every text in Redis, with the name of its key."""
    raw = redis.Redis(unix_socket_path=q.r.connection_pool.connection_kwargs["path"])  # some are packed
    read = {b"string": raw.get, b"hash": raw.hgetall, b"list": lambda k: raw.lrange(k, 0, -1), b"set": raw.smembers,
            b"zset": lambda k: raw.zrange(k, 0, -1), b"stream": raw.xrange}
    found = {key.decode(): str(read[raw.type(key)](key)) for key in raw.keys(q.key("*"))}
    raw.close()
    return found


@pytest.fixture
def full(q):
    """Jobs about articles:12 in every state, by two flows, and about others whose keys look alike."""
    item, other = "flow1:articles:12", "flow1:articles:112"
    body = json.dumps({"text": SECRET})

    def begin(id, item=item, **fields):
        q.enqueue(body, id=id, tenant=f"t-{id}", **fields)
        q.file(item=item)
        [job] = q.claim()
        job.store(step__a=SECRET)
        return job

    begin("done").finish("done", result=json.dumps({"status": "done", "last": SECRET}), log=SECRET)
    begin("done-2", "flow2:articles:12").finish("done", log=SECRET)
    begin("dead").finish("dead", log=SECRET, code="INVALID_JOB")
    begin("held").finish("hold", log=SECRET)
    begin("parked").finish("park", at_ms=q.clock.ms + 10**6)
    begin("first", other, dedup="k")
    running = begin("running")
    asks = begin("asks")
    asks.permit(cache="digest", max_age_ms=60_000)
    asks.settle(answer=SECRET, used=(1, 1, 0), cache="digest", cache_ms=60_000)
    asks.finish("done", log=SECRET)
    for id, key in [("other", "112"), ("another", "1")]:
        begin(id, f"flow1:articles:{key}").finish("done", result='{"status": "done"}', log="theirs")
    q.enqueue(body, id="next", item=item, dedup="k", dedup_mode="latest")
    q.enqueue(body, id="waits", item=item, tenant="t")
    q.file(item=item)
    q.call("batch_open", "b", "job", "{}", "articles", "flow1", "", "", "")
    for key in ["12", "112"]:
        q.r.hset(q.key("bu:b"), json.dumps(["articles", key, "write"]), SECRET + "\n" + SECRET if key == "12" else "theirs")
        q.r.hset(q.key("bi:b"), key, json.dumps(["failed", "CODE", 5, 1, 2, SECRET if key == "12" else "theirs"]))
    return running


FOUND = [("cached", "digest"), ("dead", "dead"), ("dead", "held"), ("ended", "asks"), ("ended", "done"), ("ended", "done-2"),
         ("replaced", "b"), ("running", "running"), ("told", "b"), ("waiting", "next"), ("waiting", "parked"), ("waiting", "waits")]


def test_all_that_the_queue_holds_for_an_item_goes(q, full):
    before = values(q)
    assert erase(q, only_look=1) == FOUND and values(q) == before, "only looked"
    assert erase(q) == FOUND
    q.r.delete(q.key("b:first"))  # of another item, with the same text here
    q.r.delete(q.key("s:first"))
    for id in ["other", "another"]:
        assert q.r.get(q.key("log:" + id)) == "theirs"
    assert erase(q) == [("running", "running")]
    full.finish("cancelled", result=json.dumps({"status": "cancelled", "last": SECRET}), log=SECRET)
    assert ("ended", "running") in erase(q)
    assert [key for key, text in values(q).items() if SECRET in text] == []
    assert json.loads(q.r.hget(q.key("bi:b"), "112"))[5] == "theirs" and q.r.hlen(q.key("bu:b")) == 1
    assert int(q.r.get(q.key("kept"))) == 0 and q.state("first") == "active"


def test_what_has_ended_is_found_however_much_there_is_and_forgotten_in_time(q):
    for n in range(12_000):
        q.r.zadd(q.key("itm"), {f"job\nf:articles:{n % 40}\nj{n}": q.clock.ms + 1000})
        q.r.set(q.key(f"res:j{n}"), "{}")
    assert len(erase(q)) == 300 and erase(q) == []
    q.clock.go(1000)
    q.tick()
    assert not q.r.exists(q.key("itm"))


def test_purge_of_an_item_says_what_goes_and_what_it_does_not_reach(queue, start_worker, flow_worker, simulator):
    simulator.fault("hang", call="slow")
    start_worker(LOG_LEVEL="error").wait_until_ready()
    ask = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "About {{$trigger.key}}"},
           "trigger": {"collection": "articles", "key": "12"}}
    queue.run(ask, id="done")
    queue.enqueue(ask, id="slow")
    queue.enqueue(ask, id="later", run_at=4_000_000_000_000)
    wait_for(lambda: simulator.ledger(call="slow") and queue.client.exists("{flow-worker}:j:later"), "one runs, one waits")
    dry = flow_worker("jobs", "purge", "--item", "articles:12", "--dry-run")
    assert dry.status == 0 and "3 found for articles:12: nothing was changed" in dry.out
    assert flow_worker("jobs", "purge", "--item", "articles").status == 2
    told = flow_worker("jobs", "purge", "--item", "articles:12", "--json")
    assert told.status == 0 and told.json["running"] == 0, told.out
    assert {(one["kind"], one["name"]) for one in told.json["found"]} == {("waiting", "later"), ("ended", "done"), ("ended", "slow")}
    assert any("Directus" in text for text in told.json["notLookedAt"])
    assert not [key for key in queue.client.keys("*") if key.endswith((":done", ":slow", ":later")) and ":chain:" not in key]
    assert flow_worker("jobs", "purge", "--item", "articles:12").out.startswith("0 found")


def test_a_job_that_waits_behind_one_with_its_dedup_key_is_listed_and_counted(q):
    q.one(id="first", dedup="k")
    q.enqueue(id="second", dedup="k", dedup_mode="latest")
    q.file()
    rows = q.call("list", "next", "", "", "", "", 50)[1]
    assert [(row[0], row[1]) for row in rows] == [("second", "next")]
    counts = dict(zip(*[iter(q.call("report", 5, 0)[0])] * 2))
    assert counts["next"] == 1
    assert q.call("cancel", "second", 1000) == "waiting" and q.call("list", "next", "", "", "", "", 50)[1] == []


def test_the_report_has_lanes_tenants_and_the_oldest(q):
    q.enqueue(id="old", tenant="shop", lane="2")
    q.file()
    q.clock.go(60000)
    for n in range(3):
        q.enqueue(id=f"n{n}", tenant="blog", lane="0")
    q.file()
    report = q.call("report", 5, 0)
    assert report[7] == ["0", 3, "2", 1] and report[8] == ["blog", 3, "shop", 1]
    assert dict(zip(*[iter(report[0])] * 2))["oldestMs"] == 60000


def test_people_are_told_that_there_is_no_room(queue, start_worker, flow_worker):
    small = {"QUEUE_DEAD_MAX_BYTES": "4kb"}
    worker = start_worker(**small)
    bad = {"operation": "throw-error", "options": {"code": "MY_CODE", "message": "m" * 600}}
    queue.results([queue.enqueue(bad, id=f"bad-{n}") for n in range(10)])
    worker.wait_for_log("QUEUE_DEAD_MAX_BYTES, and nobody has looked at them")
    assert "dead and quarantined jobs take" in flow_worker("status", **small).out
    found = [line["status"] for line in flow_worker("doctor", "--json", **small).json["checks"]
             if "nobody has seen" in line["found"]]
    assert found == ["bad"] and queue.client.zcard(f"{queue.prefix}dead") == 10
    assert len(flow_worker("jobs", "list", "--state", "dead", "--json").json) == 10  # now somebody has
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}dead") < 10, "the oldest go")
    wait_for(lambda: int(queue.client.get(f"{queue.prefix}kept")) <= 4096, "there is room")
    left = queue.client.zrange(f"{queue.prefix}dead", 0, -1)
    assert left and json.loads(queue.client.get(f"{queue.prefix}res:bad-0"))["status"] == "dead"
    assert flow_worker("jobs", "retry", *left).status == 0
