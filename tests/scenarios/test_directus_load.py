# labels: slow
"""What the worker asks of Directus at a time: counts of requests under way, never times."""

import time

import pytest

from processes import wait_for

OVERLOADED = {"errors": [{"message": "Under pressure", "extensions": {"code": "SERVICE_UNAVAILABLE"}}]}
UPDATE = {"operation": "item-update", "options": {"collection": "articles", "key": "1", "payload": {"title": "new"}}}
MOST = 8


@pytest.fixture
def load(fake_directus, queue, start_worker):
    """load(lane=1) -> starts a worker with far more to write than Directus gets at a time."""
    fake_directus.add("articles", id=1, title="old")

    def start(jobs=1500, **fields):
        worker = start_worker(DIRECTUS_CONCURRENCY=MOST, WORKER_CONCURRENCY=300, LOG_LEVEL="error").wait_until_ready()
        for n in range(jobs):
            queue.enqueue(UPDATE, f"job{n}", **fields)
        return worker

    fake_directus.delay = 0.02
    yield start
    fake_directus.broken, fake_directus.delay = None, 0


def at_once(fake, last=10):
    """The most writes under way together, seen from each of the last ones that have been answered."""
    writes = fake.writes()[-last:]
    return max(len(r["beside"]) + 1 for r in writes) if len(writes) == last else None


@pytest.mark.parametrize("status", [503, 429])
def test_a_directus_that_says_it_is_overloaded_gets_one_request_at_a_time_and_then_more_again(load, fake_directus, status):
    load()
    wait_for(lambda: at_once(fake_directus) == MOST, "all that is allowed is under way")
    fake_directus.broken, fake_directus.delay = (status, OVERLOADED), 0.1  # 300 jobs that try again would fill it
    wait_for(lambda: at_once(fake_directus) == 1, "one at a time", 60)
    fake_directus.broken, fake_directus.delay = None, 0.02
    wait_for(lambda: at_once(fake_directus) == MOST, "all that is allowed again", 60)
    assert max(len(r["beside"]) for r in fake_directus.requests) < MOST


def test_a_directus_that_becomes_slow_gets_one_request_at_a_time_and_then_more_again(load, fake_directus):
    load()
    wait_for(lambda: at_once(fake_directus) == MOST, "all that is allowed is under way")
    fake_directus.delay = 0.9
    wait_for(lambda: at_once(fake_directus, 2) == 1, "one at a time", 60)
    fake_directus.delay = 0.02
    wait_for(lambda: at_once(fake_directus) == MOST, "all that is allowed again", 60)


def of_lane(requests, lane):
    return [r for r in requests if f"(job lane{lane}-" in r["headers"]["user-agent"]]


def test_bulk_jobs_get_one_request_at_a_time_and_nobody_waits_for_them(fake_directus, queue, start_worker):
    fake_directus.add("articles", id=1, title="old")
    fake_directus.delay = 0.05
    start_worker(DIRECTUS_BULK_SHARE=50, LOG_LEVEL="error").wait_until_ready()
    bulk = [queue.enqueue(UPDATE, f"lane2-{n}", lane=2) for n in range(30)]
    wait_for(lambda: of_lane(fake_directus.writes(), 2), "the bulk jobs write")
    others = [queue.enqueue(UPDATE, f"lane0-{n}", lane=0) for n in range(100)]
    assert {r["status"] for r in queue.results(others + bulk)} == {"done"}
    writes = fake_directus.writes()
    assert max(len(of_lane(r["beside"], 2)) for r in of_lane(writes, 2)) == 0, "one of the bulk jobs at a time"
    assert max(len(of_lane(r["beside"], 0)) for r in of_lane(writes, 0)) >= 6, "the others have the rest"
    last = max(i for i, r in enumerate(writes) if r in of_lane(writes, 0))
    assert len(of_lane(writes[last:], 2)) > 10, "the others were done long before"


def test_all_that_waited_for_directus_is_written_soon_when_it_is_back(fake_directus, simulator, queue, redis, start_worker):
    """Each job has failed so often that it would rest for five minutes by itself: one finds out for all."""
    ids = [f"job-{n}" for n in range(120)]
    redis.client.hset(queue.prefix + "cfg", "paused", 1)
    workers = [start_worker(DIRECTUS_CONCURRENCY=MOST, LOG_LEVEL="error").wait_until_ready() for _ in range(2)]
    for n, id in enumerate(ids):
        fake_directus.add("articles", id=id, text=None)
        queue.enqueue({"operations": [
            {"key": "ask", "type": "ai-generate", "resolve": "write", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": id}},
            {"key": "write", "type": "item-update", "options": {"collection": "articles", "key": id, "payload": {"text": "{{ask.content}}"}}},
        ]}, id, tenant=f"team{n % 3}")
    wait_for(lambda: all(redis.client.exists(queue.prefix + "j:" + id) for id in ids), "all are filed")
    for id in ids:
        redis.client.hset(queue.prefix + "j:" + id, "losses", 8)
    fake_directus.broken = (503, OVERLOADED)
    redis.client.hdel(queue.prefix + "cfg", "paused")
    wait_for(lambda: len(simulator.ledger()) == len(ids) and not redis.client.zcard(queue.prefix + "lse"), "all wait for Directus", 60)
    level = int(redis.client.hget(queue.prefix + "rl:directus", "open"))
    asked = len(fake_directus.requests)
    wait_for(lambda: int(redis.client.hget(queue.prefix + "rl:directus", "open")) == level + 2, "two have tried", 60)
    assert len(fake_directus.requests) - asked in (2, 3), "one request for each that tries, while it is away"
    asked, fake_directus.delay = len(fake_directus.requests), 0.01
    back, fake_directus.broken = time.time(), None
    assert {r["status"] for r in queue.results(ids)} == {"done"}
    writes = [r for r in fake_directus.requests[asked:] if r["method"] == "PATCH"]
    first, last = min(r["at"] for r in writes) / 1000, max(r["at"] for r in writes) / 1000
    print(f"{len(ids)} jobs: the first write {first - back:.1f} s after Directus was back, the last one {last - first:.1f} s later")
    assert len(writes) == len(ids) and max(len(r["beside"]) for r in writes) < MOST * len(workers), "each once, no stampede"
    assert len(simulator.ledger()) == len(ids), "no call for an answer that was stored"
    assert not redis.client.exists(queue.prefix + "rl:directus", queue.prefix + "wt:directus")
