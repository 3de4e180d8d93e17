"""The same flows in Directus itself and in the worker, on the same data: the same data chain, the same steps, the same
articles. By `exec` a flow is given in full and goes over REST; through the queue it is run by its id, in a job signed for
the user who has started it in Directus, and goes through the extension."""

import copy
import http.server
import json
import threading

import pytest

from compared_flows import CHILD, COMPARED, KEYS
from directus import ADMIN_TOKEN, JOB_SECRET
from processes import wait_for
from test_acting import signed

SIGNALS = {
    "collection": "signals", "meta": {}, "schema": {},
    "fields": [
        {"field": "id", "type": "integer", "meta": {}, "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "article", "type": "integer", "meta": {}, "schema": {}},
        {"field": "text", "type": "string", "meta": {}, "schema": {}},
    ],
}


class Site(http.server.BaseHTTPRequestHandler):
    """What requests of the flows reach. Its answers depend on nothing but the request."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        path = self.path.partition("?")[0]
        told = {"method": self.command, "path": self.path, "body": body, "type": self.headers.get("content-type"),
                "test": self.headers.get("x-test")}
        status, headers, text = {
            "/json": (200, {"Content-Type": "application/json", "X-Two": "b"}, json.dumps({"n": 1.5, "told": told})),
            "/echo": (201, {"Content-Type": "text/plain"}, json.dumps(told)),
            "/nothing": (204, {}, ""),
            "/moved": (302, {"Location": "/json?moved"}, ""),
        }.get(path, (404, {"Content-Type": "application/json"}, json.dumps({"error": f"no {path}"})))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def running_signals(running_directus):
    """A collection whose events start flows; and the worker may send notifications."""
    admin = running_directus.admin
    admin.post("/collections", SIGNALS)
    policy = admin.get("/policies", **{"filter[name][_eq]": "AI worker"})[0]["id"]
    for action in ("create", "read"):
        admin.post("/permissions", {
            "policy": policy, "collection": "directus_notifications", "action": action, "fields": ["*"], "permissions": {}})


# --- what may differ --------------------------------------------------------------------------------------------------


class Normaliser:
    """Takes out what differs from run to run, and notes what that was."""

    def __init__(self, created, generated):
        self.created, self.generated, self.done = {key: f"#created {i + 1}" for i, key in enumerate(sorted(created))}, generated, set()

    def note(self, what, value):
        self.done.add(what)
        return value

    def key(self, value):
        if isinstance(value, str) and value.isdigit() and int(value) in self.created:
            return self.note("keys of created rows", f"{self.created[int(value)]} as text")
        if isinstance(value, int) and not isinstance(value, bool) and value in self.created:
            return self.note("keys of created rows", self.created[value])
        return value

    def error(self, value):
        """Directus keeps name, message and cause of an Error in its log, and a stack where it stands in a list."""
        if "ECONNREFUSED" in value["message"] or "Failed to connect" in value["message"]:
            return self.note("what a network failure says", "#no connection")
        return self.note("errors: name and message only", {"name": value["name"], "message": value["message"]})

    def value(self, value):
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return self.key(value)
        if "name" in value and "message" in value and not value.keys() - {
                "name", "message", "stack", "cause", "code", "status", "extensions", "retryable", "expiredAt"}:
            return self.error(value)
        made = {name: self.value(item) for name, item in value.items()}
        if isinstance(made.get("headers"), dict) and "date" in made["headers"]:
            made["headers"] = {**made["headers"], "date": self.note("Date headers of answers", "#date")}
        return made

    def returned(self, value):
        """Directus' answer over HTTP leaves out the message of an Error."""
        if self.generated and isinstance(value, list):
            return self.note("keys that the database made up", [f"#{i}" for i, _ in enumerate(value)])
        if not isinstance(value, list):
            return self.value(value)
        kept = [{k: v for k, v in item.items() if k in ("name", "code", "status", "extensions")}
                if isinstance(item, dict) and item.get("name") == "DirectusError" else None for item in value]
        return self.note("errors in HTTP answers: without message", kept) if any(kept) else self.value(value)

    def chain(self, chain):
        chain = copy.deepcopy(chain)
        for name in self.generated:
            if isinstance(chain.get(name), list):
                same = chain["$last"] == chain[name]
                chain[name] = self.note("keys that the database made up", [f"#{i}" for i, _ in enumerate(chain[name])])
                chain["$last"] = chain[name] if same else chain["$last"]
        return self.value(chain)

    def steps(self, steps):
        made = []
        for step in steps:
            options = dict(self.value(step["options"]) or {})
            if "secret" in options:
                options["secret"] = self.note("the option 'secret' in logs: masked here", "#secret")
            made.append({"key": step["key"], "status": step["status"], "options": options})
        return made


def differences(ours, theirs, path=""):
    """Each place where they differ, with both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = [*theirs, *(name for name in ours if name not in theirs)]
        return [d for name in names for d in differences(ours.get(name, "#missing"), theirs.get(name, "#missing"), f"{path}.{name}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [d for i, (a, b) in enumerate(zip(ours, theirs)) for d in differences(a, b, f"{path}[{i}]")]
    return [] if type(ours) is type(theirs) and ours == theirs else [f"{path}: {ours!r}, in Directus {theirs!r}"]


# --- the runs ---------------------------------------------------------------------------------------------------------


def filled(value, words):
    """`value` with URL, CHILD and ME replaced, wherever they stand."""
    text = json.dumps(value)
    for name, word in words.items():
        text = text.replace(name, word)
    return json.loads(text)


def without(flow, names):
    """The flow without these operations; what led to one leads to the next."""
    flow = copy.deepcopy(flow)
    for name in names:
        gone = next(operation for operation in flow["operations"] if operation["key"] == name)
        flow["operations"].remove(gone)
        for operation in flow["operations"]:
            for link in ("resolve", "reject"):
                if operation[link] == name:
                    operation[link] = gone["resolve"] or gone["reject"]
    return flow


class Runs:
    def __init__(self, admin, case, words, version):
        self.admin = admin
        if tuple(map(int, version.split("."))) < (12, 3):
            case = {**case, "flow": without(case["flow"], case.get("since_12_3", []))}
        self.flow, self.start = filled(case["flow"], words), filled(case["start"], words)
        self.generated = case.get("generated", [])

    def prepare(self):
        old = [row["id"] for row in self.admin.get("/items/articles", fields="id", limit=-1)]
        if old:
            self.admin.delete("/items/articles", old)
        self.admin.post("/items/articles", [
            {"id": key, "title": f"article {i}", "content": f"content {i}"} for i, key in enumerate(KEYS)])

    def finished(self, chain, steps, **told):
        rows = self.admin.get("/items/articles", sort="id", limit=-1)
        n = Normaliser({row["id"] for row in rows} - set(KEYS), self.generated)
        return n.done, {"chain": n.chain(chain), "steps": n.steps(steps), "articles": n.value(rows),
                        **{name: n.returned(value) for name, value in told.items()}}

    def by_directus(self):
        self.prepare()
        for row in self.admin.get("/items/signals", fields="id", limit=-1):
            self.admin.delete(f"/items/signals/{row['id']}")
        self.admin.post("/items/signals", [{"id": 1, "text": "x"}, {"id": 2, "text": "y"}])
        self.id = self.admin.create_flow(self.flow)
        how, *what = self.start
        answer = None
        if how == "event":
            self.admin.call(what[0], what[1], json=what[2])
        else:
            answer = self.admin.raw(
                "GET" if how == "GET" else "POST", f"/flows/trigger/{self.id}",
                **({"params": what[0]} if how == "GET" else {"json": what[0]}))
        run = wait_for(lambda: self.admin.flow_runs(self.id), "Directus has run the flow", 60)[0]
        self.trigger, self.accountability = run["data"]["$trigger"], run["data"]["$accountability"]
        told = {"returned": answer.json() if answer.content else None} if answer is not None else {}
        return self.finished(run["data"], run["steps"], **told)

    def told(self, result):
        return {} if self.start[0] == "event" else {"returned": result["return"]}

    def by_exec(self, flow_worker, directus):
        self.prepare()
        job = {"flow": self.flow, "trigger": self.trigger, "accountability": self.accountability}
        result = flow_worker("exec", "-", stdin=job, DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=ADMIN_TOKEN,
                             WORKER_TRUST_PERMISSIONS="true", IMPORT_IP_DENY_LIST="").json
        return self.finished(result["data"], result["steps"], **self.told(result))

    def by_the_queue(self, queue):
        self.prepare()
        before = len(self.admin.flow_runs(self.id))
        job = {"flow": self.id, "trigger": self.trigger, "accountability": self.accountability}
        result = queue.run(signed({**job, "return": "$all"}), 300)
        runs = wait_for(lambda: self.admin.flow_runs(self.id)[:-before], "the worker's run is in the flow's log")
        return self.finished(result["return"], runs[0]["steps"])


@pytest.mark.parametrize("case", COMPARED, ids=[case["flow"]["name"] for case in COMPARED])
def test_a_flow_runs_as_in_directus(capfd, directus, admin, site, running_signals, queue, start_worker, flow_worker, case):
    child = admin.create_flow(CHILD)
    runs = Runs(admin, case, {"URL": site, "CHILD": child, "\"ME\"": json.dumps(admin.get("/users/me")["id"])}, directus.version)
    start_worker(directus=directus, WORKER_JOB_SECRET=JOB_SECRET, IMPORT_IP_DENY_LIST="")
    done, theirs = runs.by_directus()
    assert [step["status"] for step in theirs["steps"]].count("unknown") == 0
    for name, (also_done, ours) in (("exec", runs.by_exec(flow_worker, directus)), ("the queue", runs.by_the_queue(queue))):
        done |= also_done
        found = differences(ours, {part: theirs[part] for part in ours})
        assert not found, f"{name}:\n" + "\n".join(found)
    with capfd.disabled():
        print(f"\n{runs.flow['name']}: normalised: {', '.join(sorted(done)) or 'nothing'}")
