"""The worker and a Redis that refuses, falls silent, fails over or restarts: every job ends, and no answer is paid twice."""

import time

import pytest

from processes import wait_for

JOB = {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-5.6-terra", "prompt": "Hello"}}


@pytest.fixture
def proxy(start_proxy, redis):
    return start_proxy(redis.url)


@pytest.fixture
def worker(start_worker, proxy):
    return start_worker(REDIS=proxy.url, AI_OPENAI_ALLOWED_MODELS="gpt-5.6-terra")


def calls_by_job(simulator):
    calls = {}
    for line in simulator.ledger():
        job = line["call"].partition("#")[0]
        calls[job] = calls.get(job, 0) + 1
    return calls


def all_done_once(queue, simulator, ids):
    for id in ids:
        result = queue.result(id)
        assert result["status"] == "done", result
    assert calls_by_job(simulator) == {id: 1 for id in ids}


@pytest.mark.parametrize("error", [
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "CLUSTERDOWN The cluster is down",
    "NOSCRIPT No matching script. Please use EVAL.",
])
def test_an_error_of_redis_loses_no_job(queue, simulator, proxy, worker, error):
    ids = [queue.enqueue(JOB)]
    all_done_once(queue, simulator, ids)
    for script in range(6):  # file, claim, permit, claim, settle, finish: one after the other
        proxy.error(error, on="EVALSHA", skip=script)
        ids.append(queue.enqueue(JOB))
        all_done_once(queue, simulator, ids)
        wait_for(lambda: proxy.stats()["errors_waiting"] == 0, "the error to be given")


def test_a_job_is_claimed_at_once_though_redis_did_not_know_the_script_that_files_it(queue, proxy, worker):
    """The claim goes out behind the filing, and Redis sees it before the filing's source. The next claim is a second later."""
    took = []
    for _ in range(5):
        proxy.error("NOSCRIPT No matching script. Please use EVAL.", on="EVALSHA")
        begun = time.monotonic()
        queue.run(JOB)
        took.append(time.monotonic() - begun)
        wait_for(lambda: proxy.stats()["errors_waiting"] == 0, "the error to be given")
    assert sorted(took)[2] < 0.7, took


def test_a_command_that_was_carried_out_though_its_answer_was_an_error_is_not_done_twice(queue, simulator, proxy, worker):
    ids = [queue.enqueue(JOB)]
    all_done_once(queue, simulator, ids)
    for script in range(6):
        proxy.rewrite("READONLY You can't write against a read only replica.", on="EVALSHA", skip=script)
        ids.append(queue.enqueue(JOB))
        all_done_once(queue, simulator, ids)
        wait_for(lambda: proxy.stats()["errors_waiting"] == 0, "the error to be given")


def test_jobs_of_an_outage_are_done_after_it(queue, simulator, proxy, worker):
    ids = [queue.enqueue(JOB)]
    all_done_once(queue, simulator, ids)
    for how in (proxy.refuse, proxy.blackhole):
        how()
        ids += [queue.enqueue(JOB) for _ in range(20)]
        proxy.pass_on()
        all_done_once(queue, simulator, ids)


def test_a_restart_of_redis_in_the_middle_of_calls(queue, simulator, redis, proxy, worker):
    simulator.set(delay="300")
    ids = [queue.enqueue(JOB) for _ in range(10)]
    wait_for(lambda: len(simulator.ledger()) == 10, "all calls to be under way, or over")
    redis.kill()
    redis.start()
    all_done_once(queue, simulator, ids)


def test_answers_that_come_while_redis_is_away_are_kept(queue, simulator, proxy, worker):
    simulator.set(delay="1000")
    ids = [queue.enqueue(JOB) for _ in range(10)]
    wait_for(lambda: len(simulator.ledger()) == 10, "all calls to be under way")
    proxy.refuse()
    wait_for(lambda: all(line["outcome"] != "open" for line in simulator.ledger()), "all answers")
    proxy.pass_on()
    all_done_once(queue, simulator, ids)
