#!/usr/bin/python3
"""The rows of the reliability goals that need a scene of their own: tests/chaos/rows.py --help

Each row starts its own parts, does to them what it is about, counts, and adds its lines to the table. Counts and order are
judged; times are shown, and marked where they are above the goal, because the machine may be busy."""

import argparse
import pathlib
import sys
import tempfile
import time
import traceback
import types

import parts as _  # noqa: F401  (finds the rig)
import rows_crash
import rows_failover
import rows_fair
import rows_jobs
import rows_redis
from parts import Parts
from table import Table

# row: what is run, in seconds here, and in full
ROWS = {
    "R9": (rows_crash.crashes, dict(times=1, jobs=8, lease=1000, wait=8000, timeout=5000),
           dict(times=10, jobs=50, lease=15000, wait=30000, timeout=20000)),
    "R10": (rows_jobs.rolling, dict(call=3, every=0.15), dict(call=60, every=0.7)),
    "R11": (rows_redis.outages, dict(outages=3, seconds=2, lease="1500"), dict(outages=20, seconds=60, lease="15s")),
    "R12": (rows_redis.silence, dict(times=1, seconds=4), dict(times=2, seconds=30)),
    "R13": (rows_jobs.zombies, dict(times=2), dict(times=20)),
    "R15": (rows_fair.fairness, dict(each=40, small=20, big=1500, slots=16, delay=100),
            dict(each=500, small=100, big=100_000, slots=256, delay=1000)),
    "R17": (rows_jobs.delays, dict(idle=30, rate=200, seconds=4), dict(idle=300, rate=1000, seconds=20)),
    "R18": (rows_jobs.cancels, dict(times=20), dict(times=200)),
    "R19": (rows_jobs.poison, dict(jobs=200), dict(jobs=20000)),
    "R21": (rows_jobs.directus_away, dict(jobs=30, seconds=6), dict(jobs=200, seconds=600)),
    "R22": (rows_redis.errors, dict(times=1, scripts=(0, 2, 4), rest=0, full_seconds=1),
            dict(times=20, scripts=range(6), rest=1.2, full_seconds=30)),
    "R25": (rows_failover.failovers, dict(times=2, rate=20, sets=[(1, 1)]),
            dict(times=20, rate=50, sets=[(1, 0), (1, 1), (2, 2), (2, 1)])),
}


def run_row(name, is_full, table):
    scene, small, full = ROWS[name]
    with tempfile.TemporaryDirectory(prefix=f"fw-{name}-", ignore_cleanup_errors=True) as folder:
        parts = Parts(folder)
        begun = time.monotonic()
        try:
            scene(parts, types.SimpleNamespace(**(full if is_full else small)), table)
        except BaseException:
            keep = pathlib.Path(tempfile.mkdtemp(prefix=f"fw-{name}-failed-"))
            for worker in parts.workers:
                (keep / f"{worker.pid}.log").write_text(worker.log)
            print(f"{name}: logs: {keep}", file=sys.stderr)
            raise
        finally:
            parts.close()
        print(f"{name}: {time.monotonic() - begun:.1f} s", flush=True)


def run(names=(), is_full=False, file=None):
    table = Table()
    begun = time.monotonic()
    for name in names or ROWS:
        try:
            run_row(name, is_full, table)
        except Exception as failure:
            traceback.print_exc()
            table.row(name, "could not be run to its end", "", f"{type(failure).__name__}: {failure}"[:120], False)
    print()
    table.show()
    if file:
        table.write(file, seconds=round(time.monotonic() - begun, 1))
    return table.holds()


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("rows", nargs="*", help=f"which: {' '.join(ROWS)}; all", metavar="ROW")
    p.add_argument("--full", action="store_true", help="the scale of the goals: hours")
    p.add_argument("--json", metavar="FILE", help="the table goes there too")
    o = p.parse_args()
    unknown = [name for name in o.rows if name not in ROWS]
    if unknown:
        p.error(f"no row {unknown[0]}; there are {' '.join(ROWS)}")
    sys.exit(0 if run(o.rows, o.full, o.json) else 1)
