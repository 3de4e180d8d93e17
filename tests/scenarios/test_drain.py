"""A worker that is told to stop while Redis does not take what it has to tell: it ends, and no answer is paid twice."""
# labels: slow

import json
import signal
import threading

import pytest
import redis as redis_py
import requests

from processes import Process, built, wait_for
from redis_server import RedisServer
from test_sentinel import Sentinel

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-5.6-terra", "prompt": "Hello"}}
SETTINGS = {"AI_OPENAI_ALLOWED_MODELS": "gpt-5.6-terra", "WORKER_DRAIN_TIMEOUT": "1s", "WORKER_LEASE": "5s",
            "WORKER_AMBIGUOUS_WAIT": "1s"}
DRAIN_OVER = "drain time is over"
ENDS_SECONDS = 120  # it takes some; a worker that waits for Redis never ends
CALL_MS = 60 * 1000  # longer than a test lasts


@pytest.fixture
def proxy(start_proxy, redis):
    return start_proxy(redis.url)


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "state" / "spool"  # that the worker makes


# ---- Redis is away ----

class Refused:
    def __init__(self, redis, proxy):
        self.proxy = proxy

    def goes(self):
        self.proxy.refuse()

    def comes_back(self):
        self.proxy.pass_on()


class Silent(Refused):
    """The network loses what is sent."""

    def goes(self):
        self.proxy.blackhole()


class Stopped:
    """The process hangs; the kernel still takes connections."""

    def __init__(self, redis, proxy):
        self.redis = redis

    def goes(self):
        self.redis.process.signal(signal.SIGSTOP)

    def comes_back(self):
        self.redis.process.signal(signal.SIGCONT)


class Loading:
    """It reads its file for longer than anybody waits, and answers now and then that it does so."""

    def __init__(self, redis, proxy):
        self.redis = redis
        filler = redis.client.pipeline(transaction=False)
        for n in range(100_000):
            filler.set(f"filler:{n}", "")
        filler.execute()

    def goes(self):
        self.redis.kill()
        self.redis.process = Process([*self.redis.process.command, "--key-load-delay", "1000"],
                                     self.redis.folder / "loading.log")
        wait_for(self._is_loading, "Redis says that it is loading", 60)

    def _is_loading(self):
        try:
            self.redis.client.ping()
        except redis_py.exceptions.BusyLoadingError:
            return True
        except redis_py.exceptions.ConnectionError:
            return False
        raise AssertionError("Redis has loaded its file already")

    def comes_back(self):
        self.redis.kill()
        self.redis.start()


@pytest.fixture(params=[Refused, Silent, Stopped, Loading], ids=lambda kind: kind.__name__.lower())
def outage(request, redis, proxy):
    yield request.param(redis, proxy)
    redis.process.signal(signal.SIGCONT)


# ---- what is seen of a worker ----

def logged(worker, message):
    lines = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"].startswith(message)]


def untold(worker):
    lines = logged(worker, "stopped, but Redis was not told everything") + logged(worker, "answers that were paid for are lost")
    assert len(lines) <= 1, lines
    return lines[0] if lines else None


def ends(worker):
    """By itself, and well."""
    wait_for(lambda: not worker.process.is_running(), "the worker ends", ENDS_SECONDS)
    assert worker.process.popen.returncode == 0, worker.log[-4000:]


def calls_by_job(simulator):
    calls = [line["call"].partition("#")[0] for line in simulator.ledger()]
    return {id: calls.count(id) for id in calls}


def now_ms(redis):
    seconds, microseconds = redis.client.time()
    return seconds * 1000 + microseconds // 1000


def call_is_under_way(simulator, count=1):
    wait_for(lambda: len(simulator.ledger()) == count, "the call is under way")


def call_is_answered(simulator):
    wait_for(lambda: all(line["outcome"] != "open" for line in simulator.ledger()), "the provider has answered")


def done_with_one_call(queue, simulator, id):
    assert queue.result(id, 60)["status"] == "done"
    assert calls_by_job(simulator) == {id: 1}


# ---- the tests ----

def test_an_answer_that_redis_has_not_taken_is_kept_when_the_worker_ends(
        queue, simulator, redis, proxy, spool, outage, start_worker):
    state = spool.parent
    simulator.set(delay="5000")  # Redis is away before it is answered
    worker = start_worker(REDIS=proxy.url, WORKER_STATE_DIRECTORY=state, **SETTINGS)
    id = queue.enqueue(JOB)
    call_is_under_way(simulator)
    outage.goes()
    call_is_answered(simulator)
    worker.terminate()
    ends(worker)
    assert len(list(spool.glob("*.answer"))) == 1
    assert untold(worker).items() >= {"level": "warn", "jobs": 1, "answersKept": 1, "answersLost": 0}.items()
    outage.comes_back()
    start_worker(WORKER_STATE_DIRECTORY=state, **SETTINGS)
    done_with_one_call(queue, simulator, id)
    wait_for(lambda: not list(spool.iterdir()), "the spool is empty")


def test_answers_that_nobody_keeps_are_told_as_lost(queue, simulator, redis, proxy, outage, start_worker):
    simulator.set(delay="5000")  # Redis is away before it is answered
    worker = start_worker(REDIS=proxy.url, **SETTINGS)
    ids = [queue.enqueue(JOB) for _ in range(3)]
    call_is_under_way(simulator, 3)
    outage.goes()
    call_is_answered(simulator)
    worker.terminate()
    ends(worker)
    assert untold(worker).items() >= {"level": "error", "jobs": 3, "answersKept": 0, "answersLost": 3}.items()
    outage.comes_back()
    start_worker(**SETTINGS)
    assert [queue.result(id, 60)["status"] for id in ids] == ["done"] * 3
    assert calls_by_job(simulator) == {id: 2 for id in ids}, "ambiguous, and so asked again"


def test_a_call_that_outlasts_the_drain_time_does_not_hold_the_worker(
        queue, simulator, redis, proxy, outage, start_worker):
    simulator.set(delay=CALL_MS)
    worker = start_worker(REDIS=proxy.url, **SETTINGS)
    id = queue.enqueue(JOB)
    call_is_under_way(simulator)
    outage.goes()
    worker.terminate()
    ends(worker)
    assert untold(worker).items() >= {"level": "warn", "jobs": 1, "calls": 1, "answersLost": 0}.items()
    outage.comes_back()
    simulator.set(delay="0")
    start_worker(**SETTINGS)
    assert queue.result(id, 60)["status"] == "done"
    assert calls_by_job(simulator) == {id: 2}


def test_a_redis_that_comes_back_after_the_drain_time_is_told_everything(queue, simulator, proxy, start_worker):
    simulator.set(delay="5000")  # Redis is away before it is answered
    worker = start_worker(REDIS=proxy.url, **SETTINGS)
    id = queue.enqueue(JOB)
    call_is_under_way(simulator)
    proxy.refuse()
    call_is_answered(simulator)
    worker.terminate()
    worker.wait_for_log(DRAIN_OVER)
    proxy.pass_on()
    ends(worker)
    assert untold(worker) is None
    start_worker(**SETTINGS)
    done_with_one_call(queue, simulator, id)


def test_a_job_that_is_claimed_after_the_drain_time_is_put_back(queue, simulator, redis, proxy, start_worker):
    simulator.set(delay=CALL_MS)
    worker = start_worker(REDIS=proxy.url, **{**SETTINGS, "WORKER_LEASE": "15s"}).wait_until_ready()
    due = now_ms(redis) + 1000
    id = queue.enqueue(JOB, run_at=due)
    wait_for(lambda: redis.client.exists(f"{{flow-worker}}:j:{id}"), "the job is filed")
    proxy.blackhole()
    wait_for(lambda: now_ms(redis) >= due + 500, "its time has come, and a claim is under way")
    worker.terminate()
    worker.wait_for_log(DRAIN_OVER)
    proxy.pass_on()
    ends(worker)
    assert untold(worker) is None
    assert simulator.ledger() == []
    simulator.set(delay="0")
    start_worker(**SETTINGS)
    done_with_one_call(queue, simulator, id)


def test_a_worker_that_never_had_a_connection_ends(redis, proxy, outage, start_worker):
    outage.goes()
    worker = start_worker(REDIS=proxy.url, **SETTINGS)
    worker.wait_for_log('"listening"')
    worker.terminate()
    ends(worker)
    assert untold(worker) is None


def test_an_idle_worker_ends_without_redis(redis, proxy, outage, start_worker):
    worker = start_worker(REDIS=proxy.url, **SETTINGS).wait_until_ready()
    outage.goes()
    worker.terminate()
    ends(worker)
    assert untold(worker) is None


def test_who_waits_for_a_result_at_the_http_door_does_not_hold_the_worker(
        queue, simulator, redis, proxy, outage, start_worker):
    simulator.set(delay=CALL_MS)
    token = "token-of-the-http-door-0005"
    worker = start_worker(REDIS=proxy.url, WORKER_HTTP_TOKEN=token, **SETTINGS).wait_until_ready()
    answers = []

    def ask():
        try:
            answers.append(requests.post(f"{worker.url}/jobs?wait=300", json=JOB, timeout=ENDS_SECONDS,
                                         headers={"Authorization": f"Bearer {token}"}).status_code)
        except requests.ConnectionError:
            answers.append("closed")

    asking = threading.Thread(target=ask)
    asking.start()
    call_is_under_way(simulator)
    outage.goes()
    worker.terminate()
    ends(worker)
    asking.join(ENDS_SECONDS)
    assert len(answers) == 1 and answers[0] != 200
    outage.comes_back()


def test_an_answer_that_no_replica_has_is_kept_when_the_worker_ends(
        queue, simulator, redis, spool, tmp_path, start_worker):
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", redis.port)
    wait_for(lambda: replica.client.info("replication")["master_link_status"] == "up", "the replica is in step")
    simulator.set(delay="5000")  # Redis is away before it is answered
    worker = start_worker(REDIS_WAIT_REPLICAS=1, WORKER_STATE_DIRECTORY=spool.parent, **SETTINGS)
    id = queue.enqueue(JOB)
    call_is_under_way(simulator)
    replica.kill()
    call_is_answered(simulator)
    worker.terminate()
    ends(worker)
    assert len(list(spool.glob("*.answer"))) == 1
    assert untold(worker).items() >= {"level": "warn", "answersKept": 1, "answersLost": 0}.items()
    start_worker(WORKER_STATE_DIRECTORY=spool.parent, **SETTINGS)
    done_with_one_call(queue, simulator, id)
    wait_for(lambda: not list(spool.iterdir()), "the spool is empty")


def test_an_answer_is_kept_when_the_sentinels_are_gone_with_the_master(
        queue, simulator, redis, spool, tmp_path, start_worker):
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", redis.port)
    sentinel = Sentinel(tmp_path / "sentinel", redis)
    named = {"REDIS": None, "REDIS_SENTINELS": f"127.0.0.1:{sentinel.port}", "REDIS_SENTINEL_NAME": "main"}
    simulator.set(delay="5000")  # Redis is away before it is answered
    worker = start_worker(WORKER_STATE_DIRECTORY=spool.parent, **named, **SETTINGS)
    id = queue.enqueue(JOB)
    call_is_under_way(simulator)
    sentinel.process.signal(signal.SIGSTOP)
    redis.kill()
    call_is_answered(simulator)
    worker.terminate()
    ends(worker)
    assert len(list(spool.glob("*.answer"))) == 1
    redis.start()
    sentinel.process.signal(signal.SIGCONT)
    start_worker(WORKER_STATE_DIRECTORY=spool.parent, **named, **SETTINGS)
    done_with_one_call(queue, simulator, id)
    sentinel.process.stop()
    replica.stop()


def test_a_resolver_that_does_not_answer_does_not_hold_the_worker(start_worker):
    preload = {"LD_PRELOAD": built("libno_names.so"), "ASAN_OPTIONS": "verify_asan_link_order=0"}
    worker = start_worker(REDIS="redis://redis.example:6379", **preload, **SETTINGS)
    worker.wait_for_log("redis.example")
    worker.terminate()
    ends(worker)


@pytest.mark.parametrize("path, why", [("{}/missing/state", "No such file or directory"), ("{}/file", "Not a directory")])
def test_a_folder_for_answers_that_can_not_be_written_stops_the_start(flow_worker, tmp_path, path, why):
    (tmp_path / "file").write_text("")
    path = path.format(tmp_path)
    done = flow_worker("run", WORKER_STATE_DIRECTORY=path)
    assert done.status == 1
    assert f"WORKER_STATE_DIRECTORY is '{path}', expected a folder that can be written: {why}" in done.err
