"""What tests need that this project does not bring: programs, packages of npm, other people's files.

Where it is missing the test fails: a machine on which it never runs must not look like one on which it passes. It is skipped
only if FLOW_WORKER_MAY_MISS names it (words, separated by spaces); `tests/run` then says so at its end."""

import os
import shutil

import pytest

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def missing(what, why):
    """Ends the test that needs `what`; called while its file is imported, all tests of that."""
    if what in os.environ.get("FLOW_WORKER_MAY_MISS", "").split():
        pytest.skip(why, allow_module_level=True)
    raise RuntimeError(f"{why} (FLOW_WORKER_MAY_MISS={what} skips what needs it)")


def program(name):
    """Its path."""
    return shutil.which(name) or missing(name, f"{name} is not installed: deploy/packages tests")


def other_clock(offset, **how):
    """The environment of a worker whose time of day is another one, and whose timers go as ever."""
    program("faketime")
    return {"LD_PRELOAD": FAKETIME, "DONT_FAKE_MONOTONIC": "1", "ASAN_OPTIONS": "verify_asan_link_order=0",
            **({} if offset is None else {"FAKETIME": offset}), **how}
