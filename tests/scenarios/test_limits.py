"""Limits over several workers. The figures are those of test_limits_figures.py."""
# labels: slow

import json
import time

from processes import wait_for

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello " * 50,
                                               "maxTokens": 100}}


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
    time.sleep(3)  # heartbeats are seen by the second
    for _ in range(100):
        queue.enqueue(JOB)
    wait_for(lambda: len(simulator.ledger()) >= 20, "the window to be used")
    time.sleep(3)
    assert len(simulator.ledger()) == 20
