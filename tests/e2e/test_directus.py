"""What the other end-to-end tests rely on: the Directus under test is real, empty and set up as they expect."""

import pytest

from directus import DirectusError
from processes import wait_for


def test_the_worker_may_change_articles_and_nothing_else(directus, admin):
    key = admin.post("/items/articles", {"title": "Hello"})["id"]
    assert directus.worker.patch(f"/items/articles/{key}", {"meta_description": "x"})["meta_description"] == "x"
    with pytest.raises(DirectusError) as refused:
        directus.worker.delete(f"/items/articles/{key}")
    assert (refused.value.status, refused.value.code) == (403, "FORBIDDEN")


def test_an_event_flow_sees_the_item_under_payload_and_its_key_beside_it(admin):
    key, trigger, accountability = admin.event_of({"title": 'He said "hi"\nü', "content": "C"})
    assert trigger == {
        "event": "articles.items.create", "collection": "articles", "key": key,
        "payload": {"title": 'He said "hi"\nü', "content": "C"},
    }
    assert accountability["admin"] is True


def test_a_flow_in_several_steps_is_stored_and_run(admin):
    key = admin.post("/items/articles", {"title": "Hello"})["id"]
    flow = admin.create_flow({
        "trigger": "manual", "options": {"collections": ["articles"]},
        "operations": [
            {"operation": "transform", "options": {"json": {"text": "from the flow"}}, "resolve": "write"},
            {"id": "write", "operation": "item-update", "options": {
                "collection": "articles", "key": ["{{$trigger.body.keys[0]}}"],
                "payload": {"meta_description": "{{first.text}}"}}},
        ],
    })
    admin.post(f"/flows/trigger/{flow}", {"collection": "articles", "keys": [key]})
    assert admin.get(f"/items/articles/{key}")["meta_description"] == "from the flow"
    steps = wait_for(lambda: admin.flow_runs(flow), "the run is in the log")[0]["steps"]
    assert [(s["key"], s["status"]) for s in steps] == [("first", "resolve"), ("write", "resolve")]


def test_each_test_starts_without_items_and_flows(admin):
    assert admin.get("/items/articles") == []
    assert admin.get("/flows") == []
