"""A small run of tests/chaos/chaos.py: every invariant of its table holds. The seed of a run that fails is in its output."""
# labels: chaos

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))

import chaos  # noqa: E402
from points import are_compiled_in  # noqa: E402


def test_jobs_survive_kills_stops_and_faults():
    assert chaos.run(["--jobs", "2000", "--seconds", "20"])


def test_jobs_survive_kills_at_each_crash_point():
    points = ["--points", "2"] if are_compiled_in() else []
    assert chaos.run(["--jobs", "1500", "--seconds", "15", "--seed", "1", *points])


def test_with_hold_no_job_is_paid_twice():
    assert chaos.run(["--jobs", "1500", "--seconds", "15", "--hold", "--redis-kills", "1"])
