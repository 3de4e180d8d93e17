"""Limits over several workers. The figures are those of test_limits_figures.py."""
# labels: slow

import json
import pathlib
import time

from needs import missing
from processes import built, wait_for

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello " * 50,
                                               "maxTokens": 100}}


def have_heard_of_each_other(queue, workers):
    """Waits until each has looked twice since the last one came: first it hears of another's limits, then it has them."""
    def beats():
        return [at for _, at in queue.client.zrange(f"{queue.prefix}wrk", 0, -1, withscores=True)]

    wait_for(lambda: len(beats()) == workers, "all workers are there")
    for _ in range(2):
        newest = max(beats())
        wait_for(lambda: min(beats()) > newest, "each worker has looked")


def test_concurrency_holds_over_all_workers_and_is_used(start_simulator, start_worker, queue):
    simulator = start_simulator(limits="concurrency=5", delay="100")
    rules = 'json:[{"scope":"openai","concurrency":5}]'
    for _ in range(3):
        start_worker(simulator=simulator, AI_LIMITS=rules, WORKER_CONCURRENCY=32)
    queue.results([queue.enqueue(JOB, tenant=f"t{i % 3}") for i in range(200)])
    ledger = simulator.ledger()
    assert [line for line in ledger if line["status"] != 200] == []
    begun = sorted(line["at"] for line in ledger)
    at_once = [sum(start <= other < start + 90 for other in begun) for start in begun]
    assert max(at_once) == 5, "a call takes 100 ms"


def is_stopped(worker):
    return pathlib.Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def test_a_call_counts_from_when_it_was_written_also_if_the_worker_lost_the_processor_just_before(simulator, start_worker, queue):
    if b"STOP_AT" not in built("flow-worker").read_bytes():
        missing("crashpoints", "the worker is built without -DCRASHPOINTS=ON")
    worker = start_worker(AI_LIMITS='json:[{"scope":"openai","rpm":100}]', STOP_AT="before_request")
    id = queue.enqueue(JOB)
    wait_for(lambda: is_stopped(worker), "the worker has begun to send")
    admitted = time.time()
    wait_for(lambda: time.time() > admitted + 1, "a second later")
    worker.resume()
    assert queue.result(id)["status"] == "done"
    call, = simulator.ledger()
    bucket, = [int(name) for name in queue.client.hkeys(f"{queue.prefix}win:openai|rpm") if name.isdigit()]
    assert call["at"] < (bucket + 1) * 100, "it leaves the worker's window before the provider's"


def test_a_budget_is_never_exceeded_and_the_rest_fails(start_simulator, start_worker, queue):
    simulator = start_simulator(delay="20-100")
    one = 85 * 0.4e-6 + 100 * 1.6e-6  # at most, in dollars
    rules = "json:" + json.dumps([{"scope": "*", "budgetUsd": round(one * 20, 9), "period": "total", "onBudget": "fail"}])
    for _ in range(2):
        start_worker(simulator=simulator, AI_LIMITS=rules, WORKER_CONCURRENCY=32)
    results = queue.results([queue.enqueue(JOB) for _ in range(200)])
    spent = sum((r["cost"] or {"total": 0})["total"] for r in results)
    assert 0.5 * one * 20 < spent <= one * 20
    refused = [r for r in results if r["status"] == "dead"]
    assert refused and {r["error"]["code"] for r in refused} == {"BUDGET_EXCEEDED"}


def test_another_worker_s_stricter_limit_is_obeyed(start_simulator, start_worker, queue):
    simulator = start_simulator(delay="20-50")
    start_worker(simulator=simulator, AI_LIMITS='json:[{"scope":"openai","rpm":20}]', WORKER_CONCURRENCY=1)
    start_worker(simulator=simulator, AI_LIMITS='json:[{"scope":"openai","rpm":1000}]', WORKER_CONCURRENCY=16)
    start_worker(simulator=simulator, WORKER_CONCURRENCY=16)
    have_heard_of_each_other(queue, 3)
    for _ in range(100):
        queue.enqueue(JOB)
    wait_for(lambda: len(simulator.ledger()) >= 20 and not queue.client.zcard(f"{queue.prefix}lse"),
             "the window is used, and nothing runs any more")
    assert len(simulator.ledger()) == 20
