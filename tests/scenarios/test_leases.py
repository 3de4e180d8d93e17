"""A worker that is taken for dead, and is not: it writes nothing any more, and what it has paid for is used."""

import pytest

from processes import wait_for

PREFIX = "{flow-worker}:"
LEASE_MS = 1500
JOB = {"operations": [
    {"key": "ask", "type": "ai-generate", "resolve": "write",
     "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Hello"}},
    {"key": "write", "type": "item-update",
     "options": {"collection": "articles", "key": "1", "payload": {"text": "{{ask.content}}"}}}], "trigger": {}}


@pytest.fixture
def start(start_worker, fake_directus):
    fake_directus.add("articles", id="1", text=None)

    def start(**more):
        return start_worker(directus=fake_directus, WORKER_LEASE=LEASE_MS, WORKER_AMBIGUOUS_WAIT=8000, AI_OPENAI_ALLOWED_MODELS="gpt-4.1-mini", **more)

    return start


def test_a_worker_that_stood_still_for_longer_than_its_lease_writes_nothing(start, start_proxy, redis, queue, fake_directus):
    """It stands still between the answer and the write; when it goes on an editor has changed the item."""
    proxy = start_proxy(redis.url)
    first = start(REDIS=proxy.url)
    proxy.delay(150)  # the reply to the stored step is still on its way
    id = queue.enqueue(JOB)
    wait_for(lambda: redis.client.hexists(f"{PREFIX}s:{id}", "step:ask"), "the step to be stored")
    first.pause()
    assert fake_directus.writes() == []
    start()
    assert queue.result(id)["status"] == "done"
    assert len(fake_directus.writes()) == 1
    fake_directus.item("articles", "1")["text"] = "by an editor"
    first.resume()
    first.wait_for_log("lease lost")
    assert fake_directus.item("articles", "1")["text"] == "by an editor"
    assert len(fake_directus.writes()) == 1


def test_a_call_under_way_goes_on_when_the_lease_is_lost_and_its_answer_is_used(
        start, start_proxy, start_simulator, redis, queue, fake_directus):
    simulator = start_simulator(delay="6000")
    proxy = start_proxy(redis.url)
    first = start(REDIS=proxy.url, simulator=simulator)
    id = queue.enqueue(JOB)
    wait_for(lambda: simulator.ledger(), "the call")
    second = start(simulator=simulator)
    proxy.refuse()
    wait_for(lambda: redis.client.hget(f"{PREFIX}j:{id}", "state") == "ambiguous", "the lease to be over")
    proxy.pass_on()
    result = queue.result(id)
    assert result["status"] == "done", result
    assert [(line["call"], line["outcome"]) for line in simulator.ledger()] == [(f"{id}#ask#1", "sent")]
    assert len(fake_directus.writes()) == 1
    assert second.process.is_running() and first.process.is_running()
