"""flow-worker connect: from an existing Directus to a first written field."""

import stat

import pytest

from directus import ADMIN_TOKEN, Client, DirectusError, to_article
from processes import wait_for

RUNS = {
    "collection": "worker_runs", "meta": {"icon": "list"}, "schema": {},
    "fields": [
        {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "flow", "type": "string", "schema": {}},
        {"field": "job", "type": "string", "schema": {}},
        {"field": "status", "type": "string", "schema": {}},
        {"field": "date", "type": "timestamp", "schema": {}},
        {"field": "data", "type": "json", "meta": {"interface": "input-code", "special": ["cast-json"]}, "schema": {}},
    ],
}


@pytest.fixture
def connect(flow_worker, directus):
    """connect("--files", name="a") -> the command's answer; the token is in the environment."""

    def run(*options, name, token=ADMIN_TOKEN, **env):
        return flow_worker("connect", directus.url, "--collections", "articles", "--name", name, *options,
                           DIRECTUS_ADMIN_TOKEN=token, LOG_LEVEL="warn", **env)

    run.url = directus.url
    return run


def rights_of(admin, name):
    [policy] = admin.get("/policies", **{"filter[name][_eq]": name, "fields": "id,admin_access,app_access"})
    assert (policy["admin_access"], policy["app_access"]) == (False, False)
    found = admin.get("/permissions", **{"filter[policy][_eq]": policy["id"], "limit": -1})
    return {(p["collection"], p["action"]): p["fields"] for p in found}


def users_of(admin, name):
    return admin.get("/users", **{"filter[first_name][_eq]": name, "fields": "id,status,role.name,role.policies.policy.name"})


def test_the_variables_that_it_writes_lead_to_a_first_written_field(connect, admin, directus, simulator, queue, start_worker, tmp_path):
    env_file = tmp_path / "connect.env"
    env_file.write_text("# mine\nLOG_LEVEL=debug\nDIRECTUS_URL=http://old.example.com\n")
    done = connect("--files", "--write", env_file, name="first-field")
    assert done.status == 0, done.err
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    lines = env_file.read_text().splitlines()
    assert lines[:3] == ["# mine", "LOG_LEVEL=debug", f"DIRECTUS_URL={directus.url}"]
    variables = dict(line.split("=", 1) for line in lines[2:])
    assert variables["DIRECTUS_TOKEN"] not in done.out + done.err
    assert ADMIN_TOKEN not in env_file.read_text() + done.out + done.err
    [user] = users_of(admin, "first-field")
    assert f"FLOW_WORKER_USER={user['id']}\n" in done.out

    start_worker(DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=variables["DIRECTUS_TOKEN"])
    simulator.answer("Written by the worker")
    key = admin.post("/items/articles", {"title": "Hello"})["id"]
    assert queue.run(to_article(key))["status"] == "done"
    assert admin.get(f"/items/articles/{key}")["meta_description"] == "Written by the worker"


def test_the_user_may_what_was_chosen_and_nothing_else(connect, admin, directus):
    done = connect("--json", name="least")
    worker = Client(directus.url, done.json["worker"]["DIRECTUS_TOKEN"])
    assert rights_of(admin, "least") == {
        ("articles", "read"): ["*"], ("articles", "update"): ["*"],
        ("directus_flows", "read"): ["*"], ("directus_operations", "read"): ["*"],
    }
    key = admin.post("/items/articles", {"title": "Hello"})["id"]
    worker.patch(f"/items/articles/{key}", {"summary": "x"})
    assert worker.get("/flows") == []
    for forbidden in (lambda: worker.delete(f"/items/articles/{key}"), lambda: worker.get("/users", limit=1, fields="email"),
                      lambda: worker.post("/items/articles", {"title": "New"}), lambda: worker.get("/files")):
        with pytest.raises(DirectusError) as refused:
            forbidden()
        assert refused.value.status == 403


def test_twice_makes_nothing_twice_and_adds_what_is_new(connect, admin, tmp_path):
    env_file = tmp_path / "twice.env"
    connect("--write", env_file, name="twice")
    first = env_file.read_text()
    done = connect("--create", "--write", env_file, name="twice")
    assert done.status == 0, done.err
    assert env_file.read_text() == first
    assert rights_of(admin, "twice")[("articles", "create")] == ["*"]
    [user] = users_of(admin, "twice")
    assert [p["policy"]["name"] for p in user["role"]["policies"]] == ["twice"]


def test_secrets_that_are_in_files_stay_there(connect, tmp_path):
    token = connect("--json", name="files").json["worker"]["DIRECTUS_TOKEN"]
    (tmp_path / "token").write_text(token)
    (tmp_path / "secret").write_text("a-secret-that-is-long-enough")
    env_file = tmp_path / "files.env"
    env_file.write_text(
        f"DIRECTUS_URL={connect.url}\nDIRECTUS_TOKEN_FILE={tmp_path}/token\nWORKER_JOB_SECRET_FILE={tmp_path}/secret\n")
    before = env_file.read_text()
    assert connect("--write", env_file, name="files").status == 0
    assert env_file.read_text() == before


def test_a_new_token_takes_the_place_of_the_old_one(connect, directus):
    old = connect("--json", name="token").json["worker"]["DIRECTUS_TOKEN"]
    lost = connect("--json", name="token")
    assert lost.status == 1 and "--new-token" in lost.json["troubles"][0]
    new = connect("--json", "--new-token", name="token").json["worker"]["DIRECTUS_TOKEN"]
    assert Client(directus.url, new).get("/users/me")["id"]
    with pytest.raises(DirectusError):
        Client(directus.url, old).get("/users/me")


def test_single_fields_are_asked_for_and_given_up_where_the_licence_forbids_them(connect, admin, directus):
    done = connect("--fields", "articles:meta_description,summary", "--json", name="fields")
    assert done.status == 0, done.err
    update = rights_of(admin, "fields")[("articles", "update")]
    if directus.version.startswith("11."):
        assert update == ["meta_description", "summary"]
        assert done.json["fieldsRefused"] is False
    else:
        assert update == ["*"]
        assert done.json["fieldsRefused"] is True and "RESOURCE_RESTRICTED" in done.err


def test_a_dry_run_says_what_it_would_do_and_does_nothing(connect, admin):
    done = connect("--dry-run", name="dry")
    assert done.status == 0
    assert "would create policy 'dry'" in done.err and "would create user 'dry'" in done.err
    assert users_of(admin, "dry") == []
    assert admin.get("/policies", **{"filter[name][_eq]": "dry"}) == []


def test_what_is_still_to_be_done_is_said_and_nothing_else(connect):
    done = connect(name="next", REDIS="redis://cache:6379", AI_OPENAI_API_KEY="sk-test")
    assert "set REDIS=" not in done.err and "provider's key" not in done.err
    done = connect(name="next")
    assert "set REDIS=redis://… for the worker: without it, it is redis://127.0.0.1:6379\n" in done.err and "provider's key" in done.err
    done = connect("--json", name="next", REDIS_HOST="cache", REDIS_USERNAME="fw", REDIS_PASSWORD="p@ss/word", REDIS_DB=3)
    assert done.json["directus"]["FLOW_WORKER_REDIS"] == "redis://fw:p%40ss%2Fword@cache:6379/3"


def test_the_extension_is_found_and_who_it_listens_to_is_said(connect):
    done = connect("--json", name="extension")
    assert "does not know this user yet: set FLOW_WORKER_USER" in done.json["extension"]


def test_wrong_collections_fields_and_tokens_change_nothing(flow_worker, connect, directus, admin):
    done = flow_worker("connect", directus.url, "--collections", "artcles", DIRECTUS_ADMIN_TOKEN=ADMIN_TOKEN)
    assert done.status == 1 and "do you mean 'articles'?" in done.err
    done = connect("--fields", "articles:titel", name="wrong")
    assert done.status == 1 and "do you mean 'title'?" in done.err
    assert flow_worker("connect", directus.url).status == 2
    done = connect(name="wrong", token=directus.worker_token)
    assert done.status == 1 and "no administrator" in done.err
    done = connect(name="wrong", token="wrong-token")
    assert done.status == 1 and "INVALID_CREDENTIALS" in done.err
    assert users_of(admin, "wrong") == []


def test_runs_are_written_into_a_collection_that_connect_has_opened(connect, admin, directus, queue, start_worker):
    admin.post("/collections", RUNS)
    try:
        done = connect("--json", name="runs", WORKER_RUN_LOG_COLLECTION="worker_runs")
        assert done.status == 0, done.err
        start_worker(DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=done.json["worker"]["DIRECTUS_TOKEN"],
                     WORKER_RUN_LOG_COLLECTION="worker_runs")
        id = queue.enqueue({"operations": [{"type": "transform", "key": "one", "options": {"json": {"a": "ü"}}}], "trigger": {"x": 1}})
        [run] = wait_for(lambda: admin.get("/items/worker_runs"), "the run is written")
        assert (run["job"], run["status"]) == (id, "done") and run["date"]
        assert [(s["key"], s["status"], s["options"]) for s in run["data"]["steps"]] == [("one", "resolve", {"json": {"a": "ü"}})]
        assert run["data"]["data"]["one"] == {"a": "ü"} and run["data"]["data"]["$trigger"] == {"x": 1}
    finally:
        admin.delete("/collections/worker_runs")


def test_a_user_is_notified_of_failures(connect, admin, directus, queue, start_worker):
    me = admin.get("/users/me")["id"]
    done = connect("--notifications", "--json", name="notify")
    start_worker(DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=done.json["worker"]["DIRECTUS_TOKEN"], WORKER_ON_DEAD=f"directus:{me}")
    queue.run({"operation": "throw-error", "options": {"code": "MY_CODE", "message": "m"}})
    [told] = wait_for(lambda: admin.get("/notifications", **{"filter[subject][_contains]": "flow-worker"}), "the notification")
    assert told["recipient"] == me and "MY_CODE (1)" in told["message"]


def test_doctor_finds_nothing_wrong_with_what_connect_has_made(connect, directus, redis, simulator, flow_worker):
    token = connect("--json", name="doctor").json["worker"]["DIRECTUS_TOKEN"]
    done = flow_worker("doctor", "--json", DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=token)
    said = {c["check"]: c for c in done.json["checks"]}
    assert [said[c]["status"] for c in ("directus", "directus-token", "directus-version", "directus-admin", "directus-rights")] == ["good"] * 5
    assert directus.version in said["directus-version"]["found"]
    assert said["extension"]["status"] == "bad" and "FLOW_WORKER_USER=" in said["extension"]["fix"]
    done = flow_worker("doctor", "--json", DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=directus.worker_token)
    assert {c["check"]: c["status"] for c in done.json["checks"]}["extension"] == "good"
