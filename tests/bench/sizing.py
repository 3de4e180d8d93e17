#!/usr/bin/python3
"""What a worker and its Redis need: the table of deploy/README.md, as Markdown.

    FLOW_WORKER_BUILD=build tests/bench/sizing.py [--jobs 3000] [--in-flight 10,100,1000]

CPU is the time that the kernel has counted for the process (utime and stime), not time on the clock, so that a busy machine
changes little; memory is VmRSS while that many calls are under way. The simulated provider answers at once for CPU, and
late for memory. Take a build without sanitizers."""

import argparse
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from processes import wait_for  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from simulator import Simulator  # noqa: E402
from worker import Queue, Worker, environment  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
LIMITS = "json:" + json.dumps([{"scope": "openai", "rpm": 10**7, "tpm": 10**11}, {"scope": "tenant:*", "budgetUsd": 1000, "period": "day"}])
ARTICLE = "A sentence of an article. "


def ask(text):
    return json.dumps({"trigger": {"payload": {"content": text}}, "operations": [
        {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "maxTokens": 100,
                                                 "prompt": "Sum up: {{$trigger.payload.content}}"}}]})


def cpu_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS * 1e6


def rss_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


class Rig:
    """Redis, a simulated provider and one worker."""

    def __init__(self, delay=0, **env):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="fw-sizing-"))
        self.redis, self.simulator = RedisServer(folder / "redis"), Simulator(folder / "simulator", delay=delay)
        self.queue = Queue(self.redis.client)
        settings = environment(self.redis, self.simulator, None, LOG_LEVEL="warn", **env)
        self.worker = Worker(folder / "worker", settings).wait_until_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.kill()
        self.simulator.stop()
        self.redis.stop()

    def enqueue(self, body, count):
        for start in range(0, count, 100):
            with self.redis.client.pipeline(transaction=False) as pipe:
                for n in range(start, min(start + 100, count)):
                    pipe.xadd(f"{self.queue.prefix}in", {"body": body, "tenant": f"t{n % 5}"})
                pipe.execute()

    def wait_for_count(self, what, count):
        wait_for(lambda: int(self.redis.client.hget(f"{self.queue.prefix}n", what) or 0) >= count, f"{count} are {what}", 600, 0.05)


def cpu_per_job(body, jobs, **env):
    """-> µs of the worker, µs of Redis."""
    with Rig(WORKER_CONCURRENCY=100, **env) as rig:
        rig.enqueue(body, 200)
        rig.wait_for_count("done", 200)
        pids = rig.worker.pid, rig.redis.process.pid
        before = [cpu_us(pid) for pid in pids]
        rig.enqueue(body, jobs)
        rig.wait_for_count("done", 200 + jobs)
        return [(cpu_us(pid) - b) / jobs for pid, b in zip(pids, before)]


def memory_in_flight(body, count):
    with Rig(delay=600000, WORKER_CONCURRENCY=count) as rig:
        rig.enqueue(body, count)
        wait_for(lambda: sum(line["outcome"] == "open" for line in rig.simulator.ledger()) == count, f"{count} calls are open", 300, 0.5)
        return rss_mib(rig.worker.pid)


def redis_per_waiting_job(body, count):
    with Rig(delay=600000, WORKER_CONCURRENCY=1) as rig:
        rig.enqueue(body, 100)
        rig.wait_for_count("filed", 100)
        before = rig.redis.client.info("memory")["used_memory"]
        rig.enqueue(body, count)
        rig.wait_for_count("filed", 100 + count)
        return (rig.redis.client.info("memory")["used_memory"] - before) / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--in-flight", default="10,100,1000")
    given = parser.parse_args()
    texts = {"300 bytes": ask(ARTICLE * 4), "10 kB": ask(ARTICLE * 390)}
    print("| a job of | worker CPU | jobs a second and core | Redis CPU | with three limits: worker | Redis | Redis memory while it waits |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, body in texts.items():
        bare, metered = cpu_per_job(body, given.jobs), cpu_per_job(body, given.jobs, AI_LIMITS=LIMITS)
        waiting = redis_per_waiting_job(body, given.jobs)
        print(f"| {name} | {bare[0]:.0f} µs | {1e6 / bare[0]:.0f} | {bare[1]:.0f} µs | {metered[0]:.0f} µs | {metered[1]:.0f} µs "
              f"| {waiting / 1024:.1f} kB |", flush=True)
    counts = [int(count) for count in given.in_flight.split(",")]
    print("\n| worker memory with jobs in flight | " + " | ".join(map(str, counts)) + " |\n| --- |" + " --- |" * len(counts))
    for name, body in texts.items():
        print(f"| {name} each | " + " | ".join(f"{memory_in_flight(body, count):.0f} MiB" for count in counts) + " |", flush=True)


if __name__ == "__main__":
    main()
