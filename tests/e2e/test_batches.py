"""Batches on a real Directus and PostgreSQL. FLOW_WORKER_BATCH_ITEMS says how many items; CI takes 2,000."""

import json
import os
import threading
import time

import pytest

from directus import JOB_SECRET
from processes import built, wait_for
from worker import environment, run_command

ITEMS = int(os.environ.get("FLOW_WORKER_BATCH_ITEMS", "2000"))
FLOW = {"name": "describe", "operations": [
    {"type": "ai-generate", "key": "ask", "resolve": "write", "options": {
        "provider": "openai", "model": "gpt-4.1", "prompt": "About {{$trigger.payload.title}}", "maxTokens": 100}},
    {"type": "item-update", "key": "write", "options": {
        "collection": "articles", "key": "{{$trigger.key}}", "payload": {"meta_description": "{{ask.content}}"}}}]}
NOTES = {"collection": "notes", "meta": {}, "schema": {}, "fields": [
    {"field": "id", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}},
    {"field": "title", "type": "string", "meta": {}, "schema": {}},
    {"field": "due", "type": "timestamp", "meta": {}, "schema": {}},
    {"field": "tags", "type": "json", "meta": {"special": ["cast-json"]}, "schema": {}},
    {"field": "date_updated", "type": "timestamp", "meta": {"special": ["date-updated"]}, "schema": {}}]}
BAT = "{flow-worker}:bat:"


@pytest.fixture
def batch(redis, simulator, directus, tmp_path):
    """batch("create", …) -> what the command answered."""
    def run(*arguments, flow=FLOW, **how):
        (tmp_path / "flow.json").write_text(json.dumps(flow))
        more = ["--flow", "flow.json"] if arguments[0] == "create" and "--flow" not in arguments else []
        env = environment(redis, simulator, directus, WORKER_JOB_SECRET=JOB_SECRET)
        return run_command("batch", *map(str, arguments), *more, env=env, cwd=tmp_path, timeout=600, **how)
    return run


@pytest.fixture
def notes(directus, admin):
    """A collection with a uuid as its key, which the worker may read and change."""
    policy = admin.get("/policies", **{"filter[name][_eq]": "AI worker"})[0]["id"]
    admin.post("/collections", NOTES)
    for action in ("read", "update"):
        admin.post("/permissions", {"policy": policy, "collection": "notes", "action": action, "fields": ["*"], "permissions": {}})
    yield "notes"
    admin.delete("/collections/notes")


class Memory(threading.Thread):
    """Resident memory of a process, in MiB, twice a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.seen = pid, []
        self.start()

    def run(self):
        while True:
            try:
                with open(f"/proc/{self.pid}/status") as status:
                    self.seen.append(int(status.read().split("VmRSS:")[1].split()[0]) / 1024)
            except (OSError, IndexError):
                return
            time.sleep(0.5)


def add_articles(admin, count):
    for start in range(0, count, 500):
        admin.post("/items/articles", [{"title": f"T{n}."} for n in range(start + 1, min(start + 500, count) + 1)])


def all_articles(admin):
    return admin.get("/items/articles", fields="id,title,meta_description", limit=-1)


def test_items_are_all_done_once_through_pause_kill_and_budget(directus, admin, redis, simulator, connected, batch):
    add_articles(admin, ITEMS)
    client, began = redis.client, time.monotonic()

    def number(name):
        return int(client.hget(BAT + "all", name) or 0)

    tried = batch("create", "--collection", "articles", "--fields", "title", "--try", "5", "--json").json["estimate"]
    price = tried["costUsd"]["expected"]
    assert tried["items"] == ITEMS and price > 0
    calls = len(simulator.ledger())
    worker = connected(LOG_LEVEL="warn", WORKER_LEASE="3s", WORKER_CONCURRENCY=50)
    first = Memory(worker.pid)
    made = batch("create", "--collection", "articles", "--fields", "title", "--name", "all", "--yes", "--detach",
                 "--budget", f"{price * 0.6:.9f}")
    assert made.status == 0, made.err

    wait_for(lambda: number("n:done") >= ITEMS * 0.1, "a tenth is done", 300, 0.1)
    assert batch("pause", "all", "--json").json["state"] == "paused"
    wait_for(lambda: int(client.hget("{flow-worker}:bt:all", "active") or 0) == 0, "what ran has ended")
    held = number("n:done")
    assert batch("resume", "all", "--detach").status == 0
    wait_for(lambda: number("n:done") > held + ITEMS * 0.1, "it goes on", 300, 0.1)
    worker.kill()
    worker = connected(LOG_LEVEL="warn", WORKER_LEASE="3s", WORKER_CONCURRENCY=50)
    second = Memory(worker.pid)
    wait_for(lambda: client.hget(BAT + "all", "state") == "budget", "the budget is spent", 600, 0.2)
    wait_for(lambda: int(client.hget("{flow-worker}:bt:all", "active") or 0) == 0, "what ran has ended")
    stopped = batch("show", "all", "--json").json
    assert stopped["costUsd"] <= price * 0.6 and stopped["done"] < ITEMS * 0.65 and stopped["failed"] == 0, stopped
    done = batch("resume", "all", "--budget", f"{price * 2:.9f}", "--json")
    assert done.status == 0, done.err
    seconds = time.monotonic() - began

    shown = done.json
    assert (shown["state"], shown["total"], shown["done"], shown["failed"], shown["gone"]) == ("done", ITEMS, ITEMS, 0, 0)
    items = all_articles(admin)
    assert len(items) == ITEMS
    assert [i for i in items if i["meta_description"] != f"SIMULATED answer to: About {i['title']}"] == []
    rows = batch("export", "all", "--format", "json").json
    assert sorted(int(r["item"]) for r in rows) == sorted(i["id"] for i in items)
    assert {r["status"] for r in rows} == {"done"}
    assert abs(sum(r["costUsd"] for r in rows) - shown["costUsd"]) < 1e-6
    questions = [entry for entry in simulator.ledger()][calls:]
    again = len(questions) - ITEMS
    assert 0 <= again <= 50, f"{again} questions were asked twice: at most those under way at the kill"
    print(f"{ITEMS} items in {seconds:.0f} s, {again} asked again after the kill; "
          f"most MiB of the first worker {max(first.seen):.1f}, "
          f"of the second {max(second.seen):.1f}, at its end {second.seen[-1]:.1f}")
    if b"__asan_init" not in built("flow-worker").read_bytes():
        later = second.seen[len(second.seen) // 4:]
        assert max(later) - min(later) < 16, "memory is flat"


def test_uuids_dates_and_json_are_listed_written_and_put_back(directus, admin, connected, batch, notes):
    made = admin.post(f"/items/{notes}", [
        {"title": f"T{n}", "due": "2026-01-01T00:00:00Z", "tags": {"old": n}} for n in range(230)])
    flow = [{"type": "item-update", "key": "write", "options": {
        "collection": notes, "key": "{{$trigger.key}}",
        "payload": {"due": "2030-05-06 07:08:09", "tags": ["{{$trigger.payload.title}}"], "title": "new"}}}]
    assert admin.raw("SEARCH", f"/items/{notes}", json={"query": {"filter": {"id": {"_gt": made[0]["id"]}}}}).status_code == 400, \
        "uuids can be listed by their order after all"
    connected()
    done = batch("create", "--collection", notes, "--name", "n", "--yes", "--json", flow=flow)
    assert done.status == 0 and done.json["done"] == 230, done.err
    now = {i["id"]: i for i in admin.get(f"/items/{notes}", limit=-1)}
    assert len(now) == 230
    assert [i for i in made if (now[i["id"]]["title"], now[i["id"]]["tags"]) != ("new", [i["title"]])] == []
    admin.patch(f"/items/{notes}/{made[3]['id']}", {"title": "a person's"})
    back = batch("revert", "n", "--json").json
    assert (back["reverted"], back["conflicts"], back["failed"]) == (230, 1, 0), back
    now = {i["id"]: i for i in admin.get(f"/items/{notes}", limit=-1)}
    assert now[made[3]["id"]]["title"] == "a person's"
    for old in made:
        if old["id"] != made[3]["id"]:
            assert {k: now[old["id"]][k] for k in ("title", "due", "tags")} == {k: old[k] for k in ("title", "due", "tags")}


def test_a_change_made_in_the_studio_meanwhile_is_kept(directus, admin, connected, batch, notes, simulator):
    made = admin.post(f"/items/{notes}", [{"title": f"T{n}"} for n in range(5)])
    flow = [FLOW["operations"][0], {"type": "item-update", "key": "write", "options": {
        "collection": notes, "key": "{{$trigger.key}}", "payload": {"title": "{{ask.content}}"}}}]
    flow[0] = dict(flow[0])
    simulator.set(delay="1500")
    connected()
    batch("create", "--collection", notes, "--name", "s", "--if-unchanged", "--yes", "--detach", flow=flow)
    wait_for(lambda: len(simulator.ledger()) == 5, "all are under way")
    admin.patch(f"/items/{notes}/{made[2]['id']}", {"title": "a person's"})
    shown = wait_for(lambda: [s for s in [batch("show", "s", "--json").json] if s["state"] == "done"], "it is over")[0]
    assert (shown["done"], shown["conflict"], shown["failed"]) == (4, 1, 0)
    now = {i["id"]: i["title"] for i in admin.get(f"/items/{notes}", limit=-1)}
    assert now[made[2]["id"]] == "a person's"
    assert [t for key, t in now.items() if key != made[2]["id"] and not t.startswith("SIMULATED")] == []


# --- flow files -------------------------------------------------------------------------------------------------------

DOCUMENTED = {
    "name": "Auto-generate meta descriptions", "trigger": "event",
    "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
    "operations": [
        {"id": "analyze", "operation": "ai-analyze", "options": {
            "provider": "openai", "model": "gpt-4.1", "prompt": "Describe: {{$trigger.title}}"},
         "resolve": "update_item", "reject": "tell"},
        {"id": "update_item", "operation": "item-update", "options": {
            "collection": "articles", "key": "{{$trigger.id}}", "payload": {"meta_description": "{{$last.content}}"}}},
        {"id": "tell", "operation": "log", "options": {"message": "failed: {{$last.message}}"}}]}


@pytest.fixture
def flow_command(directus, tmp_path):
    def run(*arguments, **how):
        env = environment(None, None, directus, DIRECTUS_TOKEN=directus.admin.token)
        return run_command("flow", *arguments, env=env, cwd=tmp_path, **how)
    return run


def test_a_flow_file_becomes_a_flow_and_comes_back_the_same(admin, flow_command, tmp_path):
    (tmp_path / "flow.json").write_text(json.dumps(DOCUMENTED))
    imported = flow_command("import", "flow.json", "--inactive")
    assert imported.status == 0, imported.err
    flow = admin.get(f"/flows/{imported.out.strip()}", fields="*,operations.*")
    keys = {o["id"]: o["key"] for o in flow["operations"]}
    assert (flow["name"], flow["status"], flow["trigger"], flow["options"]) == (
        DOCUMENTED["name"], "inactive", "event", DOCUMENTED["options"])
    assert {o["key"]: (o["type"], o["options"], keys.get(o["resolve"]), keys.get(o["reject"])) for o in flow["operations"]} == {
        o["id"]: (o["operation"], o["options"], o.get("resolve"), o.get("reject")) for o in DOCUMENTED["operations"]}
    assert keys[flow["operation"]] == "analyze"
    assert len({(o["position_x"], o["position_y"]) for o in flow["operations"]}) == 3
    again = flow_command("import", "flow.json")
    assert again.status == 1 and "there is a flow 'Auto-generate meta descriptions' already" in again.err
    (tmp_path / "back.json").write_text(flow_command("export", DOCUMENTED["name"]).out)
    copied = flow_command("import", "back.json", "--name", "copy", "--inactive")
    assert copied.status == 0, copied.err
    assert [f["name"] for f in flow_command("list", "--json").json] == [DOCUMENTED["name"], "copy"]


def test_a_flow_file_with_a_mistake_leaves_nothing_behind(admin, flow_command, tmp_path):
    broken = dict(DOCUMENTED, operations=[dict(DOCUMENTED["operations"][0], resolve="nowhere")])
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    refused = flow_command("import", "broken.json")
    assert refused.status == 1 and "'nowhere'" in refused.err
    double = dict(DOCUMENTED, operations=[dict(DOCUMENTED["operations"][0], reject="update_item"), DOCUMENTED["operations"][1]])
    (tmp_path / "double.json").write_text(json.dumps(double))
    refused = flow_command("import", "double.json")
    assert refused.status == 1 and "reached in two ways" in refused.err
    assert admin.get("/flows") == []
