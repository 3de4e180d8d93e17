"""The model check of tests/chaos/model.py: a part of all orders of moves, and that it finds what is wrong."""
# labels: chaos

import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "chaos"))

import model  # noqa: E402

CALM = ["--jobs", "1", "--crashes", "0"]
LATE = ["--jobs", "1", "--crashes", "0", "--lost", "0", "--waits", "3"]  # one is believed dead, and is not
DEAD = ["--jobs", "1", "--crashes", "1", "--lost", "0", "--waits", "1"]

# What is taken out of a script, and what the check must find then.
FAULTS = {
    "finish does not look at the fence": (
        "finish", "if j.fence ~= fence then\n  return 0", "if false then\n  return 0", LATE, ""),
    "store does not look at the fence": (
        "store", "j.fence ~= ARGV[2] or ", "", LATE, ""),
    "a claim does not raise the fence": (
        "claim", "call('HINCRBY', jk, 'fence', 1)", "tonumber(call('HGET', jk, 'fence'))", ["--jobs", "2", "--slots", "1", "--crashes", "0"], "with the same fence"),
    "a permit does not look for an answer": (
        "permit", "if call('HEXISTS', sk, 'won:' .. step .. '#' .. question) == 1 then", "if false then", LATE,
        "its answer is stored"),
    "an answer of a worker that lost its lease is refused": (
        "settle", "  if not j.state then\n    return 0", "  if not j.state or j.fence ~= fence then\n    return 0", LATE,
        "thrown away"),
    "the second answer takes the place of the first": (
        "settle", "call('HSETNX', sk, won, n)", "call('HSET', sk, won, n)", LATE, ""),
    "the slot of a dead worker stays taken": (
        "tick", "call('ZREM', K('cs:' .. scope), permit)", "", DEAD, "which are over"),
    "the money of a dead worker stays reserved": (
        "tick", "call('HINCRBY', K('bud:' .. budget), 'r', 0 - p.cost)", "", DEAD, "are reserved"),
    "a permit sent again reserves again": (
        "permit", "if call('EXISTS', K('p:' .. permit)) == 1 then", "if false then", CALM, ""),
    "a job that is put back keeps its lease": (
        "finish", "local function put_back()\n  call('ZREM', K('lse'), id)", "local function put_back()",
        ["--jobs", "2", "--slots", "1", "--crashes", "0"], "and in"),
    "a job that is ready again wakes nobody": (
        "tick", "  offer_group(group)\nend\n\nlocal function delay", "end\n\nlocal function delay", DEAD, "looked at"),
    "a dead worker's lease is not taken back": (
        "tick", "call('ZRANGEBYSCORE', K('lse'), '-inf', now,", "call('ZRANGEBYSCORE', K('lse'), '-inf', 0,", DEAD, ""),
}


def test_no_order_of_moves_breaks_a_rule_for_one_job():
    """All of them."""
    is_well, figures = model.run(["--jobs", "1", "--lost", "0", "--waits", "1"])
    assert is_well and figures["complete"]


@pytest.mark.parametrize("more", [[], ["--hold"], ["--failures", "1", "--cancels", "1"], ["--latest"]], ids=" ".join)
def test_no_order_of_moves_breaks_a_rule_for_three_jobs(more):
    """Paths by chance, other ones each time. The seed of a run that fails is in its output."""
    assert model.run(["--moves", "2500", "--seed", str(random.randrange(1 << 32)), *more])[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_finds_a_fault(fault):
    script, text, replacement, bounds, words = FAULTS[fault]
    is_well, figures = model.run(bounds, {script: (text, replacement)}, quiet=True)
    assert not is_well, figures
    assert words in figures["broken"]
    print(figures["broken"], "\n".join(figures["path"]), sep="\n")
