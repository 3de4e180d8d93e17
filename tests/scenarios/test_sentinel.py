"""A master that dies behind three sentinels: the worker goes on with the one they promote."""

import pytest
import redis as redis_py

from processes import Process, free_port, wait_for
from redis_server import RedisServer
from worker import Queue

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-5.6-terra", "prompt": "Hello"}}


class Sentinel:
    def __init__(self, folder, master):
        folder.mkdir()
        self.port = free_port()
        config = folder / "sentinel.conf"  # it writes what it learns into this file
        config.write_text(f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
                          f"sentinel monitor main 127.0.0.1 {master.port} 2\n"
                          "sentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 10000\n")
        self.process = Process(["redis-server", config, "--sentinel"], folder / "sentinel.log")
        self.client = redis_py.Redis(port=self.port, decode_responses=True)
        wait_for(self._knows_all, "the sentinel knows the replica", every=0.05)

    def _knows_all(self):
        try:
            return self.client.sentinel_master("main")["num-slaves"] == 1
        except redis_py.exceptions.ConnectionError:
            return False

    def knows_others(self):
        return self.client.sentinel_master("main")["num-other-sentinels"] == 2


@pytest.fixture
def replica(redis, tmp_path):
    server = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", redis.port)
    wait_for(lambda: server.client.info("replication")["master_link_status"] == "up", "the replica is in step")
    yield server
    server.stop()


@pytest.fixture
def sentinels(redis, replica, tmp_path):
    running = [Sentinel(tmp_path / f"sentinel{n}", redis) for n in range(3)]
    wait_for(lambda: all(s.knows_others() for s in running), "the sentinels know each other")
    yield running
    for sentinel in running:
        sentinel.process.stop()


def is_master(server):
    try:
        return server.client.info("replication")["role"] == "master"
    except redis_py.exceptions.ConnectionError:
        return False  # whoever is promoted loses its clients: the sentinels send CLIENT KILL with the promotion


def test_a_worker_follows_a_failover(redis, replica, sentinels, simulator, start_worker):
    worker = start_worker(REDIS=None, REDIS_SENTINELS=",".join(f"127.0.0.1:{s.port}" for s in sentinels),
                          REDIS_SENTINEL_NAME="main", AI_OPENAI_ALLOWED_MODELS="gpt-5.6-terra")
    old, new = Queue(redis.client), Queue(replica.client)
    first = old.run(JOB)
    assert first["status"] == "done"
    worker.pause()
    ids = [old.enqueue(JOB) for _ in range(20)]
    assert redis.client.wait(1, 10000) == 1  # all that was accepted is on the replica
    worker.resume()
    redis.kill()
    wait_for(lambda: is_master(replica), "the replica is the master", timeout=60)
    for id in ids:
        assert new.result(id, timeout=60)["status"] == "done"
    assert new.run(JOB)["status"] == "done"
