"""The main job, end to end: an event of the real Directus, a job in Redis, a provider's answer in the article.

The provider is the simulated one; its answers say what was asked, so a wrong one in an article is seen."""

import json
import pathlib
import subprocess

import pytest

from directus import ADMIN_TOKEN, JOB_SECRET, MODEL, VERSION, WORKER_TOKEN, WORKER_USER, Client, to_article
from processes import wait_for
from worker import SECRETS

FLOW = json.loads((pathlib.Path(__file__).parents[2] / "deploy/flows/meta-description.json").read_text())


def test_the_documented_flow_works_as_it_is_written(admin, simulator, queue, connected):
    key, trigger, accountability = admin.event_of({"title": "Sourdough", "content": "It keeps longer."})
    simulator.answer("A meta description.", contains="Sourdough")
    connected()
    result = queue.run({"flow": FLOW, "trigger": trigger, "accountability": accountability})
    assert result["status"] == "done", result
    assert admin.get(f"/items/articles/{key}")["meta_description"] == "A meta description."
    prompt = simulator.bodies()[0]["messages"][-1]["content"]
    assert prompt == "Generate SEO meta description for: Sourdough \n\n Content: It keeps longer."
    assert result["usage"]["totalTokens"] > 0
    assert result["cost"]["known"] is True and result["cost"]["total"] > 0


def test_one_xadd_by_redis_cli_changes_an_article(admin, redis, connected):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    connected()
    job = json.dumps(to_article(key))
    subprocess.run(["redis-cli", "-p", str(redis.port), "XADD", "{flow-worker}:in", "*", "body", job], check=True, capture_output=True)
    changed = wait_for(lambda: admin.get(f"/items/articles/{key}")["meta_description"], "the article is changed")
    assert changed.startswith("SIMULATED")


TEXTS = {
    "quotes": 'He said "hi", \'bye\' and `so`',
    "newlines": "one\ntwo\r\nthree\ttab\u2028four",
    "emoji": "😀 👩‍👩‍👧 ünï çödé \U0010ffff",
    "backslashes": r"C:\new\table \u0041 \" {\}",
    "templates": "{{$trigger.key}} <<$accountability>> {{ nothing }} << $trigger >>",
    "markup": "<p>a &amp; b</p>\n\n```json\n{\"a\": 1}\n```",
    "200 kB": "Ein längerer Absatz mit \"Zitat\" und 😀.\n" * 4500,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_texts_survive_from_directus_to_the_provider_and_back(admin, simulator, queue, connected, text):
    key, trigger, accountability = admin.event_of({"title": "T", "content": text})
    simulator.answer(text)
    connected()
    flow = to_article("{{$trigger.key}}", "{{$trigger.payload.content}}", {"summary": "{{ask.content}}"})
    result = queue.run({**flow, "trigger": trigger, "accountability": accountability})
    assert result["status"] == "done", result
    article = admin.get(f"/items/articles/{key}")
    assert simulator.bodies()[0]["messages"][-1]["content"] == text
    # The answer's outer white space is not content.
    assert (article["content"], article["summary"].strip()) == (text, text.strip())


def test_a_flow_stored_in_directus_is_run_by_id_and_by_name(admin, simulator, queue, connected):
    key, trigger, accountability = admin.event_of({"title": "T", "content": "C"})
    flow = admin.create_flow({**to_article("{{$trigger.key}}"), "name": "Stored flow", "trigger": "operation"})
    connected()
    for name in (flow, "Stored flow"):
        admin.patch(f"/items/articles/{key}", {"meta_description": None})
        assert queue.run({"flow": name, "trigger": trigger})["status"] == "done"
        assert admin.get(f"/items/articles/{key}")["meta_description"].startswith("SIMULATED")
    admin.patch(f"/flows/{flow}", {"status": "inactive"})
    inactive = queue.run({"flow": flow, "trigger": trigger, "return": "$last"})
    unknown = queue.run({"flow": "No such flow", "trigger": trigger})
    # The first may have been read a moment ago.
    assert unknown["error"]["code"] == "FLOW_NOT_FOUND"
    assert inactive["status"] in ("dead", "done")


# --- bad settings and parts that are down ----------------------------------------------------------------------------


def test_a_wrong_token_is_named(admin, directus, queue, start_worker):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    start_worker(directus=directus, DIRECTUS_TOKEN="wrong-token-0012")
    result = queue.run(to_article(key))
    assert (result["status"], result["error"]["code"]) == ("dead", "INVALID_CREDENTIALS")
    assert "DIRECTUS_TOKEN" in result["error"]["message"]
    assert "wrong-token-0012" not in json.dumps(result)
    assert admin.get(f"/items/articles/{key}")["meta_description"] is None


@pytest.mark.parametrize("collection", ["nosuch", "directus_users"])
def test_a_collection_that_does_not_exist_or_is_not_permitted_is_forbidden(admin, queue, connected, collection):
    connected()
    result = queue.run({"operation": "item-update", "options": {"collection": collection, "key": 1, "payload": {"title": "x"}}})
    assert (result["status"], result["error"]["code"]) == ("dead", "FORBIDDEN")


def test_an_item_that_does_not_exist_is_forbidden_and_not_created(admin, queue, connected):
    connected()
    result = queue.run(to_article(4711))
    assert (result["status"], result["error"]["code"]) == ("dead", "FORBIDDEN")
    assert admin.get("/items/articles") == []


def test_what_the_database_refuses_is_told(admin, simulator, queue, connected):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    simulator.answer("y" * 300)
    connected()
    result = queue.run(to_article(key))
    assert (result["status"], result["error"]["code"]) == ("dead", "VALUE_TOO_LONG")
    assert len(json.dumps(result["error"])) < 2000


def test_directus_down_delays_a_job_and_asks_the_provider_once(directus, admin, simulator, queue, connected):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    worker = connected()
    directus.stop()
    try:
        id = queue.enqueue(to_article(key))
        wait_for(lambda: len(simulator.ledger()) == 1, "the provider was asked")
        wait_for(lambda: "SERVICE_UNAVAILABLE" in worker.log or "parked" in worker.log or "unavailable" in worker.log.lower(),
                 "the worker has noticed that Directus is down")
    finally:
        directus.start()
    assert queue.result(id, 120)["status"] == "done"
    assert admin.get(f"/items/articles/{key}")["meta_description"].startswith("SIMULATED")
    assert len(simulator.ledger()) == 1


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_no_key_and_no_token_is_anywhere_it_does_not_belong(directus, admin, redis, simulator, queue, connected):
    secrets = [*SECRETS, ADMIN_TOKEN, WORKER_TOKEN, JOB_SECRET]
    key = admin.post("/items/articles", {"title": "x"})["id"]
    worker = connected(LOG_LEVEL="trace")
    simulator.fault("error", kind="invalid_key", times=1, contains="bad key")
    queue.run(to_article(key, "good"))
    queue.run(to_article(key, "bad key"))
    queue.run(to_article(4711, "forbidden"))
    queue.run({"operation": "request", "options": {"url": f"{directus.url}/users/me", "method": "GET"}})
    queue.run({"operation": "ai-generate", "options": {"model": MODEL, "prompt": "{{$env.AI_OPENAI_API_KEY}} {{$env.DIRECTUS_TOKEN}}"}})
    kept = [worker.log]
    for name in redis.client.keys("*"):
        read = {"string": redis.client.get, "hash": redis.client.hgetall, "stream": redis.client.xrange,
                "zset": lambda n: redis.client.zrange(n, 0, -1), "set": redis.client.smembers,
                "list": lambda n: redis.client.lrange(n, 0, -1)}[redis.client.type(name)]
        kept.append(str(read(name)))
    kept.append(json.dumps(simulator.bodies()))
    kept.append(json.dumps(admin.get("/items/articles")))
    kept.append(directus.log())
    for text in kept:
        assert [s for s in secrets if s in text] == []


def test_only_the_worker_and_nobody_else_may_act_with_its_token(directus, admin):
    """The ground of the promises above: without a token nothing can be read or changed."""
    key = admin.post("/items/articles", {"title": "x"})["id"]
    stranger = Client(directus.url)
    assert stranger.raw("GET", f"/items/articles/{key}").status_code == 403
    assert stranger.raw("PATCH", f"/items/articles/{key}", json={"title": "y"}).status_code == 403


@pytest.fixture
def narrow_worker(directus, admin):
    """The worker's user may change meta_description of articles only."""
    admin.delete("/users", [WORKER_USER])
    directus.create_worker_user(fields=("meta_description",))
    yield
    admin.delete("/users", [WORKER_USER])
    directus.create_worker_user()


@pytest.mark.skipif(not VERSION.startswith("11."), reason="Directus 12 allows field permissions with a licence only")
def test_a_worker_that_may_change_one_field_changes_no_other(narrow_worker, admin, queue, connected):
    key = admin.post("/items/articles", {"title": "x"})["id"]
    connected()
    assert queue.run(to_article(key))["status"] == "done"
    refused = queue.run(to_article(key, payload={"title": "{{ask.content}}"}))
    assert (refused["status"], refused["error"]["code"]) == ("dead", "FORBIDDEN")
    assert "title" in refused["error"]["message"]
    article = admin.get(f"/items/articles/{key}")
    assert (article["title"], article["meta_description"][:9]) == ("x", "SIMULATED")
