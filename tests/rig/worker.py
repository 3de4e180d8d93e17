"""The flow-worker program: one command, or a process that works on a queue."""

import json
import os
import signal
import subprocess
import uuid

import requests

from processes import Process, built, free_port, wait_for

OPENAI_KEY, ANTHROPIC_KEY, GOOGLE_KEY = "sk-test-openai-0001", "sk-ant-test-0002", "AIza-test-0003"
DIRECTUS_TOKEN = "directus-token-of-the-worker-0004"
SECRETS = [OPENAI_KEY, ANTHROPIC_KEY, GOOGLE_KEY, DIRECTUS_TOKEN]
PASSED_ON = ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"]
CRASH_SIGNS = ["ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "Assertion `"]


def environment(redis=None, simulator=None, directus=None, **more):
    """What a worker is started with: nothing of the tester's own settings. Values None are left out."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    env.update(LOG_STYLE="raw", LOG_LEVEL="debug")
    if redis:
        env["REDIS"] = redis.url
    if simulator:
        env.update(
            AI_OPENAI_API_KEY=OPENAI_KEY, AI_OPENAI_BASE_URL=f"{simulator.url}/v1",
            AI_ANTHROPIC_API_KEY=ANTHROPIC_KEY, AI_ANTHROPIC_BASE_URL=f"{simulator.url}/v1",
            AI_GOOGLE_API_KEY=GOOGLE_KEY, AI_GOOGLE_BASE_URL=f"{simulator.url}/v1beta",
            AI_OPENAI_COMPATIBLE_BASE_URL=f"{simulator.url}/v1")
    if directus:
        env.update(DIRECTUS_URL=directus.url, DIRECTUS_TOKEN=getattr(directus, "worker_token", DIRECTUS_TOKEN),
                   DIRECTUS_BULK_SHARE="800")  # nobody else wants anything of it
    env.update({name: str(value) for name, value in more.items() if value is not None})
    return env


def crashed(text):
    return any(sign in text for sign in CRASH_SIGNS)


class Command:
    """What one command of flow-worker answered."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        assert not crashed(self.err), self.err
        assert self.status in (0, 1, 2), f"ended with {self.status}:\n{self.err[-4000:]}"

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run_command(*arguments, env, cwd, stdin=None, timeout=120):
    """flow-worker with these arguments; a stdin that is no text is sent as JSON."""
    text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
    return Command(subprocess.run(
        [str(built("flow-worker")), *map(str, arguments)], input=text or "", env=env, cwd=cwd, text=True,
        capture_output=True, timeout=timeout))


class Queue:
    """The queue as any other program sees it: plain XADD and GET."""

    def __init__(self, client, prefix="{flow-worker}:"):
        self.client, self.prefix = client, prefix

    def enqueue(self, job, id=None, **fields):
        """-> the id. A job that is no text is sent as JSON; fields as in the contract: tenant, lane, run_at, …"""
        id = id or str(uuid.uuid4())
        body = job if isinstance(job, (str, bytes)) else json.dumps(job)
        self.client.xadd(f"{self.prefix}in", {"body": body, "id": id, **fields})
        return id

    def result(self, id, timeout=60):
        """Waits for the end of a job -> its result object."""
        return json.loads(wait_for(lambda: self.client.get(f"{self.prefix}res:{id}"), f"job {id} ends", timeout))

    def results(self, ids, timeout=60):
        return [self.result(id, timeout) for id in ids]

    def run(self, job, timeout=60, **fields):
        return self.result(self.enqueue(job, **fields), timeout)


class Worker:
    """A running `flow-worker run`."""

    def __init__(self, folder, env):
        folder.mkdir(parents=True, exist_ok=True)
        self.http_port = free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        env = {"WORKER_HTTP_ADDRESS": f"127.0.0.1:{self.http_port}", **env}
        self.process = Process([built("flow-worker"), "run"], folder / "worker.log", env, folder)
        self.is_expected_dead = False

    @property
    def log(self):
        return self.process.log

    @property
    def pid(self):
        return self.process.pid

    def wait_until_ready(self, timeout=60):
        """Until its own HTTP door says that it takes jobs."""
        wait_for(self._is_ready, "the worker is ready", timeout)
        return self

    def _is_ready(self):
        assert self.process.is_running(), f"the worker ended:\n{self.log[-4000:]}"
        try:
            return requests.get(f"{self.url}/ready", timeout=30).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False

    def wait_for_log(self, text, timeout=60):
        wait_for(lambda: text in self.log, f"'{text}' in the worker's log", timeout)

    def kill(self):
        self.is_expected_dead = True
        self.process.kill()

    def pause(self):
        self.process.signal(signal.SIGSTOP)

    def resume(self):
        self.process.signal(signal.SIGCONT)

    def terminate(self):
        """SIGTERM without waiting."""
        self.process.signal(signal.SIGTERM)

    def stop(self, timeout=60):
        """Ends it, and looks that it ended well: status 0, no sanitizer report, no secret in the log."""
        self.resume()
        status = self.process.stop(timeout)
        log = self.log
        assert not crashed(log), log[-8000:]
        was_starting = status == -signal.SIGTERM and not log  # it had not come to its own handler yet
        assert self.is_expected_dead or was_starting or status == 0, f"the worker ended with {status}:\n{log[-4000:]}"
        leaked = [secret for secret in SECRETS if secret in log]
        assert not leaked, f"secrets in the log: {leaked}"
