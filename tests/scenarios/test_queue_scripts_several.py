"""Scripts that are told of several things by one command: each counts for the next one, and all are written at the end."""

import pytest
import redis

ROUTE = "openai/gpt"


def jobs(q, count):
    for n in range(count):
        q.enqueue(id=f"j{n}")
    q.file()
    return q.claim(count)


def permits(q, some, rules, **more):
    return [reply[0] for reply in q.call_for_each("permit", [job.permit_words(rules, **more) for job in some])]


def settles(q, some, *args, **more):
    return q.call_for_each("settle", [job.settle_words(*args, **more) for job in some])


@pytest.mark.parametrize("rule, room", [
    (("openai", "rpm", 3, 1), 3), (("openai", "tpm", 100, 30), 3), (("openai", "tpm", 100, 30, "usage"), 3),
    (("openai", "concurrency", 2, 1), 2), (("*", "budget", 100, 40, "total"), 2),
], ids=["requests", "tokens", "tokens that are held", "slots", "money"])
def test_calls_of_one_command_do_not_exceed_a_limit_together(q, rule, room):
    some = jobs(q, 6)
    assert permits(q, some, [rule], cost=40) == [1] * room + [0] * (6 - room)
    assert q.one(id="later").permit([rule], cost=40)[0] == 0, "and what they took is written"


def test_windows_in_which_calls_are_counted_differently_are_one_window(q):
    some = jobs(q, 4)
    things = [job.permit_words([("*", "tpm", 100, 30, mode)]) for job, mode in zip(some, ["arrival", "usage"] * 2)]
    assert [reply[0] for reply in q.call_for_each("permit", things)] == [1, 1, 1, 0]
    assert q.used("*", "tpm") == 90
    settles(q, some[1:2], "failed")
    assert q.used("*", "tpm") == 60


def test_a_refusal_tells_when_what_the_same_command_has_taken_leaves_the_window(q):
    some = jobs(q, 2)
    replies = q.call_for_each("permit", [job.permit_words([("openai", "rpm", 1, 1)]) for job in some])
    at, scope, kind, used, limit = replies[1][1:]
    assert (scope, kind, used, limit) == ("openai", "rpm", "1", "1")
    assert 60000 < at - q.clock.ms <= 60400


def test_what_settles_of_one_command_used_is_added_up(q):
    some = jobs(q, 5)
    permits(q, some, [("*", "budget", 1000, 40, "total")], cost=40, route=ROUTE)
    assert [reply[:2] for reply in settles(q, some, answer="x", used=(10, 0, 5), cost=7)] == [[1, 1]] * 5
    costs = q.costs()
    assert [costs[f"{ROUTE}|{what}"] for what in ("calls", "in", "out", "nano")] == ["5", "50", "25", "35"]
    assert q.count("calls") == q.count("answers") == 5
    assert q.r.hgetall(q.key("bud:*:total")) == {"r": "0", "s": "35"}


def test_failures_of_one_command_open_the_circuit_once(q):
    some = jobs(q, 25)
    permits(q, some, [], route=ROUTE)
    settles(q, some, "failed", out_of_order=1)
    assert q.count("circuit_opened") == 1
    assert q.one(id="later").permit(route=ROUTE)[3] == "circuit"


def test_retries_of_one_command_share_what_a_route_may_retry(q):
    some = jobs(q, 25)
    assert permits(q, some, [], route=ROUTE, retry=1) == [1] * 20 + [0] * 5


def test_ends_and_steps_of_one_command_are_told_each(q):
    some = jobs(q, 3)
    q.r.hincrby(q.key("j:" + some[1].id), "fence")
    things = [(job.id, job.fence, "note:x", 1, "text") for job in some]
    assert q.call_for_each("store", things) == [1, 0, 1]
    assert q.call_for_each("finish", [finish_words(job) for job in some]) == [1, 0, 1]
    assert q.count("done") == 2


def finish_words(job):
    return (job.id, job.fence, job.q.worker, "done", "{}", "", "", 0, "", "", 60000, 60000, "")


def calls_for(q, script, things):
    """The second thing is refused; the first is told again, as a worker does."""
    with pytest.raises(redis.ResponseError):
        q.call_for_each(script, things)
    q.call_for_each(script, things[:1])


def test_what_was_done_before_the_error_of_one_thing_is_counted(q):
    """Redis takes nothing back: whoever asks again finds it done, and counts nothing."""
    good, bad = jobs(q, 2)
    q.r.set(q.key("s:" + bad.id), "not a hash")
    calls_for(q, "permit", [job.permit_words(route=ROUTE) for job in (good, bad)])
    assert q.count("calls") == 1
    q.r.delete(q.key("s:" + bad.id))
    permits(q, [bad], [], route=ROUTE)
    q.r.delete(q.key("s:" + bad.id))
    q.r.set(q.key("s:" + bad.id), "not a hash")
    calls_for(q, "settle", [job.settle_words(answer="x", used=(10, 0, 5), cost=7) for job in (good, bad)])
    assert q.count("answers") == 2 and q.costs()[f"{ROUTE}|nano"] == "14", "the books come before the answer"
    q.r.hset(q.key("j:" + bad.id), "dedup", "key")
    q.r.lpush(q.key("dd:key"), "not a text")
    calls_for(q, "finish", [finish_words(job) for job in (good, bad)])
    assert q.count("done") == 1


def test_very_many_texts_of_a_step_are_stored(q):
    job = jobs(q, 1)[0]
    texts = [word for n in range(5000) for word in (f"note:{n}", 1, "text")]
    assert q.call("store", job.id, job.fence, *texts) == 1


def test_the_record_of_an_older_release_does_not_keep_a_circuit_open(q):
    some = jobs(q, 25)
    permits(q, some, [], route=ROUTE)
    settles(q, some, "failed", out_of_order=1)
    q.r.eval("""local t = {cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))}
                redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(unpack(t, 1, 7)))""", 1, q.key("tr"), ROUTE)
    q.clock.go(31000)
    probe = q.one(id="probe")
    assert probe.permit(route=ROUTE) == [1]
    probe.settle(answer="x")
    assert not q.r.hexists(q.key("rl:" + ROUTE), "open")
