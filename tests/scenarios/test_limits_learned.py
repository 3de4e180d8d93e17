"""What providers' refusals and failures teach: slower, a rest, an open circuit; and that people can see it."""

import requests

from processes import wait_for

ROUTE = "openai/gpt-4.1-mini"
LIMITS = 'json:[{"scope":"openai","rpm":100}]'


def job(**options):
    return {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello",
                                                    "maxTokens": 50, **options}}


def limits_line(flow_worker):
    (line,) = flow_worker("limits", "--json", AI_LIMITS=LIMITS).json
    return line


def chat_calls(simulator):
    return len(simulator.ledger())


def test_a_429_slows_the_route_down_and_nothing_goes_there_before_its_time(simulator, start_worker, queue, flow_worker):
    start_worker(AI_LIMITS=LIMITS)
    queue.run(job())
    assert limits_line(flow_worker)["factor"] == 1 and limits_line(flow_worker)["roomAtMs"] == 0
    simulator.fault("error", kind="rate_limit", retry_after_ms=1500)
    waiting = queue.enqueue(job())
    refused = wait_for(lambda: [line for line in simulator.ledger() if line["status"] == 429], "the refusal")[0]
    line = wait_for(lambda: limits_line(flow_worker) if limits_line(flow_worker)["factor"] < 1 else None, "the factor")
    assert line["factor"] == 0.7 and line["remaining"] == 98
    for _ in range(5):
        queue.enqueue(job())
    queue.result(waiting)
    later = [x["at"] for x in simulator.ledger() if x["number"] > refused["number"]]
    assert min(later) >= refused["at"] + 1500
    out = flow_worker("limits", AI_LIMITS=LIMITS).out
    assert "FACTOR" in out and "0.70" in out and "ROOM FROM" in out


def test_a_window_that_is_full_says_when_there_is_room(simulator, start_worker, queue, flow_worker):
    limits = 'json:[{"scope":"openai","rpm":5}]'
    worker = start_worker(AI_LIMITS=limits)
    for _ in range(8):
        queue.enqueue(job())
    wait_for(lambda: chat_calls(simulator) == 5, "the window is used")
    (line,) = flow_worker("limits", "--json", AI_LIMITS=limits).json
    first = simulator.ledger()[0]["at"]
    assert (line["used"], line["remaining"]) == (5, 0) and first + 59000 < line["roomAtMs"] < first + 62000
    wait_for(lambda: "limit 'rpm' of 'openai' is full: 5 of 5, room from 20" in worker.log, "the reason in the log")


def test_a_provider_that_fails_is_left_alone_until_one_call_has_tried_it_out(simulator, start_worker, queue, flow_worker):
    start_worker(AI_LIMITS=LIMITS, WORKER_CONCURRENCY=5)
    simulator.fault("error", kind="server_error", times=-1, name="down")
    for n in range(60):
        queue.enqueue(job(maxRetries=0), tenant=f"t{n % 3}")
    wait_for(lambda: int(queue.client.hget(f"{queue.prefix}n", "circuit_opened") or 0) == 1, "the circuit is open")
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}px") == 0, "nothing is under way")
    calls = chat_calls(simulator)
    assert 20 <= calls <= 25, "20 to judge by, and what was under way"
    assert limits_line(flow_worker)["roomAtMs"] > 0
    simulator.reset()
    # Half a minute is over, and it works again: one call, then all.
    queue.client.hset(f"{queue.prefix}rl:{ROUTE}", "until", 1)
    for group in queue.client.zrange(f"{queue.prefix}thr", 0, -1):
        queue.client.zadd(f"{queue.prefix}thr", {group: 1})
    wait_for(lambda: chat_calls(simulator) >= 60 - calls, "the rest is done", 60)
    assert all(line["status"] == 200 for line in simulator.ledger())
    assert queue.client.hget(f"{queue.prefix}rl:{ROUTE}", "open") is None


# ---- no credit is left ----

OTHER = "openai/gpt-4.1"


def no_credit(simulator, **which):
    simulator.fault("error", **{"kind": "quota", "times": -1, "name": "no credit", **which})


def rests(flow_worker):
    return {rest["route"]: rest["cause"] for rest in flow_worker("status", "--json").json["resting"]}


def test_jobs_of_a_route_without_credit_wait_until_somebody_has_paid(simulator, start_worker, queue, flow_worker):
    worker = start_worker(WORKER_CONCURRENCY=3)
    no_credit(simulator, model="gpt-4.1-mini")
    waiting = [queue.enqueue(job(), tenant=f"t{n % 2}") for n in range(12)]
    wait_for(lambda: rests(flow_worker) == {ROUTE: "credit"}, "the route to pause")
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}px") == queue.client.zcard(f"{queue.prefix}lse") == 0, "rest")
    refused = len(simulator.ledger())
    assert 1 <= refused <= 3, "nobody asks again, but who was under way"
    assert queue.run({**job(model="gpt-4.1")})["status"] == "done", "other routes go on"
    assert queue.client.zcard(f"{queue.prefix}dead") == 0

    assert "no credit is left there (insufficient_quota)" in flow_worker("status").out
    assert f"jobs resume --route {ROUTE}" in flow_worker("limits").out
    assert limits_line(flow_worker)["rests"] == "credit"
    found = [line for line in flow_worker("doctor", "--json").json["checks"] if "no credit is left" in line["found"]]
    assert [line["status"] for line in found] == ["bad"]
    wait_for(lambda: 'flow_worker_routes_resting{cause="credit"} 1' in requests.get(f"{worker.url}/metrics", timeout=10).text,
             "the metric")
    worker.wait_for_log("no credit is left for 'openai/gpt-4.1-mini' (insufficient_quota)")
    assert worker.log.count("no credit is left for 'openai/gpt-4.1-mini' (insufficient_quota)") == 1

    # A second look before anybody has paid: one call finds that out.
    assert "1 route that had stopped by itself" in flow_worker("jobs", "resume", "--route", ROUTE).out
    wait_for(lambda: rests(flow_worker) == {ROUTE: "credit"} and len(simulator.ledger()) > refused + 1, "it is tried")
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}lse") == 0, "rest")
    simulator.reset()
    assert flow_worker("jobs", "resume").out.startswith("everything goes on")
    assert {result["status"] for result in queue.results(waiting)} == {"done"}
    assert rests(flow_worker) == {} and queue.client.zcard(f"{queue.prefix}dead") == 0
    assert [line["status"] for line in simulator.ledger()] == [200] * 12, "each is asked once"


def test_a_route_without_credit_is_tried_out_by_one_call_now_and_then(simulator, start_worker, queue, flow_worker):
    start_worker(WORKER_CONCURRENCY=5)
    no_credit(simulator)
    waiting = [queue.enqueue(job()) for _ in range(8)]
    wait_for(lambda: rests(flow_worker) == {ROUTE: "credit"}, "the route to pause")
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}lse") == 0, "rest")
    key = f"{queue.prefix}rl:{ROUTE}"
    first = int(queue.client.hget(key, "until")) - int(queue.client.hget(key, "dry_at"))
    assert first == 300_000

    def time_is_over():
        queue.client.hset(key, "until", 1)
        for name in ("thr", "dly"):
            for waits in queue.client.zrange(f"{queue.prefix}{name}", 0, -1):
                queue.client.zadd(f"{queue.prefix}{name}", {waits: 1})

    calls = len(simulator.ledger())
    time_is_over()
    wait_for(lambda: queue.client.hget(key, "open") == "2", "the trial")
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}lse") == 0, "rest")
    assert len(simulator.ledger()) == calls + 1, "one call tries it out"
    simulator.reset()
    time_is_over()
    assert {result["status"] for result in queue.results(waiting)} == {"done"}
    assert not queue.client.hexists(key, "dry")


def test_a_job_with_a_fallback_does_not_wait_for_credit(simulator, start_worker, queue, flow_worker):
    start_worker(WORKER_CONCURRENCY=3)
    no_credit(simulator, model="gpt-4.1-mini")
    queue.enqueue(job())
    wait_for(lambda: rests(flow_worker) == {ROUTE: "credit"}, "the route to pause")
    calls = len(simulator.ledger())
    last = queue.run(job(fallback=[{"provider": "openai", "model": "gpt-4.1"}]))["last"]
    assert last["model"].startswith("gpt-4.1") and "fell back from gpt-4.1-mini: QUOTA_EXCEEDED" in str(last["warnings"])
    assert len(simulator.ledger()) == calls + 1, "the route without credit was not asked again"


def test_an_account_that_a_job_brings_along_pauses_nobody_else(simulator, start_worker, queue, flow_worker):
    start_worker(AI_CREDENTIAL_SHOP_API_KEY="key-of-the-shop", AI_CREDENTIAL_SHOP_PROVIDER="openai")
    no_credit(simulator, times=1)
    result = queue.run(job(credential="shop"))
    assert (result["status"], result["error"]["code"]) == ("dead", "QUOTA_EXCEEDED")
    assert rests(flow_worker) == {} and queue.run(job())["status"] == "done"
