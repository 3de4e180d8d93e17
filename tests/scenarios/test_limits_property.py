"""Random calls, settles, crashes and moments against the admission script: what a provider would have counted never
exceeds a limit, no money is lost, and when all is over nothing is held. The seed is in the name of a test that fails."""

import random

import pytest

from queue_scripts import LUA, Clock, Queue

refused = set()
SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 777670787, random.randrange(1 << 30)]
STEPS = 700


class World:
    """One provider, as it counts itself, and the calls under way."""

    def __init__(self, server, seed, faults=()):
        client = server.client()
        client.flushall()
        self.random, self.clock = random.Random(seed), Clock()
        self.q = Queue(client, clock=self.clock)
        self.q.faults = faults
        self.q.call("hello", 1)
        self.flying, self.arrivals, self.tokens, self.number = [], [], [], 0
        self.sold = 0  # what the provider bills
        self.due = 0  # what the books must say: that, and the most that calls may have cost of which nobody knows
        self.refused = {}
        pick = self.random.choice
        self.rpm, self.tpm, self.slots, self.budget = pick([12, 40]), pick([4000, 30000]), pick([4, 40]), pick([12_000, 300_000])

    def rules(self, tokens, cost):
        return [("p", "rpm", self.rpm, 1), ("p", "tpm", self.tpm, tokens, "usage"), ("p", "concurrency", self.slots, 1),
                ("p/m", "rpm", self.rpm * 2, 1), ("*", "budget", self.budget, cost, "total")]

    def ask(self):
        job = self.q.one(id=f"j{self.number}", route="p/m")
        self.number += 1
        tokens, cost = self.random.randint(10, 800), self.random.randint(0, 700)
        verdict = job.permit(self.rules(tokens, cost), route="p/m", cost=cost, lasts_ms=20000)
        if verdict[0] == 1:
            job.arrival = len(self.arrivals)
            self.arrivals.append(self.clock.ms + self.random.randint(0, 190))  # the way there
            used = self.random.randint(1, tokens)
            job.most = cost
            self.flying.append((job, used, self.random.randint(0, cost), self.clock.ms))
        elif verdict[0] == 3:  # a job of a crashed worker, whose answer had been stored
            job.finish("done")
        else:
            self.refused[verdict[3]] = self.refused.get(verdict[3], 0) + 1
            assert verdict[1] > self.clock.ms - 1
            job.finish("dead", code="FORBIDDEN")

    def settle(self):
        if not self.flying:
            return
        job, used, cost, _ = self.flying.pop(self.random.randrange(len(self.flying)))
        outcome = self.random.choice(["answer"] * 6 + ["failed", "unknown", "cancelled"])
        if outcome != "failed":
            self.tokens.append((self.clock.ms, used))
            self.sold += cost
            self.due += cost if outcome == "answer" else job.most  # of one that was cancelled nobody knows it either
        for _ in range(self.random.choice([1, 1, 2])):  # sometimes sent twice
            job.settle(outcome, answer="x", used=(used, 0, 0), cost=cost)
        if self.random.random() < 0.8:
            job.finish("done")

    def crash(self):
        """A worker is gone in the middle of a call: nobody renews, nobody settles, nobody tells that the call was sent late."""
        if not self.flying:
            return
        job, used, cost, began = self.flying.pop(self.random.randrange(len(self.flying)))
        late = max(0, min(self.clock.ms - began, self.q.lease_ms))
        self.arrivals[job.arrival] = max(self.arrivals[job.arrival], began + self.random.randint(0, late))
        self.tokens.append((self.clock.ms, used))
        self.sold += cost
        self.due += job.most

    def pass_time(self):
        self.clock.go(self.random.choice([1, 20, 150, 150, 700, 3000, 9000, 30000]))
        for job, _, _, began in list(self.flying):
            if self.clock.ms - began > 19000:  # a call is over before its deadline
                self.flying = [f for f in self.flying if f[0] is not job]
                self.tokens.append((self.clock.ms, 1))
                self.due += job.most
                job.settle("unknown")
            else:
                job.renew()
        self.q.tick()
        requests, tokens = self.q.used("p", "rpm") or 0, self.q.used("p", "tpm") or 0
        assert 0 <= requests <= self.rpm and 0 <= tokens <= max(self.tpm, 800), (requests, tokens)

    def step(self):
        self.random.choice([self.ask] * 8 + [self.settle] * 6 + [self.crash] + [self.pass_time] * 4)()
        b = self.q.r.hgetall(self.q.key("bud:*:total"))
        booked = {k: int(b.get(k, 0)) for k in "sru"}
        assert all(v >= 0 for v in booked.values()), booked
        assert sum(booked.values()) <= self.budget
        assert self.q.r.zcard(self.q.key("cs:p")) <= self.slots

    def end(self):
        for job, used, cost, _ in self.flying:
            job.settle("answer", answer="x", used=(used, 0, 0), cost=cost)
            self.sold += cost
            self.due += cost
        self.clock.go(60000)
        for _ in range(3):
            self.q.tick()
        self.clock.go(90000)


def most_in_a_minute(events):
    events = sorted(events)
    most = total = first = 0
    for at, amount in events:
        total += amount
        while at - events[first][0] >= 60000:
            total -= events[first][1]
            first += 1
        most = max(most, total)
    return most


def run(server, seed, faults=()):
    w = World(server, seed, faults)
    for _ in range(STEPS):
        w.step()
    w.end()
    assert most_in_a_minute([(at, 1) for at in w.arrivals]) <= w.rpm
    assert most_in_a_minute(w.tokens) <= w.tpm
    b = w.q.r.hgetall(w.q.key("bud:*:total"))
    assert int(b.get("r", 0)) == 0
    assert int(b.get("s", 0)) + int(b.get("u", 0)) >= w.due >= w.sold
    for key in ("px", "cs:p"):
        assert not w.q.r.exists(w.q.key(key)), key
    for kind in ("rpm", "tpm"):
        assert not w.q.used("p", kind), "a window keeps what is long over"
    assert len(w.arrivals) > 20
    return w.refused


@pytest.mark.parametrize("seed", SEEDS)
def test_limits_hold_whatever_happens(server, seed):
    refused.update(run(server, seed))


# What is broken in which script's text; each must be found by one of the seeds.
FAULTS = {
    "a full window admits": ("if used > 0 and used + amount > most then", "if false then"),
    "what calls under way hold is not counted": ("local used = w.used + w.held\n", "local used = w.used\n"),
    "a window is shorter than the provider's": ("return 60200, 100", "return 55000, 100"),
    "a window gives back what it never had": ("w.held = math.max(0, w.held - held)", "w.held = w.held - 2 * held"),
    "a window keeps what was held": ("w.held = math.max(0, w.held - held)", ""),
    "too many have a slot": ("if used >= limit then\n      refuse(now + 1000,", "if false then\n      refuse(now + 1000,"),
    "a slot is kept": ("call('ZREM', K('cs:' .. scope), permit .. LONG)", ""),
    "a budget looks at what was spent only": ("local is_over = used + amount > limit", "local is_over = false"),
    "a settled call keeps its money": ("call('HINCRBY', key, p.reaped and 'u' or 'r', '-' .. back)", ""),
    "a dead worker's money is forgotten": ("call('HINCRBY', K('bud:' .. scope), 'u', p.most)", ""),
    "a dead worker's call counts from when it was admitted": (
        "math.min(now, bucket * size + math.max(lease_ms, CONNECT_MS))", "bucket * size"),
    "a permit is settled twice": ("call('DEL', K('p:' .. permit))", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_script_is_found(server, fault):
    text = "".join((LUA / f"{name}.lua").read_text() for name in ("permit", "settle", "tick", "windows", "releases"))
    assert FAULTS[fault][0] in text
    for seed in SEEDS[:-1]:
        try:
            run(server, seed, [FAULTS[fault]])
        except AssertionError:
            return
    pytest.fail("no seed shows it")


def test_all_kinds_of_refusals_were_met():
    assert refused >= {"rpm", "tpm", "concurrency", "budget"}, "a test that meets no limit shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clock_that_jumps_back_stops_nobody_for_longer_than_a_window(server, seed):
    w = World(server, seed)
    for _ in range(200):
        w.step()
        if w.random.random() < 0.02:
            w.clock.go(-w.random.randint(1000, 7_200_000))
    w.flying.clear()
    while w.q.one(id="after", route="p/m").permit([("p", "rpm", w.rpm, 1)], route="p/m") == [3]:
        pass  # who asks first sees the jump; the job of a crashed worker, whose answer had been stored, does not ask
    w.clock.go(61_000 + 20_000)
    w.q.tick()
    w.clock.go(61_000)
    w.q.tick()
    verdicts = [w.q.one(id=f"last{i}", route="p/m").permit([("p", "rpm", w.rpm, 1)], route="p/m")[0] for i in range(11)]
    assert set(verdicts) <= {1, 3} and 1 in verdicts, "3: the job of a crashed worker, whose answer had been stored"
