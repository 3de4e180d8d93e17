"""A stand-in for Directus where a test counts or breaks requests: items in memory, every request kept.

What Directus really does is tested in tests/e2e; a scenario uses this one to make it slow, down or strange."""

import http.server
import json
import re
import threading
import time
import urllib.parse
import uuid


class FakeDirectus:
    def __init__(self):
        self.items = {}      # collection -> key as text -> item
        self.flows = {}      # id -> flow as Directus stores it
        self.files = {}      # id -> (type, bytes)
        self.token = None    # the only one that it knows; None: any
        self.info = {"version": "12.4.0", "rateLimit": False, "ai_providers": []}  # /server/info
        self.rights = {}     # /permissions/me
        self.is_admin = False   # of the token's user
        self.settings = {}      # the row of directus_settings; None: forbidden
        self.extension = None   # what GET /flow-worker answers; None: not installed; "forbidden": not for this user
        self.transforms = True  # a width of one's own is allowed for /assets
        self.requests = []   # dicts: method, path, query, headers, body, at, beside: the requests under way when it came
        self.under_way = []  # requests that are not answered yet
        self.broken = None   # (status, body): the answer to everything
        self.limit_max = None  # QUERY_LIMIT_MAX: a number caps a list, ("refuse", number) refuses to give more
        self.delay = 0       # seconds before each answer
        self.lock = threading.Lock()
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                length = int(self.headers.get("content-length") or 0)
                fake.serve(self, self.rfile.read(length))

            do_GET = do_POST = do_PATCH = do_DELETE = do_SEARCH = handle_any

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024

            def handle_error(self, *_):  # the worker was killed in the middle of a request
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def add(self, collection, **item):
        with self.lock:
            self.items.setdefault(collection, {})[str(item["id"])] = item

    def add_file(self, type, content):
        """-> the id of a new file."""
        id = str(uuid.uuid4())
        self.files[id] = type, content
        return id

    def item(self, collection, key):
        return self.items[collection][str(key)]

    def writes(self, collection=None):
        """The requests that changed something."""
        return [r for r in self.requests if r["method"] in ("POST", "PATCH", "DELETE")
                and (collection is None or r["path"].startswith(f"/items/{collection}"))]

    def serve(self, handler, body):
        url = urllib.parse.urlsplit(handler.path)
        request = {
            "method": handler.command, "path": url.path, "query": dict(urllib.parse.parse_qsl(url.query)),
            "headers": {k.lower(): v for k, v in handler.headers.items()},
            "body": json.loads(body) if body else None, "at": time.time() * 1000,
        }
        with self.lock:
            request["beside"] = list(self.under_way)
            self.under_way.append(request)
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            self.requests.append(request)
            self.under_way = [r for r in self.under_way if r is not request]  # before the worker can have the answer
            status, answer = self.broken or self.answer(request)
        type = "application/json; charset=utf-8"
        if isinstance(answer, tuple):
            type, text = answer
        else:
            text = b"" if answer is None else json.dumps(answer).encode()
        handler.send_response(status)
        if answer is not None:
            handler.send_header("Content-Type", type)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def answer(self, request):
        if request["path"] == "/server/ping":
            return 200, ("text/html; charset=utf-8", b"pong")
        if self.token and request["headers"].get("authorization") != f"Bearer {self.token}":
            return INVALID_CREDENTIALS
        if request["path"] in ABOUT:
            return ABOUT[request["path"]](self)
        if request["path"].startswith("/flows"):
            return self.answer_flows(request)
        file = re.fullmatch(r"/(files|assets)/([^/]+)", request["path"])
        if file:
            return self.answer_file(file[1], file[2], request)
        found = re.fullmatch(r"/items/(\w+)(?:/([^/]+))?", request["path"])
        if not found:
            return NO_ROUTE
        items = self.items.setdefault(found[1], {})
        return self.answer_item(items, found[2], request) if found[2] else self.answer_items(items, request)

    def answer_file(self, kind, id, request):
        if id not in self.files:
            return FORBIDDEN
        type, content = self.files[id]
        if "width" in request["query"] and not self.transforms:
            return 400, {"errors": [{"message": "Invalid query.", "extensions": {"code": "INVALID_QUERY"}}]}
        if kind == "assets":
            return 200, (type, content)
        return 200, {"data": {"id": id, "type": type, "filesize": str(len(content)), "title": "A file",
                              "filename_download": f"file.{type.split('/')[1]}"}}

    def answer_flows(self, request):
        key = request["path"].removeprefix("/flows").strip("/")
        if not key:
            wanted = {name: value for name, value in request["query"].items() if name.startswith("filter[")}
            return 200, {"data": [flow for flow in self.flows.values() if all(
                str(flow.get(name.split("[")[1].rstrip("]"))) == value for name, value in wanted.items())]}
        return (200, {"data": self.flows[key]}) if key in self.flows else FORBIDDEN

    @staticmethod
    def answer_item(items, key, request):
        if key not in items:
            return FORBIDDEN
        if request["method"] == "DELETE":
            del items[key]
            return 204, None
        if request["method"] == "PATCH":
            items[key].update(request["body"])
        fields = request["query"].get("fields")
        return 200, {"data": pick(items[key], {"fields": fields and fields.split(",")})}

    def answer_items(self, items, request):
        body = request["body"]
        if request["method"] == "POST":
            new = [dict(item) for item in (body if isinstance(body, list) else [body])]
            for item in new:
                item.setdefault("id", len(items) + 1)
                items[str(item["id"])] = item
            return 200, {"data": new if isinstance(body, list) else new[0]}
        if request["method"] == "PATCH" and isinstance(body, dict):
            for key in body["keys"]:
                items[str(key)].update(body["data"])
            return 200, {"data": [items[str(key)] for key in body["keys"]]}
        query = (body or {}).get("query") or {}
        found = [item for item in items.values() if matches(item, query.get("filter") or {})]
        if (body or {}).get("keys"):
            found = [items[str(key)] for key in body["keys"] if str(key) in items]
        if "aggregate" in query:
            return 200, {"data": [{"count": str(len(found))}]}
        for name in query.get("sort", []):
            found.sort(key=lambda item: item.get(name))
        found = found[query.get("offset", 0):]
        limit = query.get("limit", 100)
        if isinstance(self.limit_max, tuple) and limit > self.limit_max[1]:
            return 400, {"errors": [{"message": "Invalid query.", "extensions": {"code": "INVALID_QUERY"}}]}
        if isinstance(self.limit_max, int):
            limit = min(limit, self.limit_max)
        return 200, {"data": [pick(item, query) for item in (found[:limit] if limit >= 0 else found)]}

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


CONDITIONS = {
    "_eq": lambda value, wanted: str(value) == str(wanted), "_in": lambda value, wanted: str(value) in map(str, wanted),
    "_gt": lambda value, wanted: value > wanted, "_null": lambda value, wanted: (value is None) == wanted,
    "_contains": lambda value, wanted: wanted in (value or ""),
}


def matches(item, filter):
    """Directus' filter, as far as tests use it."""
    return all(
        all(matches(item, part) for part in wanted) if name == "_and" else
        all(CONDITIONS[condition](item.get(name), value) for condition, value in wanted.items())
        for name, wanted in filter.items())


def pick(item, query):
    fields = query.get("fields") or ["*"]
    return dict(item) if "*" in fields else {name: item[name] for name in fields if name in item}


INVALID_CREDENTIALS = 401, {"errors": [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID_CREDENTIALS"}}]}
NO_ROUTE = 404, {"errors": [{"message": "Route doesn't exist.", "extensions": {"code": "ROUTE_NOT_FOUND"}}]}
FORBIDDEN = 403, {"errors": [{"message": "You don't have permission to access this.", "extensions": {"code": "FORBIDDEN"}}]}


def _extension(fake):
    if fake.extension is None:
        return NO_ROUTE
    return FORBIDDEN if fake.extension == "forbidden" else (200, {"data": fake.extension})


# What Directus tells of itself and of the user who asks.
ABOUT = {
    "/users/me": lambda fake: (200, {"data": {"id": "worker", "role": "worker"}}),
    "/server/info": lambda fake: (200, {"data": fake.info}),
    "/permissions/me": lambda fake: (200, {"data": fake.rights}),
    "/policies/me/globals": lambda fake: (200, {"data": {"admin_access": fake.is_admin, "app_access": fake.is_admin}}),
    "/settings": lambda fake: FORBIDDEN if fake.settings is None else (200, {"data": fake.settings}),
    "/flow-worker": _extension,
}
