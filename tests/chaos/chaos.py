#!/usr/bin/python3
"""Kills, stops and starves workers and Redis while jobs run, and then counts: tests/chaos/chaos.py --help

Each job asks the simulated provider once and writes the answer into an item of a stand-in for Directus. Everything that
happened is known from three sides: the provider's ledger, the writes that arrived, and the queue's own counters. The seed
decides what is done to whom and when; the same seed is the same schedule. The exit status is 0 if every invariant holds."""

import argparse
import itertools
import json
import pathlib
import random
import sys
import tempfile
import threading
import time

import redis

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from fake_directus import FakeDirectus  # noqa: E402
from processes import wait_for  # noqa: E402
from proxy import Proxy  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from simulator import Simulator  # noqa: E402
from worker import Worker, environment  # noqa: E402

from check import PREFIX, Check  # noqa: E402
from points import Points, are_compiled_in  # noqa: E402

MODEL = "gpt-4.1-mini"
REDIS_AWAY_S = 120  # at most: a long append-only file is read for seconds


def options(arguments=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--jobs", type=int, default=1500)
    p.add_argument("--workers", type=int, default=3)
    p.add_argument("--concurrency", type=int, default=64)
    p.add_argument("--kills", type=int, default=12, help="SIGKILLs of workers")
    p.add_argument("--redis-kills", type=int, default=2)
    p.add_argument("--stops", type=int, default=2, help="SIGSTOPs of workers, longer than a lease")
    p.add_argument("--terms", type=int, default=2, help="SIGTERMs of workers")
    p.add_argument("--faults", type=int, default=4, help="of the way to Redis: resets, silence, refusal")
    p.add_argument("--points", type=int, nargs="?", const=2, default=0, metavar="N",
                   help="besides, N kills at each crash point (2; needs a build with -DCRASHPOINTS=ON)")
    p.add_argument("--seconds", type=float, default=20, help="over which all this is spread")
    p.add_argument("--lease", type=int, default=1500, help="ms")
    p.add_argument("--wait", type=int, default=3000, help="WORKER_AMBIGUOUS_WAIT, ms")
    p.add_argument("--delay", default="20-400", help="of the provider, ms")
    p.add_argument("--hold", action="store_true", help="WORKER_ON_AMBIGUOUS=hold")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--patience", type=float, default=120, help="seconds without a job that ends, after the last fault")
    p.add_argument("--full", action="store_true", help="100,000 jobs, 200 + 20 kills, 4 workers x 256; 20 at each point")
    p.add_argument("--json", metavar="FILE", help="the table goes there too")
    o = p.parse_args(arguments)
    if o.full:
        o.jobs, o.workers, o.concurrency, o.kills, o.redis_kills = 100_000, 4, 256, 200, 20
        o.stops, o.terms, o.faults, o.seconds, o.points = 20, 20, 40, 600, o.points and 20
    o.seed = random.randrange(1 << 32) if o.seed is None else o.seed
    if o.points and not are_compiled_in():
        p.error("--points needs a build with -DCRASHPOINTS=ON")
    return o


class Rig:
    def __init__(self, o, folder):
        self.o, self.folder, self.random = o, folder, random.Random(o.seed)
        self.redis = RedisServer(folder / "redis")
        self.proxy = Proxy(folder / "proxy", self.redis.url)
        self.simulator = Simulator(folder / "simulator", delay=o.delay, numbered=True, seed=o.seed)
        self.directus = FakeDirectus()
        self.numbers = itertools.count()
        self.workers = [self.start_worker() for _ in range(o.workers)]
        self.gone, self.kills, self.exits = [], [], []
        self.points = Points(self, o.points)
        self.lost = {}  # id of an event -> owner of the lease that was lost
        self.is_over = threading.Event()
        threading.Thread(target=self.watch_events, daemon=True).start()

    def start_worker(self, **more):
        env = environment(
            self.redis, self.simulator, self.directus, REDIS=self.proxy.url, WORKER_LEASE=self.o.lease,
            WORKER_AMBIGUOUS_WAIT=self.o.wait, WORKER_CONCURRENCY=self.o.concurrency, LOG_LEVEL="info",
            WORKER_ON_AMBIGUOUS="hold" if self.o.hold else "retry", WORKER_DRAIN_TIMEOUT=20000,
            WORKER_STATE_DIRECTORY=self.folder / "state", DIRECTUS_CONCURRENCY=64, AI_OPENAI_ALLOWED_MODELS=MODEL,
            AI_LIMITS='json:[{"scope":"*","concurrency":100000,"budgetUsd":1000000,"period":"total"}]', **more)
        (self.folder / "state").mkdir(exist_ok=True)
        return Worker(self.folder / f"worker{next(self.numbers)}", env)

    def client(self):
        return self.redis.client

    # ---- events ----

    def watch_events(self):
        """The stream of events is short: it is read while it is written."""
        client = redis.Redis(port=self.redis.port, decode_responses=True)
        last = "0"
        while not self.is_over.wait(0.1):
            try:
                for entry, fields in client.xrange(PREFIX + "ev", "(" + last if last != "0" else "-"):
                    last = entry
                    if fields["e"] == "lost":
                        self.lost[entry] = fields["more"]
            except redis.exceptions.RedisError:
                pass

    def recovery_times(self):
        """From a SIGKILL to the moment at which the lost job was given to the next, or waits for its call."""
        killed, times = dict(self.kills), []
        for entry, owner in self.lost.items():
            pid = int(owner.split("-")[-2]) if owner.count("-") >= 2 else 0
            if pid in killed:
                times.append(int(entry.split("-")[0]) - killed[pid])
        return sorted(ms for ms in times if ms >= 0)  # before: it had lost the job while it lived

    # ---- jobs ----

    def enqueue(self, ids):
        """All jobs, spread so that every fault meets some; and more while there are crash points to come to."""
        begun, parts = time.monotonic(), 100
        for part in range(parts):
            time.sleep(max(0.0, begun + self.o.seconds * 0.9 * part / parts - time.monotonic()))
            self.add_jobs(ids, self.o.jobs * (part + 1) // parts - self.o.jobs * part // parts)
        while self.points.are_left():
            time.sleep(0.25)
            self.add_jobs(ids, 20)

    def add_jobs(self, ids, count):
        some = [f"job-{i:06d}" for i in range(len(ids), len(ids) + count)]
        for id in some:
            self.directus.add("articles", id=id, text=None)
        self.persist(lambda: self.send(some))
        ids.extend(some)

    def send(self, ids):
        pipe = self.client().pipeline(transaction=False)
        for id in ids:
            number = int(id[4:])
            pipe.xadd(PREFIX + "in", {"id": id, "tenant": f"t{number % 7}", "lane": str(number % 3), "max": "1000", "body": json.dumps({
                "operations": [
                    {"key": "ask", "type": "ai-generate", "resolve": "write", "options": {
                        "provider": "openai", "model": MODEL, "prompt": f"Describe {id}", "maxTokens": 64}},
                    {"key": "write", "type": "item-update", "options": {
                        "collection": "articles", "key": id, "payload": {"text": "{{ask.content}}"}}},
                ], "trigger": {"key": id}})})
        pipe.execute()

    @staticmethod
    def persist(action):
        """Redis may be away just now. Sending an entry twice is harmless: it has an id."""
        end = time.monotonic() + REDIS_AWAY_S
        while True:
            try:
                return action()
            except redis.exceptions.RedisError:
                if time.monotonic() > end:
                    raise TimeoutError("Redis stayed away") from None
                time.sleep(0.05)

    # ---- faults ----

    def schedule(self):
        o = self.o
        kinds = (["kill"] * o.kills + ["redis"] * o.redis_kills + ["stop"] * o.stops + ["term"] * o.terms
                 + ["fault"] * o.faults)
        self.random.shuffle(kinds)
        return sorted((self.random.uniform(0.3, o.seconds), kind, self.random.random()) for kind in kinds)

    def run_schedule(self):
        begun = time.monotonic()
        for at, kind, luck in self.schedule():
            while time.monotonic() < begun + at:
                time.sleep(max(0.0, min(0.1, begun + at - time.monotonic())))
                self.mend()
            slot = int(luck * len(self.workers))
            getattr(self, "do_" + kind)(slot, luck)

    def replace(self, slot):
        self.gone.append(self.workers[slot])
        self.workers[slot] = self.start_worker(WORKER_HTTP_ADDRESS="")  # hundreds: somebody might have the port by then

    def do_kill(self, slot, luck):
        self.kills.append((self.workers[slot].pid, time.time() * 1000))
        self.workers[slot].kill()
        self.replace(slot)

    def do_term(self, slot, luck):
        worker = self.workers[slot]
        was_up = '"message":"ready"' in worker.log
        self.replace(slot)

        def wait():
            begun = time.monotonic()
            worker.resume()
            status = worker.process.stop(timeout=60)
            if was_up:
                self.exits.append((status, time.monotonic() - begun))

        threading.Thread(target=wait).start()

    def do_stop(self, slot, luck):
        worker = self.workers[slot]
        worker.pause()
        threading.Timer(self.o.lease / 1000 * 2, worker.resume).start()

    def do_redis(self, slot, luck):
        self.redis.kill()
        time.sleep(luck)
        self.redis.start()

    def do_fault(self, slot, luck):
        what = ["reset", "refuse", "blackhole"][int(luck * 1000) % 3]
        getattr(self.proxy, what)()
        if what != "reset":
            threading.Timer(0.2 + luck * 2, self.proxy.pass_on).start()

    def mend(self):
        """From the main thread only: a process dies with the thread that started it."""
        self.points.step()
        for slot, worker in enumerate(self.workers):
            if not worker.process.is_running():
                self.replace(slot)

    # ---- the end ----

    def unended(self, ids):
        pipe = self.client().pipeline(transaction=False)
        for id in ids:
            pipe.exists(f"{PREFIX}res:{id}")
        return [id for id, there in zip(ids, pipe.execute()) if not there]

    def count_ended(self):
        return sum(int(n or 0) for n in self.client().hmget(PREFIX + "n", "done", "dead", "cancelled", "quarantined"))

    def wait_for_all(self, ids):
        """Patience is for a queue that stands still, not for one that is slow."""
        left, ended, changed = list(ids), 0, time.monotonic()
        while left:
            self.mend()
            left = self.persist(lambda: self.unended(left[:2000])) + left[2000:]
            now = self.persist(self.count_ended)
            if now != ended:
                ended, changed = now, time.monotonic()
            if time.monotonic() > changed + self.o.patience:
                raise TimeoutError(f"no job has ended for {self.o.patience} s; {len(left)} are left")
            time.sleep(0.25 if len(left) < 2000 else 0.05)

    def stop(self):
        for worker in self.workers:
            worker.resume()
            worker.terminate()
        for worker in self.workers:
            worker.process.popen.wait(60)
        self.is_over.set()
        self.proxy.stop()
        self.simulator.stop()
        self.directus.stop()
        self.redis.stop()


def tell_unended(rig, ids):
    """What is known of the first jobs that did not end."""
    client = rig.client()
    for id in rig.unended(ids)[:5]:
        print(id, client.hgetall(f"{PREFIX}j:{id}"), client.hkeys(f"{PREFIX}s:{id}"),
              {key: client.zscore(PREFIX + key, id) for key in ("dly", "dead", "quar")}, file=sys.stderr)
    for key in ("rdy", "thr", "dly", "lse"):
        print(key, client.zrange(PREFIX + key, 0, 20, withscores=True), file=sys.stderr)
    print("door", client.xlen(PREFIX + "in"), client.xinfo_groups(PREFIX + "in"), file=sys.stderr)


def tell(o, table, counters, jobs, took):
    print(f"\n{jobs} jobs in {took:.1f} s; counters {json.dumps(counters, sort_keys=True)}\n")
    table.show()
    if o.json:
        table.write(o.json, seed=o.seed, jobs=jobs, seconds=round(took, 1), counters=counters, options=vars(o))
    if not table.holds():
        print(f"\nagain: tests/chaos/chaos.py --seed {o.seed} ...")
    return table.holds()


def run(arguments=None):
    o = options(arguments)
    with tempfile.TemporaryDirectory(prefix="fw-chaos-") as folder:
        rig = Rig(o, pathlib.Path(folder))
        print(f"seed {o.seed}: {o.jobs} jobs, {o.workers} workers x {o.concurrency}, {o.kills} kills, "
              f"{o.redis_kills} of Redis, {o.stops} stops, {o.terms} terms, {o.faults} faults of the connection"
              + (f", {o.points} kills at each crash point" if o.points else ""), flush=True)
        begun, ids = time.monotonic(), []
        try:
            for worker in rig.workers:
                worker.wait_until_ready()
            enqueuer = threading.Thread(target=rig.enqueue, args=(ids,))
            enqueuer.start()
            rig.run_schedule()
            while enqueuer.is_alive():
                enqueuer.join(0.1)
                rig.mend()
            rig.wait_for_all(ids)
            took = time.monotonic() - begun
            wait_for(lambda: not rig.client().exists(PREFIX + "px", PREFIX + "lse"), "the last permits", o.wait / 1000 + 30)
            time.sleep(o.lease / 1000)
            check = Check(rig, ids)
            return tell(o, check.all(), check.n, len(ids), took)
        except BaseException:
            keep = pathlib.Path(tempfile.mkdtemp(prefix="fw-chaos-failed-"))
            for worker in rig.workers + rig.gone:
                (keep / f"{worker.pid}.log").write_text(worker.log)
            print(f"logs: {keep}; seed {o.seed}", file=sys.stderr)
            tell_unended(rig, ids)
            raise
        finally:
            rig.stop()


if __name__ == "__main__":
    sys.exit(0 if run() else 1)
