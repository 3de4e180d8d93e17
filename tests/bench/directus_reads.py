#!/usr/bin/python3
"""What a batch does to somebody else's reads: p50, p95 and p99 of a client of a real Directus, with and without it.

    FLOW_WORKER_BUILD=build tests/bench/directus_reads.py [--items 20000] [--rounds 20] [--phase 15] [NAME=VALUE …]

Directus 12.4.0 on PostgreSQL, one worker, a provider that takes 300 ms to 1 s. The client reads at a fixed pace (a list with
a filter and a single item in turn), each read timed from the moment at which it was due. The batch is paused and goes on in
turn: a round is a phase without it (A) and one with it (B), so whatever else the machine does falls on both. The two A
phases around a B are also compared with each other: what that ratio shows is noise. NAME=VALUE are variables of the worker.
Goal: p95 of B at most 1.2 times that of A. With --whole the rounds go on until the batch is done."""

import argparse
import http.client
import itertools
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

RIG = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(RIG / "rig"), str(RIG / "e2e")]

from directus import WORKER_TOKEN, Directus  # noqa: E402
from processes import wait_for  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from simulator import Simulator  # noqa: E402
from worker import Worker, environment, run_command  # noqa: E402

GOAL = 1.2
FLOW = {"name": "describe", "operations": [
    {"type": "ai-generate", "key": "ask", "resolve": "write", "options": {
        "provider": "openai", "model": "gpt-4.1", "prompt": "About {{$trigger.payload.title}}", "maxTokens": 100}},
    {"type": "item-update", "key": "write", "options": {
        "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta_description": "{{ask.content}}"}}}]}
ARTICLES = """insert into articles (title, content, summary) select 'Article ' || n, repeat('Some text of an article. ', 80),
    repeat('A summary. ', 10) from generate_series(1, {count}) n; analyze articles"""


class Reader(threading.Thread):
    """One connection that reads every `every` seconds, give or take a half of it, so that no beat of the batch's calls with
    it shows; first at `first`. Keeps (due, seconds, kind)."""

    def __init__(self, url, paths, first, every):
        super().__init__(daemon=True)
        self.host, self.paths, self.due, self.every = urllib.parse.urlsplit(url).netloc, paths, first, every
        self.seen, self.failed, self.left_out, self.is_over = [], 0, 0, False
        self.start()

    def run(self):
        connection, chance = http.client.HTTPConnection(self.host, timeout=60), random.Random(self.due)
        for kind, path in self.paths:
            time.sleep(max(0, self.due - time.monotonic()))
            if self.is_over:
                return
            try:
                connection.request("GET", path, headers={"Authorization": f"Bearer {WORKER_TOKEN}"})
                reply = connection.getresponse()
                body = reply.read()
                self.failed += reply.status != 200 or b'"title"' not in body
            except (OSError, http.client.HTTPException):
                self.failed += 1
                connection.close()
            self.seen.append((self.due, time.monotonic() - self.due, kind))
            self.due += self.every * chance.uniform(0.5, 1.5)
            while self.due < time.monotonic():  # a read that took longer than until the next one
                self.left_out += 1
                self.due += self.every


def paths(count, start):
    """A list with a filter and a single item in turn, of other rows each time."""
    for n in itertools.count(start):
        at = n * 7919 % count + 1
        yield "item", f"/items/articles/{at}?fields=id,title,content,meta_description"
        wanted = json.dumps({"_and": [{"id": {"_gt": at - 25}}, {"title": {"_contains": "Article"}}]})
        yield "list", "/items/articles?" + urllib.parse.urlencode(
            {"fields": "id,title,summary,meta_description", "sort": "-id", "limit": 25, "filter": wanted})


def cpu_seconds(pids):
    """Of processes and what they have started."""
    ticks = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(stat.parent.name) in pids:
            ticks += sum(map(int, fields[11:15]))  # with those of its children that have ended
        elif int(fields[1]) in pids:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


class Phase:
    """What the client saw from `begun` to `ended`, and what was done meanwhile."""

    def __init__(self, bench, seconds):
        begun, done, cpu = time.monotonic(), bench.items_done(), bench.cpu()
        time.sleep(seconds)
        self.seconds, self.done = time.monotonic() - begun, bench.items_done() - done
        self.cpu = {name: (now - cpu[name]) / self.seconds for name, now in bench.cpu().items()}
        time.sleep(0.3)  # the last ones are answered
        self.reads = [(took, kind) for r in bench.readers for due, took, kind in list(r.seen)
                      if begun <= due < begun + self.seconds - 0.2]


class Bench:
    def __init__(self, given):
        self.given = given
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fw-bench-"))
        self.redis = RedisServer(self.folder / "redis")
        self.simulator = Simulator(self.folder / "simulator", delay=given.delay)
        self.directus = Directus(database="pg").start()
        self.readers, self.phases = [], {"A": [], "B": []}

    def prepare(self):
        self.directus.create_articles()
        self.directus.create_worker_user()
        port = (pathlib.Path(self.directus.dir) / "pg.port").read_text().strip()
        subprocess.run(["psql", "-qh", "127.0.0.1", "-p", port, "-U", "postgres", "-d", "directus",
                        "-c", ARTICLES.format(count=self.given.items)], check=True)
        more = dict(pair.split("=", 1) for pair in self.given.variables)
        self.env = environment(self.redis, self.simulator, self.directus, LOG_LEVEL="warn", WORKER_CONCURRENCY=20)
        del self.env["DIRECTUS_BULK_SHARE"]  # tests switch it off: here it is what is measured
        self.env.update(more)
        self.workers = [Worker(self.folder / f"worker{n}", self.env).wait_until_ready() for n in range(self.given.workers)]
        self.pids = {
            "Directus": {int((pathlib.Path(self.directus.dir) / "directus.pid").read_text())},
            "PostgreSQL": {int(self.postmaster())}, "workers": {w.pid for w in self.workers}}
        (self.folder / "flow.json").write_text(json.dumps(FLOW))

    def postmaster(self):
        data = (pathlib.Path(self.directus.dir) / "pg.path").read_text().strip()
        return (pathlib.Path(data) / "data" / "postmaster.pid").read_text().split()[0]

    def batch(self, *arguments):
        done = run_command("batch", *arguments, env=self.env, cwd=self.folder, timeout=600)
        assert done.status == 0, done.err

    def state(self, name):
        return self.redis.client.hget("{flow-worker}:bat:all", name)

    def items_done(self):
        return int(self.state("n:done") or 0)

    def cpu(self):
        return {name: cpu_seconds(pids) for name, pids in self.pids.items()}

    def create(self):
        self.batch("create", "--collection", "articles", "--fields", "title", "--name", "all", "--yes", "--detach",
                   "--flow", "flow.json")
        wait_for(lambda: self.items_done() >= min(20, self.given.items // 10), "the batch is under way", 300, 0.1)

    def read(self):
        """The client's connections take turns: together they read at the pace given."""
        count, now = 8, time.monotonic() + 0.5
        self.readers = [Reader(self.directus.url, paths(self.given.items, n * 1000), now + n / self.given.reads,
                               count / self.given.reads) for n in range(count)]

    def run_phase(self, kind):
        if kind == "A":
            if self.state("state") != "done":
                self.batch("pause", "all")
            wait_for(lambda: int(self.redis.client.hget("{flow-worker}:bt:all", "active") or 0) == 0, "what ran has ended", 300, 0.1)
        else:
            done = self.items_done()
            self.batch("resume", "all", "--detach")
            wait_for(lambda: self.items_done() > done + 5, "it goes on", 120, 0.1)
        time.sleep(self.given.settle)
        phase = Phase(self, self.given.phase)
        self.phases[kind].append(phase)
        times = [took * 1e3 for took, _ in phase.reads]
        cpu = ", ".join(f"{name} {share:.0%}" for name, share in phase.cpu.items())
        print(f"  {kind}  {len(times)} reads, p50 {quantile(times, .5):6.1f}, p95 {quantile(times, .95):6.1f} ms; "
              f"{phase.done / phase.seconds:5.1f} items/s; CPU: {cpu}", flush=True)

    def run(self):
        self.prepare()
        self.create()
        self.read()
        for n in itertools.count():
            self.run_phase("A")
            if self.state("state") == "done" or (n >= self.given.rounds and not self.given.whole):
                break
            self.run_phase("B")

    def stop(self):
        for reader in self.readers:
            reader.is_over = True
        self.directus.remove()
        for worker in getattr(self, "workers", []):
            worker.kill()  # what it has not written is of no use any more
        self.simulator.process.kill()
        self.redis.stop()


def p95(phase):
    return quantile([took for took, _ in phase.reads], .95)


def tell(bench):
    """-> the ratio that is held against the goal."""
    a, b = bench.phases["A"], bench.phases["B"]
    print(f"{'':12}{'A: paused':>30}{'B: running':>30}{'B / A':>24}\n"
          f"{'':12}{'p50    p95    p99 ms':>30}{'p50    p95    p99 ms':>30}{'p50   p95   p99':>24}")
    for kind in ("item", "list", "all"):
        both = [[took * 1e3 for phase in phases for took, k in phase.reads if kind in (k, "all")] for phases in (a, b)]
        at = [[quantile(times, share) for share in (.5, .95, .99)] for times in both]
        print(f"  {kind:10}" + "".join(f"{'':9}" + "".join(f"{ms:7.1f}" for ms in row) for row in at)
              + f"{'':6}" + "".join(f"{y / x:6.2f}" for x, y in zip(*at)))
    rounds = [p95(y) / ((p95(x) + p95(z)) / 2) for x, y, z in zip(a, b, a[1:])]
    noise = [max(p95(x), p95(z)) / min(p95(x), p95(z)) for x, z in zip(a, a[1:])]
    quarters = ", ".join(f"{q:.2f}" for q in statistics.quantiles(rounds, n=4)) if len(rounds) > 1 else "-"
    print(f"p95 of each B beside the A before and after it: quartiles {quarters}; those two A beside each other differ by "
          f"a factor of {statistics.median(noise):.2f} (median)")
    seconds = sum(phase.seconds for phase in b)
    rate = sum(phase.done for phase in b) / seconds
    for name in bench.pids:
        print(f"CPU of {name}: " + ", ".join(
            f"{statistics.mean(phase.cpu[name] for phase in phases):.0%} of a core {word}"
            for phases, word in ((a, "in A"), (b, "in B"))))
    failed, left_out = (sum(getattr(r, name) for r in bench.readers) for name in ("failed", "left_out"))
    print(f"{rate:.1f} items/s in {seconds:.0f} s of B: {bench.given.items} items in {bench.given.items / rate / 60:.0f} min; "
          f"reads that failed: {failed}, left out since one before took too "
          f"long: {left_out}")
    ratio = quantile([t for p in b for t, _ in p.reads], .95) / quantile([t for p in a for t, _ in p.reads], .95)
    print(f"p95 of the reads while the batch runs: {ratio:.2f} times that without it (goal {GOAL})")
    return ratio if not failed else float("inf")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--phase", type=float, default=15, help="seconds of each phase")
    parser.add_argument("--settle", type=float, default=1, help="seconds before each phase")
    parser.add_argument("--reads", type=float, default=20, help="reads per second")
    parser.add_argument("--delay", default="300-1000", help="ms that the provider takes")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="until the batch is done")
    parser.add_argument("variables", nargs="*", metavar="NAME=VALUE", help="for the workers: DIRECTUS_CONCURRENCY=2")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(parser.parse_args())
    try:
        try:
            bench.run()
        except KeyboardInterrupt:  # what there is by then
            bench.phases["B"] = bench.phases["B"][:max(0, len(bench.phases["A"]) - 1)]
            if not bench.phases["B"]:
                return 1
        return 0 if tell(bench) <= GOAL else 1
    finally:
        bench.stop()


if __name__ == "__main__":
    sys.exit(main())
