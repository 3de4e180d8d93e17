"""Rows about a Redis that is away, silent, or answers with errors: R11, R12, R22."""

import signal
import time

import requests

from parts import (ASK, Proxy, Queue, RedisServer, Simulator, add_count, add_paid_once, add_time, calls_by_job,
                   first_claim_after, memory_kib, now_ms, under_way, wait_for, wait_for_results)

# ---- R11: outages ----


def outages(parts, s, t):
    """Calls are under way when Redis goes, their answers come while it is away, and jobs wait when it is back."""
    redis, simulator = parts.make(RedisServer), parts.make(Simulator, delay="1000-2000")
    proxy, queue = parts.make(Proxy, redis.url), Queue(redis.client)
    state = parts.folder / "state"
    state.mkdir()
    worker = parts.start_worker(simulator=simulator, REDIS=proxy.url, WORKER_CONCURRENCY=100, WORKER_LEASE=s.lease,
                                WORKER_STATE_DIRECTORY=state).wait_until_ready()
    ids, firsts, growth, spooled = [], [], [], []

    def look(before):
        time.sleep(s.seconds)
        growth.append(memory_kib(worker.pid) - before)
        spooled.append(len(list(state.rglob("*.answer"))))

    for number in range(s.outages):
        ids += [queue.enqueue(ASK) for _ in range(30)]
        wait_for(lambda: len(under_way(simulator)) >= 20, "calls under way", 60)
        before = memory_kib(worker.pid)
        new, back = away(number, redis, proxy, queue, lambda before=before: look(before))
        ids += new
        firsts.append(first_claim_after(redis.client, back))
        wait_for_results(redis.client, ids)
        assert worker.process.is_running()
    add_paid_once(t, "R11", wait_for_results(redis.client, ids), calls_by_job(simulator))
    add_time(t, "R11", f"first claim after {s.outages} outages of {s.seconds:g} s", 1000, firsts)
    add_count(t, "R11", "answers left in the spool", len(list(state.rglob("*.answer"))))
    t.row("R11", "answers spooled in each outage (those that wait for 3 s)", "", spooled, True)
    t.row("R11", "memory grows in an outage by at most (30 answers held)", "no leak", f"{max(growth)} KiB, {growth[-1]} in the last",
          growth[-1] <= 16 * 1024)


def away(number, redis, proxy, queue, meanwhile):
    """One outage of one of three kinds. -> ids of jobs that nobody had claimed before, and when Redis was back."""
    ids = []
    (proxy.refuse, proxy.blackhole, redis.kill)[number % 3]()
    meanwhile()
    if number % 3 == 2:
        redis.start()
        back = now_ms()
        ids += [queue.enqueue(ASK) for _ in range(10)]
    else:
        ids += [queue.enqueue(ASK) for _ in range(10)]
        back = now_ms()
        proxy.pass_on()
    return ids, back


# ---- R12: no silent stall ----

def ready(worker):
    try:
        return requests.get(f"{worker.url}/ready", timeout=5).status_code
    except requests.RequestException:
        return 0


def silence(parts, s, t):
    """A connection that hangs, a Redis that is stopped: the worker says that it does not work, and works again."""
    redis, simulator = parts.make(RedisServer), parts.make(Simulator)
    proxy, queue = parts.make(Proxy, redis.url), Queue(redis.client)
    worker = parts.start_worker(simulator=simulator, REDIS=proxy.url).wait_until_ready()
    ids, seen, back = [queue.enqueue(ASK)], [], []
    kinds = [(proxy.blackhole, proxy.pass_on), (lambda: redis.process.signal(signal.SIGSTOP), lambda: redis.process.signal(signal.SIGCONT))]
    for begin, end in kinds * s.times:
        wait_for_results(redis.client, ids)
        wait_for(lambda: ready(worker) == 200, "ready")
        begun = now_ms()
        begin()
        wait_for(lambda: ready(worker) == 503, "/ready says 503", 60)
        seen.append(now_ms() - begun)
        time.sleep(max(0, s.seconds - seen[-1] / 1000))
        assert ready(worker) == 503
        end()
        begun = now_ms()
        ids.append(queue.enqueue(ASK))
        wait_for(lambda: ready(worker) == 200, "/ready says 200 again", 60)
        back.append(now_ms() - begun)
    add_paid_once(t, "R12", wait_for_results(redis.client, ids), calls_by_job(simulator))
    add_time(t, "R12", "a hung connection or a stopped Redis: /ready says 503 after", 10000, seen)
    add_time(t, "R12", "/ready says 200 again after", 10000, back)


# ---- R22: the server fails ----

ERRORS = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN The cluster is down",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOSCRIPT No matching script. Please use EVAL.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
]


def errors(parts, s, t):
    """Each error in the place of each script of a job: before it was carried out, and after it. With s.rest only one of each
    round is timed: a connection that has not lived for a second is made again after a pause, and they come faster than that."""
    redis, simulator = parts.make(RedisServer), parts.make(Simulator)
    proxy, queue = parts.make(Proxy, redis.url), Queue(redis.client)
    parts.start_worker(simulator=simulator, REDIS=proxy.url).wait_until_ready()
    queue.run(ASK)
    usual = [run_timed(queue)[1] for _ in range(10)]
    places = [(give, script) for give in (proxy.error, proxy.rewrite) for script in s.scripts]
    for text in ERRORS:
        done, times, lost = [], [], 0
        for turn in range(s.times):
            for n, (give, script) in enumerate(places):  # of a job: 0 file, 1 claim, 2 permit, 3 claim, 4 settle, 5 finish, about
                is_timed = not s.rest or n == turn % len(places)
                time.sleep(s.rest if is_timed else 0)
                give(text, on="EVALSHA", skip=script)
                result, ms = run_timed(queue)
                done.append(result["id"])
                times += [ms] if is_timed else []
                lost += result["status"] != "done"
                wait_for(lambda: proxy.stats()["errors_waiting"] == 0, "the error to be given")
        calls = calls_by_job(simulator)
        extra = sum(calls[id] != 1 for id in done)
        most = max(times) - min(usual)
        t.row("R22", f"{text.split()[0]} in place of {len(done)} scripts: lost, paid twice; recovers in at most", "0, 0; <= 1000 ms",
              f"{lost}, {extra}; {most:.0f} ms" + (" (above)" if most > 1000 else ""), lost == 0 and extra == 0)
    full(redis, simulator, queue, s, t)


def run_timed(queue):
    begun = now_ms()
    return queue.run(ASK, timeout=60), now_ms() - begun


def full(redis, simulator, queue, s, t):
    """A Redis that is really full, while calls are under way."""
    simulator.set(delay="3000")  # so that all 20 are under way at once on a busy machine, too
    ids = [queue.enqueue(ASK) for _ in range(20)]
    wait_for(lambda: len(under_way(simulator)) == 20, "calls under way")
    redis.client.config_set("maxmemory", 1)
    wait_for(lambda: not under_way(simulator), "the answers")
    time.sleep(s.full_seconds)
    redis.client.config_set("maxmemory", 0)
    begun = now_ms()
    results = wait_for_results(redis.client, ids)
    calls = calls_by_job(simulator)
    lost = sum(r["status"] != "done" for r in results.values())
    extra = sum(calls[id] != 1 for id in ids)
    t.row("R22", f"Redis is full for {s.full_seconds:g} s as 20 answers come: lost, paid twice; all done after", "0, 0",
          f"{lost}, {extra}; {now_ms() - begun:.0f} ms", lost == 0 and extra == 0)
