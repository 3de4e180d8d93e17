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

NO_FENCE = """
  if a[1] == 'HMGET' then
    local r = real(...)
    for i = 3, #a do
      if a[i] == 'fence' then r[i - 2] = ARGV[3] end
    end
    return r
  end"""

# What goes wrong in which script (model_store.py), within which bounds it is looked for, and what is found then. Where a
# script takes several, ARGV[1] is how many words the one has.
FAULTS = {
    "finish does not look at the fence": ("finish", NO_FENCE, LATE, ""),
    "store does not look at the fence": ("store", NO_FENCE, LATE, "is stored with fence"),
    "a claim at the same moment gives the same fence": ("claim", NO_FENCE.replace("ARGV[3]", "'0'"), LATE, ""),
    "a permit does not look for an answer": ("permit", """
  if a[1]:match('^H') and a[3]:match('^won:') then return false end""", LATE, "its answer is stored"),
    "an answer of a worker that lost its lease is refused": ("settle", """
  if a[1] == 'HMGET' and a[2] == P .. 'j:' .. ARGV[3] and real('HGET', a[2], 'fence') ~= ARGV[4] then return {} end""",
        LATE, "thrown away"),
    "the second answer takes the place of the first": ("settle", """
  if a[1] == 'HMGET' and a[3]:match('^won:') then return {} end""", LATE, "that counts"),
    "the slot of a dead worker stays taken": ("tick", """
  if a[1] == 'ZREM' and a[2]:find('cs:', 1, true) then return 0 end""", DEAD, "which are over"),
    "the money of a dead worker stays reserved": ("tick", """
  if a[1] == 'HINCRBY' and a[3] == 'r' then return 0 end""", DEAD, "are reserved"),
    "a permit sent again reserves again": ("permit", """
  if a[1] == 'EXISTS' and a[2]:find(':p:', 1, true) then return 0 end""", CALM, "are reserved"),
    "a job that is put back keeps its lease": ("finish", """
  if a[1] == 'ZREM' and a[2] == P .. 'lse' then return 0 end""", ["--jobs", "2", "--slots", "1", "--crashes", "0"], "and in"),
    "a job that is ready again wakes nobody": ("tick", """
  if a[1] == 'ZADD' and a[2] == P .. 'rdy' then return 0 end""", DEAD, "looked at"),
    "a permit takes no slot": ("permit", """
  if a[1] == 'ZADD' and a[2]:find('cs:', 1, true) then return 0 end""", CALM, "has no slot"),
    "the permit of a lease that is renewed runs out": ("renew", """
  if a[1] == 'ZADD' and a[2] == P .. 'px' then return 0 end""", LATE, "was taken from it"),
    "nobody knows that a call is under way": ("permit", """
  if a[1] == 'HSET' and a[3] == 'permit' then return 0 end""", DEAD, "may be under way"),
    "a dedup key is not taken": ("file", """
  if a[1] == 'SET' and a[2]:find('dd:', 1, true) then return 0 end""", ["--jobs", "2", "--latest", "--faults", "0"], "both are alive"),
    "a dead worker's lease is not taken back": ("tick", """
  if a[1] == 'ZRANGEBYSCORE' and a[2] == P .. 'lse' then return {} end""", DEAD, "no way leads to an end"),
}


def test_no_order_of_moves_breaks_a_rule_for_one_job():
    """All of them."""
    is_well, figures = model.run(["--jobs", "1", "--lost", "0", "--waits", "1"])
    assert is_well and figures["complete"]


def test_no_order_of_moves_breaks_a_rule_for_three_jobs_when_nothing_goes_wrong():
    """All of them, but for what comes to the same; in an hour also all with one crash, lost reply, silence, failure or cancel."""
    is_well, figures = model.run(["--jobs", "3", "--faults", "0"])
    assert is_well and figures["complete"]


def test_moves_that_stand_alone_lead_to_the_same_ends_in_every_order():
    few, all_of_them = (model.run(["--jobs", "2", "--faults", "1", "--crashes", "0", "--lost", "0", *more])[1]
                        for more in ([], ["--every-order"]))
    assert few["moves"] < all_of_them["moves"] and few["ends"] == all_of_them["ends"]


@pytest.mark.parametrize("more", [[], ["--hold"], ["--failures", "1", "--cancels", "1"], ["--latest"]], ids=" ".join)
def test_no_order_of_moves_breaks_a_rule_for_three_jobs(more):
    """Paths by chance, other ones each time. The seed of a run that fails is in its output."""
    assert model.run(["--moves", "2500", "--seed", str(random.randrange(1 << 32)), *more])[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_finds_a_fault(fault):
    script, lua, bounds, words = FAULTS[fault]
    is_well, figures = model.run(bounds, {script: lua}, quiet=True)
    assert not is_well, figures
    assert words in figures["broken"]
    print(figures["broken"], *figures["path"], sep="\n")
