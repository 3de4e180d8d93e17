#!/usr/bin/env python3
"""Kills, stops and starves workers and Redis while jobs run, and then counts: tests/chaos/chaos.py --help

Each job asks the simulated provider once and writes the answer into an item of a stand-in for Directus. Everything that
happened is known from three sides: the provider's ledger, the writes that arrived, and the queue's own counters. The seed
decides what is done to whom and when; the same seed is the same schedule. The exit status is 0 if every invariant holds."""

import argparse
import itertools
import json
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "rig"))

from fake_directus import FakeDirectus  # noqa: E402
from processes import wait_for  # noqa: E402
from proxy import Proxy  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from simulator import Simulator  # noqa: E402
from worker import Worker, crashed, environment  # noqa: E402

PREFIX = "{flow-worker}:"
MODEL = "gpt-4.1-mini"
CRASH_POINTS = ["before_filing", "after_filing", "after_claim", "before_permit", "after_permit", "before_settle",
                "after_settle", "before_step", "after_step", "before_finish", "after_finish", "after_renew", "after_tick"]


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
    p.add_argument("--points", action="store_true", help="one more kill at each crash point (-DCRASHPOINTS=ON)")
    p.add_argument("--seconds", type=float, default=20, help="over which all this is spread")
    p.add_argument("--lease", type=int, default=1500, help="ms")
    p.add_argument("--wait", type=int, default=3000, help="WORKER_AMBIGUOUS_WAIT, ms")
    p.add_argument("--delay", default="20-400", help="of the provider, ms")
    p.add_argument("--hold", action="store_true", help="WORKER_ON_AMBIGUOUS=hold")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--patience", type=float, default=120, help="seconds for the rest after the last fault")
    p.add_argument("--full", action="store_true", help="100,000 jobs, 200 + 20 kills, 4 workers × 256")
    o = p.parse_args(arguments)
    if o.full:
        o.jobs, o.workers, o.concurrency, o.kills, o.redis_kills = 100_000, 4, 256, 200, 20
        o.stops, o.terms, o.faults, o.seconds, o.patience = 20, 20, 40, 400, 900
    o.seed = random.randrange(1 << 32) if o.seed is None else o.seed
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
        self.at_points = {}  # workers that were told to die at a point
        self.lock = threading.Lock()

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

    # ---- jobs ----

    def enqueue(self):
        ids = [f"job-{i:06d}" for i in range(self.o.jobs)]
        for id in ids:
            self.directus.add("articles", id=id, text=None)
        begun, parts = time.monotonic(), 100
        for part in range(parts):  # spread, so that every fault meets jobs
            time.sleep(max(0.0, begun + self.o.seconds * 0.9 * part / parts - time.monotonic()))
            some = ids[len(ids) * part // parts:len(ids) * (part + 1) // parts]
            self.persist(lambda some=some: self.send(some))
        return ids

    def send(self, ids):
        pipe = self.client().pipeline(transaction=False)
        for id in ids:
            pipe.xadd(PREFIX + "in", {"id": id, "tenant": f"t{hash(id) % 7}", "lane": str(len(id) % 3), "body": json.dumps({
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
        import redis
        for _ in range(200):
            try:
                return action()
            except redis.exceptions.RedisError:
                time.sleep(0.05)
        raise TimeoutError("Redis stayed away")

    # ---- faults ----

    def schedule(self):
        o = self.o
        kinds = (["kill"] * o.kills + ["redis"] * o.redis_kills + ["stop"] * o.stops + ["term"] * o.terms
                 + ["fault"] * o.faults + ([f"at {p}" for p in CRASH_POINTS] if o.points else []))
        self.random.shuffle(kinds)
        return sorted((self.random.uniform(0.3, o.seconds), kind, self.random.random()) for kind in kinds)

    def run_schedule(self):
        begun = time.monotonic()
        for at, kind, luck in self.schedule():
            while time.monotonic() < begun + at:
                time.sleep(max(0.0, min(0.1, begun + at - time.monotonic())))
                self.mend()
            slot = int(luck * len(self.workers))
            name, _, point = kind.partition(" ")
            getattr(self, "do_" + name)(slot, luck, point)

    def replace(self, slot, **more):
        self.gone.append(self.workers[slot])
        self.workers[slot] = self.start_worker(**more)

    def do_kill(self, slot, luck, _):
        self.kills.append((self.workers[slot].pid, time.time() * 1000))
        self.workers[slot].kill()
        self.replace(slot)

    def do_term(self, slot, luck, _):
        worker = self.workers[slot]
        was_up = '"message":"ready"' in worker.log
        self.replace(slot)

        def wait():
            begun = time.monotonic()
            worker.resume()
            status = worker.process.stop(timeout=60)
            if was_up and worker not in self.at_points:
                self.exits.append((status, time.monotonic() - begun))

        threading.Thread(target=wait).start()

    def do_stop(self, slot, luck, _):
        worker = self.workers[slot]
        worker.pause()
        threading.Timer(self.o.lease / 1000 * 2, worker.resume).start()

    def do_redis(self, slot, luck, _):
        self.redis.kill()
        time.sleep(luck)
        self.redis.start()

    def do_fault(self, slot, luck, _):
        what = ["reset", "refuse", "blackhole"][int(luck * 1000) % 3]
        getattr(self.proxy, what)()
        if what != "reset":
            threading.Timer(0.2 + luck * 2, self.proxy.pass_on).start()

    def do_at(self, slot, luck, point):
        """Replaces a worker by one that kills itself at a point; mend() replaces that one."""
        self.kills.append((self.workers[slot].pid, time.time() * 1000))
        self.workers[slot].kill()
        self.replace(slot, CRASH_AT=f"{point}:{1 + int(luck * 20)}")
        self.at_points[self.workers[slot]] = point

    def mend(self):
        """From the main thread only: a process dies with the thread that started it."""
        for slot, worker in enumerate(self.workers):
            if not worker.process.is_running():
                self.kills.append((worker.pid, time.time() * 1000))
                self.replace(slot)

    # ---- the end ----

    def ended(self, ids):
        pipe = self.client().pipeline(transaction=False)
        for id in ids:
            pipe.exists(f"{PREFIX}res:{id}")
        return sum(pipe.execute())

    def wait_for_all(self, ids):
        def all_ended():
            self.mend()
            return self.persist(lambda: self.ended(ids)) == len(ids)

        wait_for(all_ended, "all jobs to end", self.o.patience, 0.25)

    def stop(self):
        for worker in self.workers:
            worker.resume()
            worker.terminate()
        for worker in self.workers:
            worker.process.popen.wait(60)
        self.proxy.stop()
        self.simulator.stop()
        self.directus.stop()
        self.redis.stop()


class Table:
    def __init__(self):
        self.rows = []

    def row(self, id, what, found, expected, holds):
        self.rows.append((id, what, str(found), str(expected), bool(holds)))

    def show(self):
        widths = [max(len(r[i]) for r in self.rows) for i in range(4)]
        for row in self.rows:
            print("  ".join(cell.ljust(w) for cell, w in zip(row[:4], widths)), "" if row[4] else "  <-- DOES NOT HOLD")

    def holds(self):
        return all(row[4] for row in self.rows)


def results_of(rig, ids):
    found = {}
    for start in range(0, len(ids), 1000):
        part = ids[start:start + 1000]
        for id, text in zip(part, rig.client().mget([f"{PREFIX}res:{id}" for id in part])):
            found[id] = json.loads(text) if text else None
    return found


def count_left(client):
    """What may not be left when the queue is idle: running jobs, waiting ones, slots, permits of living owners."""
    left = {}
    for key in client.scan_iter(PREFIX + "*", count=5000):
        kind = key.removeprefix(PREFIX).split(":")[0].split("|")[0]
        if kind == "p" and client.hget(key, "reaped"):
            continue
        if kind in ("lse", "dly", "rdy", "thr", "q", "b", "s", "j", "cs", "wt", "p", "px", "rmp", "dd", "nx"):
            left[kind] = left.get(kind, 0) + 1
    return left


def recovery_times(rig, lease):
    """From a SIGKILL to the moment at which the lost job was given to the next, or waits for its call: the event `lost`."""
    times = []
    killed = dict(rig.kills)
    for entry, fields in rig.client().xrange(PREFIX + "ev"):
        if fields["e"] == "lost":
            pid = int(fields["more"].split("-")[-2]) if fields["more"].count("-") >= 2 else 0
            if pid in killed:
                times.append(int(entry.split("-")[0]) - killed[pid])
    return sorted(times)


def check(rig, ids):
    o, t, client = rig.o, Table(), rig.client()
    results = results_of(rig, ids)
    n = {k: int(v) for k, v in client.hgetall(PREFIX + "n").items()}
    states = {}
    for id in ids:
        state = results[id]["status"] if results[id] else "LOST"
        states[state] = states.get(state, 0) + 1
    held = states.get("quarantined", 0)
    repeated = n.get("repeated", 0) - n.get("unrepeated", 0)
    why = {f"{(r['error'] or {}).get('code')}: {(r['error'] or {}).get('message')}" for r in results.values()
           if r and r["status"] == "dead"}
    for text in sorted(why)[:10]:
        print("dead:", text)
    t.row("R1", "jobs lost", states.get("LOST", 0), 0, "LOST" not in states)
    t.row("", "jobs by state", states, "done" + (", quarantined" if o.hold else ""),
          set(states) <= {"done", "quarantined"} and (o.hold or not held))

    ledger = [line for line in rig.simulator.ledger() if line["call"]]
    by_call, by_job = {}, {}
    for line in ledger:
        by_call.setdefault(line["call"], []).append(line)
        by_job.setdefault(line["call"].partition("#")[0], []).append(line)
    failed_calls = sum(line["status"] != 200 for line in ledger)
    twice = [c for c, lines in by_call.items() if sum(line["status"] == 200 for line in lines) > 1]
    t.row("R2", "calls made again after their answer was stored", len(twice), 0, not twice)

    asked = sum(bool(by_job.get(id)) for id in ids)
    extra = len(ledger) - asked - failed_calls
    t.row("R3", "calls beyond one for each job", extra, f"<= {repeated} counted as repeated",
          extra <= repeated)
    balance = n.get("calls", 0) - repeated - n.get("failed", 0)
    t.row("", "permits - repeated - failed = jobs that asked", balance, f"{len(ids)}" , balance == len(ids))
    t.row("", "ambiguous calls, of those answered late", f"{n.get('ambiguous', 0)}, {n.get('late', 0)}",
          f">= {repeated + held}", n.get("ambiguous", 0) >= repeated + held)
    if o.hold:
        t.row("", "jobs paid twice with hold", extra, 0, extra == 0)

    bodies, wrong = {}, 0
    for write in rig.directus.writes("articles"):
        key = (write["body"].get("keys") or [write["path"].rpartition("/")[2]])[0]
        bodies.setdefault(key, []).append((write["body"].get("data") or write["body"]).get("text"))
    different = [key for key, texts in bodies.items() if len(set(texts)) > 1]
    t.row("R4", "items written with different contents", len(different), 0, not different)
    for id in ids:
        if results[id] and results[id]["status"] == "done" and rig.directus.item("articles", id)["text"] != bodies.get(id, [None])[-1]:
            wrong += 1
    unwritten = [id for id in ids if results[id] and results[id]["status"] == "done" and id not in bodies]
    t.row("", "done jobs whose item is not written; writes", f"{len(unwritten)}; {sum(map(len, bodies.values()))}", "0",
          not unwritten and not wrong)

    left = count_left(client)
    kept = {"quar": held}
    for kind in ("j", "b", "s"):
        left[kind] = left.get(kind, 0) - held
        if left[kind] <= 0:
            del left[kind]
    t.row("R5", "slots, permits, leases, jobs left behind", left or 0, 0, not left)
    money = {k: int(v) for k, v in client.hgetall(PREFIX + "bud:*:total").items() if k in "sru"}
    price = {}
    for id in ids:
        cost = ((results[id] or {}).get("cost") or {}).get("total")
        if cost is not None:
            price[id] = cost * 1e9
    each = sum(price.values()) / max(1, len(price))
    truth = each * (len(ledger) - failed_calls)
    spent = money.get("s", 0) + money.get("u", 0)
    t.row("", "money reserved for nobody", money.get("r", 0), 0, money.get("r", 0) == 0)
    t.row("", "spent + unconfirmed, against what was sold (nano-dollars)", f"{spent}", f">= {truth:.0f}", spent >= truth * 0.999)

    times = recovery_times(rig, o.lease)
    if times:
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        quiet = o.redis_kills == 0 and o.faults == 0
        t.row("R9", "a lost job is found after (p50, p99, most; ms)", f"{times[len(times) // 2]}, {p99}, {times[-1]}",
              f"<= {o.lease + 1000} + outages", p99 <= o.lease + 1000 or not quiet)
    if rig.exits:
        t.row("R10", "SIGTERM: exit status, longest", f"{sorted({s for s, _ in rig.exits})}, {max(s for _, s in rig.exits):.1f} s",
              "[0], <= 25 s", all(s == 0 for s, _ in rig.exits) and max(s for _, s in rig.exits) <= 25)
    if rig.at_points:
        reached = {p for w, p in rig.at_points.items() if w.process.popen.poll() == -signal.SIGKILL}
        t.row("", "crash points reached", f"{len(reached)} of {len(CRASH_POINTS)}", "most", len(reached) * 2 > len(CRASH_POINTS))
    logs = [w.log for w in rig.workers + rig.gone]
    for log in filter(crashed, logs):
        print("\n".join(line[:300] for line in log.splitlines() if not line.startswith("{"))[:4000])
    t.row("", "workers with a sanitizer's report or a failed assertion", sum(map(crashed, logs)), 0, not any(map(crashed, logs)))
    return t, n


def tell_unended(rig, ids):
    """What is known of the first jobs that did not end."""
    client = rig.client()
    for id in [id for id in ids if not client.exists(f"{PREFIX}res:{id}")][:5]:
        print(id, client.hgetall(f"{PREFIX}j:{id}"), client.hkeys(f"{PREFIX}s:{id}"),
              {key: client.zscore(PREFIX + key, id) for key in ("lse", "dly", "dead", "quar")}, file=sys.stderr)
    for key in ("rdy", "thr", "dly", "lse"):
        print(key, client.zrange(PREFIX + key, 0, 20, withscores=True), file=sys.stderr)
    print("door", client.xlen(PREFIX + "in"), client.xinfo_groups(PREFIX + "in"), file=sys.stderr)


def run(arguments=None):
    o = options(arguments)
    with tempfile.TemporaryDirectory(prefix="fw-chaos-") as folder:
        rig = Rig(o, pathlib.Path(folder))
        print(f"seed {o.seed}: {o.jobs} jobs, {o.workers} workers x {o.concurrency}, {o.kills} kills, "
              f"{o.redis_kills} of Redis, {o.stops} stops, {o.terms} terms, {o.faults} faults of the connection", flush=True)
        begun, ids = time.monotonic(), []
        try:
            for worker in rig.workers:
                worker.wait_until_ready()
            enqueuer = threading.Thread(target=lambda: ids.extend(rig.enqueue()))
            enqueuer.start()
            rig.run_schedule()
            while enqueuer.is_alive():
                enqueuer.join(0.1)
                rig.mend()
            rig.mend()
            rig.wait_for_all(ids)
            took = time.monotonic() - begun
            wait_for(lambda: not rig.client().exists(PREFIX + "px", PREFIX + "lse"), "the last permits", o.wait / 1000 + 30)
            time.sleep(o.lease / 1000)
            table, counters = check(rig, ids)
            print(f"\n{len(ids)} jobs in {took:.1f} s; counters {json.dumps(counters, sort_keys=True)}\n")
            table.show()
            holds = table.holds()
            if not holds:
                print(f"\nagain: tests/chaos/chaos.py --seed {o.seed} …")
            return holds
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
