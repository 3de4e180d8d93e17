"""The figures that limits are measured by (those of windows: test_limits_windows.py); each test prints its own. Counts
and order are asserted, times are printed."""
# labels: slow

import json
import random
import re
import time

import pytest

from processes import wait_for

IN, OUT = 0.4e-6, 1.6e-6  # dollars per token of gpt-4.1-mini


def job(prompt="Hello " * 50, provider="openai", model="gpt-4.1-mini", **options):
    return {"operation": "ai-generate", "options": {"provider": provider, "model": model, "prompt": prompt, "maxTokens": 100,
                                                    **options}}


def rules(*entries):
    return "json:" + json.dumps(entries)


def number(value):
    return int(value or 0)


# ---- R8: money ----

def spent_truly(simulator):
    return sum(line["usage"]["input"] * IN + line["usage"]["output"] * OUT for line in simulator.ledger() if line.get("usage"))


def booked(queue, scope="*"):
    (key,) = queue.client.keys(f"{queue.prefix}bud:{scope}:*")
    b = {k.decode() if isinstance(k, bytes) else k: int(v) for k, v in queue.client.hgetall(key).items() if k not in ("warned", b"warned")}
    return b.get("s", 0) / 1e9, b.get("r", 0) / 1e9, b.get("u", 0) / 1e9


@pytest.mark.parametrize("on_budget", ["fail", "park"])
def test_a_budget_holds_and_the_books_are_true(start_simulator, start_worker, queue, flow_worker, on_budget):
    simulator = start_simulator(delay="20-100")
    budget = 0.002
    limits = rules({"scope": "*", "budgetUsd": budget, "softUsd": budget / 2, "period": "month", "onBudget": on_budget})
    for _ in range(3):
        start_worker(simulator=simulator, AI_LIMITS=limits, WORKER_CONCURRENCY=16)
    texts = random.Random(3)
    ids = [queue.enqueue(job("word " * texts.randint(5, 300)), tenant=f"t{n % 3}") for n in range(300)]
    if on_budget == "fail":
        results = queue.results(ids)
        messages = {r["error"]["message"] for r in results if r["status"] == "dead"}
        assert {r["error"]["code"] for r in results if r["status"] == "dead"} == {"BUDGET_EXCEEDED"}
        for message in messages:
            assert re.search(r"'budget' of '\*' is full: \$0\.00\d+ of \$0\.002 and about \$0\.00\d+ for this call, room from \d{4}-\d\d-01T00:00:00Z", message), message
    else:
        def sleeping():
            return {score for _, score in queue.client.zrange(f"{queue.prefix}thr", 0, -1, withscores=True)}

        wait_for(lambda: queue.client.zcard(f"{queue.prefix}thr") == 3 and min(sleeping(), default=0) > time.time() * 1000 + 3600000,
                 "all that is left waits for the next month", 60)
        ends = sleeping()
        (line,) = [x for x in flow_worker("limits", "--json", AI_LIMITS=limits).json if x["limit"] == "budgetUsd"]
        assert ends == {line["endsMs"]} and line["used"] <= budget
    truth, (spent, reserved, unconfirmed) = spent_truly(simulator), booked(queue)
    print(f"\nbudget {budget}: spent {truth:.6f}, booked {spent:.6f} and {unconfirmed:.6f} unconfirmed")
    assert budget - (300 * IN + 100 * OUT) < truth <= budget, "what is left is less than one more call may cost"
    assert reserved == pytest.approx(0, abs=1e-9) and abs(spent + unconfirmed - truth) < 0.01 * truth
    events = [e for _, e in queue.client.xrange(f"{queue.prefix}ev")]
    assert any((e.get(b"e") or e.get("e")) in ("budget", b"budget") for e in events), "the soft limit was told"


def test_what_dead_workers_may_have_spent_is_counted(start_simulator, start_worker, queue):
    simulator = start_simulator(delay="50-300")
    env = {"AI_LIMITS": rules({"scope": "*", "budgetUsd": 100, "period": "total"}), "WORKER_CONCURRENCY": 8,
           "WORKER_LEASE": "1s", "WORKER_AMBIGUOUS_WAIT": "1s"}
    ids = [queue.enqueue(job()) for _ in range(150)]
    for calls in (20, 40, 60, 80):
        worker = start_worker(simulator=simulator, **env)
        wait_for(lambda: len(simulator.ledger()) >= calls, f"{calls} calls", 60)
        worker.kill()
    start_worker(simulator=simulator, **env)
    queue.results(ids, timeout=120)
    wait_for(lambda: queue.client.zcard(f"{queue.prefix}px") == 0, "no call is held any more", 30)
    truth, (spent, reserved, unconfirmed) = spent_truly(simulator), booked(queue)
    print(f"\n4 kills, {len(simulator.ledger())} calls for 150 jobs: spent {truth:.6f}, "
          f"booked {spent:.6f} and {unconfirmed:.6f} unconfirmed")
    assert reserved == pytest.approx(0, abs=1e-9)
    assert spent <= truth * 1.0001 and spent + unconfirmed >= truth * 0.9999


# ---- R16: one route's rest is nobody else's ----

def test_a_route_that_cools_down_does_not_slow_another(start_simulator, start_worker, queue):
    simulator = start_simulator(delay="30")
    start_worker(simulator=simulator, WORKER_CONCURRENCY=8)
    other = job(provider="anthropic", model="claude-sonnet-4-6")
    wait_for(lambda: queue.run(other, timeout=60), "the worker works", 60)

    def timed():
        begun = time.monotonic()
        queue.results([queue.enqueue(other) for _ in range(150)])
        return time.monotonic() - begun

    alone, beside = [], []
    for _ in range(3):
        alone.append(timed())
        simulator.fault("error", format="chat", kind="rate_limit", retry_after_ms=600000, times=-1, name="cool")
        for n in range(200):
            queue.enqueue(job(maxRetries=0), tenant=f"t{n}")
        wait_for(lambda: any(line["fault"] == "cool" for line in simulator.ledger() if line.get("fault")), "the first 429", 30)
        wait_for(lambda: queue.client.zcard(f"{queue.prefix}thr") >= 1, "its groups sleep", 30)
        wait_for(lambda: queue.client.zcard(f"{queue.prefix}lse") == 0, "who was under way is back", 30)
        calls = sum(line["format"] == "chat" for line in simulator.ledger())
        wasted = {name: number(queue.client.hget(f"{queue.prefix}n", name)) for name in ("refused", "park")}
        beside.append(timed())
        assert wasted == {name: number(queue.client.hget(f"{queue.prefix}n", name)) for name in wasted}, \
            "no job of the cooling route was claimed and put back, none asked for a permit"
        assert sum(line["format"] == "chat" for line in simulator.ledger()) == calls, "nothing went to the cooling route"
        simulator.reset()
        queue.client.delete(f"{queue.prefix}rl:openai/gpt-4.1-mini", f"{queue.prefix}thr")
        for key in queue.client.keys(f"{queue.prefix}q:openai*"):
            queue.client.delete(key)
    print(f"\nseconds for 150 calls alone {sorted(alone)[1]:.2f}, beside a cooling route {sorted(beside)[1]:.2f}: "
          f"{sorted(beside)[1] / sorted(alone)[1] - 1:+.1%}")
