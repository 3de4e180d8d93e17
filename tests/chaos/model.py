#!/usr/bin/python3
"""Goes through the moves of a few jobs and workers in every order, with crashes: tests/chaos/model.py --help

The moves are the real scripts on a private Redis, called as a worker calls them, and beside them: a worker dies, a reply
gets lost, time passes, a call fails or its answer never comes, somebody cancels. After each move everything that must be
true of the queue is looked at (model_rules.py), and every path goes on until nothing can happen any more: then all jobs have
ended. What has been seen before, the same content and the same knowledge of all workers, is not gone through again.

Without --moves all that the bounds allow is gone through, and from everywhere there must be a way to an end; with it paths are
taken by chance, as the seed says. Exit status 0: all holds."""

import argparse
import itertools
import json
import pathlib
import pickle
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from model_digest import FAR_MS, digest  # noqa: E402
from model_graph import Graph  # noqa: E402
from model_store import PREFIX, Caller, Store  # noqa: E402
from model_rules import Broken, check, check_end, is_good, must  # noqa: E402
from model_worker import CALL_MS, LEASE_MS, WAIT_MS, Moves, Worker  # noqa: E402

BEGIN_MS = 1_800_000_000_000
TOO_LONG = 1000  # moves of one path
AT_ONCE = 50     # states whose moves are made in one go
SHARE_OF_FAULTS = 0.25
FAULTY = ("crash", "lost", "wait", "fail", "cancel")  # of what --faults is a bound
FAULTS = ("crash", "cancel", "retry")  # what may happen, and need not


def options(arguments=None):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--jobs", type=int, default=3)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--room", type=int, default=2, help="jobs of one worker at once")
    p.add_argument("--slots", type=int, default=2, help="calls at once, of all workers")
    p.add_argument("--crashes", type=int, default=1, help="of workers, in one path")
    p.add_argument("--lost", type=int, default=1, help="replies that get lost, in one path")
    p.add_argument("--waits", type=int, default=2, help="times that time passes although there is something to do")
    p.add_argument("--failures", type=int, default=0, help="calls that fail or whose answer never comes")
    p.add_argument("--cancels", type=int, default=0)
    p.add_argument("--faults", type=int, metavar="N", help="at most so many of all that may go wrong, whatever the other bounds allow")
    p.add_argument("--latest", action="store_true", help="the jobs have one dedup key, and the newest counts")
    p.add_argument("--hold", action="store_true", help="WORKER_ON_AMBIGUOUS=hold, and a person who retries")
    p.add_argument("--moves", type=int, default=0, help="on paths by chance, about so many (0: everywhere)")
    p.add_argument("--every-order", action="store_true", help="also of moves that stand alone")
    p.add_argument("--seconds", type=int, default=0, help="stop then, although not all has been seen (0: never)")
    p.add_argument("--seed", type=int, default=1, help="of the order in which moves are tried")
    p.add_argument("--json", metavar="FILE", help="the figures go there too")
    return p.parse_args(arguments)


class Ghost:
    """What nobody in the system knows, but the rules ask for."""

    def __init__(self, o):
        self.hold, self.slots, self.price = o.hold, o.slots, 10
        self.handed = {}       # (job, fence) -> worker
        self.permits, self.permits_named = [], set()
        self.carried = []      # (job, permit): calls that the provider carried out
        self.won = {}          # job -> (permit, the answer that counts)
        self.writes = {}       # job -> contents
        self.results = {}
        self.redriven, self.was_read, self.started = 0, False, o.workers
        self.under_way = {}    # job -> {permit: when it was given}: calls that nobody has told the end of
        self.latest, self.patience_ms = o.latest, min(CALL_MS, WAIT_MS)
        self.left = {"crash": o.crashes, "lost": o.lost, "wait": o.waits, "fail": o.failures, "cancel": o.cancels}
        self.left_of_all = sum(self.left.values()) if o.faults is None else o.faults
        self.left["retry"] = 1 if o.hold else 0
        self.spend(None)

    def spend(self, kind):
        """Something has gone wrong; what is no fault has a bound of its own."""
        if kind:
            self.left[kind] -= 1
        self.left_of_all -= kind in FAULTY
        for kind in FAULTY:
            self.left[kind] = min(self.left[kind], self.left_of_all)


class State:
    """A content of Redis and what the workers know. Copied as a whole."""

    def __init__(self, store, o):
        self.store, self.clock, self.ghost = store, BEGIN_MS, Ghost(o)
        self.jobs = ["J" + chr(ord("A") + i) for i in range(o.jobs)]
        self.workers = [Worker(f"W{i + 1}", o.room) for i in range(o.workers)]
        self.snapshot = None

    def saved(self):
        return self.snapshot, self.clock, pickle.dumps((self.ghost, self.workers), -1)

    def load(self, saved):
        self.snapshot, self.clock, rest = saved
        self.ghost, self.workers = pickle.loads(rest)
        self.store.clock = self.clock
        self.store.restore(self.snapshot)


class Model:
    def __init__(self, o, faults=None):
        self.o, self.random = o, random.Random(o.seed)
        self.store = Store(faults)
        self.state = State(self.store, o)
        self.callers = {}
        self.moves = Moves(self.state, self.caller)
        self.graph, self.done, self.paths, self.longest, self.is_complete = Graph(), 0, 0, 0, False
        self.begin()

    def close(self):
        self.store.close()

    def caller(self, w):
        return self.callers.setdefault(w.name, Caller(self.store, w.name))

    def begin(self):
        store = self.store
        store.clock = BEGIN_MS
        more = ["dedup", "same", "dedup_mode", "latest"] if self.o.latest else []
        store.run(*[["XADD", PREFIX + "in", f"1-{i + 1}", "id", id, "tenant", "t", "body", "{}", *more]
                    for i, id in enumerate(self.state.jobs)])
        store.call("hello", [1])
        self.state.snapshot = store.current

    # ---- which moves there are ----

    def possible(self):
        keys, state, left = self.store.current.keys, self.state, self.state.ghost.left
        first = self.is_first(keys)
        if first:
            return first
        todo = [move for w in range(len(state.workers)) for move in self.of_worker(keys, w)]
        faults = []
        for move in todo:
            if left["lost"] and move[0] in ("file", "claim", "op"):
                faults.append((*move[:-1], True))
        for w, worker in enumerate(state.workers):
            if left["crash"] and (worker.leases or worker.heard or worker.claim_again):
                faults += [("crash", w, unsent) for unsent in subsets(lease.permit for lease in worker.leases if lease.is_sent())]
        for id in state.jobs:
            j = keys.get("j:" + id)
            if left["cancel"] and j and "cancel" not in j and j["state"] != "dead":
                faults.append(("cancel", id))
            if left["retry"] and j and j["state"] == "quarantined":
                faults.append(("retry", id))
        if self.next_moment(keys) and (not todo or left["wait"]):
            (todo if not todo else faults).append(("time",))
        return todo + faults

    def is_first(self, keys):
        """Moves before or after which all others are the same: they need not be tried in every order.

        `send` is one for what a worker does then can be seen by nobody. Where nothing can go wrong any more, no time passes
        before all have done what they can: a store, a write and a renewal of leases that are good stand alone then."""
        by_worker = [(w, lease) for w, worker in enumerate(self.state.workers) for lease in worker.leases]
        for w, lease in by_worker:
            if lease.stage == "send":
                return list(self.of_lease(w, lease))
        if self.o.every_order or any(self.state.ghost.left.values()):
            return None
        for w, lease in by_worker:
            if lease.stage in ("store", "write") and self.is_good(keys, lease) and self.moves.may_begin(lease):
                return list(self.of_lease(w, lease))
        if not self.is_due(keys):
            for w, worker in enumerate(self.state.workers):
                if any(lease.end < self.state.clock + LEASE_MS for lease in worker.leases) and (
                        all(self.is_good(keys, lease) for lease in worker.leases)):
                    return [("renew", w)]
        return None

    def is_good(self, keys, lease):
        return is_good(keys, lease, self.state.clock) and "cancel" not in keys["j:" + lease.id]

    def is_due(self, keys):
        return any(end <= self.state.clock for name in ("lse", "px") for end in keys.get(name, {}).values())

    def of_worker(self, keys, w):
        worker, now = self.state.workers[w], self.state.clock
        if worker.heard:
            yield "file", w, False
        elif self.is_news(keys):
            yield "hear", w
        if worker.claim_again or (len(worker.leases) < worker.room and (
                keys.get("rdy") or any(end <= now for name in ("dly", "thr") for end in keys.get(name, {}).values()))):
            yield "claim", w, False
        is_left = keys.get("in") and not self.is_news(keys) and not self.is_heard()
        if is_left or w == 0 and self.is_due(keys):
            yield "tick", w  # who does it matters only where it takes what is left at the door
        if any(lease.end < now + LEASE_MS for lease in worker.leases):
            yield "renew", w
        for lease in worker.leases:
            yield from self.of_lease(w, lease)

    def of_lease(self, w, lease):
        if lease.stage == "send":
            for outcome in ["answer"] + (["failed", "unknown"] if self.state.ghost.left["fail"] else []):
                yield "send", w, lease.id, lease.fence, outcome
        elif lease.stage == "write":
            if self.moves.may_begin(lease):
                yield "write", w, lease.id, lease.fence
        else:
            yield "op", w, lease.id, lease.fence, False

    def is_news(self, keys):
        return bool(keys.get("in")) and not self.state.ghost.was_read

    def is_heard(self):
        return any(w.heard for w in self.state.workers)

    def next_moment(self, keys):
        """Leases are renewed before they end, so there is a moment before that too."""
        now = self.state.clock
        ends = [end for name in ("lse", "dly", "thr", "px") for end in keys.get(name, {}).values()]
        waiting = [lease.end - LEASE_MS // 2 for w in self.state.workers for lease in w.leases]
        return min([end for end in ends + waiting if end > now], default=None)

    # ---- one move ----

    def carry_out(self, move):
        state, ghost, keys = self.state, self.state.ghost, self.store.current.keys
        kind, *rest = move
        if kind == "time":
            if ghost.left["wait"] and self.is_early(keys):
                ghost.spend("wait")
            state.clock = int(self.next_moment(keys))
            assert state.clock < BEGIN_MS + FAR_MS
            self.store.go_to(state.clock)
        elif kind in ("cancel", "retry"):
            self.person(kind, rest[0])
        elif kind == "crash":
            self.crash(*rest)
        else:
            self.work(kind, state.workers[rest[0]], rest[1:])
        self.note()

    def crash(self, w, unsent):
        """Another comes in its place. Of the calls that had just begun some may not have got as far as the provider."""
        ghost, old = self.state.ghost, self.state.workers[w]
        ghost.carried = [(id, permit) for id, permit in ghost.carried if permit not in unsent]
        for permit in unsent:
            for calls in ghost.under_way.values():
                calls.pop(permit, None)
        ghost.started += 1
        ghost.spend("crash")
        self.state.workers[w] = Worker(f"W{ghost.started}", old.room)

    def is_early(self, keys):
        return any(True for w in range(len(self.state.workers)) for _ in self.of_worker(keys, w))

    def person(self, kind, id):
        ghost = self.state.ghost
        ghost.spend(kind)
        if kind == "cancel":
            self.store.call("cancel", [id, 86400000])
        else:
            must(self.store.call("retry", [id, 0]) == 1, f"job {id} is quarantined, and can not be run again")
            ghost.redriven += 1
            ghost.results.pop(id, None)

    def work(self, kind, w, rest):
        ghost = self.state.ghost
        if rest and rest[-1] is True:
            ghost.spend("lost")
        if kind in ("op", "send", "write"):
            lease = next(lease for lease in w.leases if [lease.id, lease.fence] == rest[:2])
            if kind == "send" and rest[2] != "answer":
                ghost.spend("fail")
            getattr(self.moves, kind)(w, lease, *rest[2:])
            return
        if kind == "hear":
            ghost.was_read = True
        getattr(self.moves, kind)(w, *rest)

    def note(self):
        for id in self.state.jobs:
            text = self.store.current.keys.get("res:" + id)
            if text:
                self.state.ghost.results.setdefault(id, text)
        self.state.snapshot = self.store.current
        check(self.store.current.keys, self.state)

    # ---- all paths ----

    def run(self):
        """-> the moves to a state in which a rule is broken and that rule, or None."""
        return self.walk() if self.o.moves else self.go_everywhere()

    def walk(self):
        """Paths by chance, each to its end. What is not sure to happen happens at any place."""
        while self.done < self.o.moves:
            path = []
            self.state.load(self.first)
            try:
                while self.walk_on(path):
                    must(len(path) < TOO_LONG, "no end")
            except Broken as why:
                return path, str(why)
            self.longest = max(self.longest, len(path))
        return None

    def walk_on(self, path):
        moves = self.possible()
        sure = [move for move in moves if move[0] not in FAULTS]
        if not sure:
            check_end(self.store.current.keys, self.state)
            self.paths += 1
            return False
        some = [move for move in sure if move[-1] is not True and move[0] != "time"] or sure
        path.append(self.random.choice(moves if self.random.random() < SHARE_OF_FAULTS else some))
        self.done += 1
        self.carry_out(path[-1])
        self.graph.number[digest(self.store.current, self.state)] = None
        return True

    def go_everywhere(self):
        todo, begun = [], time.monotonic()
        self.enter(todo, -1, None)
        while todo and not (self.o.seconds and time.monotonic() - begun > self.o.seconds):
            some = todo[-AT_ONCE:]
            del todo[-AT_ONCE:]
            found = self.go_on(todo, [(saved, move, here) for saved, moves, here in some for move in moves])
            if found:
                return found
        self.is_complete = not todo
        if not self.is_complete:
            return None
        endless, self.paths, self.longest = self.graph.look_back()
        return endless and (self.graph.path_to(endless), "from here no way leads to an end")

    def go_on(self, todo, moves):
        """What they ask Redis is asked in one go; then each is made, with its answer. -> what is broken, or None"""
        asked = []
        for saved, move, here in moves:
            self.state.load(saved)
            asked.append(self.store.plan(lambda: self.carry_out(move)))
        answers = iter(self.store.ask([a for a in asked if a]))
        for (saved, move, here), a in zip(moves, asked):
            self.state.load(saved)
            self.store.answer = next(answers) if a else None
            self.done += 1
            try:
                self.carry_out(move)
                self.enter(todo, here, move)
            except Broken as why:
                return self.graph.path_to(here) + [move], str(why)
        return None

    def enter(self, todo, before, move):
        here, is_new = self.graph.enter(digest(self.store.current, self.state), before, move)
        if not is_new:
            return
        moves = self.possible()
        if not any(move[0] not in FAULTS for move in moves):
            check_end(self.store.current.keys, self.state)
            self.graph.ends.append(here)
        self.random.shuffle(moves)
        todo.append((self.state.saved(), moves, here))

    def again(self, path):
        """The same moves from the start, those that are possible -> the rule that is broken, or None."""
        self.state.load(self.first)
        for move in path:
            if move not in self.possible():
                continue
            try:
                self.carry_out(move)
                if not any(m[0] not in FAULTS for m in self.possible()):
                    check_end(self.store.current.keys, self.state)
            except Broken as why:
                return str(why)
        return None


def subsets(items):
    items = list(items)
    return [some for size in range(len(items) + 1) for some in itertools.combinations(items, size)]


def shorten(model, path, why):
    """Leaves out every move that is not needed."""
    kind = why[:12]
    for size in (8, 4, 2, 1):
        at = len(path) - size
        while at >= 0:
            shorter = path[:at] + path[at + size:]
            found = model.again(shorter)
            if found and found[:12] == kind:
                path, why = shorter, found
            at -= size
    return path, why


def run(arguments=None, faults=None, quiet=False):
    """-> (is all well, figures)"""
    o = options(arguments)
    model = Model(o, faults)
    model.first = model.state.saved()
    begun = time.monotonic()
    try:
        found = model.run()
        figures = {"moves": model.done, "states": len(model.graph.number), "paths": model.paths, "longest": model.longest,
                   "ends": len(model.graph.ends), "calls": model.store.calls, "seconds": round(time.monotonic() - begun, 1),
                   "complete": model.is_complete, "options": vars(o)}
        if found:
            path, why = found if "no way leads" in found[1] else shorten(model, *found)
            figures["broken"] = why
            figures["path"] = [" ".join(map(str, move)) for move in path]
    finally:
        model.close()
    if not quiet:
        tell(figures)
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(figures, indent=1) + "\n")
    return not found, figures


def tell(f):
    print(f"{f['options']['jobs']} jobs, {f['options']['workers']} workers, seed {f['options']['seed']}: {f['moves']} moves, "
          f"{f['states']} states, {f['paths'] or 0:.4g} paths of up to {f['longest']} moves, {f['seconds']} s"
          + ("" if f["complete"] else " (a part)"))
    if "broken" in f:
        print("BROKEN:", f["broken"])
        for move in f["path"]:
            print("   ", move)


if __name__ == "__main__":
    sys.exit(0 if run()[0] else 1)
