"""What ends by itself: the period of a budget, the minute of a route's retries."""
# labels: slow

import json
import time

from needs import other_clock
from processes import wait_for

ROUTE = "openai/gpt-4.1-mini"
JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello " * 50,
                                               "maxTokens": 100}}
AT_MOST = 100 * 0.4e-6 + 100 * 1.6e-6  # dollars of one call


class ShiftedClock:
    """The clock of a worker, which begins in the middle of an hour."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.set(1800)
        self.env = other_clock(None, FAKETIME_NO_CACHE="1", FAKETIME_TIMESTAMP_FILE=str(self.file))

    def set(self, second_of_hour):
        self.offset = second_of_hour - int(time.time()) % 3600
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.offset:+d}\n")
        new.rename(self.file)  # never half of it

    def hour_ends_ms(self):
        return (int(time.time() + self.offset) // 3600 + 1) * 3600_000


def test_jobs_parked_by_a_budget_go_on_when_its_period_turns(simulator, start_worker, queue, tmp_path):
    clock, budget, thr = ShiftedClock(tmp_path), 2.5 * AT_MOST, f"{queue.prefix}thr"
    limits = json.dumps([{"scope": "*", "budgetUsd": budget, "period": "hour"}])
    start_worker(AI_LIMITS=f"json:{limits}", WORKER_CONCURRENCY=1, **clock.env)
    ids = [queue.enqueue(JOB) for _ in range(200)]
    turn = clock.hour_ends_ms()

    def parked():
        """When the group is looked at again, once that is not just soon."""
        return [int(at) for _, at in queue.client.zrange(thr, 0, -1, withscores=True) if at % 3600_000 == 0]

    assert wait_for(parked, "the rest is parked", 60) == [turn]
    before = len(simulator.ledger())
    assert 0 < before < 20
    clock.set(3605)  # the next hour: for the worker, and for Redis, whose clock is not ours
    for group in queue.client.zrange(thr, 0, -1):
        queue.client.zadd(thr, {group: 1})
    wait_for(lambda: len(simulator.ledger()) > before, "the next period", 30)
    assert wait_for(parked, "the second period is used up", 60) == [turn + 3600_000]
    kept = {key: queue.client.hgetall(key) for key in queue.client.keys(f"{queue.prefix}bud:*:hour-*")}
    assert set(kept) == {f"{queue.prefix}bud:*:hour-{ends}" for ends in (turn, turn + 3600_000)}
    spent = [int(b.get("s", 0)) / 1e9 for b in kept.values()]
    assert all(0 < s <= budget for s in spent) and len(simulator.ledger()) < len(ids)


def set_traffic(queue, calls, retries):
    """As if the route had had so many calls and retries in this minute; see calls.lua."""
    queue.client.eval("redis.call('HSET', KEYS[1], ARGV[3], cmsgpack.pack(math.floor(redis.call('TIME')[1] / 60), tonumber(ARGV[1]), "
                      "tonumber(ARGV[2]), 0, 0, 0, 0))", 1, f"{queue.prefix}tr", calls, retries, ROUTE)


def test_a_retry_beyond_the_route_s_budget_waits_and_is_made_when_there_is_room(simulator, start_worker, queue):
    worker = start_worker(WORKER_CONCURRENCY=1)
    assert queue.run(JOB)["status"] == "done"
    wait_for(lambda: time.time() % 60 < 45, "a minute that lasts", 30)
    set_traffic(queue, 100, 500)
    simulator.fault("error", kind="server_error", times=1)
    waiting = queue.enqueue(JOB)
    worker.wait_for_log(f"limit 'retries' of '{ROUTE}' is full: 500 of 30, room from 20")
    assert len(simulator.ledger()) == 2, "the call that failed was not made again"
    assert queue.run({**JOB, "options": {**JOB["options"], "prompt": "first call"}}, lane=0)["status"] == "done", \
        "calls that are no retries go on"
    set_traffic(queue, 100, 0)
    assert queue.result(waiting)["status"] == "done"
    assert [line["status"] for line in simulator.ledger()].count(200) == 3
