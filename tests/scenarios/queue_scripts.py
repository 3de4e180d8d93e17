"""The queue's scripts, called as the worker calls them, against a private Redis."""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import redis

from processes import wait_for

LUA = pathlib.Path(__file__).resolve().parents[2] / "worker" / "queue" / "lua"
PREFIX = "{flow-worker}:"
LONG = "|".ljust(64)  # behind the members of lse, px and cs: lib.lua


class Server:
    """A redis-server of our own on a socket in a temporary folder."""

    def __init__(self, *options):
        self.folder = tempfile.mkdtemp(prefix="fw-redis-")
        self.socket = os.path.join(self.folder, "s")
        self.options = options
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
             "--save", "", "--loglevel", "warning", *self.options],
            stdout=subprocess.DEVNULL)
        client = redis.Redis(unix_socket_path=self.socket)
        wait_for(lambda: self._answers(client), "redis-server answers", 120)
        client.close()

    def _answers(self, client):
        assert self.process.poll() is None, f"redis-server ended with {self.process.returncode}"
        try:
            return client.ping()
        except redis.exceptions.RedisError:
            return False

    def client(self):
        return redis.Redis(unix_socket_path=self.socket, decode_responses=True)

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@functools.cache
def takes_several(name):
    """A script that is told of several things at once: it wants to know how many words each has, and replies to each."""
    return "\n-- Told of several at once" in (LUA / f"{name}.lua").read_text()


class Queue:
    """One caller of the scripts. `clock` replaces the server's clock by one that a test moves."""

    def __init__(self, client, worker="w1", clock=None):
        self.r, self.worker, self.clock, self.claims = client, worker, clock, 0
        self.lease_ms, self.ttl_ms, self.wait_ms = 15000, 86400000, 30000
        self.scripts, self.faults = {}, ()  # faults: (text, replacement) of mutated scripts

    def source(self, name):
        own = (LUA / f"{name}.lua").read_text()
        if takes_several(name):
            own = f"local function one(ARGV)\n{own}end\n" + (LUA / "each.lua").read_text()
        return self.whole(own)

    def whole(self, own):
        """A script with the parts that it needs in front of it, as embed.cmake makes it."""
        needs = re.search(r"^-- With: (.+)$", own, re.M)
        parts = [(LUA / f"{part}.lua").read_text() for part in (needs[1].split() if needs else [])]
        text = (LUA / "lib.lua").read_text() + "return done(pcall(function() " + "\n".join(parts + [own]) + "\nend))"
        for old, new in self.faults:
            text = text.replace(old, new)
        if self.clock is not None:
            text = text.replace("call('TIME')", "{call('HGET', KEYS[1] .. 'clock', 's'), "
                                                "call('HGET', KEYS[1] .. 'clock', 'us')}", 1)
        return text

    def call(self, name, *args):
        if takes_several(name):
            return self.call_for_each(name, [args])[0]
        return self.send(name, args)

    def call_for_each(self, name, things):
        """One command that tells of several things -> a reply for each."""
        return self.send(name, [word for args in things for word in (len(args), *args)])

    def send(self, name, words):
        if self.clock is not None:
            self.r.hset(PREFIX + "clock", mapping={"s": self.clock.ms // 1000, "us": self.clock.ms % 1000 * 1000})
        if name not in self.scripts:
            self.scripts[name] = self.r.script_load(self.source(name))
        return self.r.evalsha(self.scripts[name], 1, PREFIX, *[str(word) for word in words])

    def key(self, name):
        return PREFIX + name

    def used(self, scope, kind):
        """What counts in a window now; None: there is none."""
        windows = self.call("scopes")[0]
        return {(s, k): int(used) for s, k, used in zip(windows[::3], windows[1::3], windows[2::3])}.get((scope, kind))

    def costs(self):
        """What was used today, by route and flow."""
        flat = self.call("report", 5, 1)[5][1]
        return dict(zip(flat[::2], flat[1::2]))

    # ---- the door ----

    def enqueue(self, body="{}", **fields):
        return self.r.xadd(self.key("in"), {"body": body, **fields})

    def file(self, room=1000, bad=(), item=""):
        """Files all that is at the door; the ids in `bad` are no jobs."""
        args = []
        for sid, fields in self.r.xrange(self.key("in")):
            code = "INVALID_JOB" if fields.get("id", sid) in bad else ""
            result = json.dumps({"id": fields.get("id", sid), "status": "dead"}, separators=(",", ":")) if code else ""
            args += [sid, fields.get("tenant", "-"), fields.get("lane", "1"), fields.get("route", "-"),
                     fields.get("item", item), code, result]
        return self.call("file", room, self.ttl_ms, 1 << 20, *args)

    # ---- jobs ----

    def claim(self, want=1, again=False):
        self.claims += 0 if again else 1
        self.next, jobs = self.call("claim", self.worker, self.claims, want, self.lease_ms)
        return [Job(self, *job) for job in jobs]

    def one(self, body="{}", **fields):
        self.enqueue(body, **fields)
        self.file()
        return self.claim()[0]

    def tick(self, digest="", at_most=500, after_silence=False, room=0):
        if not after_silence:  # some worker did it a second ago
            self.r.zadd(self.key("wrk"), {self.worker: self.clock.ms if self.clock else time.time() * 1000})
        return self.call("tick", self.worker, "{}", 1, digest, self.lease_ms, self.wait_ms, self.ttl_ms, at_most,
                         room)

    def state(self, job_id):
        return self.r.hget(self.key("j:" + job_id), "state")

    def result(self, job_id):
        text = self.r.get(self.key("res:" + job_id))
        return json.loads(text) if text else None

    def count(self, name):
        return int(self.r.hget(self.key("n"), name) or 0)


class Job:
    def __init__(self, queue, job_id, fence, losses, body, tenant, lane, route, batch, reply, filed, stored, is_trial):
        self.is_trial = is_trial == 1
        self.q, self.id, self.fence, self.losses, self.body = queue, job_id, fence, losses, body
        self.tenant, self.lane, self.route, self.batch, self.reply = tenant, lane, route, batch, reply
        self.filed = filed
        self.stored = dict(zip(stored[::2], stored[1::2]))

    def renew(self):
        return self.q.call("renew", self.q.lease_ms, self.id, self.fence)[0]

    def store(self, **texts):
        args = []
        for name, text in texts.items():
            args += [name.replace("__", ":"), 0 if text is None else 1, text or ""]
        return self.q.call("store", self.id, self.fence, *args)

    def finish(self, outcome="done", result=None, code="", at_ms=0, route="", full="", log="", item="", texts=()):
        if result is None:
            result = json.dumps({"id": self.id, "status": outcome}, separators=(",", ":"))
        return self.q.call("finish", self.id, self.fence, self.q.worker, outcome, result, log, code, at_ms, route,
                           full, self.q.ttl_ms, self.q.ttl_ms, item, *texts)

    def permit(self, *args, **more):
        reply = self.q.call("permit", *self.permit_words(*args, **more))
        return reply[:1] if reply == [1, ""] else reply

    def permit_words(self, rules=(), step="ask", n=1, question=None, route="openai/gpt", lasts_ms=60000, cost=0,
                     retry=0, name=None, most=None, cache="", max_age_ms=0, learner=""):
        """rules: (scope, kind, limit, amount[, mode or period[, ends_ms[, on_budget]]])"""
        self.name = name or f"{self.id}#{step}#{n}#{self.fence}"
        self.ask = (step, n, question or n, route)
        flat = []
        for rule in rules:
            rule = list(rule) + ["", 0, "park"][len(rule) - 4:]
            flat += rule[:3] if rule[1] == "concurrency" else rule if rule[1] in ("budget", "soft") else rule[:5]
        return (self.name, self.id, self.fence, step, n, question or n, route, lasts_ms, self.q.lease_ms, cost, retry,
                cost if most is None else most, cache, max_age_ms, learner, *flat)

    def settle(self, *args, **more):
        reply = self.q.call("settle", *self.settle_words(*args, **more))
        return reply if reply[3] else reply[:3]

    def settle_words(self, outcome="answer", answer="", used=(0, 0, 0), cost=0, rate_limited=0, retry_after_ms=0,
                     out_of_order=0, left=(-1, -1), name=None, ask=None, cache="", cache_ms=0,
                     learner="", lesson="", late_ms=0, no_credit=""):
        step, n, question, route = ask or self.ask
        return (name or self.name, self.id, self.fence, step, n, question, route, "f1", outcome, answer, *used, cost, rate_limited,
                retry_after_ms, out_of_order, *left, cache, cache_ms, learner, lesson, late_ms, no_credit)


class Clock:
    def __init__(self, ms=1_800_000_000_000):
        self.ms = ms

    def go(self, ms):
        self.ms += ms
