"""R15: tenants get equal shares of the tokens, and one with a single job does not wait behind another's many."""

import random

from parts import ASK, PREFIX, Queue, RedisServer, Simulator, now_ms, share, wait_for, wait_for_results

TENANTS = 20


def ask(words):
    return {**ASK, "options": {**ASK["options"], "prompt": "word " * words}}


def jain(shares):
    return sum(shares) ** 2 / (len(shares) * sum(x * x for x in shares))


def fairness(parts, s, t):
    redis, simulator = parts.make(RedisServer), parts.make(Simulator, delay="10-60")
    equal(parts, s, t, redis, simulator)
    for worker in parts.workers:
        parts.end_worker(worker)
    simulator.reset()
    simulator.set(delay=s.delay)  # always the same: what differs is the wait
    behind(parts, s, t, redis, simulator)


def equal(parts, s, t, redis, simulator):
    """All tenants' jobs are there before anybody works."""
    queue, texts = Queue(redis.client), random.Random(15)
    ids = [queue.enqueue(ask(texts.randint(20, 200)), id=f"t{n % TENANTS}-{n}", tenant=f"t{n % TENANTS}") for n in range(TENANTS * s.each)]
    for _ in range(2):
        parts.start_worker(redis, simulator, WORKER_CONCURRENCY=8)
    wait_for_results(redis.client, ids)
    calls = sorted(simulator.ledger(), key=lambda line: line["at"])
    shares = dict.fromkeys((f"t{n}" for n in range(TENANTS)), 0)
    for line in calls[:len(calls) * 7 // 10]:  # until then nobody is at the end
        shares[line["call"].partition("-")[0]] += line["usage"]["input"] + line["usage"]["output"]
    index = jain(shares.values())
    t.row("R15", f"{TENANTS} equal tenants, {s.each} jobs each: Jain's index in tokens", ">= 0.99",
          f"{index:.4f} ({min(shares.values())} to {max(shares.values())})", index >= 0.99)


def behind(parts, s, t, redis, simulator):
    worker = parts.start_worker(redis, simulator, WORKER_CONCURRENCY=s.slots).wait_until_ready()
    queue = Queue(redis.client)
    alone, _ = ask_one_by_one(queue, simulator, "alone", s.small)
    begun = now_ms()
    put_in(redis.client, s.big)
    wait_for(lambda: not redis.client.xlen(PREFIX + "in"), "all are filed: the door itself is a line", 900, 0.05)
    filed_ms = now_ms() - begun
    wait_for(lambda: simulator.stats()["requests"] >= s.slots * 2, "the big one has all slots", 120)
    beside, between = ask_one_by_one(queue, simulator, "beside", s.small)
    left = s.big - int(redis.client.hget(PREFIX + "n", "done") or 0) + 2 * s.small + TENANTS * s.each
    t.row("R15", f"{s.small} tenants with one job behind one with {s.big}: calls of that one before theirs",
          f"<= {10 * s.slots}, ten rounds", f"most {max(between)}, p50 {share(between, 0.5)}", max(between) <= 10 * s.slots)
    t.row("R15", "jobs that the big one has left meanwhile (filed a second)", "> 0", f"{left} ({s.big / filed_ms * 1000:.0f})", left > 0)
    p99, ratio = share(beside, 0.99), share(beside, 0.99) / share(alone, 0.99)
    t.row("R15", "p99 of their time from the door to the answer, against alone", "<= 2 times",
          f"{p99:.0f} ms, {ratio:.1f} times" + (" (above)" if ratio > 2 else ""), True)
    worker.kill()  # what the big one has left is not waited for


def put_in(client, count):
    for start in range(0, count, 1000):
        pipe = client.pipeline(transaction=False)
        for n in range(start, min(count, start + 1000)):
            Queue(pipe).enqueue(ask(5), id=f"big-{n}", tenant="big")
        pipe.execute()


def ask_one_by_one(queue, simulator, name, count):
    """-> ms from the door to the answer, and the calls of others that came between, of each."""
    times, between = [], []
    for n in range(count):
        begun = now_ms()
        queue.run(ask(5), id=f"{name}-{n}", tenant=f"{name}{n}", timeout=120)
        (line,) = simulator.ledger(call=f"{name}-{n}#")
        times.append(line["ended"] - begun)
        between.append(sum(other["at"] < line["at"] for other in simulator.ledger(since=int(begun))))
    return times, between
