"""R25: failovers by Sentinel under load. What was acknowledged and is gone is counted, without and with WAIT."""

import json
import signal
import threading
import time

import redis as redis_py
import redis.sentinel

from parts import (ASK, PREFIX, Queue, RedisServer, Simulator, add_count, add_time, ask_and_write, calls_by_job, first_claim_after, now_ms,
                   results_of, states, wait_for)
from processes import Process, free_port

ERRORS = (redis_py.exceptions.RedisError, OSError)


class Sentinel:
    def __init__(self, folder, master_port):
        folder.mkdir()
        self.port = free_port()
        config = folder / "sentinel.conf"  # it writes what it learns into this file
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {master_port} 2\n"
                          "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n"
                          "sentinel parallel-syncs main 4\n")
        self.process = Process(["redis-server", config, "--sentinel"], folder / "sentinel.log")
        self.client = redis_py.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def sees(self, replicas, sentinels):
        try:
            master = self.client.sentinel_master("main")
            slaves = self.client.sentinel_slaves("main")
        except ERRORS:
            return False
        return (master["num-other-sentinels"] == sentinels - 1 and master["flags"] == "master"
                and sum(slave["master-link-status"] == "ok" and slave["flags"] == "slave" for slave in slaves) == replicas)

    def master_port(self):
        try:
            return int(self.client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1])
        except ERRORS:
            return 0

    def stop(self):
        self.process.kill()


class ReplicaSet:
    """A master, its replicas and three sentinels."""

    ARGUMENTS = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "16mb")

    def __init__(self, folder, replicas):
        folder.mkdir()
        self.servers = [RedisServer(folder / "server0", *self.ARGUMENTS)]
        self.master = self.servers[0]
        for n in range(replicas):
            self.servers.append(RedisServer(folder / f"server{n + 1}", *self.ARGUMENTS, "--replicaof", "127.0.0.1", self.master.port))
        wait_for(self.in_step, "the replicas are in step", 60)
        self.sentinels = [Sentinel(folder / f"sentinel{n}", self.master.port) for n in range(3)]
        self.wait_until_whole()

    def info(self, server):
        try:
            return server.client.info("replication")
        except ERRORS:
            return {"role": "away"}

    def replicas(self):
        return [server for server in self.servers if server is not self.master]

    def in_step(self):
        return (self.info(self.master).get("connected_slaves") == len(self.replicas())
                and all(self.info(server).get("master_link_status") == "up" for server in self.replicas()))

    def settled(self):
        """On a busy machine the sentinels may have taken the new master for dead, too."""
        if self.info(self.master)["role"] == "slave":
            self.master = next((s for s in self.replicas() if self.info(s)["role"] == "master"), self.master)
        return self.in_step()

    def wait_until_whole(self):
        wait_for(self.is_whole, "the replicas are in step, and the sentinels see it", 240, 0.05)

    def is_whole(self):
        return self.settled() and all(
            s.master_port() == self.master.port and s.sees(len(self.replicas()), 3) for s in self.sentinels)

    def addresses(self):
        return ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels)

    def connect(self):
        """As any client does that knows the sentinels only."""
        found = redis.sentinel.Sentinel([("127.0.0.1", s.port) for s in self.sentinels], socket_timeout=2)
        return found.master_for("main", socket_timeout=2, decode_responses=True)

    def break_replication(self, seconds):
        """The master goes on without its replicas, as behind a broken network."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.master.client.execute_command("CLIENT", "KILL", "TYPE", "replica")
            time.sleep(0.005)

    def promoted(self):
        return next((server for server in self.replicas() if self.info(server)["role"] == "master"), None)

    def fail(self, how):
        """-> when another one was seen to be the master, ms."""
        old = self.master
        if how == "broken":
            self.break_replication(0.4)
        if how == "stopped":
            old.process.signal(signal.SIGSTOP)
        elif how == "asked":
            self.sentinels[0].client.execute_command("SENTINEL", "FAILOVER", "main")
        else:
            old.kill()
        self.master = wait_for(self.promoted, "a replica is promoted", 120)
        return now_ms(), old

    def bring_back(self, old, how):
        """What was the master joins as a replica, as its operator would have it."""
        if how == "stopped":  # it does not know yet that it is not the master any more
            old.process.signal(signal.SIGCONT)
            time.sleep(0.5)
        if how in ("stopped", "asked"):
            wait_for(lambda: self.obey(old), "it takes the new master", 30, 0.1)
        else:
            old.arguments = (*self.ARGUMENTS, "--replicaof", "127.0.0.1", self.master.port)
            old.start()
        self.wait_until_whole()

    def obey(self, old):
        try:
            return old.client.execute_command("REPLICAOF", "127.0.0.1", self.master.port)
        except ERRORS:
            return False

    def stop(self):
        for part in (*self.sentinels, *self.servers):
            part.process.kill()


class Producer:
    """Puts a job in until it is acknowledged: by the master, or with WAIT by so many replicas, too."""

    def __init__(self, replica_set, directus, rate, wait):
        self.client, self.directus, self.rate, self.wait = replica_set.connect(), directus, rate, wait
        self.acknowledged, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def put(self, id):
        pipe = self.client.pipeline(transaction=False)  # one connection: WAIT is about what it has written
        pipe.xadd(PREFIX + "in", {"id": id, "body": json.dumps(ask_and_write(id))})
        if self.wait:
            pipe.execute_command("WAIT", self.wait, 500)
        return pipe.execute()[-1] >= self.wait if self.wait else bool(pipe.execute())

    def run(self):
        while not self.over.is_set():
            id = f"job-{len(self.acknowledged)}"
            self.directus.add("articles", id=id, text=None)
            if self.persist(id):
                self.acknowledged.append(id)
            self.over.wait(1 / self.rate)

    def persist(self, id):
        while not self.over.is_set():
            try:
                if self.put(id):
                    return True
            except ERRORS:
                time.sleep(0.02)
        return False

    def stop(self):
        self.over.set()
        self.thread.join()


HOW = ["killed", "broken", "asked", "stopped"]


def is_idle(client):
    """Nothing waits and nothing runs."""
    pipe = client.pipeline(transaction=False)
    pipe.xlen(PREFIX + "in")
    for key in ("lse", "dly", "rdy", "thr"):
        pipe.zcard(PREFIX + key)
    return not any(pipe.execute())


def wait_for_idle(client, ids, patience=60):
    """Until all have ended, or nothing that could end is there any more."""
    idle_since = None
    end = time.monotonic() + patience * 5
    while time.monotonic() < end:
        results = results_of(client, ids)
        if all(results.values()):
            return results
        idle_since = (idle_since or time.monotonic()) if is_idle(client) else None
        if idle_since and time.monotonic() > idle_since + 5:
            return results
        time.sleep(0.1)
    raise TimeoutError("the queue does not become idle")


def failovers(parts, s, t):
    for replicas, wait in s.sets:
        one_set(parts, s, t, replicas, wait)


def one_set(parts, s, t, replicas, wait):
    name = f"{replicas} replica{'s' if replicas > 1 else ''}, " + (f"WAIT {wait}" if wait else "no WAIT")
    simulator, directus = parts.make(Simulator, delay="50-400", numbered=True), parts.make_directus()
    group = parts.make(ReplicaSet, replicas)
    env = {"REDIS_SENTINELS": group.addresses(), "REDIS_SENTINEL_NAME": "main", "WORKER_LEASE": "5s", "WORKER_AMBIGUOUS_WAIT": "5s",
           "WORKER_CONCURRENCY": 40, "WORKER_STATE_DIRECTORY": parts.folder / f"state{replicas}{wait}", "DIRECTUS_CONCURRENCY": 32,
           "REDIS_WAIT_REPLICAS": wait or None}
    (parts.folder / f"state{replicas}{wait}").mkdir()
    workers = [parts.start_worker(None, simulator, directus, **env).wait_until_ready() for _ in range(2)]
    producer, firsts = Producer(group, directus, s.rate, wait), []
    try:
        for number in range(s.times):
            how = HOW[number % len(HOW)]
            time.sleep(1)  # of load
            promoted, old = group.fail(how)
            Queue(group.master.client).enqueue(ASK, id=f"probe-{number}")  # there is something to claim
            firsts.append(first_claim_after(group.master.client, promoted))
            group.bring_back(old, how)
            print(f"{name}: failover {number + 1} ({how}): first claim after {firsts[-1]:.0f} ms, "
                  f"{len(producer.acknowledged)} jobs acknowledged", flush=True)
    finally:
        producer.stop()
    ids = producer.acknowledged
    results = wait_for_idle(group.master.client, ids)
    lost = [id for id, result in results.items() if not result]
    tell(t, name, wait == replicas, s, lost, results, firsts, simulator, directus, group.master.client, ids)
    for worker in workers:
        parts.end_worker(worker)


def tell(t, name, is_safe, s, lost, results, firsts, simulator, directus, client, ids):
    n = {k: int(v) for k, v in client.hgetall(PREFIX + "n").items()}
    t.row("R25", f"{s.times} failovers ({name}): acknowledged jobs lost", 0 if is_safe else "counted", f"{len(lost)} of {len(ids)}",
          not lost or not is_safe)
    add_time(t, "R25", f"{name}: first claim after the promotion", 5000, firsts)
    bad = {state: count for state, count in states(results).items() if state not in ("done", "LOST")}
    t.row("R25", f"{name}: jobs that ended otherwise than done", 0, bad or 0, not bad)
    calls = calls_by_job(simulator)
    extra = sum(calls.values()) - len(calls)
    repeated = n.get("repeated", 0) - n.get("unrepeated", 0)
    t.row("R25", f"{name}: calls beyond one for each job", f"<= {repeated} counted as repeated" if is_safe else "counted",
          extra, extra <= repeated or not is_safe)
    unwritten = [id for id, r in results.items() if r and r["status"] == "done" and not directus.item("articles", id)["text"]]
    add_count(t, "R25", f"{name}: done jobs whose item is not written", len(unwritten))
