"""Processes of a test: they end with it, however it ends. And waiting for a condition."""

import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

TESTS = pathlib.Path(__file__).parents[1]
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_chance = random.SystemRandom()  # the seed of a test is its own


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_for(condition, what, timeout=60, every=0.01):
    """What condition() returns as soon as it is true (or is not None, False, 0, empty); TimeoutError names `what`."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout} s for: {what}")
        time.sleep(every)


def free_port():
    """A port that nobody listens on. Not one of those that the kernel gives to outgoing connections: such a one may be
    taken before the server is up."""
    first_given = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(10000, first_given)
    for port in _chance.sample(ports, min(100, len(ports))) + [0]:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return s.getsockname()[1]
    raise AssertionError("no free port")


def built(name):
    """Where a program of the build is: FLOW_WORKER_BUILD, else the newest build folder of this tree that has it."""
    named = os.environ.get("FLOW_WORKER_BUILD")
    folders = [pathlib.Path(named)] if named else sorted(
        TESTS.parent.glob("build*"), key=lambda f: f.stat().st_mtime, reverse=True)
    for folder in folders:
        for program in (folder / name, folder / "tests" / name):
            if program.is_file():
                return program
    raise FileNotFoundError(f"{name} is not built; build with -DTESTS=ON, or name the folder in FLOW_WORKER_BUILD")


class Process:
    """A program with its output in a file. Dies with the test."""

    def __init__(self, command, log, env=None, cwd=None):
        self.command, self.log_file = [str(c) for c in command], pathlib.Path(log)
        with open(self.log_file, "ab") as out:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd,
                preexec_fn=_die_with_parent)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def is_running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self, timeout=60):
        """SIGTERM; its exit status. Killed, and an error, if it does not end in time."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.command[0]} did not end within {timeout} s of SIGTERM:\n{self.log[-4000:]}")
