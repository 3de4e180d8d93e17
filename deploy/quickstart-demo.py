"""The last part of the quickstart: an article in Directus, the flow over it, and what came of both.

Everything it needs is in the environment; deploy/quickstart sets it."""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

ENV = os.environ
STATE = pathlib.Path(ENV["STATE"])
DIRECTUS = ENV["DIRECTUS_URL"]
DOOR, REPLIES = "{flow-worker}:in", "{flow-worker}:rep:quickstart"
ARTICLE = {
    "title": "Why sourdough bread keeps longer",
    "content": "Lactic acid slows down staling and mould. A loaf from a living starter stays soft for four days, one "
               "from baker's yeast for two.",
}
MAY = [("articles", "read"), ("articles", "create"), ("articles", "update"), ("directus_files", "read"),
       ("directus_notifications", "create"), ("directus_flows", "read"), ("directus_operations", "read")]


def step(text):
    print(f"── {text}", flush=True)


def die(what, fix, log=None):
    sys.exit(f"quickstart: failed at: {what}{f' (log: {log})' if log else ''}\nto fix: {fix}")


def directus(method, path, body=None):
    """One REST call as the admin; -> what stands under data, None for an answer without a body."""
    request = urllib.request.Request(DIRECTUS + path, method=method, headers={
        "Authorization": f"Bearer {ENV['ADMIN_TOKEN']}", "Content-Type": "application/json",
    }, data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        die(f"{method} {path}: Directus answered {error.code}: {error.read().decode()[:400]}",
            "start afresh: deploy/quickstart --remove", STATE / "directus/directus.log")
    return json.loads(text)["data"] if text else None


def redis(*words):
    done = subprocess.run(["redis-cli", "-p", ENV["REDIS_PORT"], "--raw", *words], capture_output=True, text=True)
    if done.returncode:
        die(f"redis-cli {words[0]}: {done.stdout}{done.stderr}", "run it again", STATE / "redis.log")
    return done.stdout.strip("\n")


def create_collection():
    if any(c["collection"] == "articles" for c in directus("GET", "/collections")):
        return
    step("creating the collection articles, and a user for the worker that may change nothing else")
    field = lambda name, kind, interface, **schema: {
        "field": name, "type": kind, "meta": {"interface": interface}, "schema": schema}
    directus("POST", "/collections", {"collection": "articles", "meta": {"icon": "article"}, "schema": {}, "fields": [
        field("id", "integer", "input", is_primary_key=True, has_auto_increment=True),
        field("title", "string", "input"), field("content", "text", "input-multiline"),
        field("meta_description", "text", "input-multiline"),
    ]})
    policy = directus("POST", "/policies", {
        "name": "AI worker", "icon": "badge", "admin_access": False, "app_access": False,
        "permissions": {"update": [], "delete": [], "create": [
            {"collection": c, "action": a, "fields": ["*"], "permissions": {}} for c, a in MAY]},
    })
    role = directus("POST", "/roles", {
        "name": "AI worker", "policies": {"create": [{"policy": {"id": policy["id"]}}], "update": [], "delete": []}})
    directus("POST", "/users", {
        "id": ENV["WORKER_USER"], "first_name": "AI", "last_name": "Worker", "email": "worker@example.com", "role": role["id"],
        "status": "active", "token": ENV["WORKER_TOKEN"]})


def seen_by(flow, key, seconds):
    """What the flow's run for that article had as its data; None: there is none after so many seconds."""
    log = f"/revisions?filter[collection][_eq]=directus_flows&filter[item][_eq]={flow}&filter[activity][action][_eq]=run"
    for _ in range(seconds * 10):
        for run in directus("GET", log):
            if run["data"]["data"]["$trigger"]["key"] == key:
                return run["data"]["data"]
        time.sleep(0.1)
    return None


def create_article():
    """-> the article's key, and the event that Directus sent when it was created, as a flow of its own saw it."""
    kept = STATE / "event.json"
    if kept.exists():
        event = json.loads(kept.read_text())
        if directus("GET", f"/items/articles?filter[id][_eq]={event['trigger']['key']}"):
            directus("PATCH", f"/items/articles/{event['trigger']['key']}", {"meta_description": None})
            return event
    step("creating an article, and catching the event that Directus sends for it")
    flow = directus("POST", "/flows", {
        "name": "Quickstart: catch the event", "trigger": "event", "status": "active", "accountability": "all",
        "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]}})["id"]
    operation = directus("POST", "/operations", {
        "flow": flow, "type": "transform", "key": "seen", "position_x": 19, "position_y": 1, "options": {"json": {}}})
    directus("PATCH", f"/flows/{flow}", {"operation": operation["id"]})
    # Directus loads a flow some time after it has stored it, and does not say when: what comes before that starts no flow.
    for seconds in (5, 15, 40):
        key = directus("POST", "/items/articles", ARTICLE)["id"]
        data = seen_by(flow, key, seconds)
        if data:
            break
        directus("DELETE", f"/items/articles/{key}")
    directus("DELETE", f"/flows/{flow}")
    if not data:
        die("waiting for the event flow", "run it again", STATE / "directus/directus.log")
    event = {"trigger": data["$trigger"], "accountability": data["$accountability"]}
    kept.write_text(json.dumps(event))
    return event


def first_model():
    """The first model that an OpenAI-compatible server offers."""
    base = ENV["AI_OPENAI_COMPATIBLE_BASE_URL"].rstrip("/")
    key = ENV.get("AI_OPENAI_COMPATIBLE_API_KEY")
    try:
        request = urllib.request.Request(base + "/models", headers={"Authorization": f"Bearer {key}"} if key else {})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)["data"][0]["id"]
    except (OSError, ValueError, LookupError) as error:
        die(f"asking {base}/models for a model: {error}", "check AI_OPENAI_COMPATIBLE_BASE_URL and that the server runs")


def read_flow():
    """The flow file, for the provider at hand."""
    flow = json.loads((pathlib.Path(ENV["SOURCE"]) / "deploy/flows/meta-description.json").read_text())
    flow["operations"][0]["options"].update(provider=ENV["PROVIDER"], model=ENV["MODEL"] or first_model())
    return flow


def create_studio_flow(options):
    """The same for the Studio, in one operation of the extension: every new article gets its description."""
    name = "Describe new articles"
    options = {**options, "prompt": "Generate SEO meta description for: {{$trigger.payload.title}}\n\nContent: "
               "{{$trigger.payload.content}}", "saveCollection": "articles", "saveField": "meta_description", "wait": True}
    known = directus("GET", "/flows?fields=id,name,operation&limit=-1")
    for flow in known:
        if flow["name"] == name:
            directus("PATCH", f"/operations/{flow['operation']}", {"options": options})
            return
    step(f'storing a flow "{name}" in Directus')
    flow = directus("POST", "/flows", {
        "name": name, "icon": "auto_awesome", "trigger": "event", "status": "active", "accountability": "all",
        "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]}})["id"]
    operation = directus("POST", "/operations", {
        "flow": flow, "type": "ai-generate", "name": "Write the description", "key": "description", "position_x": 19,
        "position_y": 1, "options": options})
    directus("PATCH", f"/flows/{flow}", {"operation": operation["id"]})


def run_flow(flow, event):
    """Enqueues the flow with the event, waits; -> the job's result."""
    options = flow["operations"][0]["options"]
    job = str(uuid.uuid4())
    (STATE / "job.json").write_text(json.dumps({"flow": flow, **event}))
    step(f"enqueueing deploy/flows/meta-description.json with {options['provider']}/{options['model']}:")
    print(f'   redis-cli -p {ENV["REDIS_PORT"]} XADD {DOOR} \'*\' id {job} body "$(cat {STATE}/job.json)"', flush=True)
    redis("XADD", DOOR, "*", "id", job, "reply_to", REPLIES, "body", (STATE / "job.json").read_text())
    for _ in range(600):
        result = redis("GET", f"{{flow-worker}}:res:{job}")
        if result:
            return json.loads(result)
        pid = (STATE / "worker.pid").read_text().strip()
        if not pathlib.Path(f"/proc/{pid}").exists():
            print((STATE / "worker.log").read_text()[-2000:], file=sys.stderr)
            die("running the job: flow-worker has ended", "see the log", STATE / "worker.log")
        time.sleep(0.2)
    print((STATE / "worker.log").read_text()[-2000:], file=sys.stderr)
    die("running the job: no result within 120 s", "see the log", STATE / "worker.log")


def show(title, value):
    print(f"\n{title}\n{json.dumps(value, indent=2, ensure_ascii=False)}")


def main():
    create_collection()
    event = create_article()
    flow = read_flow()
    result = run_flow(flow, event)
    article = directus("GET", f"/items/articles/{event['trigger']['key']}")
    show("The job's result:", {k: result.get(k) for k in ("status", "usage", "cost", "attempts", "ms", "error")})
    show(f"The article, as {DIRECTUS}/items/articles/{article['id']} answers it now:", article)
    if result["status"] != "done" or not article["meta_description"]:
        die(f"the job ended as \"{result['status']}\"", "see the error above; then run it again", STATE / "worker.log")
    create_studio_flow(flow["operations"][0]["options"])
    print(f"""
Next:
  - open the Studio: {DIRECTUS}/admin   {ENV['ADMIN_EMAIL']}   {ENV['ADMIN_PASSWORD']}
    create an article there: a second later its description is written (the flow: Flows > Describe new articles)""")
    if ENV["SIMULATED"]:
        print("""  - the answer above is simulated; for a real one: AI_OPENAI_API_KEY=… deploy/quickstart
    (or AI_ANTHROPIC_API_KEY, AI_GOOGLE_API_KEY, AI_OPENAI_COMPATIBLE_BASE_URL=http://localhost:11434/v1)""")
    print(f"""  - enqueue jobs of your own as above; the result of one: GET {{flow-worker}}:res:<id>
  - everything is in {STATE}; end it: deploy/quickstart --stop""")


main()
