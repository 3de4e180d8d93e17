"""Directus tells of an event before the transaction that has caused it is over: the worker may be there first."""

import pytest

from directus import MODEL
from processes import wait_for

COUNT = 5


@pytest.fixture
def watched(admin):
    """watched(scope) -> an event flow hands every item to a flow in the worker, which reads it and asks about it. Within
    the transaction each item takes 100 ms, since a blocking flow sleeps."""

    def watch(scope):
        target = admin.create_flow({"name": "target", "trigger": "operation", "options": {}, "accountability": None, "operations": [
            {"type": "item-read", "key": "item", "resolve": "ask", "options": {
                "collection": "articles", "key": "{{$trigger.keys[0]}}" if scope == "items.update" else "{{$trigger.key}}",
                "query": {"fields": ["id", "title"]}}},
            {"type": "ai-generate", "key": "ask", "options": {"model": MODEL, "prompt": "id={{item.id}} title={{item.title}};"}}]})
        admin.create_flow({"name": "hand over", "trigger": "event", "accountability": None,
                           "options": {"type": "action", "scope": [scope], "collections": ["articles"]},
                           "operations": [{"type": "flow-worker-run", "key": "run", "options": {"flow": target, "wait": False}}]})

        admin.create_flow({"name": "slow", "trigger": "event", "accountability": None,
                           "options": {"type": "filter", "scope": [scope], "collections": ["articles"]},
                           "operations": [{"type": "sleep", "key": "sleep", "options": {"milliseconds": 100}}]})

    return watch


def asked(simulator):
    return {body["messages"][-1]["content"] for body in simulator.bodies()}


def test_a_list_of_updates_is_read_as_it_is_after_it(admin, simulator, connected, watched):
    rows = admin.post("/items/articles", [{"title": "before"} for _ in range(COUNT)])
    watched("items.update")
    connected(WORKER_CONCURRENCY=20)
    admin.patch("/items/articles", [{"id": row["id"], "title": f"after {row['id']}"} for row in rows])
    wait_for(lambda: len(simulator.ledger()) == COUNT, "all were asked about", 60)
    assert asked(simulator) == {f"id={row['id']} title=after {row['id']};" for row in rows}


def test_items_that_are_created_in_one_transaction_are_found(admin, simulator, connected, watched):
    watched("items.create")
    connected(WORKER_CONCURRENCY=20)
    rows = admin.post("/items/articles", [{"title": f"new {i}"} for i in range(COUNT)])
    wait_for(lambda: len(simulator.ledger()) == COUNT, "all were asked about", 60)
    assert asked(simulator) == {f"id={row['id']} title={row['title']};" for row in rows}
