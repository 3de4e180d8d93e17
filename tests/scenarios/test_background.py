"""Answers in the background (onAmbiguous: resume): paid once, whatever dies between the question and the answer."""

import pytest

from processes import wait_for

LEASE = "2s"


def job(**options):
    return {"operation": "ai-generate", "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello",
                                                    "maxTokens": 50, "onAmbiguous": "resume", **options}}


def counter(queue, name):
    return int(queue.client.hget(f"{queue.prefix}n", name) or 0)


def handle_of(queue, id):
    return [name for name in queue.client.hkeys(f"{queue.prefix}s:{id}") if name.startswith("handle:")]


def owner_of(queue, id):
    return queue.client.hget(f"{queue.prefix}j:{id}", "owner")


@pytest.fixture
def slow(simulator):
    simulator.set(delay="3000")
    return simulator


def test_the_question_is_stored_over_there_and_the_answer_is_fetched(simulator, ask):
    simulator.set(delay="700")
    result = ask(onAmbiguous="resume", prompt="Hello")
    assert result["status"] == "done" and result["last"]["content"].startswith("SIMULATED answer")
    assert result["cost"] and result["last"]["usage"]["inputTokens"] > 0
    (line,) = simulator.ledger()
    assert line["format"] == "responses" and line["body"]["background"] is True and line["body"]["store"] is True


@pytest.mark.parametrize("kills", [1, 2])
def test_a_worker_that_is_killed_while_the_answer_is_made_does_not_pay_twice(slow, queue, start_worker, kills):
    slow.set(delay=str(3000 * kills))
    id, owners = queue.enqueue(job()), set()
    for _ in range(kills):
        worker = start_worker(WORKER_LEASE=LEASE)
        owners.add(wait_for(lambda: handle_of(queue, id) and owner_of(queue, id) not in owners and owner_of(queue, id),
                            "the handle, and this worker"))
        worker.kill()
    start_worker(WORKER_LEASE=LEASE)
    result = queue.result(id)
    assert result["status"] == "done" and result["cost"]
    assert len(slow.ledger()) == 1, "asked once"
    assert counter(queue, "calls") == 1 and counter(queue, "answers") == 1 and counter(queue, "repeated") == 0


def test_many_jobs_are_paid_once_each_under_kills(slow, queue, start_worker):
    slow.set(delay="6000")
    ids, owners = [queue.enqueue(job()) for _ in range(40)], set()
    for _ in range(2):
        worker = start_worker(WORKER_LEASE=LEASE)
        wait_for(lambda: all(handle_of(queue, id) and owner_of(queue, id) not in {None, *owners} for id in ids), "the handles")
        owners |= {owner_of(queue, id) for id in ids}
        worker.kill()
    start_worker(WORKER_LEASE=LEASE)
    assert {result["status"] for result in queue.results(ids)} == {"done"}
    lost, late = counter(queue, "ambiguous"), counter(queue, "late")
    print(f"40 jobs, 2 kills: {len(slow.ledger())} calls, {lost} answers lost with their worker, {late} of them fetched")
    assert len(slow.ledger()) == 40 and lost == late == 40 and counter(queue, "repeated") == 0


def test_a_stopping_worker_gives_the_job_back_and_another_one_fetches_the_answer(slow, queue, start_worker):
    worker = start_worker(WORKER_LEASE=LEASE, WORKER_DRAIN_TIMEOUT=100)
    id = queue.enqueue(job())
    wait_for(lambda: handle_of(queue, id), "the handle")
    worker.stop()
    assert slow.stats()["background_stopped"] == 0
    start_worker(WORKER_LEASE=LEASE)
    assert queue.result(id)["status"] == "done" and len(slow.ledger()) == 1


def test_an_answer_that_is_not_there_any_more_is_asked_for_again_and_counted(slow, queue, start_worker):
    worker = start_worker(WORKER_LEASE=LEASE)
    id = queue.enqueue(job())
    wait_for(lambda: handle_of(queue, id), "the handle")
    worker.kill()
    slow.reset()  # forgets the ledger, and what is made in the background
    slow.set(delay="0")
    start_worker(WORKER_LEASE=LEASE)
    assert queue.result(id)["status"] == "done"
    assert len(slow.ledger()) == 1 and counter(queue, "ambiguous") == 1 and counter(queue, "repeated") == 1


def test_a_cancelled_job_is_stopped_over_there(slow, queue, start_worker, flow_worker):
    start_worker()
    slow.set(delay="60000")
    id = queue.enqueue(job())
    wait_for(lambda: handle_of(queue, id), "the handle")
    assert flow_worker("jobs", "cancel", id).status == 0
    assert queue.result(id)["status"] == "cancelled"
    wait_for(lambda: slow.stats()["background_stopped"] == 1, "the provider is told")


def test_an_answer_that_takes_too_long_is_stopped_over_there(simulator, ask):
    simulator.set(delay="60000")
    result = ask(prompt="Hello", onAmbiguous="resume", timeout=1000, maxRetries=0)
    assert (result["status"], result["error"]["code"]) == ("dead", "TIMEOUT")
    wait_for(lambda: simulator.stats()["background_stopped"] == 1, "the provider is told")


def test_a_provider_without_a_background_is_asked_as_ever(simulator, ask):
    result = ask(provider="anthropic", model="claude-sonnet-4-5", prompt="Hello", onAmbiguous="resume")
    assert result["status"] == "done" and "background" not in simulator.ledger()[0]["body"]
