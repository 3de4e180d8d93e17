"""What the rows are made of: the running parts of one row, all of which end with it, and figures."""

import collections
import contextlib
import itertools
import json
import pathlib
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / folder) for folder in ("rig", "scenarios")]

from fake_directus import FakeDirectus  # noqa: E402
from processes import wait_for  # noqa: E402
from proxy import Proxy  # noqa: E402, F401
from queue_scripts import LONG, Queue as Scripts  # noqa: E402, F401
from redis_server import RedisServer  # noqa: E402, F401
from simulator import Simulator  # noqa: E402, F401
from worker import Queue, Worker, environment  # noqa: E402, F401

PREFIX = "{flow-worker}:"
MODEL = "gpt-4.1-mini"
ASK = {"operation": "ai-generate", "options": {"provider": "openai", "model": MODEL, "prompt": "Hello", "maxTokens": 64}}


def ask_and_write(key):
    return {"operations": [
        {"key": "ask", "type": "ai-generate", "resolve": "write", "options": {**ASK["options"], "prompt": f"Describe {key}"}},
        {"key": "write", "type": "item-update", "options": {
            "collection": "articles", "key": key, "payload": {"text": "{{ask.content}}"}}}], "trigger": {"key": key}}


def now_ms():
    return time.time() * 1000


def pid_of(owner):
    """The process in a worker's name: host-pid-random."""
    return int(owner.split("-")[-2]) if owner and owner.count("-") >= 2 else 0


class Parts:
    """The parts of a row, made when they are first asked for; close() ends them, and looks that they ended well."""

    def __init__(self, folder):
        self.folder, self.stack, self.numbers = pathlib.Path(folder), contextlib.ExitStack(), itertools.count()
        self.workers = []

    def make(self, kind, *arguments, **named):
        part = kind(self.folder / f"{kind.__name__.lower()}{next(self.numbers)}", *arguments, **named)
        self.stack.callback(part.stop)
        return part

    def make_directus(self):
        directus = FakeDirectus()
        self.stack.callback(directus.stop)
        return directus

    def start_worker(self, redis=None, simulator=None, directus=None, **env):
        env = environment(redis, simulator, directus, **{"LOG_LEVEL": "info", "AI_OPENAI_ALLOWED_MODELS": MODEL, **env})
        worker = Worker(self.folder / f"worker{next(self.numbers)}", env)
        self.stack.callback(self.end_worker, worker)
        self.workers.append(worker)
        return worker

    def end_worker(self, worker):
        try:
            worker.stop(timeout=150)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\nlog: {worker.process.log_file}") from None

    def close(self):
        self.stack.close()


# ---- what is looked at ----

def calls_by_job(simulator):
    """Requests that the provider was sent, by job."""
    return collections.Counter(line["call"].partition("#")[0] for line in simulator.ledger() if line["call"])


def under_way(simulator):
    return [line["call"].partition("#")[0] for line in simulator.ledger() if line["outcome"] == "open"]


def results_of(client, ids):
    found = {}
    for start in range(0, len(ids), 1000):
        part = ids[start:start + 1000]
        for id, text in zip(part, client.mget([f"{PREFIX}res:{id}" for id in part])):
            found[id] = json.loads(text) if text else None
    return found


def wait_for_results(client, ids, timeout=120):
    """-> id: result. Patience is for a queue that stands still: `timeout` seconds without a new result."""
    left, changed = list(ids), time.monotonic()
    while left:
        known = results_of(client, left[:2000])
        still = [id for id in left[:2000] if not known[id]] + left[2000:]
        if len(still) < len(left):
            left, changed = still, time.monotonic()
        if time.monotonic() > changed + timeout:
            raise TimeoutError(f"no job has ended for {timeout} s; {len(left)} of {len(ids)} are left: {left[:5]}")
        time.sleep(0.05)
    return results_of(client, ids)


def states(results):
    return dict(collections.Counter(r["status"] if r else "LOST" for r in results.values()))


def claims(client):
    """Of the jobs that run: (when claimed, ms; owner)."""
    pipe = client.pipeline(transaction=False)
    for member in client.zrange(PREFIX + "lse", 0, -1):
        pipe.hmget(f"{PREFIX}j:{member.removesuffix(LONG)}", "claimed", "owner")
    return [(int(claimed), owner) for claimed, owner in pipe.execute() if claimed and owner]


def first_claim_after(client, at_ms, timeout=60):
    """-> ms from then to the first claim. Only jobs that run long enough to be seen are seen."""
    found = wait_for(lambda: [claimed for claimed, _ in claims(client) if claimed >= at_ms], "a claim", timeout, 0.01)
    return min(found) - at_ms


def memory_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


# ---- figures ----

def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))]


def add_time(table, row, what, goal_ms, values, part=1.0):
    """A time is shown, not judged: the machine may be busy. One above its goal is marked."""
    if not values:
        return table.row(row, what, f"<= {goal_ms} ms", "never seen", False)
    judged = share(values, part) if part < 1 else max(values)
    name = "most" if part == 1 else f"p{part * 100:.0f}"
    figure = f"{name} {judged:.0f}, p50 {share(values, 0.5):.0f} ms of {len(values)}"
    table.row(row, what, f"<= {goal_ms} ms", figure + (" (above)" if judged > goal_ms else ""), True)


def add_count(table, row, what, figure, goal=0):
    table.row(row, what, goal, figure, figure == goal)


def add_paid_once(table, row, results, calls):
    """Every job is done, by one call."""
    add_count(table, row, "jobs lost", sum(r is None for r in results.values()))
    add_count(table, row, "jobs that are not done", sum(bool(r) and r["status"] != "done" for r in results.values()))
    add_count(table, row, "calls beyond one for each job", sum(calls.values()) - len(results))
