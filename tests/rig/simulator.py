"""The simulated provider (tests/simulator) as tests use it."""

import json
import urllib.parse

import requests

from processes import Process, built, wait_for


class Simulator:
    """Options as in its README, with underscores: Simulator(folder, delay="20-400", limits="rpm=60")."""

    def __init__(self, folder, **options):
        arguments = []
        for name, value in options.items():
            arguments.append(f"--{name.replace('_', '-')}={str(value).lower() if value is True else value}")
        folder.mkdir(parents=True, exist_ok=True)
        self.process = Process([built("simulator"), "--port=0", *arguments], folder / "simulator.log")
        first = wait_for(self._first_line, "the simulator's port")
        self.port = json.loads(first)["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()

    def _first_line(self):
        line, end, _ = self.process.log.partition("\n")
        if not self.process.is_running():
            raise AssertionError(f"the simulator ended:\n{self.process.log}")
        return line if end else None

    def _ask(self, method, path, **how):
        response = self.session.request(method, self.url + path, timeout=60, **how)
        assert response.status_code == 200, response.text
        return response

    def fault(self, do="answer", **details):
        """Queues a fault for one request: fault("error", kind="overloaded", times=2, contains="poison")."""
        self._ask("POST", "/__sim/faults", json={"do": do, **details})

    def answer(self, text, **details):
        """The next request that fits is answered with exactly this text."""
        self.fault("answer", text=text, **details)

    def set(self, **options):
        """Changes options while it runs: set(delay="100", limits="rpm=10")."""
        self._ask("POST", "/__sim/options", json={k.replace("_", "-"): str(v) for k, v in options.items()})

    def ledger(self, call="", since=0):
        """The requests so far, each as a dict; `call` is the start of their X-Client-Request-Id."""
        query = urllib.parse.urlencode({"since": since, "call": call})
        return [json.loads(line) for line in self._ask("GET", f"/__sim/ledger?{query}").content.splitlines()]

    def bodies(self, **which):
        """The bodies of the requests; needs the option ledger_bodies."""
        return [line["body"] for line in self.ledger(**which)]

    def stats(self):
        return self._ask("GET", "/__sim/stats").json()

    def reset(self):
        self._ask("DELETE", "/__sim")

    def stop(self):
        status = self.process.stop()
        assert status == 0, f"the simulator ended with {status}:\n{self.process.log[-4000:]}"
