"""A provider's windows are never exceeded, and are used (R6, R7). Each test prints its figures.

FLOW_WORKER_LIMIT_MINUTES (2): how long the windows are watched. They are real minutes, in which the workers mostly wait."""
# labels: slow
# apart: requests tokens kills

import itertools
import json
import os
import random
import time

import pytest

from processes import wait_for

WINDOW_MS = 60000
MINUTES = float(os.environ.get("FLOW_WORKER_LIMIT_MINUTES", "2"))
WORKERS = 8


def job(prompt):
    return {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": prompt,
                                                    "maxTokens": 100}}


@pytest.mark.parametrize("limits, entry, kills", [
    ("rpm=300", {"rpm": 300}, False),
    ("tpm=30000,charge=arrival", {"tpm": 30000}, False),
    ("rpm=300", {"rpm": 300}, True),
], ids=["requests", "tokens", "kills"])
def test_a_provider_s_window_is_never_exceeded_and_is_used(start_simulator, start_worker, queue, limits, entry, kills):
    limit, windows = 300, max(2, round(MINUTES))
    simulator = start_simulator(limits=limits, delay="20-400")
    env = {"AI_LIMITS": "json:" + json.dumps([{"scope": "openai", **entry}]), "WORKER_CONCURRENCY": 32, "WORKER_LEASE": "3s"}
    workers = [start_worker(simulator=simulator, **env) for _ in range(WORKERS)]
    for i in range(limit * (windows + 1)):
        queue.enqueue(job("Hello " * 50), tenant=f"t{i % 5}")
    first = wait_for(lambda: simulator.ledger(), "the first call", 60)[0]["at"]
    end = first / 1000 + windows * WINDOW_MS / 1000 + 2
    chosen = random.Random(7)
    for n in itertools.count(1):
        if time.time() >= end:
            break
        wait_for(lambda: time.time() >= min(end, first / 1000 + 12 * n), "the next look", 30, 0.1)
        if kills and time.time() < end:
            place = chosen.randrange(WORKERS)
            workers[place].kill()
            workers[place] = start_worker(simulator=simulator, **env)
    ledger = simulator.ledger()
    violations = sum(line["status"] == 429 for line in ledger)
    used = sum(line["at"] < first + windows * WINDOW_MS and line["status"] == 200 for line in ledger)
    print(f"\n{limits}, {WORKERS} workers, {windows} windows{', kills' if kills else ''}: "
          f"{violations} violations, {used / (windows * limit):.1%} used")
    assert violations == 0
    assert used >= 0.97 * windows * limit
