"""A private Redis with a clock of our own, of which the model check keeps and restores the whole content.

A snapshot is what DUMP gives for each key, as one blob that a script takes and another puts back, and beside it the same
content readable. Redis' own expiry would go by the real clock: every time to live is taken off and kept here as a moment
of the model's clock."""

import json
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / folder) for folder in ("rig", "scenarios")]

from queue_scripts import LONG, PREFIX, Queue, Server, takes_several  # noqa: E402

from model_rules import Broken  # noqa: E402

UNCHANGED = 10 ** 13  # a time to live that means: it has one, and it was not set anew

TAKE = """
-- With: calls
local function permit(name)
  local p, slots = permit_read(name), {} -- calls.lua
  for i = TAKEN, #p, 5 do
    slots[#slots + 1] = p[i] == 'slot' and p[i + 1] or nil
  end
  local flat = {'job', p.job, 'slots', table.concat(slots, ' ')}
  if p.reaped then
    flat[#flat + 1], flat[#flat + 2] = 'reaped', '1'
  end
  return flat
end

local all, dumps = {}, {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local value
  if key:find(':use:', 1, true) or key:find(':rl:', 1, true) or key:find(':tr', 1, true) then value = '' -- packed, and of no consequence
  elseif key:find(':p:', 1, true) then value = permit(key:match(':p:(.*)$')); kind = 'hash'
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+')
  else value = redis.call('GET', key) end
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key, %d) end
  all[#all + 1] = {key, kind, ttl, value}
  dumps[#dumps + 1] = {key, redis.call('DUMP', key), ttl > 0}
end
return {cjson.encode(all), cmsgpack.pack(dumps)}
""" % UNCHANGED

PUT_BACK = """
redis.call('FLUSHDB')
for _, d in ipairs(cmsgpack.unpack(ARGV[1])) do
  redis.call('RESTORE', d[1], d[3] and %d or 0, d[2])
end
""" % UNCHANGED

LEFT_OUT = ("ev", "clock")  # of what is read; both are of no consequence


class Snapshot:
    __slots__ = ("blob", "keys", "ends")

    def __init__(self, blob, keys, ends):
        self.blob, self.keys, self.ends = blob, keys, ends


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


class Asked(Exception):
    """What a move asks Redis."""

    def __init__(self, content, commands, expired):
        super().__init__()
        self.content, self.commands, self.expired = content, commands, expired


class Store:
    """`faults`: {script: Lua}, for the check of the check. The Lua stands before each command of the script: the command
    and its arguments are in `a`, it may return something else than `real(...)` would."""

    def __init__(self, faults=None):
        import redis
        self.server = Server()
        self.redis = redis.Redis(unix_socket_path=self.server.socket)
        self.connection = self.redis.connection_pool.get_connection("all that moves ask")
        self.faults, self.shas, self.calls = faults or {}, {}, 0
        self.take, self.put = self.redis.script_load(Queue(None).whole(TAKE)), self.redis.script_load(PUT_BACK)
        self.current = self.held = None  # what is looked at; what Redis has
        self.is_planning, self.answer = False, None  # answer: to what the next move asks
        self.clock = 0

    def close(self):
        self.redis.close()
        self.server.stop()

    def sha(self, name):
        if name not in self.shas:
            source = Queue(None, clock=self).source(name)
            if name in self.faults:
                assert "local call = redis.call" in source
                source = source.replace("local call = redis.call", f"local real = redis.call\nlocal function call(...)\n"
                                        f"  local a = {{...}}\n  {self.faults[name]}\n  return real(...)\nend", 1)
            self.shas[name] = self.redis.script_load(source)
        return self.shas[name]

    def restore(self, snapshot):
        """What is looked at is there at once; Redis gets it with the next command."""
        self.current = snapshot

    def run(self, *commands, expired=()):
        """Commands as lists, on the current content -> their replies; self.current is what is there then."""
        asked = Asked(self.current, commands, expired)
        if self.is_planning:
            raise asked
        *replies, (text, blob) = self.answer or self.ask([asked])[0]
        self.answer = None
        self.current = self.held = self.read(text, blob, expired)
        self.calls += 1
        return [decode(reply) for reply in replies[len(replies) - len(commands):]]

    def ask(self, many):
        """All in one go: most of the time would be spent waiting for each. -> the answers of each"""
        sent, counts = [], []
        for asked in many:
            begun = len(sent)
            if len(many) > 1 or asked.content is not self.held:
                sent.append(packed(["EVALSHA", self.put, 0, asked.content.blob]))
            if asked.expired:
                sent.append(packed(["DEL", *asked.expired]))
            sent += [packed(command) for command in asked.commands]
            sent.append(packed(["EVALSHA", self.take, 1, PREFIX]))
            counts.append(len(sent) - begun)
        self.connection.send_packed_command([b"".join(sent)])
        return [[self.connection.read_response() for _ in range(count)] for count in counts]

    def plan(self, move):
        """-> what it would ask Redis, or None"""
        self.is_planning = True
        try:
            move()
        except Asked as asked:
            return asked
        except Broken:
            return None  # and again when it is made
        finally:
            self.is_planning = False

    def read(self, text, blob, expired):
        before, keys, ends = self.current, {}, {}
        for key, kind, ttl, value in json.loads(text):
            name = key[len(PREFIX):]
            if ttl > 0:
                unchanged = ttl > UNCHANGED // 2
                ends[name] = before.ends[name] if unchanged else self.clock + round(ttl / 1000) * 1000
            if name in LEFT_OUT:
                continue
            keys[name] = pairs(value) if kind == "hash" and value else {m.removesuffix(LONG): float(s) for m, s in pairs(value).items()} \
                if kind == "zset" else sorted(value) if kind == "set" else value
        return Snapshot(blob, keys, ends)

    def call(self, name, args, *before):
        clock = ["HSET", PREFIX + "clock", "s", self.clock // 1000, "us", self.clock % 1000 * 1000]
        if takes_several(name):
            return self.run(*before, clock, ["EVALSHA", self.sha(name), 1, PREFIX, len(args), *args])[-1][0]
        return self.run(*before, clock, ["EVALSHA", self.sha(name), 1, PREFIX, *args])[-1]

    def go_to(self, ms):
        """Time passes: what had an end is gone."""
        self.clock = ms
        expired = [PREFIX + name for name, end in self.current.ends.items() if end <= ms]
        if expired:
            self.run(expired=expired)


def packed(command):
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)])


def decode(reply):
    if isinstance(reply, bytes):
        return reply.decode()
    if isinstance(reply, dict):
        return {decode(name): decode(value) for name, value in reply.items()}
    if isinstance(reply, tuple):
        return [decode(part) for part in reply]
    return [decode(part) for part in reply] if isinstance(reply, list) else reply


class Caller(Queue):
    """One worker as the scripts see it: the argument shapes are those of queue_scripts.py."""

    def __init__(self, store, name):
        super().__init__(None, name, clock=store)
        self.store, self.last = store, None

    def call(self, name, *args, before=()):
        self.last = name, [str(a) for a in args]
        return self.store.call(*self.last, *before)

    def again(self, name, args):
        return self.store.call(name, args)
