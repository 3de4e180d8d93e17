"""As whom the worker acts. Whoever can write into Redis is not thereby an admin: what a job says of itself is data. With
the extension a flow that is stored in Directus acts as it says there, and for the user whom a signed job names."""

import hashlib
import hmac
import json

import pytest

from directus import JOB_SECRET, WORKER_USER
from processes import wait_for


def signed(job, secret=JOB_SECRET):
    text = json.dumps(job)
    return f'{text[:-1]},"sign":"{hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"}}'


def deleting(**options):
    """The worker's own user may not delete."""
    return {"name": "delete", "trigger": "operation", "options": {}, "operations": [
        {"type": "item-delete", "key": "gone", "options": {"collection": "articles", "key": "{{$trigger.id}}", **options}}]}


@pytest.fixture
def article(admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]

    class Article:
        id = key

        @staticmethod
        def exists():
            return bool(admin.get("/items/articles", **{"filter[id][_eq]": key}))

    return Article


@pytest.fixture
def me(admin):
    return admin.get("/users/me")["id"]


@pytest.fixture(autouse=True)
def worker(connected):
    return connected()


def assert_forbidden(result, article):
    assert (result["status"], result["error"]["code"]) == ("dead", "FORBIDDEN"), result
    assert article.exists()


def test_a_stored_flow_acts_with_the_rights_it_is_stored_with(admin, queue, article):
    flow = admin.create_flow(deleting(permissions="$full"))
    result = queue.run({"flow": flow, "trigger": {"id": article.id}})
    assert (result["status"], result["last"]) == ("done", article.id), result
    assert not article.exists()


def test_a_flow_of_the_jobs_own_has_the_workers_rights_only(queue, article):
    assert_forbidden(queue.run({"flow": deleting(permissions="$full"), "trigger": {"id": article.id}}), article)
    assert_forbidden(queue.run({"flow": deleting(), "trigger": {"id": article.id}}), article)


def test_a_job_cannot_borrow_the_name_of_a_stored_flow(admin, queue, article):
    flow = admin.create_flow(deleting(permissions="$full"))
    borrowed = {**deleting(permissions="$full"), "id": flow}
    assert_forbidden(queue.run({"flow": borrowed, "trigger": {"id": article.id}}), article)


def test_what_a_job_says_of_its_user_is_no_right(admin, queue, article, me):
    flow = admin.create_flow(deleting())
    job = {"flow": flow, "trigger": {"id": article.id}, "accountability": {"user": me, "admin": True}}
    assert_forbidden(queue.run(job), article)
    assert_forbidden(queue.run({**job, "sign": "0" * 64}), article)
    assert_forbidden(queue.run(signed(job, "another secret")), article)
    assert_forbidden(queue.run(signed(job).replace(f'"id": {article.id}', f'"id": {article.id + 0} ')), article)


def test_a_signed_job_acts_as_its_user(admin, queue, article, me):
    flow = admin.create_flow(deleting())
    job = {"flow": flow, "trigger": {"id": article.id}}
    assert_forbidden(queue.run(signed({**job, "accountability": {"user": None, "role": None}})), article)
    assert_forbidden(queue.run(signed({**job, "accountability": {"user": WORKER_USER}})), article)
    result = queue.run(signed({**job, "accountability": {"user": me}}))
    assert (result["status"], article.exists()) == ("done", False), result
    activity = admin.get("/activity", **{"filter[collection][_eq]": "articles", "filter[action][_eq]": "delete", "sort": "-id"})[0]
    assert activity["user"] == me
    assert activity["user_agent"].startswith("flow-worker/")


def test_writes_of_a_stored_flow_start_event_flows_only_if_it_says_so(admin, queue, article):
    watcher = admin.create_flow({
        "name": "watch", "trigger": "event", "options": {"type": "action", "scope": ["items.update"], "collections": ["articles"]},
        "operations": [{"type": "transform", "key": "seen", "options": {"json": {}}}]})
    for title, emits in (("quiet", False), ("loud", True)):
        flow = admin.create_flow({"name": title, "trigger": "operation", "options": {}, "operations": [
            {"type": "item-update", "key": "write", "options": {
                "collection": "articles", "key": article.id, "payload": {"title": title}, "permissions": "$full",
                "emitEvents": emits}}]})
        result = queue.run({"flow": flow, "trigger": None})
        assert (result["status"], result["last"]) == ("done", article.id), result
    runs = wait_for(lambda: admin.flow_runs(watcher), "the event flow has run")
    assert [run["data"]["$trigger"]["payload"] for run in runs] == [{"title": "loud"}]


def test_a_child_of_a_signed_job_acts_as_its_user_and_one_of_a_forged_job_does_not(admin, queue, article, me):
    child = admin.create_flow({**deleting(), "name": "child", "options": {"return": "$last"}})
    job = {"operation": "trigger", "options": {"flow": child, "payload": {"id": article.id}}, "accountability": {"user": me, "admin": True}}
    assert queue.run(job)["last"]["code"] == "FORBIDDEN"
    assert article.exists()
    result = queue.run(signed(job))
    assert (result["status"], result["last"]) == ("done", article.id), result
    assert not article.exists()


def test_the_workers_own_writes_emit_no_events_if_the_stored_flow_says_so(admin, queue, article):
    """Without a signature: the worker's own rights, and no more of them."""
    watcher = admin.create_flow({
        "name": "watch", "trigger": "event", "options": {"type": "action", "scope": ["items.update"], "collections": ["articles"]},
        "operations": [{"type": "transform", "key": "seen", "options": {"json": {}}}]})
    for title, options in (("unset", {}), ("quiet", {"emitEvents": False}), ("loud", {"emitEvents": True})):
        flow = admin.create_flow({"name": title, "trigger": "operation", "options": {}, "operations": [
            {"type": "item-update", "key": "write", "options": {
                "collection": "articles", "key": article.id, "payload": {"title": title}, **options}}]})
        result = queue.run({"flow": flow, "trigger": None})
        assert (result["status"], result["last"]) == ("done", article.id), result
        update = admin.get("/activity", **{"filter[collection][_eq]": "articles", "filter[action][_eq]": "update", "sort": "-id"})[0]
        assert update["user"] == WORKER_USER
    assert_forbidden(queue.run({"flow": admin.create_flow(deleting(emitEvents=False)), "trigger": {"id": article.id}}), article)
    runs = wait_for(lambda: admin.flow_runs(watcher), "the event flow has run")
    assert [run["data"]["$trigger"]["payload"] for run in runs] == [{"title": "loud"}]


def test_create_and_read_go_the_same_way(admin, queue):
    flow = admin.create_flow({"name": "both", "trigger": "operation", "options": {}, "operations": [
        {"type": "item-create", "key": "make", "resolve": "look", "options": {
            "collection": "articles", "permissions": "$full", "payload": [{"title": "one"}, {"title": "two"}]}},
        {"type": "item-read", "key": "look", "options": {
            "collection": "articles", "permissions": "$full", "key": "{{make}}", "query": {"fields": ["title"]}}}]})
    result = queue.run({"flow": flow, "trigger": None, "return": "$all"})
    assert result["status"] == "done", result
    assert len(result["return"]["make"]) == 2
    assert sorted(row["title"] for row in result["last"]) == ["one", "two"]


def test_a_run_of_the_worker_is_in_the_flows_own_log(admin, queue, me):
    flow = admin.create_flow({"name": "logged", "trigger": "operation", "options": {}, "operations": [
        {"type": "ai-generate", "key": "ask", "options": {"model": "gpt-4.1", "prompt": "About {{$trigger.x}}"}, "resolve": "fail"},
        {"type": "item-update", "key": "fail", "options": {"collection": "nosuch", "key": 1, "payload": {"a": 1}}}]})
    queue.run(signed({"flow": flow, "trigger": {"x": "bread"}, "accountability": {"user": me}}))
    run = wait_for(lambda: admin.flow_runs(flow), "the run is in the log")
    assert len(run) == 1
    assert [(s["key"], s["status"]) for s in run[0]["steps"]] == [("ask", "resolve"), ("fail", "reject")]
    assert run[0]["steps"][0]["options"]["prompt"] == "About bread"
    assert run[0]["data"]["$trigger"] == {"x": "bread"}
    assert run[0]["data"]["ask"]["content"].startswith("SIMULATED")
    assert run[0]["data"]["$last"]["code"] == "FORBIDDEN"
    assert run[0]["activity"]["user"] == me
    stored = {o["key"]: o["id"] for o in admin.get(f"/flows/{flow}", fields="operations.id,operations.key")["operations"]}
    assert [s["operation"] for s in run[0]["steps"]] == [stored["ask"], stored["fail"]]


def test_from_an_event_in_directus_to_the_workers_run_and_back(admin, simulator, me):
    """Everything together: the event flow hands over, the worker asks, writes as the user, and logs."""
    target = admin.create_flow({"name": "target", "trigger": "operation", "options": {}, "operations": [
        {"type": "ai-generate", "key": "ask", "options": {"model": "gpt-4.1", "prompt": "{{$trigger.payload.title}}"}, "resolve": "write"},
        {"type": "item-update", "key": "write", "options": {
            "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta_description": "{{ask.content}}"}}}]})
    admin.create_flow({"name": "hand over", "trigger": "event",
                       "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
                       "operations": [{"type": "flow-worker-run", "key": "run", "options": {"flow": target}}]})
    title = "{{$accountability.user}} <<$accountability>> \"x\""
    simulator.answer("Answer")
    key = admin.post("/items/articles", {"title": title})["id"]
    assert wait_for(lambda: admin.get(f"/items/articles/{key}")["meta_description"], "the description") == "Answer"
    assert simulator.bodies()[0]["messages"][-1]["content"] == title
    assert wait_for(lambda: admin.flow_runs(target), "the run is in the log")[0]["activity"]["user"] == me
    revision = admin.get("/activity", **{"filter[collection][_eq]": "articles", "filter[action][_eq]": "update", "sort": "-id"})[0]
    assert revision["user"] == me


def test_a_manual_flow_in_the_studio_runs_a_batch_over_the_chosen_items(admin, simulator, me):
    target = admin.create_flow({"name": "each", "trigger": "operation", "options": {}, "operations": [
        {"type": "ai-generate", "key": "ask", "options": {"model": "gpt-4.1", "prompt": "About {{$trigger.payload.title}}"}, "resolve": "write"},
        {"type": "item-update", "key": "write", "options": {
            "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta_description": "{{ask.content}}"}}}]})
    flow = admin.create_flow({"name": "batch", "trigger": "manual", "options": {"collections": ["articles"]}, "operations": [
        {"type": "flow-worker-batch", "key": "each", "options": {
            "collection": "articles", "flow": target, "keys": "{{$trigger.body.keys}}", "name": "Chosen"}}]})
    chosen = [i["id"] for i in admin.post("/items/articles", [{"title": f"no. {n}"} for n in range(3)])]
    other = admin.post("/items/articles", {"title": "not chosen"})["id"]
    admin.post(f"/flows/trigger/{flow}", {"collection": "articles", "keys": chosen})
    for n, key in enumerate(chosen):
        text = wait_for(lambda: admin.get(f"/items/articles/{key}")["meta_description"], "the description", 60)
        assert f"About no. {n}" in text
    assert admin.get(f"/items/articles/{other}")["meta_description"] is None
    told = wait_for(lambda: admin.get("/notifications", **{"filter[recipient][_eq]": me, "sort": "-id"}), "the notification", 60)[0]
    assert "Chosen" in told["subject"] + told["message"]
    assert "3" in told["message"]
