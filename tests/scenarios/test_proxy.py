"""The fault proxy does what its README says, seen by an ordinary Redis client."""

import socket
import threading

import pytest
import redis as redis_py

from processes import wait_for


@pytest.fixture
def proxy(start_proxy, redis):
    return start_proxy(redis.url)


@pytest.fixture
def through(proxy):
    """A client that goes through the proxy and never tries again by itself."""
    client = redis_py.Redis(port=proxy.port, decode_responses=True, socket_timeout=20)
    yield client
    client.close()


def test_passes_on_what_it_gets(proxy, through):
    value = "x" * 3_000_000
    assert through.set("k", value)
    assert through.get("k") == value
    assert proxy.stats()["mode"] == "pass" and proxy.stats()["open"] == 1


def test_an_error_without_and_with_the_command_carried_out(proxy, redis, through):
    proxy.error("OOM command not allowed when used memory > 'maxmemory'.", on="set")
    with pytest.raises(redis_py.exceptions.ResponseError, match="OOM command|command not allowed"):
        through.set("k", 1)
    assert redis.client.get("k") is None
    proxy.rewrite("READONLY You can't write against a read only replica.", on="SET")
    assert through.get("k") is None
    with pytest.raises(redis_py.exceptions.ReadOnlyError):
        through.set("k", 2)
    assert redis.client.get("k") == "2"
    assert proxy.stats()["errors_given"] == 2 and proxy.stats()["errors_waiting"] == 0


def test_an_error_keeps_its_place_in_a_pipeline(proxy, through):
    proxy.error("ERR injected", on="INCRBY")  # what redis-py says for incr()
    pipeline = through.pipeline(transaction=False)
    pipeline.echo("one").incr("n").lpush("list", *range(1000)).incr("n").lrange("list", 0, 2)
    one, error, length, n, items = pipeline.execute(raise_on_error=False)
    assert (one, length, n, items) == ("one", 1000, 1, ["999", "998", "997"])
    assert isinstance(error, redis_py.exceptions.ResponseError) and "injected" in str(error)


def test_an_error_may_skip_commands(proxy, through):
    proxy.error("ERR injected", on="ECHO", skip=2)
    assert through.echo("a") == through.echo("a") == "a" and through.ping()
    with pytest.raises(redis_py.exceptions.ResponseError, match="injected"):
        through.echo("a")


def test_refuses_and_passes_again(proxy, through):
    assert through.ping()
    proxy.refuse()
    with pytest.raises(redis_py.exceptions.ConnectionError):
        through.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
    proxy.pass_on()
    assert through.ping()


def test_a_black_hole_holds_back_until_it_passes_on(proxy, through):
    assert through.ping()
    proxy.blackhole()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(through.incr("n")))
    asking.start()
    with pytest.raises(redis_py.exceptions.TimeoutError):  # also a new connection
        redis_py.Redis(port=proxy.port, socket_timeout=0.1).ping()
    assert answers == []
    proxy.pass_on()
    asking.join()
    assert answers == [1]


def test_a_delay_holds_in_both_directions(proxy, through):
    assert through.ping()
    proxy.delay(60)
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(b"PING\r\n")
        s.settimeout(0.1)
        with pytest.raises(TimeoutError):
            s.recv(100)
        s.settimeout(20)
        assert s.recv(100) == b"+PONG\r\n"


def test_cuts_after_so_many_bytes(proxy, redis, through):
    redis.client.set("k", "0123456789" * 100)
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        proxy.cut(500)
        s.sendall(b"GET k\r\n")
        got = b""
        while piece := s.recv(1000):
            got += piece
    assert len(got) == 500
    assert through.get("k") == "0123456789" * 100  # once


def test_resets(proxy, through):
    with socket.create_connection(("127.0.0.1", proxy.port)) as s:
        s.sendall(b"PING\r\n")
        assert s.recv(100) == b"+PONG\r\n"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            s.recv(100)
    assert through.ping()


def test_subscriptions_pass(proxy, redis, through):
    listener = through.pubsub()
    listener.subscribe("news")
    wait_for(lambda: redis.client.publish("news", "hello"), "a subscriber")
    heard = wait_for(lambda: listener.get_message(ignore_subscribe_messages=True), "the message")
    assert heard["data"] == "hello"


def test_a_wrong_line_is_told(proxy):
    for line in ("fly", "delay soon", "cut", "error", "error on GET", "error skip few x"):
        with pytest.raises(AssertionError, match="wrong: "):
            proxy.say(line)


def test_says_when_the_server_is_away(proxy, redis, through):
    redis.kill()
    with pytest.raises(redis_py.exceptions.ConnectionError):
        through.ping()
    redis.start()
    wait_for(lambda: through.ping(), "the server through the proxy")
