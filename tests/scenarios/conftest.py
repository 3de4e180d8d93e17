"""The queue's scripts on a Redis of their own, with a clock that a test moves (queue_scripts.py)."""

import pytest
from queue_scripts import Clock, Queue, Server


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def q(server, clock):
    client = server.client()
    client.flushall()
    queue = Queue(client, clock=clock)
    assert queue.call("hello", 1) == [1, 1]
    yield queue
    client.close()
