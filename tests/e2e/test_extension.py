"""The Directus extension: what it sends, how it waits, and what its endpoint allows. The test itself plays the worker:
it reads the door and answers, so every byte of a job is seen."""

import concurrent.futures
import hashlib
import hmac
import json
import time

import pytest

from redis.exceptions import ConnectionError

from directus import ADMIN_TOKEN, JOB_SECRET, WORKER_USER, Client, DirectusError
from processes import wait_for

PREFIX = "{flow-worker}:"


class Answerer:
    """A worker of one thread: takes jobs from the door and ends each with what `answer(job)` gives."""

    def __init__(self, client):
        self.client, self.jobs, self.last = client, [], "0-0"

    def take(self, timeout=20):
        """The next job: its fields, with `job` as the object in the body."""
        def read():
            found = self.client.xread({PREFIX + "in": self.last}, count=1)
            return found[0][1][0] if found else None
        self.last, fields = wait_for(read, "a job at the door", timeout)
        return {**fields, "job": json.loads(fields["body"])}

    def end(self, taken, last=None, status="done", **more):
        self.client.set(f"{PREFIX}res:{taken['id']}", json.dumps({"id": taken["id"], "status": status, "last": last, **more}))
        if "reply_to" in taken:
            self.client.xadd(taken["reply_to"], {"id": taken["id"], "status": status})


@pytest.fixture
def answerer(redis):
    return Answerer(redis.client)


def ai_flow(options, trigger="webhook", flow_options=None, **operation):
    return {
        "name": "ai", "trigger": trigger, "options": flow_options or {"method": "POST", "return": "$last"},
        "operations": [{"type": "ai-generate", "key": "seo", "options": options, **operation}],
    }


def in_background(work):
    return concurrent.futures.ThreadPoolExecutor(1).submit(work)


def test_a_flow_waits_and_goes_on_with_the_answer(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "Say {{$trigger.body.what}}", "model": "gpt-4.1"}))
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {"what": "hello"}))
    taken = answerer.take()
    assert taken["job"]["operation"] == "ai-generate"
    assert taken["job"]["key"] == "seo"
    assert taken["tenant"] == flow
    answerer.end(taken, {"content": "Hello!"})
    assert answer.result(20) == {"content": "Hello!"}


def test_options_are_sent_as_stored_and_never_rendered_twice(admin, answerer):
    title = "{{$accountability.user}} <<$accountability>> \"quoted\"\n😀"
    flow = admin.create_flow(ai_flow({"prompt": "About: {{$trigger.body.title}} | {{ $trigger.body.x | truncate(3) }}"}))
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {"title": title, "x": "12345"}))
    taken = answerer.take()
    assert taken["job"]["options"]["prompt"] == "About: {{$trigger.body.title}} | {{ $trigger.body.x | truncate(3) }}"
    assert taken["job"]["trigger"]["body"]["title"] == title
    assert "rendered" not in taken["job"]
    answerer.end(taken)
    answer.result(20)


def test_options_are_found_in_a_flow_that_another_flow_started(admin, answerer):
    child = admin.create_flow(ai_flow({"prompt": "Child: {{$trigger.title}}"}, "operation", {"return": "$last"}))
    parent = admin.create_flow({
        "name": "parent", "trigger": "webhook", "options": {"method": "POST", "return": "$last"},
        "operations": [{"type": "trigger", "key": "start", "options": {
            "flow": child, "payload": {"title": "{{$trigger.body.title}}"}}}],
    })
    answer = in_background(lambda: admin.post(f"/flows/trigger/{parent}", {"title": "T"}))
    taken = answerer.take()
    assert taken["job"]["options"] == {"prompt": "Child: {{$trigger.title}}"}
    assert taken["job"]["trigger"] == {"title": "T"}
    answerer.end(taken, {"content": "from the child"})
    assert answer.result(20) == {"content": "from the child"}


def test_the_second_of_two_operations_alike_is_told_from_the_first(admin, answerer):
    flow = admin.create_flow({
        "name": "two", "trigger": "webhook", "options": {"method": "POST", "return": "$last"},
        "operations": [
            {"type": "ai-generate", "key": "one", "options": {"prompt": "{{$last.body.x}}"}, "resolve": "two"},
            {"type": "ai-generate", "key": "two", "options": {"prompt": "{{one.content}}"}},
        ],
    })
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {"x": "same"}))
    first = answerer.take()
    assert (first["job"]["key"], first["job"]["options"]) == ("one", {"prompt": "{{$last.body.x}}"})
    answerer.end(first, {"content": "same"})
    second = answerer.take()
    assert (second["job"]["key"], second["job"]["options"]) == ("two", {"prompt": "{{one.content}}"})
    assert second["job"]["data"] == {"$last": {"content": "same"}, "one": {"content": "same"}}
    answerer.end(second, {"content": "done"})
    assert answer.result(20) == {"content": "done"}


def test_tokens_cookies_and_headers_never_leave_directus(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "{{$trigger.body.note}}"}, "manual", {"collections": ["articles"]}))
    key = admin.post("/items/articles", {"title": "x"})["id"]
    answer = in_background(lambda: admin.call(
        "POST", f"/flows/trigger/{flow}?note=kept", headers={"Cookie": "session=cookie-secret-0009"},
        json={"collection": "articles", "keys": [key], "note": "kept", "password": "password-secret-0010"}))
    taken = answerer.take()
    for secret in (ADMIN_TOKEN, "cookie-secret-0009", "password-secret-0010", JOB_SECRET):
        assert secret not in json.dumps(taken)
    assert taken["job"]["trigger"]["body"] == {"collection": "articles", "keys": [key], "note": "kept"}
    assert "headers" not in taken["job"]["trigger"]
    assert "$env" not in taken["job"]["data"]
    assert taken["job"]["accountability"]["admin"] is True
    answerer.end(taken)
    answer.result(20)


def test_jobs_are_signed_over_their_exact_bytes(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "ü{{$trigger.body.x}}", "wait": False}))
    answer = admin.post(f"/flows/trigger/{flow}", {"x": "😀"})
    taken = answerer.take()
    assert answer == {"jobId": taken["id"]}
    text, signature = taken["body"][:-75] + "}", taken["body"][-66:-2]
    assert hmac.new(JOB_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest() == signature
    assert list(taken["job"])[-1] == "sign"


def test_a_failed_job_takes_the_reject_path_with_a_readable_error(admin, answerer):
    flow = admin.create_flow({
        "name": "rejected", "trigger": "webhook", "options": {"method": "POST", "return": "told"},
        "operations": [
            {"type": "ai-generate", "key": "seo", "options": {"prompt": "x"}, "reject": "told"},
            {"type": "transform", "key": "told", "options": {"json": {"text": "{{seo.code}} ({{seo.status}}): {{seo.message}}"}}},
        ],
    })
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {}))
    answerer.end(answerer.take(), status="dead", error={
        "code": "RATE_LIMIT_EXCEEDED", "message": "gave up after 6 attempts", "status": 429, "provider": "openai"})
    assert answer.result(20) == {"text": "RATE_LIMIT_EXCEEDED (429): gave up after 6 attempts"}


def test_a_flow_stops_waiting_and_the_job_goes_on(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "x", "waitTimeout": 1}, flow_options={
        "method": "POST", "return": "$last", "error_on_reject": True}))
    with pytest.raises(DirectusError) as rejected:
        admin.post(f"/flows/trigger/{flow}", {})
    taken = answerer.take()
    assert (rejected.value.status, rejected.value.code) == (504, "WAIT_TIMEOUT")
    assert taken["id"] in rejected.value.text
    assert answerer.client.xlen(PREFIX + "in") == 1


def test_the_result_is_saved_by_a_second_step_of_the_job(admin, answerer):
    flow = admin.create_flow(ai_flow({
        "prompt": "{{$trigger.body.x}}", "saveCollection": "articles", "saveKey": "{{$trigger.body.key}}",
        "saveField": "meta_description", "wait": False, "system": None, "attachments": [
            {"file": {"collection": "directus_files", "key": "f1"}}, {"fileId": "{{$trigger.image}}"}]}))
    admin.post(f"/flows/trigger/{flow}", {"x": "X", "key": 1})
    job = answerer.take()["job"]
    assert job["operations"] == [
        {"type": "ai-generate", "key": "seo", "resolve": "seo_save", "options": {
            "prompt": "{{$trigger.body.x}}",
            "attachments": [{"type": "file", "fileId": "f1"}, {"type": "file", "fileId": "{{$trigger.image}}"}]}},
        {"type": "item-update", "key": "seo_save", "options": {
            "collection": "articles", "key": "{{$trigger.body.key}}", "payload": {"meta_description": "{{$last.content}}"}}},
    ]
    assert job["return"] == "seo"


def test_a_whole_flow_is_handed_over(admin, answerer):
    target = admin.create_flow(ai_flow({"prompt": "x"}, "operation", {}))
    flow = admin.create_flow({
        "name": "hand over", "trigger": "event",
        "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
        "operations": [{"type": "flow-worker-run", "key": "run", "options": {"flow": target, "wait": False}}],
    })
    key = admin.post("/items/articles", {"title": "{{$env}} <<$accountability>>"})["id"]
    taken = answerer.take()
    assert taken["job"]["flow"] == target
    assert taken["job"]["trigger"]["key"] == key
    assert taken["job"]["trigger"]["payload"] == {"title": "{{$env}} <<$accountability>>"}
    assert wait_for(lambda: admin.flow_runs(flow), "the run is in the log")[0]["data"]["$last"] == {"jobId": taken["id"]}


def test_a_batch_over_the_chosen_items_is_one_job(admin, answerer):
    target = admin.create_flow(ai_flow({"prompt": "x"}, "operation", {}))
    flow = admin.create_flow({
        "name": "batch", "trigger": "manual", "options": {"collections": ["articles"]},
        "operations": [{"type": "flow-worker-batch", "key": "each", "options": {
            "collection": "articles", "flow": target, "filter": {"title": {"_nnull": True}},
            "keys": "{{$trigger.body.keys}}", "budget": 2.5, "limit": 100, "name": "Alle"}}],
    })
    keys = [item["id"] for item in admin.post("/items/articles", [{"title": "a"}, {"title": "b"}])]
    answer = admin.post(f"/flows/trigger/{flow}", {"collection": "articles", "keys": keys})
    taken = answerer.take()
    assert answer == {"jobId": taken["id"]}
    assert taken["lane"] == "2"
    assert taken["job"]["batch"] == {
        "collection": "articles", "flow": target, "budget": 2.5, "limit": 100, "name": "Alle",
        "notify": admin.get("/users/me")["id"],
        "filter": {"_and": [{"title": {"_nnull": True}}, {"id": {"_in": keys}}]}}


def test_what_the_worker_caused_is_counted_in_the_chain(directus, admin, answerer):
    admin.create_flow(ai_flow({"prompt": "x", "wait": False}, "event", {
        "type": "action", "scope": ["items.update"], "collections": ["articles"]}))
    key = admin.post("/items/articles", {"title": "x"})["id"]
    directus.worker.call("PATCH", f"/items/articles/{key}", json={"title": "y"}, headers={
        "User-Agent": "flow-worker/0.1.0 (job j1; chain c1; depth 2)"})
    assert answerer.take()["job"]["chain"] == {"id": "c1", "depth": 3}


def test_200_waiting_flows_do_not_hold_directus_up(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "{{$trigger.body.n}}", "waitTimeout": 60}))
    with concurrent.futures.ThreadPoolExecutor(210) as pool:
        answers = [pool.submit(lambda n=n: admin.raw("POST", f"/flows/trigger/{flow}", json={"n": n})) for n in range(205)]
        taken = [answerer.take(60) for _ in range(200)]
        started = time.monotonic()
        assert admin.get("/items/articles") == []
        assert admin.raw("GET", "/server/ping").text == "pong"
        assert time.monotonic() - started < 20
        blocked = [c for c in answerer.client.client_list() if c["cmd"] == "xread" and c["name"].startswith("directus")]
        assert len(blocked) == 1
        for job in taken:
            answerer.end(job, {"content": job["job"]["trigger"]["body"]["n"]})
        results = [answer.result().json() for answer in answers]
    contents = sorted(r["content"] for r in results if "content" in r)
    refused = [r for r in results if r.get("code") == "SERVICE_UNAVAILABLE"]
    assert (len(contents), len(set(contents)), len(refused)) == (200, 200, 5)


def test_a_blocking_flow_waits_briefly_and_only_in_few_places(admin, answerer):
    admin.create_flow(ai_flow({"prompt": "x", "waitTimeout": 3600}, "event", {
        "type": "filter", "scope": ["items.create"], "collections": ["articles"]}))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        started = time.monotonic()
        saves = [pool.submit(lambda: admin.raw("POST", "/items/articles", json={"title": "x"})) for _ in range(12)]
        answerer.take()
        assert admin.get("/items/articles") == []
        codes = [save.result().json()["errors"][0]["extensions"]["code"] for save in saves]
        assert time.monotonic() - started < 40
    assert set(codes) == {"WAIT_TIMEOUT", "SERVICE_UNAVAILABLE"}
    assert codes.count("WAIT_TIMEOUT") == 5


def test_a_restart_of_redis_loses_and_doubles_nothing(admin, redis, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "x"}))
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {"n": 1}))
    taken = answerer.take()
    redis.kill()
    late = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {"n": 2}))
    assert refused_by_redis(redis)
    redis.start()
    second = wait_for(lambda: _take_or_none(answerer), "the second job")
    answerer.end(taken, {"content": "1"})
    answerer.end(second, {"content": "2"})
    assert (answer.result(30), late.result(30)) == ({"content": "1"}, {"content": "2"})
    ids = [fields["id"] for _, fields in answerer.client.xrange(PREFIX + "in")]
    assert set(ids) == {taken["id"], second["id"]}


def refused_by_redis(redis):
    """Long enough for Directus to have tried in vain."""
    with pytest.raises(ConnectionError):
        wait_for(lambda: redis.client.ping() and None, "nothing", 1)
    return True


def _take_or_none(answerer):
    try:
        return answerer.take(0.2)
    except Exception:  # Redis is away, or nothing is there yet
        return None


def test_an_answer_whose_reply_was_lost_is_found(admin, answerer):
    flow = admin.create_flow(ai_flow({"prompt": "x"}))
    answer = in_background(lambda: admin.post(f"/flows/trigger/{flow}", {}))
    taken = answerer.take()
    del taken["reply_to"]
    answerer.end(taken, {"content": "found"})
    assert answer.result(20) == {"content": "found"}


# --- the endpoint ----------------------------------------------------------------------------------------------------


def update_flow(**options):
    return {
        "name": "write", "trigger": "operation", "options": {},
        "operations": [{"type": "item-update", "key": "write", "options": {
            "collection": "articles", "key": "{{$trigger.id}}", "payload": {"meta_description": "x"}, **options}}],
    }


def write(client, flow, key, text="by the worker", **more):
    return client.post("/flow-worker/items", {
        "flow": flow, "operation": "write", "job": "j1", "key": key, "payload": {"meta_description": text}, **more})


def refused(work):
    with pytest.raises(DirectusError) as error:
        work()
    return error.value.status, error.value.code


def test_only_the_workers_user_may_call_the_endpoint(directus, admin):
    assert directus.worker.get("/flow-worker")["protocol"] == 1
    flow = admin.create_flow(update_flow(permissions="$full"))
    for other in (admin, Client(directus.url)):
        assert refused(lambda: other.get("/flow-worker")) == (403, "FORBIDDEN")
        assert refused(lambda: write(other, flow, 1)) == (403, "FORBIDDEN")
        assert refused(lambda: other.post("/flow-worker/runs", {})) == (403, "FORBIDDEN")


def test_permissions_are_those_of_the_stored_flow(directus, admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    full = admin.create_flow(update_flow(permissions="$full"))
    public = admin.create_flow(update_flow(permissions="$public"))
    assert write(directus.worker, full, key, "full") == key
    assert admin.get(f"/items/articles/{key}")["meta_description"] == "full"
    assert refused(lambda: write(directus.worker, public, key, permissions="$full")) == (403, "FORBIDDEN")
    role = admin.get("/roles", **{"filter[name][_eq]": "AI worker"})[0]["id"]
    by_role = admin.create_flow(update_flow(permissions=role))
    assert write(directus.worker, by_role, [key], "role") == key


def test_a_user_is_acted_for_only_in_a_signed_job(directus, admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    flow = admin.create_flow(update_flow())
    me = admin.get("/users/me")["id"]
    assert refused(lambda: write(directus.worker, flow, key, user=me)) == (403, "FORBIDDEN")
    assert write(directus.worker, flow, key, "mine", user=me, signed=True) == key
    assert write(directus.worker, flow, key, "his", user=WORKER_USER, signed=True) == key
    assert refused(lambda: write(directus.worker, flow, key, signed=True)) == (403, "FORBIDDEN")
    activity = admin.get("/activity", **{"filter[collection][_eq]": "articles", "filter[action][_eq]": "update", "sort": "id"})
    assert [a["user"] for a in activity][-2:] == [me, WORKER_USER]


def test_the_worker_itself_may_write_with_its_own_rights_without_a_signature(directus, admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    flow = admin.create_flow(update_flow())
    assert write(directus.worker, flow, key, "own", user="$worker") == key
    activity = admin.get("/activity", **{"filter[collection][_eq]": "articles", "filter[action][_eq]": "update", "sort": "-id"})
    assert activity[0]["user"] == WORKER_USER
    users = admin.create_flow({**update_flow(), "operations": [{"type": "item-update", "key": "write", "options": {
        "collection": "directus_users", "key": WORKER_USER, "payload": {"title": "x"}}}]})
    assert refused(lambda: directus.worker.post("/flow-worker/items", {
        "flow": users, "operation": "write", "job": "j", "key": WORKER_USER, "payload": {"title": "x"}, "user": "$worker"})) == (403, "FORBIDDEN")


def test_only_what_is_stored_and_active_is_carried_out(directus, admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    flow = admin.create_flow(update_flow(permissions="$full"))
    assert refused(lambda: write(directus.worker, flow, key, collection="directus_users")) == (403, "FORBIDDEN")
    assert refused(lambda: write(directus.worker, flow, key, operation="other")) == (403, "FORBIDDEN")
    assert refused(lambda: write(directus.worker, "not-a-flow", key)) == (403, "FORBIDDEN")
    admin.patch(f"/flows/{flow}", {"status": "inactive"})
    assert refused(lambda: write(directus.worker, flow, key)) == (403, "FORBIDDEN")


def test_events_are_sent_only_if_the_operation_says_so(directus, admin):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    watcher = admin.create_flow({
        "name": "watch", "trigger": "event", "options": {"type": "action", "scope": ["items.update"], "collections": ["articles"]},
        "operations": [{"type": "transform", "key": "seen", "options": {"json": "{{$trigger.payload}}"}}]})
    quiet, loud = admin.create_flow(update_flow(permissions="$full")), admin.create_flow(update_flow(permissions="$full", emitEvents=True))
    write(directus.worker, quiet, key, "quiet")
    write(directus.worker, loud, key, "loud")
    runs = wait_for(lambda: admin.flow_runs(watcher), "the event flow has run")
    assert [run["data"]["seen"] for run in runs] == [{"meta_description": "loud"}]


def test_results_are_those_of_directus_own_operation(directus, admin):
    keys = [item["id"] for item in admin.post("/items/articles", [{"title": t} for t in "abc"])]
    flow = admin.create_flow(update_flow(permissions="$full"))
    send = lambda **what: directus.worker.post("/flow-worker/items", {"flow": flow, "operation": "write", "job": "j", **what})
    payload = {"meta_description": "x"}
    assert send(key=str(keys[0]), payload=payload) == str(keys[0])
    assert send(query={"filter": {"title": {"_in": ["a", "b"]}}}, payload=payload) == keys[:2]
    assert send(payload=payload) is None
    assert send(key=[], payload=payload) is None
    assert send(key=keys[0], payload={}) is None
    assert send(payload=[{"id": keys[2], "title": "C"}]) == [keys[2]]
    assert refused(lambda: send(key=keys[0], query={"limit": 1}, payload=payload)) == (400, "INVALID_PAYLOAD")
    assert refused(lambda: send(key=[[1]], payload=payload)) == (400, "INVALID_PAYLOAD")


def test_a_run_of_the_worker_is_in_the_flows_log(directus, admin):
    flow = admin.create_flow(update_flow())
    run = {"flow": flow, "job": "job-7", "user": admin.get("/users/me")["id"],
           "steps": [{"key": "write", "status": "resolve", "options": {"key": 1}}],
           "data": {"$trigger": {"id": 1, "headers": {"authorization": "Bearer secret-0011"}}, "$last": 1, "write": 1}}
    first = directus.worker.post("/flow-worker/runs", run)
    assert directus.worker.post("/flow-worker/runs", run) == first
    runs = admin.flow_runs(flow)
    assert len(runs) == 1
    operation = admin.get(f"/flows/{flow}", fields="operations.id")["operations"][0]["id"]
    assert runs[0]["steps"] == [{"operation": operation, "key": "write", "status": "resolve", "options": {"key": 1}}]
    assert runs[0]["data"]["write"] == 1
    assert "secret-0011" not in json.dumps(runs)
    assert runs[0]["activity"]["user"] == run["user"]


def test_the_forms_offer_what_the_worker_has(directus, admin, redis, connected):
    assert refused(lambda: directus.worker.get("/flow-worker/offer")) == (403, "FORBIDDEN")
    assert admin.get("/flow-worker/offer") is None
    connected(AI_ANTHROPIC_ENABLED="false", AI_OPENAI_ALLOWED_MODELS="gpt-4.1,my-model")
    offer = wait_for(lambda: admin.get("/flow-worker/offer"), "the worker's offer")
    models = {p["id"]: [m["id"] for m in p["models"]] for p in offer["providers"]}
    assert sorted(models["openai"]) == ["gpt-4.1", "my-model"]
    assert "google" in models and "anthropic" not in models
    assert "sk-test" not in json.dumps(offer)
