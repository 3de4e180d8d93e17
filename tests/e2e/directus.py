"""A real Directus for tests, through deploy/directus.sh, and what tests ask of it over REST."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import requests

from processes import built, wait_for

SCRIPT = pathlib.Path(__file__).parents[2] / "deploy" / "directus.sh"
VERSION = os.environ.get("FLOW_WORKER_TEST_DIRECTUS", "12.4.0")
ADMIN_TOKEN = "admin-static-token-for-the-tests-0001"
WORKER_TOKEN = "worker-static-token-for-the-tests-0002"
WORKER_USER = "5a3c1d8e-0000-4000-8000-000000000001"
JOB_SECRET = "job-secret-of-the-tests-0003"
ADMIN_EMAIL, ADMIN_PASSWORD = "admin@example.com", "Adm1n-password-of-the-tests"

# The collection of the examples. On PostgreSQL 300 characters in meta_description are an error.
ARTICLES = {
    "collection": "articles",
    "meta": {"icon": "article"},
    "schema": {},
    "fields": [
        {"field": "id", "type": "integer", "meta": {"hidden": True, "interface": "input", "readonly": True},
         "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "title", "type": "string", "meta": {"interface": "input"}, "schema": {}},
        {"field": "content", "type": "text", "meta": {"interface": "input-multiline"}, "schema": {}},
        {"field": "meta_description", "type": "string", "meta": {"interface": "input"}, "schema": {"max_length": 255}},
        {"field": "summary", "type": "text", "meta": {"interface": "input-multiline"}, "schema": {}},
        {"field": "image", "type": "uuid", "meta": {"interface": "file-image", "special": ["file"]}, "schema": {}},
    ],
}


MODEL = "gpt-4.1"


def to_article(key, prompt="Describe", payload=None, **update):
    """A job: ask, write the answer into the article."""
    return {"operations": [
        {"type": "ai-generate", "key": "ask", "options": {"model": MODEL, "prompt": prompt}, "resolve": "write"},
        {"type": "item-update", "key": "write", "options": {
            "collection": "articles", "key": key, "payload": payload or {"meta_description": "{{ask.content}}"}, **update}},
    ]}


class DirectusError(Exception):
    def __init__(self, response):
        self.status, self.text = response.status_code, response.text
        try:
            self.code = response.json()["errors"][0]["extensions"]["code"]
        except (ValueError, LookupError, TypeError):
            self.code = None
        super().__init__(f"{response.request.method} {response.request.path_url}: {self.status} {self.text[:500]}")


class Client:
    """REST as one user. Answers are what stands under `data`; every other answer than 2xx is a DirectusError."""

    def __init__(self, url, token=None):
        self.url, self.token = url, token

    def raw(self, method, path, **how):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers.update(how.pop("headers", {}))
        return requests.request(method, self.url + path, headers=headers, timeout=how.pop("timeout", 60), **how)

    def call(self, method, path, **how):
        response = self.raw(method, path, **how)
        if not response.ok:
            raise DirectusError(response)
        if not response.content:
            return None
        answer = response.json()
        return answer["data"] if isinstance(answer, dict) and "data" in answer else answer

    def get(self, path, **params):
        return self.call("GET", path, params=params)

    def post(self, path, body=None, **how):
        return self.call("POST", path, json=body, **how)

    def patch(self, path, body):
        return self.call("PATCH", path, json=body)

    def delete(self, path, body=None):
        return self.call("DELETE", path, json=body)

    def create_flow(self, flow, **changes):
        """Stores a flow given as a flow object (operation or type, id or key, resolve and reject by either). -> its id"""
        operations = flow["operations"]
        created = self.post("/flows", {
            "name": flow.get("name", "test flow"), "status": flow.get("status", "active"),
            "accountability": flow.get("accountability", "all"),
            "trigger": flow["trigger"], "options": flow.get("options", {}), **changes,
        })
        ids = {}

        def store(name):
            """From last to first: Directus wants the next operation to be there."""
            if name is None or name in ids:
                return ids.get(name)
            at, operation = next((i, o) for i, o in enumerate(operations) if name in (o.get("id"), o.get("key")))
            kind = operation.get("type") or operation.get("operation")
            ids[name] = self.post("/operations", {
                "flow": created["id"], "type": kind, "name": operation.get("name", kind),
                "key": operation.get("key") or (operation.get("id") or f"{kind}_{at + 1}").replace("-", "_"),
                "position_x": 19 + 18 * at, "position_y": 1, "options": operation.get("options", {}),
                "resolve": store(operation.get("resolve")), "reject": store(operation.get("reject")),
            })["id"]
            return ids[name]

        first = operations[0]
        if not first.get("id") and not first.get("key"):
            operations = [dict(first, key="first"), *operations[1:]]
        self.patch(f"/flows/{created['id']}", {"operation": store(operations[0].get("id") or operations[0]["key"])})
        return created["id"]

    def flow_runs(self, flow_id):
        """The flow's log as the Studio shows it, newest first: [{"steps": [...], "data": {...}, "activity": {...}}]"""
        found = self.get("/revisions", **{
            "filter[collection][_eq]": "directus_flows", "filter[item][_eq]": flow_id,
            "filter[activity][action][_eq]": "run", "sort": "-id", "fields": "data,activity.*", "limit": -1,
        })
        return [dict(run["data"], activity=run["activity"]) for run in found]

    def event_of(self, item, collection="articles"):
        """Creates an item and tells what a real event flow sees of that: -> (key, $trigger, $accountability). Directus loads a
        flow some time after it has stored it, and does not say when: an item that comes before that is made again."""
        flow = self.create_flow({
            "name": "capture", "trigger": "event",
            "options": {"type": "action", "scope": ["items.create"], "collections": [collection]},
            "operations": [{"type": "transform", "key": "seen", "options": {"json": {}}}],
        })
        try:
            for seconds in (10, 20, 60):
                key = self.post(f"/items/{collection}", item)["id"]
                try:
                    data = wait_for(lambda: self._seen_by(flow, key), "the event flow has run", seconds)
                    return key, data["$trigger"], data["$accountability"]
                except TimeoutError:
                    if seconds == 60:
                        raise
                    self.delete(f"/items/{collection}/{key}")
        finally:
            self.delete(f"/flows/{flow}")

    def _seen_by(self, flow, key):
        return next((run["data"] for run in self.flow_runs(flow) if run["data"]["$trigger"]["key"] == key), None)


def _template():
    """Where an instance is kept that has all that start_with_articles() gives; named after what it was made by."""
    made_by = pathlib.Path(__file__).read_bytes() + SCRIPT.read_bytes()
    return built("flow-worker").parent / f"directus-{VERSION}-{hashlib.sha256(made_by).hexdigest()[:16]}"


TEMPLATE = _template()


class Directus:
    """One instance, with its own PostgreSQL (database "pg") or SQLite file."""

    def __init__(self, version=VERSION, database="pg", env=()):
        # Not a folder of pytest's: PostgreSQL's own user must be able to walk into it.
        self.dir = tempfile.mkdtemp(prefix="flow-worker-e2e.", dir="/var/tmp")
        os.chmod(self.dir, 0o711)
        self.version, self.database, self.env = version, database, dict(env)
        self.url = None
        self.worker_token = WORKER_TOKEN
        self.extension = ""

    def _run(self, *words, **env):
        done = subprocess.run([SCRIPT, *words], env={**os.environ, **env}, text=True, capture_output=True)
        assert done.returncode == 0, f"{' '.join(map(str, words))}: {done.stderr}"
        return done.stdout.strip()

    def start(self):
        self.url = self._run(
            "start", self.dir, self.version, DIRECTUS_DB=self.database, ADMIN_EMAIL=ADMIN_EMAIL,
            ADMIN_PASSWORD=ADMIN_PASSWORD, ADMIN_TOKEN=ADMIN_TOKEN, DIRECTUS_EXTENSION=self.extension,
            DIRECTUS_ENV="\n".join(f"{name}={value}" for name, value in self.env.items()),
        )
        self.admin = Client(self.url, ADMIN_TOKEN)
        self.worker = Client(self.url, WORKER_TOKEN)
        return self

    def stop(self):
        self._run("stop", self.dir)

    def remove(self):
        self._run("remove", self.dir)
        shutil.rmtree(self.dir, ignore_errors=True)

    def add_extension(self, redis_url):
        """Before start(): ours, built if that is not done yet."""
        self.extension = self._run("extension")
        self.env.update(
            FLOW_WORKER_REDIS=redis_url, FLOW_WORKER_USER=WORKER_USER, FLOW_WORKER_JOB_SECRET=JOB_SECRET)

    def start_with_articles(self):
        """With the collection and the worker's user: a copy of the template if it has been made, else from nothing."""
        if TEMPLATE.exists():
            self._copy(TEMPLATE, self.dir)
            return self.start()
        self.start()
        self.create_articles()
        self.create_worker_user()
        return self

    def keep_as_template(self):
        self.stop()
        shutil.rmtree(f"{TEMPLATE}.new", ignore_errors=True)
        self._copy(self.dir, f"{TEMPLATE}.new")
        os.rename(f"{TEMPLATE}.new", TEMPLATE)

    @staticmethod
    def _copy(source, target):
        """Without its ports: copies that start at once would choose the same."""
        subprocess.run(["cp", "-a", f"{source}/.", target], check=True)
        for name in ("directus.port", "pg.port"):
            pathlib.Path(target, name).unlink(missing_ok=True)
        pathlib.Path(target, "pg.path").write_text(f"{target}/pg\n")

    @classmethod
    def make_template(cls):
        """Installs Directus, builds the extension, and prepares the instance that each file of tests takes a copy of. On a
        machine that has never had them it takes minutes, else nothing."""
        directus = cls()
        try:
            directus.add_extension("redis://127.0.0.1:1")
            if not TEMPLATE.exists():
                directus.start_with_articles().keep_as_template()
        finally:
            directus.remove()

    def log(self):
        return (pathlib.Path(self.dir) / "directus.log").read_text()

    def create_articles(self):
        self.admin.post("/collections", ARTICLES)
        self.admin.post("/relations", {
            "collection": "articles", "field": "image", "related_collection": "directus_files",
            "schema": {"on_delete": "SET NULL"}, "meta": {"sort_field": None},
        })

    def create_worker_user(self, fields=("*",)):
        """The worker's own user: reads and updates articles, reads files and flows, nothing else, no Studio.

        Other `fields` than all need Directus 11, or a licence."""
        may = [
            ("articles", "read", ["*"]), ("articles", "update", list(fields)), ("articles", "create", list(fields)),
            ("directus_files", "read", ["*"]),
            ("directus_notifications", "create", ["*"]),
            ("directus_flows", "read", ["*"]), ("directus_operations", "read", ["*"]),
        ]
        policy = self.admin.post("/policies", {
            "name": "AI worker", "icon": "badge", "admin_access": False, "app_access": False,
            "permissions": {"update": [], "delete": [], "create": [
                {"collection": c, "action": a, "fields": f, "permissions": {}} for c, a, f in may
            ]},
        })
        role = self.admin.post("/roles", {
            "name": "AI worker", "policies": {"create": [{"policy": {"id": policy["id"]}}], "update": [], "delete": []},
        })
        self.admin.post("/users", {
            "id": WORKER_USER, "first_name": "AI", "last_name": "Worker", "email": "worker@example.com",
            "role": role["id"], "status": "active", "token": WORKER_TOKEN,
        })
