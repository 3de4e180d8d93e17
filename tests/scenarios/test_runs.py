"""A job's way through its flow in a running worker: children, loops, outages, the steps that are kept."""

import json

from processes import wait_for

TITLE = {"event": "articles.items.create", "collection": "articles", "key": 42, "payload": {"title": "Rye"}}
GENERATE = {"operation": "ai-generate", "key": "ask",
            "options": {"provider": "openai", "model": "gpt-4.1", "prompt": "About {{$trigger.title}}"}}
WRITE = {"operation": "item-update", "key": "write",
         "options": {"collection": "articles", "key": "{{$trigger.id}}", "payload": {"meta": "{{ask.content}}"}}}


def chain(*operations):
    """The operations, each leading to the next."""
    linked = [dict(o, resolve=operations[i + 1]["key"]) for i, o in enumerate(operations[:-1])]
    return linked + [operations[-1]]


def test_an_answer_is_written_into_the_item(queue, worker, fake_directus, simulator):
    fake_directus.add("articles", id=42, meta=None)
    result = queue.run({"operations": chain(GENERATE, WRITE), "trigger": TITLE})
    assert result["status"] == "done", result
    assert fake_directus.item("articles", 42)["meta"] == "SIMULATED answer to: About Rye"
    assert result["usage"]["totalTokens"] > 0 and result["cost"]["known"] is True
    assert [call["call"] for call in simulator.ledger()] == [f"{result['id']}#ask#1"]


def test_a_directus_that_is_down_is_waited_for_and_the_answer_is_not_paid_twice(queue, worker, fake_directus, simulator):
    fake_directus.add("articles", id=42, meta=None)
    fake_directus.broken = (503, {"errors": [{"message": "down", "extensions": {"code": "SERVICE_UNAVAILABLE"}}]})
    id = queue.enqueue({"operations": chain(GENERATE, WRITE), "trigger": TITLE})
    worker.wait_for_log("job put back", 60)
    fake_directus.broken = None
    result = queue.result(id, 60)
    assert result["status"] == "done" and result["attempts"] == 2, result
    assert fake_directus.item("articles", 42)["meta"] == "SIMULATED answer to: About Rye"
    assert len(simulator.ledger()) == 1
    assert result["usage"]["totalTokens"] > 0, "what the first attempt has spent is told"


def test_a_worker_that_is_killed_loses_nothing_and_pays_once(queue, start_worker, fake_directus, simulator):
    first = start_worker(WORKER_LEASE="1s").wait_until_ready()
    fake_directus.add("articles", id=42, meta=None)
    fake_directus.delay = 3
    id = queue.enqueue({"operations": chain(GENERATE, WRITE), "trigger": TITLE})
    wait_for(lambda: fake_directus.requests, "the write is under way")
    first.kill()
    fake_directus.delay = 0
    start_worker(WORKER_LEASE="1s")
    assert queue.result(id, 60)["status"] == "done"
    assert len(simulator.ledger()) == 1
    bodies = {json.dumps(w["body"]) for w in fake_directus.writes("articles")}
    assert len(bodies) == 1, "every write is the same"


def test_a_child_for_each_of_a_list_gives_its_result_in_order(queue, worker, fake_directus):
    fake_directus.flows["double"] = flow = {
        "id": "11111111-1111-4111-8111-111111111111", "name": "double", "status": "active", "trigger": "operation",
        "options": {"return": "$last"}, "operation": "a",
        "operations": [{"id": "a", "key": "t", "type": "transform", "options": {"json": {"n": "{{$trigger}}"}}}]}
    fake_directus.flows = {flow["id"]: flow}
    result = queue.run({"operation": "trigger", "options": {
        "flow": "double", "payload": list(range(120)), "iterationMode": "batch", "batchSize": 20}}, timeout=60)
    assert result["status"] == "done", result
    assert result["last"] == [{"n": n} for n in range(120)]


UPDATED = {"event": "articles.items.update", "collection": "articles", "keys": ["42"], "payload": {"title": "new", "tags": ["a"]}}
READ = {"operation": "item-read", "options": {"collection": "articles", "key": "{{$trigger.keys}}"}}


def test_an_item_that_an_event_is_ahead_of_is_read_again(queue, worker, fake_directus):
    fake_directus.add("articles", id=42, title="old", tags=["a"])
    id = queue.enqueue({**READ, "trigger": UPDATED})
    wait_for(lambda: len(fake_directus.requests) >= 2, "it was read again")
    fake_directus.item("articles", 42)["title"] = "new"
    assert queue.result(id)["last"]["title"] == "new"


def test_an_item_that_was_changed_after_its_event_is_taken_as_it_is(queue, worker, fake_directus):
    fake_directus.add("articles", id=42, title="newer", tags=["a"])
    result = queue.run({**READ, "trigger": UPDATED})
    assert (result["status"], result["last"]["title"], len(fake_directus.requests)) == ("done", "newer", 6)
    fake_directus.requests.clear()
    fake_directus.add("articles", id=43, title="another", tags=["a"])
    other = {**READ, "options": {**READ["options"], "key": 43}}
    assert queue.run({**other, "trigger": UPDATED})["last"]["title"] == "another"
    assert queue.run({**READ, "trigger": {**UPDATED, "event": None}})["last"]["title"] == "newer"
    assert len(fake_directus.requests) == 2, "read once where there is nothing to wait for"


def test_a_budget_that_cannot_be_read_is_refused(queue, worker, fake_directus):
    for budget in ({"maxCost": 1}, {"maxCostUsd": 0}, {"maxCostUsd": "5"}, {"maxCostUsd": 5, "maxTokens": 1}):
        result = queue.run({"operation": "trigger", "options": {"flow": "x", "payload": [1], "budget": budget}})
        assert (result["status"], result["error"]["code"]) == ("dead", "INVALID_PAYLOAD"), (budget, result)


def test_a_child_of_a_flow_that_is_not_there_is_told(queue, worker, fake_directus):
    result = queue.run({"operation": "trigger", "options": {"flow": "nobody", "payload": {}}})
    assert (result["status"], result["error"]["code"]) == ("dead", "FLOW_NOT_FOUND")


def test_a_flow_that_its_own_write_starts_again_is_stopped(queue, worker, fake_directus):
    fake_directus.add("articles", id=42, meta=None)
    job = {"operations": [dict(WRITE, options=dict(WRITE["options"], payload={"meta": "x"}))], "trigger": TITLE}
    first = queue.run(job)
    assert first["status"] == "done", first
    agent = fake_directus.writes("articles")[0]["headers"]["user-agent"]
    again = queue.run({**job, "accountability": {"user": "worker", "userAgent": agent}})
    assert (again["status"], again["error"]["code"]) == ("dead", "LOOP_DETECTED"), again
    other = queue.run({**job, "trigger": {**TITLE, "key": 43}, "accountability": {"userAgent": agent}})
    assert other["error"] is None or other["error"]["code"] != "LOOP_DETECTED", "another item is no loop"


def test_a_job_does_not_spend_more_than_its_budget(queue, worker, simulator):
    result = queue.run({**GENERATE, "trigger": TITLE, "budget": {"maxTokens": 5}})
    assert (result["status"], result["error"]["code"]) == ("dead", "BUDGET_EXCEEDED"), result
    assert not simulator.ledger(), "nothing was asked"


def test_a_step_that_can_never_work_stops_the_job_before_money_is_spent(queue, worker, simulator):
    empty = dict(WRITE, options=dict(WRITE["options"], key="{{$trigger.keys}}"))
    result = queue.run({"operations": chain(GENERATE, empty), "trigger": {"keys": [], "title": "x"}})
    assert (result["status"], result["error"]["code"]) == ("dead", "INVALID_PAYLOAD"), result
    assert "'write'" in result["error"]["message"] and not simulator.ledger()


def test_a_job_that_takes_too_long_ends_with_timeout(queue, worker, simulator):
    simulator.set(delay="60000")
    result = queue.run({**GENERATE, "trigger": TITLE, "timeout": 300})
    assert (result["status"], result["error"]["code"]) == ("dead", "TIMEOUT"), result


def test_sigterm_lets_a_running_job_end(queue, start_worker, simulator):
    worker = start_worker().wait_until_ready()
    simulator.set(delay="1500")
    id = queue.enqueue({**GENERATE, "trigger": TITLE})
    wait_for(lambda: simulator.ledger(), "the call is under way")
    worker.terminate()
    assert queue.result(id)["status"] == "done"
    wait_for(lambda: not worker.process.is_running(), "the worker has ended by itself", 60)
    worker.stop()


def test_a_body_that_is_no_job_ends_dead_and_the_queue_goes_on(queue, worker):
    bad = queue.run("{broken")
    assert (bad["status"], bad["error"]["code"]) == ("dead", "INVALID_JOB")
    assert "line 1" in bad["error"]["message"]
    assert queue.run({"operation": "transform", "options": {"json": [1]}})["last"] == [1]


def test_streamed_pieces_come_to_the_reply_stream(queue, worker, redis):
    stream = "{flow-worker}:rep:test"
    id = queue.enqueue({**GENERATE, "trigger": TITLE, "stream": True}, reply_to=stream)
    assert queue.result(id)["status"] == "done"
    told = wait_for(lambda: [e for _, e in redis.client.xrange(stream)] if any(
        e["status"] == "done" for _, e in redis.client.xrange(stream)) else None, "the end is told")
    text = "".join(e["text"] for e in told if e["status"] == "piece")
    assert text == "SIMULATED answer to: About Rye"
