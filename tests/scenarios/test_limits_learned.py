"""What providers' refusals and failures teach: slower, a rest, an open circuit; and that people can see it."""

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
