"""Another server than the distribution's Redis: a small chaos run on Valkey 8.0, where Debian's mirror has it. The others of
tests/chaos/servers: `tests/chaos/run --server NAME`."""
# labels: chaos

import os
import pathlib
import subprocess
import sys

import pytest

CHAOS = pathlib.Path(__file__).parents[1] / "chaos"
sys.path.insert(0, str(CHAOS))

import chaos  # noqa: E402

NOT_REACHED = 3


def test_jobs_survive_on_valkey(monkeypatch):
    found = subprocess.run([CHAOS / "servers", "valkey-8.0"], text=True, capture_output=True)
    if found.returncode == NOT_REACHED:
        pytest.skip(found.stderr.strip().splitlines()[-1])
    assert found.returncode == 0, found.stderr
    monkeypatch.setenv("PATH", found.stdout.strip() + os.pathsep + os.environ["PATH"])
    version = subprocess.run(["redis-server", "--version"], text=True, capture_output=True).stdout
    assert version.startswith("Valkey"), version
    assert chaos.run(["--jobs", "800", "--seconds", "8", "--kills", "6", "--redis-kills", "1"])
