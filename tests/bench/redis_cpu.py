#!/usr/bin/python3
"""What a metered job costs Redis: CPU time of the server for N jobs under three limits, per job and by script.

    FLOW_WORKER_BUILD=build tests/bench/redis_cpu.py [--jobs 5000] [--workers 2] [--rounds 7] [--no-aof]

The limits are a provider's requests and tokens, and a budget for each tenant. The simulated provider answers at once, so
little of it is renewals; what idle workers cost in the same time is measured before, and taken off. What counts is the
median of the rounds, each with parts of its own: a machine differs from one minute to the next. Goal: 130 µs."""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from processes import wait_for  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from simulator import Simulator  # noqa: E402
from worker import Queue, Worker, environment  # noqa: E402

GOAL_US = 130
LIMITS = "json:" + json.dumps([{"scope": "openai", "rpm": 10**7, "tpm": 10**11},
                               {"scope": "tenant:*", "budgetUsd": 1000, "period": "day"}])
JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Say hello.",
                                               "maxTokens": 100}}


def cpu_seconds(client):
    info = client.info("cpu")
    return info["used_cpu_user"] + info["used_cpu_sys"]


def idle_share(client, seconds=3):
    before, begun = cpu_seconds(client), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(client) - before) / (time.monotonic() - begun)


def yardstick(client, count=20000):
    """What one HINCRBY in a script costs here: a busy or slow machine is slow at this, too."""
    script = "for i = 1, ARGV[1] do redis.call('HINCRBY', KEYS[1], 'n', 1) end"
    before = cpu_seconds(client)
    for _ in range(10):
        client.eval(script, 1, "yardstick", count)
    client.delete("yardstick")
    return (cpu_seconds(client) - before) / count / 10 * 1e6


def measure(given, tells):
    """-> µs per job, and what an HINCRBY costs."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fw-bench-"))
    redis = RedisServer(folder / "redis", *(["--appendonly", "no"] if given.no_aof else []))
    simulator = Simulator(folder / "simulator")
    more = {} if given.no_limits else {"AI_LIMITS": LIMITS}
    env = environment(redis, simulator, None, WORKER_CONCURRENCY=64, **more)
    workers = [Worker(folder / f"worker{n}", env).wait_until_ready() for n in range(given.workers)]
    queue = Queue(redis.client)
    idle, unit = idle_share(redis.client), yardstick(redis.client)
    body = json.dumps(JOB)
    redis.client.config_resetstat()
    before, begun = cpu_seconds(redis.client), time.monotonic()
    for start in range(0, given.jobs, 100):
        with redis.client.pipeline(transaction=False) as pipe:
            for n in range(start, min(start + 100, given.jobs)):
                pipe.xadd(f"{queue.prefix}in", {"body": body, "id": f"job{n}", "tenant": f"t{n % 5}"})
            pipe.execute()
    wait_for(lambda: int(redis.client.hget(f"{queue.prefix}n", "done") or 0) == given.jobs, "all are done", 600, 0.05)
    took = time.monotonic() - begun
    used = cpu_seconds(redis.client) - before
    stats = redis.client.info("commandstats")
    for worker in workers:
        worker.stop()
    simulator.stop()
    redis.stop()
    per_job = (used - idle * took) / given.jobs * 1e6
    if tells:
        print(f"{given.jobs} jobs, {given.workers} workers, {'no' if given.no_limits else 'three'} limits, {took:.1f} s "
              f"({given.jobs / took:.0f}/s); idle workers took {idle:.2%} of a core")
        for name, s in sorted(stats.items(), key=lambda item: -item[1]["usec"])[:12]:
            print(f"  {name[8:]:<24}{s['calls'] / given.jobs:8.2f} calls and {s['usec'] / given.jobs:7.1f} µs per job")
    print(f"  {per_job:.0f} µs, {per_job / unit:.0f} times an HINCRBY in a script ({unit:.2f} µs)", flush=True)
    return per_job, unit


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-limits", action="store_true")
    parser.add_argument("--no-aof", action="store_true", help="without the append-only file, into which each write goes once more")
    given = parser.parse_args()
    rounds = [measure(given, n == 0) for n in range(given.rounds)]
    per_job = statistics.median(us for us, _ in rounds)
    print(f"Redis CPU per metered job: {per_job:.0f} µs (goal {GOAL_US}), {statistics.median(us / unit for us, unit in rounds):.0f} times "
          "an HINCRBY in a script: medians")
    return 0 if per_job <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
