"""Fixtures for every test against running parts; what they give is in tests/rig. See tests/README.md.

Everything is private to one test: Redis on a free port, a simulated provider, workers. All of it ends with the test,
and a worker that ended badly (status, sanitizer report, a secret in its log) fails the test."""

import itertools

import pytest

from fake_directus import FakeDirectus
from proxy import Proxy
from redis_server import RedisServer
from simulator import Simulator
from worker import SECRETS, Queue, Worker, environment, run_command


@pytest.fixture
def redis(tmp_path):
    """A private redis-server: .client, .url, .kill(), .start()."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.stop()


@pytest.fixture
def start_simulator(tmp_path):
    """start_simulator(limits="rpm=60") -> a simulated provider with these options."""
    running = []

    def start(**options):
        running.append(Simulator(tmp_path / f"simulator{len(running)}", **options))
        return running[-1]

    yield start
    for simulator in running:
        simulator.stop()


@pytest.fixture
def simulator(start_simulator):
    """A simulated provider without delays and limits; its ledger keeps the bodies."""
    return start_simulator(ledger_bodies=True)


@pytest.fixture
def start_proxy(tmp_path):
    """start_proxy(redis.url) -> a fault proxy in front of it; start_worker(REDIS=proxy.url)."""
    running = []

    def start(url):
        running.append(Proxy(tmp_path / f"proxy{len(running)}", url))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def fake_directus():
    fake = FakeDirectus()
    yield fake
    fake.stop()


@pytest.fixture
def queue(redis):
    """The queue in the private Redis: .enqueue(job, lane=0), .result(id), .run(job)."""
    return Queue(redis.client)


@pytest.fixture
def start_worker(request, redis, simulator, tmp_path):
    """start_worker(WORKER_CONCURRENCY=5) -> a running worker. It knows the simulator of the test as every provider,
    and the fake Directus if the test uses that fixture; named arguments change its environment, None takes one away."""
    running, numbers = [], itertools.count()

    def start(simulator=simulator, redis=redis, directus=None, **env):
        if directus is None and "fake_directus" in request.fixturenames:
            directus = request.getfixturevalue("fake_directus")
        env = environment(redis, simulator, directus, **env)
        running.append(Worker(tmp_path / f"worker{next(numbers)}", env))
        return running[-1]

    yield start
    failures = []
    for worker in running:
        try:
            worker.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def worker(start_worker):
    return start_worker()


@pytest.fixture
def flow_worker(request, tmp_path):
    """flow_worker("exec", "-", stdin=job, AI_ENABLED="false") -> status, out, err, .json. Knows the Redis, simulator and
    fake Directus whose fixtures the test uses."""

    def run(*arguments, stdin=None, timeout=120, **env):
        parts = {name: request.getfixturevalue(fixture)
                 for name, fixture in (("redis", "redis"), ("simulator", "simulator"), ("directus", "fake_directus"))
                 if fixture in request.fixturenames}
        return run_command(*arguments, env=environment(**parts, **env), cwd=tmp_path, stdin=stdin, timeout=timeout)

    return run


@pytest.fixture
def ask(flow_worker, simulator):
    """ask("ai-generate", prompt="…") -> the result object of exec; env for the variables."""

    def run(operation="ai-generate", env=None, **options):
        options = {"provider": "openai", "model": "gpt-4.1-mini", **options}
        done = flow_worker("exec", "-", stdin={"operation": operation, "options": options}, **(env or {}))
        for secret in SECRETS:
            assert secret not in done.out + done.err  # V-12
        return done.json

    return run
