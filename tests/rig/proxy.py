"""The fault proxy (tests/proxy) between a worker and Redis, the provider or Directus."""

import json
import re
import socket

from processes import Process, built, wait_for


class Proxy:
    """Proxy(folder, redis.url): .url leads to the same place through the proxy; faults are methods. One that is not
    here is said as a line of its README: proxy.say("delay 20")."""

    def __init__(self, folder, url):
        folder.mkdir(parents=True, exist_ok=True)
        found = re.match(r"(\w+://(?:[^/@]*@)?)([^/:]+):(\d+)(.*)", url)
        assert found, f"no host and port in {url}"
        scheme, host, port, rest = found.groups()
        self.process = Process([built("proxy"), f"--to={'127.0.0.1' if host == 'localhost' else host}:{port}"],
                               folder / "proxy.log")
        first = json.loads(wait_for(self._first_line, "the proxy's ports"))
        self.port = first["port"]
        self.url = f"{scheme}127.0.0.1:{self.port}{rest}"
        self.control = socket.create_connection(("127.0.0.1", first["control"]))
        self.answers = self.control.makefile()

    def _first_line(self):
        line, end, _ = self.process.log.partition("\n")
        assert self.process.is_running(), f"the proxy ended:\n{self.process.log}"
        return line if end else None

    def say(self, line):
        self.control.sendall(line.encode() + b"\n")
        answer = self.answers.readline().strip()
        assert answer and not answer.startswith("wrong"), f"{line!r}: {answer or 'the proxy has ended'}"
        return answer

    def pass_on(self):
        self.say("pass")

    def refuse(self):
        self.say("refuse")

    def blackhole(self):
        self.say("blackhole")

    def delay(self, ms):
        self.say(f"delay {ms}")

    def cut(self, after_bytes=0):
        self.say(f"cut {after_bytes}")

    def reset(self):
        self.say("reset")

    def error(self, text, on=None, skip=0):
        """The next command (named `on`, after `skip` others) does not reach Redis and is answered with this error."""
        self.say(f"error {f'on {on} ' if on else ''}skip {skip} {text}")

    def rewrite(self, text, on=None, skip=0):
        """The command is carried out, but answered with this error."""
        self.say(f"rewrite {f'on {on} ' if on else ''}skip {skip} {text}")

    def clear(self):
        self.say("clear")

    def stats(self):
        return json.loads(self.say("stats"))

    def stop(self):
        self.answers.close()
        self.control.close()
        assert self.process.stop() == 0, self.process.log[-4000:]
