"""Rows about jobs and workers: R13, R17, R18, R19, R21 and rolling deploys (R10)."""

import random
import threading
import time

from parts import (ASK, PREFIX, Queue, RedisServer, Scripts, Simulator, add_count, add_paid_once, add_time, ask_and_write,
                   calls_by_job, claims, now_ms, pid_of, results_of, states, under_way, wait_for, wait_for_results)

FAILS = {"operation": "throw-error", "options": {"code": "TEST", "message": "on purpose", "status": 400}}

# ---- R13: a worker that stood still for longer than its lease ----


def zombies(parts, s, t):
    redis, simulator, directus = parts.make(RedisServer), parts.make(Simulator, delay="3000", numbered=True), parts.make_directus()
    queue, ids = Queue(redis.client), []
    env = {"WORKER_LEASE": "1s", "WORKER_CONCURRENCY": 20, "WORKER_AMBIGUOUS_WAIT": "30s"}
    heir = None
    for _ in range(s.times):
        worker = parts.start_worker(redis, simulator, directus, **env).wait_until_ready()
        if heir:
            parts.end_worker(heir)
        some = [f"job-{len(ids) + n}" for n in range(20)]
        for id in some:
            directus.add("articles", id=id, text=None)
            queue.enqueue(ask_and_write(id), id=id)
        ids += some
        wait_for(lambda: set(some) <= set(calls_by_job(simulator)), "the calls of all")
        worker.pause()
        heir = parts.start_worker(redis, simulator, directus, **env).wait_until_ready()
        wait_for(lambda: redis.client.zcard(PREFIX + "lse") == 0, "the leases of the one that stands still are over")
        wait_for(lambda: not under_way(simulator), "their answers, which it has not read yet")
        worker.terminate()  # it comes to it when it goes on: so it claims nothing, and has only what it had
        worker.resume()
        wait_for_results(redis.client, some)
    add_paid_once(t, "R13", wait_for_results(redis.client, ids), calls_by_job(simulator))
    writes = [w["path"].rpartition("/")[2] if w["body"].get("keys") is None else w["body"]["keys"][0] for w in directus.writes("articles")]
    add_count(t, "R13", "items written twice (by the one that stood still and by its heir)", len(writes) - len(set(writes)))
    late = int(redis.client.hget(PREFIX + "n", "late") or 0)
    add_count(t, "R13", "paid answers of zombies that were used", late, len(ids))


# ---- R17: delayed jobs ----

def delays(parts, s, t):
    """A job that fails at once stays in the dead set, with the moment of its claim by Redis' clock."""
    redis = parts.make(RedisServer)
    parts.start_worker(redis, AI_ENABLED="false", WORKER_CONCURRENCY=200).wait_until_ready()
    for what, rate, count, goal in (("idle", 10, s.idle, 5), (f"{s.rate} a second", s.rate, s.rate * s.seconds, 50)):
        late = lateness(redis.client, rate, count)
        add_count(t, "R17", f"delayed jobs claimed too early ({what})", sum(ms < 0 for ms in late))
        add_time(t, "R17", f"delayed jobs claimed late ({what})", goal, late, 0.99)


def lateness(client, rate, count):
    due, pipe = {}, client.pipeline(transaction=False)
    begin, luck = now_ms() + 2000 + count / 4, random.Random(17)
    for n in range(count):
        at = int(begin + n * 1000 / rate + luck.uniform(0, 500 / rate))
        due[Queue(pipe).enqueue(FAILS, id=f"{rate}-{n}", run_at=at)] = at
    pipe.execute()
    assert now_ms() < begin, "the machine is too slow to put the jobs in before they are due"
    wait_for_results(client, list(due))
    return [int(client.hget(f"{PREFIX}j:{id}", "claimed")) - at for id, at in due.items()]


# ---- R18: cancel ----

def cancels(parts, s, t):
    redis, simulator = parts.make(RedisServer), parts.make(Simulator, delay="60000")
    queue, scripts = Queue(redis.client), Scripts(redis.client)
    parts.start_worker(redis, simulator, WORKER_CONCURRENCY=s.times).wait_until_ready()
    luck = random.Random(18)

    def cancel(ids, how):
        begun = {}
        for id in luck.sample(ids, len(ids)):
            begun[id] = now_ms()
            how(id)
        return begun, wait_for_results(redis.client, ids)

    later = [queue.enqueue(ASK, run_at=int(now_ms() + 600000)) for _ in range(s.times)]
    wait_for(lambda: redis.client.zcard(PREFIX + "dly") == s.times, "all are filed")
    pending = []
    for id in later:
        begun = now_ms()
        assert scripts.call("cancel", id, 60000) == "waiting" and redis.client.exists(f"{PREFIX}res:{id}")
        pending.append(now_ms() - begun)
    add_time(t, "R18", "a waiting job is cancelled, its result there, after", 5, pending, 0.99)
    ways = [("a running job is cancelled", 100, lambda id: scripts.call("cancel", id, 60000)),
            ("the same when no message comes (only the key)", 5000, lambda id: redis.client.hset(f"{PREFIX}j:{id}", "cancel", 1))]
    for what, goal, how in ways:
        ids = [queue.enqueue(ASK) for _ in range(s.times)]
        wait_for(lambda: set(ids) <= set(under_way(simulator)), "all calls under way", 60)
        begun, results = cancel(ids, how)
        ended = {line["call"].partition("#")[0]: line for line in simulator.ledger()}
        wrong = [id for id in ids if results[id]["status"] != "cancelled" or ended[id]["outcome"] != "aborted"]
        add_count(t, "R18", f"{what}: not cancelled, or its call not closed", len(wrong))
        add_time(t, "R18", f"{what}: its TCP connection is closed after", goal, [ended[id]["ended"] - begun[id] for id in ids], 0.99)
        add_count(t, "R18", f"{what}: without a cost line", sum("total" not in (results[id].get("cost") or {}) for id in ids))


# ---- R19: a job that kills its worker ----

def poison(parts, s, t):
    """Whoever claims it is killed: three times, as `max` says, and then it is put aside. The others go on."""
    redis, simulator = parts.make(RedisServer), parts.make(Simulator, delay="20-50")
    queue, crashes = Queue(redis.client), []
    env = {"WORKER_LEASE": "1s", "WORKER_AMBIGUOUS_WAIT": "1s", "WORKER_CONCURRENCY": 8}
    simulator.fault("hang", call="poison", times=-1)
    workers = [parts.start_worker(redis, simulator, **env).wait_until_ready() for _ in range(2)]
    ids = [queue.enqueue(ASK, tenant=f"t{n % 5}") for n in range(s.jobs // 2)]
    queue.enqueue(ASK, id="poison", max=2)
    ids += [queue.enqueue(ASK, tenant=f"t{n % 5}") for n in range(s.jobs // 2)]
    while not redis.client.exists(f"{PREFIX}res:poison"):
        owner = pid_of(redis.client.hget(f"{PREFIX}j:poison", "owner"))
        for n, worker in enumerate(workers):
            if worker.pid == owner and simulator.ledger(call="poison"):
                worker.kill()
                crashes.append(owner)
                workers[n] = parts.start_worker(redis, simulator, **env)
        time.sleep(0.005)
    results = wait_for_results(redis.client, ids)
    told = results_of(redis.client, ["poison"])["poison"]
    add_count(t, "R19", "crashes until it is quarantined", len(crashes), 3)
    t.row("R19", "the job that kills its worker ends", "quarantined, STALLED", f"{told['status']}, {told['error']['code']}",
          (told["status"], told["error"]["code"]) == ("quarantined", "STALLED"))
    add_count(t, "R19", f"of {len(ids)} others: not done", len(ids) - states(results).get("done", 0))


# ---- R21: Directus is away ----

def directus_away(parts, s, t):
    redis, simulator, directus = parts.make(RedisServer), parts.make(Simulator, numbered=True), parts.make_directus()
    queue = Queue(redis.client)
    directus.broken = (503, {"errors": [{"message": "down", "extensions": {"code": "SERVICE_UNAVAILABLE"}}]})
    ids = [f"job-{n}" for n in range(s.jobs)]
    for id in ids:
        directus.add("articles", id=id, text=None)
        queue.enqueue(ask_and_write(id), id=id)
    parts.start_worker(redis, simulator, directus).wait_until_ready()
    wait_for(lambda: len(calls_by_job(simulator)) == len(ids), "all calls", 60)
    time.sleep(s.seconds)
    calls, requests, ended = sum(calls_by_job(simulator).values()), len(directus.requests), sum(map(bool, results_of(redis.client, ids).values()))
    directus.broken = None
    back = now_ms()
    results = wait_for_results(redis.client, ids, timeout=600)
    took = now_ms() - back
    add_count(t, "R21", f"jobs that ended while Directus was away ({s.seconds:g} s)", ended)
    add_paid_once(t, "R21", results, calls_by_job(simulator))
    add_count(t, "R21", "of these, calls before it was back", calls, len(ids))
    written = {id for id in ids if directus.item("articles", id)["text"]}
    writes = [r["at"] - back for r in directus.requests[requests:] if r["method"] == "PATCH" and r["at"] > back]
    add_count(t, "R21", "items not written after", len(ids) - len(written))
    add_count(t, "R21", "writes after it was back", len(writes), len(ids))
    t.row("R21", "tries at Directus meanwhile; after it was back: first write, all written", "",
          f"{requests}; {min(writes) / 1000:.1f} s, {took / 1000:.1f} s", True)


# ---- rolling deploy ----

def rolling(parts, s, t):
    """Three workers are restarted one after another while calls last long."""
    redis, simulator = parts.make(RedisServer), parts.make(Simulator, delay=f"{s.call * 900:.0f}-{s.call * 1000:.0f}")
    queue, ids, over = Queue(redis.client), [], threading.Event()

    def produce():
        while not over.is_set():
            ids.append(queue.enqueue(ASK))
            over.wait(s.every)

    workers = [parts.start_worker(redis, simulator, WORKER_CONCURRENCY=40).wait_until_ready() for _ in range(3)]
    producer = threading.Thread(target=produce)
    producer.start()
    wait_for(lambda: len(under_way(simulator)) >= 12, "calls under way", 60)
    claimed_late, took, statuses, held = [], [], [], []
    for n, old in enumerate(workers):
        held.append(len([1 for _, owner in claims(redis.client) if pid_of(owner) == old.pid]))
        begun = now_ms()
        old.terminate()
        last = begun
        while old.process.is_running():
            last = max([last] + [at for at, owner in claims(redis.client) if pid_of(owner) == old.pid])
            time.sleep(0.02)
        claimed_late.append(last - begun)
        took.append(now_ms() - begun)
        statuses.append(old.process.popen.returncode)
        workers[n] = parts.start_worker(redis, simulator, WORKER_CONCURRENCY=40).wait_until_ready()
    over.set()
    producer.join()
    results = wait_for_results(redis.client, ids, timeout=s.call * 2 + 60)
    counters = redis.client.hgetall(PREFIX + "n")
    add_paid_once(t, "R10", results, calls_by_job(simulator))
    add_count(t, "R10", f"3 workers restarted in turn under calls of {s.call:g} s ({held} under way): calls repeated, or ambiguous",
              int(counters.get("repeated", 0)) + int(counters.get("ambiguous", 0)))
    add_count(t, "R10", "exit statuses other than 0", sum(status != 0 for status in statuses))
    add_time(t, "R10", "last claim after SIGTERM", 50, claimed_late)
    add_time(t, "R10", "SIGTERM to the end (the longest call and 10 s)", int(s.call * 1000 + 10000), took)
