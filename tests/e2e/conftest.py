"""The real Directus of the end-to-end tests: one for each file of tests, emptied before each test. What a file adds to it
(collections, permissions, settings) no other one sees, also when one pytest runs them all.

FLOW_WORKER_TEST_DIRECTUS names another version than 12.4.0 (11.17.4 is the second one that is supported); it is
installed on first use, which takes minutes. Without a licence key 12.x allows 5 active flows: each test starts with
none. Directus has our extension, and finds the Redis of the tests."""

import pytest

from directus import JOB_SECRET, Directus
from redis_server import RedisServer


@pytest.fixture(scope="module")
def running_redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis(running_redis):
    """As in tests/conftest.py, but Directus' extension knows it too: one for the file, emptied before each test."""
    running_redis.client.flushall()
    return running_redis


@pytest.fixture(scope="session")
def template(request):
    """Copies of one instance start in seconds; for a single file it is not worth while."""
    if len({item.path for item in request.session.items if "running_directus" in item.fixturenames}) > 1:
        Directus.make_template()


@pytest.fixture(scope="module")
def running_directus(template, running_redis):
    directus = Directus()
    try:
        directus.add_extension(running_redis.url)
        directus.start_with_articles()
        yield directus
    finally:
        directus.remove()


@pytest.fixture
def directus(running_directus):
    """Directus without articles and flows."""
    admin = running_directus.admin
    for flow in admin.get("/flows", fields="id", limit=-1):
        admin.delete(f"/flows/{flow['id']}")
    keys = [item["id"] for item in admin.get("/items/articles", fields="id", limit=-1)]
    if keys:
        admin.delete("/items/articles", keys)
    return running_directus


@pytest.fixture
def admin(directus):
    return directus.admin


@pytest.fixture
def connected(start_worker, directus):
    """connected(WORKER_CONCURRENCY=5) -> a worker that knows Directus."""
    return lambda **env: start_worker(directus=directus, WORKER_JOB_SECRET=JOB_SECRET, **env)
