"""Batches: a flow for each item of a collection. Everything is counted, nothing runs twice, whoever dies."""

import csv
import io
import json

import pytest

from processes import wait_for

MODEL = "gpt-4.1"
ASK = {"type": "ai-generate", "key": "ask", "options": {"provider": "openai", "model": MODEL, "prompt": "About {{$trigger.payload.title}}",
                                                        "maxTokens": 100}}
WRITE = {"type": "item-update", "key": "write", "options": {
    "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta": "{{ask.content}}"}}}
FLOW = {"name": "describe", "operations": [dict(ASK, resolve="write"), WRITE]}
KEY = "{flow-worker}:bat:"


@pytest.fixture
def articles(fake_directus):
    """articles(20) -> that many articles, 1 to 20."""
    def make(count):
        for n in range(1, count + 1):
            fake_directus.add("articles", id=n, title=f"T{n}.", meta=None)
        return fake_directus
    return make


@pytest.fixture
def batch(flow_worker, tmp_path):
    """batch("create", "--collection", …) -> what the command answered; --flow FLOW is added to create."""
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))

    def run(what, *arguments, **how):
        more = ["--flow", "flow.json"] if what == "create" and "--flow" not in arguments else []
        return flow_worker("batch", what, *map(str, arguments), *more, **how)
    return run


def state_of(redis, id):
    return redis.client.hget(KEY + id, "state")


def count_of(redis, id, name="n:done"):
    return int(redis.client.hget(KEY + id, name) or 0)


def wait_state(redis, id, state, timeout=60):
    wait_for(lambda: state_of(redis, id) == state, f"batch {id} is {state}", timeout)


def answer_to(n):
    return f"SIMULATED answer to: About T{n}."


def test_a_batch_is_a_job_that_runs_the_flow_for_each_item(queue, worker, articles, redis, simulator):
    fake = articles(120)
    result = queue.run({"batch": {"collection": "articles", "flow": FLOW, "name": "first"}}, id="batch:b1", timeout=60)
    assert result["status"] == "done", result
    last = result["last"]
    assert (last["batch"], last["state"], last["total"], last["done"], last["failed"]) == ("b1", "done", 120, 120, 0)
    assert [fake.item("articles", n)["meta"] for n in (1, 2, 120)] == [answer_to(n) for n in (1, 2, 120)]
    assert len(simulator.ledger()) == 120
