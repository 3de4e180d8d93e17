"""The item operations against a real Directus, beside Directus' own: the same options, the same result."""

import json
import os

import pytest

from directus import ADMIN_TOKEN, WORKER_TOKEN, WORKER_USER, DirectusError
from processes import wait_for

NOTES = {
    "collection": "notes",
    "meta": {},
    "schema": {},
    "fields": [
        {"field": "uid", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}},
        {"field": "text", "type": "string", "meta": {}, "schema": {"is_unique": True}},
    ],
}


@pytest.fixture(scope="module")
def running_notes(running_directus):
    """A collection whose key is a uuid and not called id; the worker may do anything with it."""
    admin = running_directus.admin
    admin.post("/collections", NOTES)
    policy = admin.get("/policies", **{"filter[name][_eq]": "AI worker"})[0]["id"]
    for action in ("create", "read", "update", "delete"):
        admin.post("/permissions", {"policy": policy, "collection": "notes", "action": action, "fields": ["*"], "permissions": {}})


@pytest.fixture
def notes(running_notes, directus):
    keys = [note["uid"] for note in directus.admin.get("/items/notes", limit=-1)]
    if keys:
        directus.admin.delete("/items/notes", keys)


@pytest.fixture
def articles(admin):
    """Twelve articles; their keys, ascending."""
    made = admin.post("/items/articles", [{"title": f"article {i}", "content": f"content {i}"} for i in range(12)])
    return sorted(item["id"] for item in made)


@pytest.fixture
def ours(flow_worker, directus):
    """ours(operation, options) -> the result of exec: {"status", "last", "error", …}"""

    def run(operation, options, token=WORKER_TOKEN, **env):
        job = json.dumps({"operation": operation, "options": options})
        done = flow_worker("exec", "-", stdin=job, DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=token, **env)
        return done.json

    return run


@pytest.fixture
def theirs(admin):
    """theirs(operation, options) -> what the same operation leaves as $last in a flow of Directus itself."""

    def run(operation, options):
        flow = admin.create_flow({
            "name": "beside", "trigger": "webhook", "options": {"method": "POST", "return": "$last"},
            "operations": [{"type": operation, "key": "it", "options": {"permissions": "$full", "emitEvents": True, **options}}],
        })
        admin.raw("POST", f"/flows/trigger/{flow}", json={})
        data = wait_for(lambda: admin.flow_runs(flow), "the flow has run")[0]["data"]
        admin.delete(f"/flows/{flow}")
        return data["it"]

    return run


def fill(value, keys):
    """"#0" stands for the first article's key, in texts and lists."""
    if isinstance(value, str) and value.startswith("#"):
        return keys[int(value[1:])]
    if isinstance(value, list):
        return [fill(item, keys) for item in value]
    if isinstance(value, dict):
        return {name: fill(item, keys) for name, item in value.items()}
    return value


SAME = {
    "update, nothing": ("item-update", {}),
    "update, payload only": ("item-update", {"payload": {"title": "x"}}),
    "update, one key": ("item-update", {"key": ["#0"], "payload": {"title": "x"}}),
    "update, many keys": ("item-update", {"key": ["#10", "#9", "#2"], "payload": {"title": "x"}}),
    "update, by query": ("item-update", {"query": {"filter": {"id": {"_in": ["#3", "#11"]}}}, "payload": {"title": "x"}}),
    "update, by query with a limit": ("item-update", {"query": {"sort": ["id"], "limit": 3}, "payload": {"title": "x"}}),
    "update, batch": ("item-update", {"payload": [{"id": "#5", "title": "b"}, {"id": "#1", "title": "a"}]}),
    "update, empty batch": ("item-update", {"payload": []}),
    "update, empty payload": ("item-update", {"key": ["#1"], "payload": {}}),
    "read, one key": ("item-read", {"key": ["#0"]}),
    "read, many keys": ("item-read", {"key": ["#2", "#1"], "query": {"fields": ["id", "title"]}}),
    "read, by query": ("item-read", {"query": {"fields": ["id"], "sort": ["-id"], "limit": 4}}),
    "read, all": ("item-read", {"query": {"fields": ["id"], "limit": -1}}),
    "read, everything": ("item-read", {}),
    "read, empty key": ("item-read", {"key": "", "query": {"fields": ["id"]}}),
    "read, an aggregate": ("item-read", {"query": {"aggregate": {"count": "*"}}}),
    "read, one key with fields": ("item-read", {"key": ["#0"], "query": {"fields": ["title"]}}),
}

# Directus 12.3 changed what an update without a target or a payload does; ours does it as 12.3, whatever it talks to.
BEFORE_12_3 = os.environ.get("FLOW_WORKER_TEST_DIRECTUS", "12.4.0").startswith("11.")
OTHER_BEFORE = {"update, payload only", "update, empty batch", "update, empty payload",
                "update, key and query", "update, batch and key", "update, batch and query", "delete, key and query"}


def rows(table):
    other = pytest.mark.skipif(BEFORE_12_3, reason="this Directus is older than 12.3, and does something else here")
    return [pytest.param(*row, id=name, marks=other if name in OTHER_BEFORE else ()) for name, row in table.items()]


@pytest.mark.parametrize("operation, options", rows(SAME))
def test_the_result_is_that_of_directus(articles, ours, theirs, operation, options):
    options = {"collection": "articles", **fill(options, articles)}
    result = ours(operation, options)
    assert result["status"] == "done", result
    assert result["last"] == theirs(operation, options)


REFUSED = {
    "update, key and query": ("item-update", {"key": ["#0"], "query": {"limit": 1}, "payload": {"title": "x"}}),
    "update, batch and key": ("item-update", {"key": ["#0"], "payload": [{"id": 1, "title": "x"}]}),
    "update, batch and query": ("item-update", {"query": {"limit": 1}, "payload": [{"id": 1, "title": "x"}]}),
    "update, a long text": ("item-update", {"key": ["#0"], "payload": {"meta_description": "y" * 300}}),
    "update, no such collection": ("item-update", {"collection": "nosuch", "key": [1], "payload": {"title": "x"}}),
    "read, no such item": ("item-read", {"key": [999999]}),
    "delete, key and query": ("item-delete", {"key": ["#0"], "query": {"limit": 1}}),
}


@pytest.mark.parametrize("operation, options", rows(REFUSED))
def test_what_directus_refuses_is_refused_with_its_code(articles, ours, theirs, operation, options):
    options = {"collection": "articles", **fill(options, articles)}
    result = ours(operation, options)
    assert result["status"] == "dead", result
    their_message = theirs(operation, options)["message"]
    assert result["error"]["code"] in ("INVALID_PAYLOAD", "VALUE_TOO_LONG", "FORBIDDEN")
    if result["error"]["code"] != "FORBIDDEN":  # the worker is no admin: it is told less
        assert result["error"]["message"][:60] == their_message[:60]


def test_writes_are_there(admin, articles, ours):
    assert ours("item-update", {"collection": "articles", "key": f"{articles[0]},{articles[1]}", "payload": {"title": "both"}})["last"] == \
        sorted([str(articles[0]), str(articles[1])])
    titles = [admin.get(f"/items/articles/{key}")["title"] for key in articles[:3]]
    assert titles == ["both", "both", "article 2"]
    made = ours("item-create", {"collection": "articles", "payload": [{"title": "n1"}, {"title": "n2"}]})["last"]
    assert [admin.get(f"/items/articles/{key}")["title"] for key in made] == ["n1", "n2"]


def test_a_uuid_key_follows_from_the_job_and_a_repeat_is_no_duplicate(admin, notes, redis, queue, connected):
    connected()
    job = {"operations": [{"operation": "item-create", "key": "make", "options": {
        "collection": "notes", "payload": [{"text": "{{$trigger.text}} b"}, {"text": "{{$trigger.text}} a"}]}}], "trigger": {"text": "t"}}
    first = queue.run(job, id="note-1")
    assert first["status"] == "done", first
    assert [admin.get(f"/items/notes/{key}")["text"] for key in first["last"]] == ["t b", "t a"]
    redis.client.flushall()  # as after a loss of the queue: nobody knows of the first run
    again = queue.run(job, id="note-1")
    assert (again["status"], again["last"]) == ("done", first["last"])
    assert len(admin.get("/items/notes")) == 2
    other = queue.run(job, id="note-2")  # another job: the unique text is a real conflict
    assert (other["status"], other["error"]["code"]) == ("dead", "RECORD_NOT_UNIQUE")


def test_delete_by_key_list_and_query(admin, notes, ours):
    made = ours("item-create", {"collection": "notes", "payload": [{"text": t} for t in "abcd"]})["last"]
    assert ours("item-delete", {"collection": "notes", "key": made[0]})["last"] == made[0]
    assert ours("item-delete", {"collection": "notes", "query": {"filter": {"text": {"_eq": "b"}}}})["last"] == [made[1]]
    assert ours("item-delete", {"collection": "notes", "key": made[2:]})["last"] == sorted(made[2:])
    assert admin.get("/items/notes") == []
    assert ours("item-delete", {"collection": "notes", "query": {"filter": {"text": {"_eq": "b"}}}})["last"] == []


def test_more_rows_than_a_page_are_all_read(admin, articles, ours):
    for _ in range(3):
        admin.post("/items/articles", [{"title": "bulk"} for _ in range(150)])
    rows = ours("item-read", {"collection": "articles", "query": {"limit": -1, "fields": ["id"]}})["last"]
    assert [row["id"] for row in rows] == sorted(item["id"] for item in admin.get("/items/articles", limit=-1, fields="id"))
    assert len(rows) == 462
    assert len(ours("item-read", {"collection": "articles", "query": {"limit": 250, "fields": ["id"]}})["last"]) == 250


def test_an_editor_who_was_faster_is_not_overwritten(admin, articles, ours):
    key = articles[0]
    options = {"collection": "articles", "key": key, "payload": {"summary": "s"}, "ifUnchanged": {"title": "article 0"}}
    assert ours("item-update", options)["last"] == key
    admin.patch(f"/items/articles/{key}", {"title": "edited"})
    refused = ours("item-update", {**options, "payload": {"summary": "overwritten"}})
    assert refused["error"]["code"] == "CONFLICT"
    assert admin.get(f"/items/articles/{key}")["summary"] == "s"


@pytest.mark.parametrize("key", ["", [], [""], "undefined"])
def test_an_empty_key_writes_nothing(admin, articles, ours, key):
    result = ours("item-update", {"collection": "articles", "key": key, "payload": {"title": "overwritten"}})
    assert (result["status"], result["error"]["code"]) == ("dead", "INVALID_PAYLOAD")
    assert all(item["title"] != "overwritten" for item in admin.get("/items/articles", limit=-1))


def test_another_identity_is_refused_unless_the_operator_says_so(admin, articles, ours):
    options = {"collection": "articles", "permissions": "$full", "key": articles[0], "payload": {"title": "x"}}
    refused = ours("item-update", options)
    assert (refused["status"], refused["error"]["code"]) == ("dead", "FORBIDDEN")
    assert ours("item-update", options, WORKER_TRUST_PERMISSIONS="true")["last"] == articles[0]


def test_a_wrong_token_is_told_as_one(articles, ours):
    result = ours("item-read", {"collection": "articles"}, token="wrong-token-0000000000")
    assert (result["status"], result["error"]["code"], result["error"]["status"]) == ("dead", "INVALID_CREDENTIALS", 401)


def test_a_notification_reaches_its_user(admin, ours):
    result = ours("notification", {"recipient": WORKER_USER, "subject": "Done", "message": {"a": 1}}, token=ADMIN_TOKEN)
    assert result["status"] == "done", result
    row = admin.get(f"/notifications/{result['last'][0]}")
    assert (row["recipient"], row["subject"], row["message"]) == (WORKER_USER, "Done", '{"a":1}')


def test_the_key_of_a_deleted_item_is_forbidden(admin, articles, ours):
    admin.delete(f"/items/articles/{articles[0]}")
    with pytest.raises(DirectusError):
        admin.get(f"/items/articles/{articles[0]}")
    result = ours("item-update", {"collection": "articles", "key": articles[0], "payload": {"title": "x"}})
    assert result["error"]["code"] == "FORBIDDEN"
