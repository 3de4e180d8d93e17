"""What must hold after a run of the chaos rig: counted on three sides, the provider's ledger, the writes that arrived in
Directus and the queue's own counters. Rows and goals are named as in the README of this folder."""

import json
import signal

from table import Table
from worker import crashed

PREFIX = "{flow-worker}:"
HELD_KINDS = ("j", "b", "s")  # keys that a quarantined job keeps
LEFT_KINDS = ("lse", "dly", "rdy", "thr", "q", "b", "s", "j", "cs", "wt", "p", "px", "rmp", "dd", "nx")


def results_of(client, ids):
    found = {}
    for start in range(0, len(ids), 1000):
        part = ids[start:start + 1000]
        for id, text in zip(part, client.mget([f"{PREFIX}res:{id}" for id in part])):
            found[id] = json.loads(text) if text else None
    return found


def count_left(client, held=0):
    """What may not be left when the queue is idle: running jobs, waiting ones, slots, permits of living owners."""
    left = {}
    for key in client.scan_iter(PREFIX + "*", count=5000):
        kind = key.removeprefix(PREFIX).split(":")[0].split("|")[0]
        if kind in LEFT_KINDS and not (kind == "p" and client.pttl(key) > 0):  # one that was reaped is kept for a while
            left[kind] = left.get(kind, 0) + 1
    for kind in HELD_KINDS:
        left[kind] = left.get(kind, 0) - held
    return {kind: n for kind, n in left.items() if n > 0}


class Check:
    def __init__(self, rig, ids):
        self.rig, self.o, self.ids, self.t = rig, rig.o, ids, Table()
        client = rig.client()
        self.results = results_of(client, ids)
        self.n = {k: int(v) for k, v in client.hgetall(PREFIX + "n").items()}
        self.repeated = self.n.get("repeated", 0) - self.n.get("unrepeated", 0)
        self.states = {}
        for result in self.results.values():
            state = result["status"] if result else "LOST"
            self.states[state] = self.states.get(state, 0) + 1
        self.held = self.states.get("quarantined", 0)
        self.ledger = [line for line in rig.simulator.ledger() if line["call"]]

    def all(self):
        self.jobs()
        self.calls()
        self.writes()
        self.leaks()
        self.times()
        self.points()
        self.logs()
        return self.t

    def jobs(self):
        o, states = self.o, self.states
        why = {f"{(r['error'] or {}).get('code')}: {(r['error'] or {}).get('message')}"
               for r in self.results.values() if r and r["status"] == "dead"}
        for text in sorted(why)[:10]:
            print("dead:", text)
        lost = [id for id, result in self.results.items() if not result]
        self.t.row("R1", "jobs lost", 0, len(lost), not lost)
        self.t.row("R1", "jobs by state", "done" + (", quarantined" if o.hold else ""), states,
                   set(states) <= {"done", "quarantined"} and (o.hold or not self.held))

    def calls(self):
        n, ids = self.n, self.ids
        by_call, asked = {}, set()
        for line in self.ledger:
            by_call.setdefault(line["call"], []).append(line)
            asked.add(line["call"].partition("#")[0])
        failed = sum(line["status"] != 200 for line in self.ledger)
        twice = [c for c, lines in by_call.items() if sum(line["status"] == 200 for line in lines) > 1]
        self.sold = len(self.ledger) - failed
        self.t.row("R2", "calls made again after their answer was stored", 0, len(twice), not twice)
        extra = self.sold - len(asked & set(ids))
        self.t.row("R3", "calls beyond one for each job", f"<= {self.repeated} counted as repeated", extra,
                   extra <= self.repeated)
        balance = n.get("calls", 0) - self.repeated - n.get("failed", 0) - n.get("cancelled_calls", 0)
        self.t.row("R3", "permits - repeated - failed - cancelled = jobs that asked", len(ids), balance, balance == len(ids))
        self.t.row("R3", "ambiguous calls (answered late)", f">= {self.repeated + self.held}",
                   f"{n.get('ambiguous', 0)} ({n.get('late', 0)})", n.get("ambiguous", 0) >= self.repeated + self.held)
        if self.o.hold:
            self.t.row("R3", "jobs paid twice with hold", 0, extra, extra == 0)

    def writes(self):
        bodies, wrong = {}, 0
        for write in self.rig.directus.writes("articles"):
            key = (write["body"].get("keys") or [write["path"].rpartition("/")[2]])[0]
            bodies.setdefault(key, []).append((write["body"].get("data") or write["body"]).get("text"))
        different = [key for key, texts in bodies.items() if len(set(texts)) > 1]
        self.t.row("R4", "items written with different contents", 0, len(different), not different)
        done = [id for id, result in self.results.items() if result and result["status"] == "done"]
        for id in done:
            wrong += self.rig.directus.item("articles", id)["text"] != bodies.get(id, [None])[-1]
        unwritten = [id for id in done if id not in bodies]
        self.t.row("R4", "done jobs whose item is not written", 0, len(unwritten) + wrong, not unwritten and not wrong)
        self.t.row("R4", "writes", f">= {len(done)}", sum(map(len, bodies.values())), True)

    def leaks(self):
        client = self.rig.client()
        left = count_left(client, self.held)
        self.t.row("R5", "slots, permits, leases, jobs left behind", 0, left or 0, not left)
        money = {k: int(v) for k, v in client.hgetall(PREFIX + "bud:*:total").items() if k in "sru"}
        costs = [((result or {}).get("cost") or {}).get("total") for result in self.results.values()]
        costs = [cost * 1e9 for cost in costs if cost is not None]
        truth = sum(costs) / max(1, len(costs)) * self.sold
        spent = money.get("s", 0) + money.get("u", 0)
        self.t.row("R5", "money reserved for nobody", 0, money.get("r", 0), money.get("r", 0) == 0)
        self.t.row("R5", "spent + unconfirmed against what was sold (nano-dollars)", f">= {truth:.0f}", spent,
                   spent >= truth * 0.999)

    def times(self):
        o, times = self.o, self.rig.recovery_times()
        if times:
            p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
            quiet = o.redis_kills == 0 and o.faults == 0
            self.t.row("R9", "a lost job is found after (p50, p99, most; ms)",
                       f"<= {o.lease + 1000}" + ("" if quiet else " + outages"),
                       f"{times[len(times) // 2]:.0f}, {p99:.0f}, {times[-1]:.0f} of {len(times)}"
                       + (" (above)" if quiet and p99 > o.lease + 1000 else ""), True)
        exits = self.rig.exits
        if exits:
            longest = max(seconds for _, seconds in exits)
            self.t.row("R10", "SIGTERM: exit status, longest", "[0], <= 25 s",
                       f"{sorted({status for status, _ in exits})}, {longest:.1f} s of {len(exits)}" + (" (above)" if longest > 25 else ""),
                       all(status == 0 for status, _ in exits))

    def points(self):
        points = self.rig.points
        if points and points.reached:
            least = min(points.reached.values())
            short = [f"{name} {n}" for name, n in points.reached.items() if n < self.o.points]
            self.t.row("", f"kills at each of {len(points.reached)} crash points", self.o.points,
                       ", ".join(short) or least, not short)

    def logs(self):
        logs = [w.log for w in self.rig.workers + self.rig.gone]
        for log in filter(crashed, logs):
            print("\n".join(line[:300] for line in log.splitlines() if not line.startswith("{"))[:4000])
        bad = sum(map(crashed, logs))
        self.t.row("", "workers with a sanitizer's report or a failed assertion", 0, bad, not bad)
        usual = {0, -signal.SIGKILL, -signal.SIGTERM, None}
        strange = [w for w in self.rig.gone if w.process.popen.returncode not in usual]
        for worker in strange:
            print(f"ended with {worker.process.popen.returncode}:", *worker.log.splitlines()[-5:], sep="\n    ")
        other = [w.process.popen.returncode for w in strange]
        self.t.row("", "workers that ended in another way than by signal or in peace", 0, other or 0, not other)
