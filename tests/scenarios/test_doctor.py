# labels: slow
"""flow-worker doctor: each misconfiguration is injected into surroundings that are good, and must be named: by the
check it belongs to, with a word of what to do about it. Directus and Redis that are too old or whose clocks are wrong
are stand-ins; everything else is real."""

import contextlib
import json
import resource
import socket
import socketserver
import threading
import time

import pytest

from redis_server import RedisServer
from worker import DIRECTUS_TOKEN, SECRETS

ALL = {"access": "full", "fields": ["*"]}
NONE = {"access": "none"}
LIMITS = 'json:[{"scope":"*","budgetUsd":20,"period":"day"}]'
GOOD = {
    "AI_LIMITS": LIMITS, "AI_DEFAULT_MODEL": "openai:gpt-5.6-terra", "AI_OPENAI_ALLOWED_MODELS": "gpt-5.6-terra",
    "WORKER_JOB_SECRET": "a-secret-that-is-long-enough",
    "LOG_LEVEL": None, "LOG_STYLE": None,
}


class OldRedis:
    """Speaks enough of Redis' protocol to be asked how old it is and what time it has."""

    def __init__(self, version="7.2.0", ahead=0):
        old = self
        self.version, self.ahead = version, ahead

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while line := self.rfile.readline():
                    words = []
                    for _ in range(int(line[1:])):
                        size = int(self.rfile.readline()[1:])
                        words.append(self.rfile.read(size + 2)[:-2].decode())
                    self.wfile.write(old.answer(words[0].upper()).encode())

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"redis://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, command):
        if command == "INFO":
            text = f"# Server\r\nredis_version:{self.version}\r\nrole:master\r\naof_enabled:1\r\n"
            return f"${len(text)}\r\n{text}\r\n"
        if command == "TIME":
            seconds = str(int(time.time() + self.ahead))
            return f"*2\r\n${len(seconds)}\r\n{seconds}\r\n$1\r\n0\r\n"
        return "+PONG\r\n" if command == "PING" else "+OK\r\n"


class World:
    """The good surroundings of a test, and its ways to make them bad."""

    def __init__(self, redis, directus, start_simulator, tmp_path):
        self.redis, self.directus, self.start_simulator, self.folder = redis, directus, start_simulator, tmp_path
        self.env = dict(GOOD)
        self.left = contextlib.ExitStack()
        directus.token = DIRECTUS_TOKEN
        directus.extension = {"protocol": 1, "version": "0.1.0"}
        directus.settings = None
        directus.rights = {
            "articles": {"read": ALL, "update": ALL, "create": ALL},
            "directus_flows": {"read": ALL}, "directus_operations": {"read": ALL},
        }

    def set(self, **env):
        self.env.update(env)

    def config(self, **settings):
        for name, value in settings.items():
            self.redis.client.config_set(name.replace("_", "-"), value)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def few_descriptors(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        self.left.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def taken_port(self):
        taken = self.left.enter_context(socket.socket())
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        return taken.getsockname()[1]

    def user(self, *rules):
        """A user of Redis who may everything but what the rules take away."""
        self.redis.client.execute_command("ACL", "SETUSER", "limited", "on", ">limited-pass", "+@all", *rules)
        self.set(REDIS=f"redis://limited:limited-pass@127.0.0.1:{self.redis.port}")

    def replica(self):
        other = RedisServer(self.folder / "replica", "--replicaof", f"127.0.0.1 {self.redis.port}")
        self.left.callback(other.stop)
        self.set(REDIS=other.url)

    def nearly_full(self):
        used = self.redis.client.info("memory")["used_memory"]
        self.config(maxmemory=int(used * 1.01))

    def worker_of_another_release(self):
        now = int(time.time() * 1000)
        self.redis.client.zadd("{flow-worker}:wrk", {"other": now})
        self.redis.client.hset("{flow-worker}:w:other", mapping={
            "state": json.dumps({"version": "0.0.9", "slots": 1, "busy": 0}), "layout": 1, "at": now})

    def flow(self, collection):
        self.directus.flows["f"] = {"id": "f", "name": "Summaries", "status": "active", "operations": [
            {"type": "ai-generate", "options": {}},
            {"type": "item-update", "options": {"collection": collection, "key": "1"}},
        ]}

    def limits_told(self):
        told = self.start_simulator()
        told.fault("answer", format="models", headers={"x-ratelimit-limit-requests": "60"})
        self.set(AI_OPENAI_BASE_URL=f"{told.url}/v1",
                 AI_LIMITS='json:[{"scope":"openai","rpm":500},{"scope":"*","budgetUsd":20,"period":"day"}]')

    def wrong_key(self, kind):
        keys = {"AI_OPENAI": "v1", "AI_ANTHROPIC": "v1", "AI_GOOGLE": "v1beta"}
        choosy = self.start_simulator(keys="the-only-good-key")
        self.set(**{f"{kind}_BASE_URL": f"{choosy.url}/{keys[kind]}"})

    def broken_directus(self, status, code):
        self.directus.broken = status, {"errors": [{"message": "no", "extensions": {"code": code}}]}

    def cut_base_url(self):
        self.set(AI_OPENAI_BASE_URL=self.start_simulator().url)

    def only_openai(self, **env):
        self.set(AI_ANTHROPIC_API_KEY="", AI_GOOGLE_API_KEY="", AI_OPENAI_COMPATIBLE_BASE_URL="", **env)


# What is done, which check must see it, a word of what it says to do.
CASES = {
    "a variable that there is none of": (lambda w: w.set(WORKER_CONCURENCY="5"), "variables", "correct or remove"),
    "a bad value": (lambda w: w.set(WORKER_CONCURRENCY="many"), "variables", "flow-worker config"),
    "a .env that others can read": (lambda w: w.file(".env", "LOG_LEVEL=info\n").chmod(0o644), "env-file", "chmod 600"),
    "an administrator's token left over": (lambda w: w.set(DIRECTUS_ADMIN_TOKEN="admin-token-0005"), "admin-token", "remove"),
    "too few descriptors": (lambda w: w.few_descriptors(), "descriptors", "ulimit -n"),
    "no state directory": (lambda w: w.set(WORKER_STATE_DIRECTORY="/nonexistent/state"), "state-directory", "mkdir"),
    "a state directory that is a file": (lambda w: w.set(WORKER_STATE_DIRECTORY="/etc/passwd"), "state-directory", "folder"),
    "no certificate": (lambda w: w.set(WORKER_TLS_CA_FILE="/nonexistent.pem"), "certificates", "PEM"),
    "bad schedules": (lambda w: w.set(WORKER_SCHEDULES=w.file("s.json", '[{"cron":"61 * * * *"}]')), "schedules", "correct the file"),
    "a door that is taken": (lambda w: w.set(WORKER_HTTP_ADDRESS=f"127.0.0.1:{w.taken_port()}"), "http-door", "free port"),
    "no Redis": (lambda w: w.set(REDIS="redis://127.0.0.1:1"), "redis", "start Redis"),
    "a password that Redis wants": (lambda w: w.config(requirepass="secret-of-redis"), "redis", "REDIS_PASSWORD"),
    "a wrong password": (lambda w: w.set(REDIS=f"redis://limited:wrong-pass@127.0.0.1:{w.redis.port}"), "redis", "REDIS_USERNAME"),
    "a database that is not there": (lambda w: w.set(REDIS_DB="99"), "redis", "REDIS_DB"),
    "TLS where there is none": (lambda w: w.set(REDIS=w.redis.url.replace("redis:", "rediss:")), "redis", "redis://"),
    "an old Redis": (lambda w: w.set(REDIS=OldRedis(version="5.0.14").url), "redis-version", "6.2"),
    "eviction": (lambda w: w.config(maxmemory_policy="allkeys-lru"), "redis-eviction", "noeviction"),
    "no append-only file": (lambda w: w.config(appendonly="no"), "redis-persistence", "appendonly yes"),
    "a replica": (lambda w: w.replica(), "redis-role", "master"),
    "fewer replicas than must confirm": (lambda w: w.set(REDIS_WAIT_REPLICAS="1"), "redis-role", "REDIS_WAIT_REPLICAS"),
    "a full Redis": (lambda w: w.nearly_full(), "redis-memory", "maxmemory"),
    "a clock that is off": (lambda w: w.set(REDIS=OldRedis(ahead=300).url), "redis-clock", "NTP"),
    "a command that is forbidden": (lambda w: w.user("~*", "&*", "-xadd"), "redis-acl", "ACL SETUSER"),
    "keys that are forbidden": (lambda w: w.user("~other:*", "&*"), "redis-acl", "~{flow-worker}:*"),
    "a channel that is forbidden": (lambda w: w.user("~*", "resetchannels"), "redis-acl", "&{flow-worker}:*"),
    "a prefix without braces": (lambda w: w.set(QUEUE_PREFIX="jobs:"), "queue-prefix", "QUEUE_PREFIX="),
    "a queue of a later release": (lambda w: w.redis.client.set("{flow-worker}:v", 9), "queue-layout", "release"),
    "a worker of another release": (lambda w: w.worker_of_another_release(), "workers", "one release"),
    "jobs and no worker": (lambda w: w.redis.client.xadd("{flow-worker}:in", {"body": "{}"}), "workers", "start one"),
    "no Directus": (lambda w: w.set(DIRECTUS_URL="http://127.0.0.1:1"), "directus", "DIRECTUS_URL"),
    "something else than Directus": (lambda w: w.set(DIRECTUS_URL=w.directus.url + "/admin"), "directus", "correct DIRECTUS_URL"),
    "Directus under pressure": (lambda w: w.broken_directus(503, "SERVICE_UNAVAILABLE"), "directus", "DIRECTUS_CONCURRENCY"),
    "a wrong token": (lambda w: w.set(DIRECTUS_TOKEN="an-old-token-0006"), "directus-token", "--new-token"),
    "no token": (lambda w: w.set(DIRECTUS_TOKEN=""), "directus-token", "flow-worker connect"),
    "an administrator's rights": (lambda w: setattr(w.directus, "is_admin", True), "directus-admin", "flow-worker connect"),
    "an old Directus": (lambda w: w.directus.info.update(version="10.13.1"), "directus-version", "upgrade"),
    "a tight rate limiter": (
        lambda w: w.directus.info.update(rateLimit={"points": 5, "duration": 1}), "directus-rate-limit", "RATE_LIMITER_POINTS"),
    "no right to read flows": (lambda w: w.directus.rights.pop("directus_flows"), "directus-rights", "flow-worker connect"),
    "no right to write anything": (lambda w: w.directus.rights.pop("articles"), "directus-rights", "--collections"),
    "a flow that writes where it may not": (lambda w: w.flow("products"), "directus-flows", "--collections products"),
    "no collection for run logs": (lambda w: w.set(WORKER_RUN_LOG_COLLECTION="runs"), "run-log", "create the collection"),
    "no right to notify": (
        lambda w: w.set(WORKER_ON_DEAD="directus:5a3c1d8e-0000-4000-8000-000000000001"), "on-dead", "--notifications"),
    "no extension": (lambda w: setattr(w.directus, "extension", None), "extension", "EXTENSIONS_MUST_LOAD"),
    "an extension of another user": (lambda w: setattr(w.directus, "extension", "forbidden"), "extension", "FLOW_WORKER_USER=worker"),
    "an extension of another protocol": (lambda w: w.directus.extension.update(protocol=2), "extension", "one release"),
    "an extension of another release": (lambda w: w.directus.extension.update(version="0.0.9"), "extension", "worker's release"),
    "no secret for jobs": (lambda w: w.set(WORKER_JOB_SECRET=None), "job-secret", "FLOW_WORKER_JOB_SECRET"),
    "a key in the Studio only": (
        lambda w: (setattr(w.directus, "settings", {"ai_anthropic_api_key": "**********"}), w.set(AI_ANTHROPIC_API_KEY="")),
        "studio-keys", "set AI_ANTHROPIC_API_KEY"),
    "a provider in the Studio only, without rights to settings": (
        lambda w: (w.directus.info.update(ai_providers=["google"]), w.set(AI_GOOGLE_API_KEY="")),
        "studio-keys", "set AI_GOOGLE_API_KEY"),
    "settings that may not be read": (lambda w: w.set(AI_SETTINGS_IMPORT="true"), "studio-keys", "flow-worker connect"),
    "a wrong key of OpenAI": (lambda w: w.wrong_key("AI_OPENAI"), "providers", "AI_OPENAI_API_KEY"),
    "a wrong key of Anthropic": (lambda w: w.wrong_key("AI_ANTHROPIC"), "providers", "AI_ANTHROPIC_API_KEY"),
    "a wrong key of Google": (lambda w: w.wrong_key("AI_GOOGLE"), "providers", "AI_GOOGLE_API_KEY"),
    "a server that is down": (
        lambda w: w.set(AI_OPENAI_COMPATIBLE_BASE_URL="http://127.0.0.1:1/v1"), "providers", "AI_OPENAI_COMPATIBLE_BASE_URL"),
    "a base URL that is cut": (lambda w: w.cut_base_url(), "providers", "/v1"),
    "no provider": (lambda w: w.only_openai(AI_OPENAI_API_KEY="", AI_DEFAULT_MODEL=""), "providers", "AI_OPENAI_API_KEY"),
    "AI switched off": (lambda w: w.set(AI_ENABLED="false"), "providers", "AI_ENABLED=true"),
    "no model allowed": (lambda w: w.set(AI_ANTHROPIC_ALLOWED_MODELS=""), "providers", "AI_ANTHROPIC_ALLOWED_MODELS"),
    "a model that is not offered": (
        lambda w: w.set(AI_ANTHROPIC_ALLOWED_MODELS="claude-sonet-5-5"), "providers", "claude-sonnet-5-5"),
    "a default model that is not offered": (
        lambda w: w.set(AI_DEFAULT_MODEL="openai:gpt-5.6-tera", AI_OPENAI_ALLOWED_MODELS="gpt-5.6-tera"),
        "providers", "correct AI_DEFAULT_MODEL"),
    "a default model without a key": (
        lambda w: w.set(AI_DEFAULT_MODEL="google:gemini-3.6-flash", AI_GOOGLE_API_KEY=""), "default-model", "AI_GOOGLE_API_KEY"),
    "a default model that is not allowed": (
        lambda w: w.set(AI_OPENAI_ALLOWED_MODELS="gpt-5.6-sol"), "default-model", "AI_OPENAI_ALLOWED_MODELS"),
    "a default model that was shut down": (
        lambda w: w.set(AI_MODELS='json:[{"provider":"openai","model":"gpt-5.6-terra","retires":"2025-01-01"}]'),
        "default-model", "another model"),
    "an allowed model that was shut down": (
        lambda w: w.set(AI_MODELS='json:[{"provider":"openai","model":"gpt-old","retires":"2025-01-01"}]',
                        AI_OPENAI_ALLOWED_MODELS="gpt-5.6-terra,gpt-old"), "allowed-models", "AI_OPENAI_ALLOWED_MODELS"),
    "no limits": (lambda w: w.set(AI_LIMITS=None), "limits", "budgetUsd"),
    "a limit of no provider": (lambda w: w.set(AI_LIMITS='json:[{"scope":"openia","rpm":5}]'), "variables", "correct it"),
    "a limit of a provider without a key": (
        lambda w: w.set(AI_LIMITS='json:[{"scope":"google","rpm":5}]', AI_GOOGLE_API_KEY=""), "limits", "provider's key"),
    "a limit above the provider's": (lambda w: w.limits_told(), "providers", "lower rpm"),
}


@pytest.fixture
def world(redis, fake_directus, start_simulator, tmp_path):
    world = World(redis, fake_directus, start_simulator, tmp_path)
    yield world
    world.left.close()


@pytest.fixture
def doctor(world, flow_worker, simulator):
    def run(*options):
        done = flow_worker("doctor", *options, **world.env)
        assert not [s for s in [*SECRETS, "the-only-good-key"] if s in done.out + done.err]
        return done

    return run


def test_good_surroundings_are_called_good(doctor):
    done = doctor("--json")
    assert [c for c in done.json["checks"] if c["status"] in ("bad", "warning")] == []
    assert done.json["good"] is True and done.status == 0


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_named_with_its_fix(name, world, doctor):
    break_it, check, word = CASES[name]
    break_it(world)
    done = doctor("--json")
    wrong = [c for c in done.json["checks"] if c["status"] in ("bad", "warning")]
    assert [c for c in wrong if c["check"] == check and word in c["fix"]], json.dumps(wrong, indent=1)
    assert done.status == (1 if any(c["status"] == "bad" for c in wrong) else 0)
    assert done.json["good"] is (done.status == 0)


def test_people_get_a_line_for_each_check_and_the_fix_below(world, doctor):
    world.set(DIRECTUS_TOKEN="")
    done = doctor()
    lines = done.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("FAIL  directus-token"))
    assert lines[at + 1].strip().startswith("fix: flow-worker connect")
    assert lines[-1] == "1 wrong, 0 warnings" and done.status == 1
