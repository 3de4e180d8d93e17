"""The extension puts a job in, without a Directus around it: what counts as enqueued where Redis has replicas."""

import json
import subprocess

import pytest

import npm
from directus import Directus
from processes import wait_for
from redis_server import RedisServer

PREFIX = "{flow-worker}:"
ENQUEUE = """
const { operations } = await import(process.argv[1]);
const { handler } = operations.map((operation) => operation.config ?? operation).find(({ id }) => id === 'flow-worker-run');
const context = { env: JSON.parse(process.argv[2]), data: { $trigger: {} }, logger: { warn() {} } };
try {
	console.log(JSON.stringify(await handler({ flow: 'a flow', wait: false }, context)));
} catch (error) {
	console.log(JSON.stringify({ code: error.code, message: error.message, extensions: error.extensions, error }));
}
process.exit(0);
"""


@pytest.fixture(scope="module")
def extension():
    directus = Directus()
    try:
        directus.add_extension("redis://127.0.0.1:1")
        yield f"{directus.extension}/dist/api.js"
    finally:
        directus.remove()


@pytest.fixture
def enqueue(extension, redis):
    """enqueue(replicas) -> what the operation "Run flow in worker" resolves or rejects with."""
    def run(replicas):
        env = {"FLOW_WORKER_REDIS": redis.url, "FLOW_WORKER_WAIT_REPLICAS": replicas}
        done = subprocess.run([npm.node(), "--input-type=module", "-e", ENQUEUE, extension, json.dumps(env)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout
    return run


def test_a_job_counts_as_enqueued_when_the_replicas_have_it(enqueue, redis, tmp_path):
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", redis.port)
    try:
        wait_for(lambda: replica.client.info("replication")["master_link_status"] == "up", "the replica is in step")
        id = json.loads(enqueue("1"))["jobId"]
        [(_, entry)] = replica.client.xrange(PREFIX + "in")
        assert entry["id"] == id
    finally:
        replica.stop()


def test_a_job_that_no_replica_has_is_not_said_to_be_enqueued(enqueue, redis):
    told = enqueue("1")
    assert "SERVICE_UNAVAILABLE" in told and "only 0 of 1 replicas (FLOW_WORKER_WAIT_REPLICAS) have it" in told
    entries = redis.client.xrange(PREFIX + "in")
    assert len({entry["id"] for _, entry in entries}) == 1, "sent again under the same id: it runs once"


def test_without_replicas_nobody_waits_and_a_wrong_number_is_told(enqueue, redis):
    assert "jobId" in enqueue("0") and redis.client.xlen(PREFIX + "in") == 1
    assert "FLOW_WORKER_WAIT_REPLICAS in Directus' environment is no whole number" in enqueue("two")
    assert redis.client.xlen(PREFIX + "in") == 1
