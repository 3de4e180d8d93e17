"""A small run of tests/chaos/chaos.py: every invariant of its table holds. The seed of a run that fails is in its output."""
# labels: chaos

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))

import chaos  # noqa: E402


@pytest.mark.parametrize("seed", ["1", None])
def test_jobs_survive_kills_stops_and_faults(seed):
    fixed = ["--seed", seed] if seed else []
    assert chaos.run(["--jobs", "2000", "--seconds", "25", *fixed])


def test_with_hold_no_job_is_paid_twice():
    assert chaos.run(["--jobs", "1500", "--seconds", "15", "--hold", "--redis-kills", "1"])


def test_a_lost_job_is_found_within_a_lease_and_a_second():
    assert chaos.run(["--jobs", "1500", "--seconds", "15", "--redis-kills", "0", "--faults", "0", "--stops", "0"])
