"""The worker and a Redis that speaks TLS only, with a password, as managed ones do."""

import subprocess

import pytest

from processes import free_port, wait_for
from redis_server import RedisServer
from worker import Queue

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-5.6-terra", "prompt": "Hello"}}
PASSWORD = "redis/pass@word-0005"


@pytest.fixture
def certificates(tmp_path):
    """ca.crt, and tls.crt with tls.key for localhost, signed by it."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", *key, "-subj", "/CN=redis", "-keyout", "tls.key", "-out", "tls.csr")
    (tmp_path / "names").write_text("subjectAltName=DNS:localhost")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "names", "-out", "tls.crt")
    return tmp_path


@pytest.fixture
def tls_port():
    return free_port()


@pytest.fixture
def redis(tmp_path, certificates, tls_port):
    """Plain for the test itself, TLS and a password for the user of the worker."""
    server = RedisServer(
        tmp_path / "redis", "--tls-port", tls_port, "--tls-cert-file", certificates / "tls.crt", "--tls-key-file",
        certificates / "tls.key", "--tls-ca-cert-file", certificates / "ca.crt", "--tls-auth-clients", "no",
        "--user", "worker", "on", f">{PASSWORD}", "~*", "&*", "+@all")
    yield server
    server.stop()


def test_a_worker_works_over_tls(redis, certificates, tls_port, simulator, start_worker):
    worker = start_worker(REDIS=f"rediss://worker:redis%2Fpass%40word-0005@localhost:{tls_port}",
                          REDIS_TLS_CA_FILE=certificates / "ca.crt", AI_OPENAI_ALLOWED_MODELS="gpt-5.6-terra")
    queue = Queue(redis.client)
    assert [queue.run(JOB)["status"] for _ in range(3)] == ["done"] * 3
    users = {client["user"] for client in redis.client.client_list() if client["laddr"].endswith(f":{tls_port}")}
    assert users == {"worker"}
    assert PASSWORD not in worker.log


def test_a_worker_does_not_trust_an_unknown_authority(redis, certificates, tls_port, start_worker):
    worker = start_worker(REDIS=f"rediss://localhost:{tls_port}", REDIS_USERNAME="worker", REDIS_PASSWORD=PASSWORD)
    wait_for(lambda: "its certificate is not accepted" in worker.log or not worker.process.is_running(),
             "the reason in the log")
    worker.is_expected_dead = True
    assert "its certificate is not accepted" in worker.log
    assert PASSWORD not in worker.log
