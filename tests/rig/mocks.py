"""Provider servers that others wrote, from npm: aimock answers and breaks, Prism checks bodies against OpenAPI.

They are kept in FLOW_WORKER_CACHE (~/.cache/flow-worker). The OpenAPI descriptions are the providers': they are no part of
this project, so Prism's tests are skipped where nobody has put them."""

import os
import pathlib

import pytest
import requests

import npm
from processes import TESTS, Process, free_port, wait_for

PACKAGES = {"@copilotkit/aimock": "1.43.0", "@stoplight/prism-cli": "5.14.2"}
NAMED = os.environ.get("PROVIDER_SPECS")
SPECS = pathlib.Path(NAMED or TESTS.parent.parent / "shared" / "specs")


def installed():
    return npm.installed("mocks", PACKAGES)


def specifications(*names):
    """Skips the tests of the calling file if there is no folder of descriptions; one that lacks some is an error."""
    if not NAMED and not SPECS.exists():
        pytest.skip(f"no {SPECS}: name a folder with {', '.join(names)} in PROVIDER_SPECS", allow_module_level=True)
    lacking = [name for name in names if not (SPECS / name).exists()]
    if lacking:
        raise FileNotFoundError(f"{SPECS} has no {', '.join(lacking)}")


class _Server:
    def __init__(self, program, arguments, log, path):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = installed() / "node_modules" / ".bin" / program
        self.process = Process([npm.node(), program, *arguments, "-p", self.port], log)
        wait_for(lambda: self._answers(path), f"{program.name} answers", timeout=60)

    def _answers(self, path):
        assert self.process.is_running(), self.process.log[-4000:]
        try:
            return requests.get(self.url + path, timeout=30) is not None
        except (requests.ConnectionError, requests.Timeout):
            return False

    def stop(self):
        self.process.kill()


class Prism(_Server):
    """Answers 200 to what fits the specification, 422 and the field's name to what does not."""

    def __init__(self, specification, log):
        super().__init__("prism", ["mock", SPECS / specification], log, "/")

    def post(self, path, body, headers):
        return requests.post(self.url + path, json=body, headers=headers, timeout=60)


class Aimock(_Server):
    """Answers by its file of fixtures, speaks every format, keeps a journal."""

    def __init__(self, fixtures, log):
        super().__init__("llmock", ["-f", fixtures, "--strict", "--log-level", "warn"], log, "/health")

    def journal(self):
        answer = requests.get(f"{self.url}/__aimock/journal", timeout=60).json()
        return answer["entries"] if isinstance(answer, dict) else answer

    def forget(self):
        requests.post(f"{self.url}/__aimock/reset/journal", timeout=60).raise_for_status()
