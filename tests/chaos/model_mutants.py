#!/usr/bin/python3
"""How much the model check sees: each kind of write that the scripts make is left out in turn. tests/chaos/model_mutants.py

Which writes there are is taken from a run with a spy in the scripts: the script, the command, what key, and of a hash the
first field. Exit status 0: every one of them is found. Those that change nothing in what the rules speak of are not tried:
figures for people, ends of life of keys, wake-ups."""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import model  # noqa: E402
import model_store  # noqa: E402

SCRIPTS = ("file", "claim", "renew", "tick", "permit", "settle", "store", "finish", "cancel", "retry")
WRITES = ("SET", "DEL", "HSET", "HSETNX", "HDEL", "HINCRBY", "ZADD", "ZREM", "ZPOPMIN", "SADD", "SREM", "INCR", "INCRBY", "XDEL")
FOR_PEOPLE = ("n", "m", "w", "use", "ev", "scp", "slow", "rl", "wrk", "seen", "kept", "fin", "vt", "log", "pz", "win", "rmp")
FIELDS_FOR_PEOPLE = ("filed", "claimed", "owner", "ended", "nano", "code", "bytes")
BOUNDS = [text.split() for text in (
    "--jobs 1 --faults 1 --failures 1 --cancels 1",
    "--jobs 2 --slots 1 --faults 1 --failures 1",
    "--jobs 1 --faults 2 --waits 2",
    "--jobs 1 --faults 1 --waits 1 --failures 1 --hold",
    "--jobs 2 --faults 1 --latest",
    "--jobs 1 --faults 2 --crashes 1 --cancels 1 --lost 0 --waits 0",
    "--jobs 3 --slots 1 --faults 0",
    "--jobs 1 --faults 3 --waits 3 --crashes 0 --lost 0",
    "--jobs 2 --slots 1 --faults 2 --waits 2 --crashes 0 --lost 0",
)]
KEY = "local kind, field = (a[2] or ''):sub(#P + 1):match('^[^:]*'), (a[1]:sub(1, 1) == 'H' and a[3] or ''):match('^[^:#]*')\n"
SPY = KEY + """  redis.call('SELECT', 1)
  redis.call('SADD', 'seen', table.concat({'%s', a[1], kind, field}, ' '))
  redis.call('SELECT', 0)"""
NOTHING = KEY + """  if a[1] == '%s' and kind == '%s' and field == '%s' then
    return a[1] == 'HINCRBY' and tonumber(redis.call('HGET', a[2], a[3]) or 0) or a[1] == 'ZPOPMIN' and real('ZRANGE', a[2], 0, 0) or 0
  end"""


def is_of_consequence(script, command, kind, field):
    return command in WRITES and kind not in FOR_PEOPLE and field not in FIELDS_FOR_PEOPLE


def writes():
    """-> [(script, command, kind of key, first field)], in order"""
    found = set()

    class Spied(model_store.Store):
        def close(self):
            self.redis.execute_command("SELECT", 1)
            found.update(text.decode() for text in self.redis.smembers("seen"))
            super().close()
    model.Store, kept = Spied, model.Store
    try:
        for bounds in BOUNDS[:-2]:
            assert model.run(bounds, {name: SPY % name for name in SCRIPTS}, quiet=True)[0]
    finally:
        model.Store = kept
    parts = (tuple(text.split(" ")) for text in sorted(found))
    return [write for write in parts if is_of_consequence(*write)]


def look_for(script, *write):
    """-> what is found when that write is not made, in moves and words; None: nothing"""
    for bounds in BOUNDS:
        is_well, figures = model.run(bounds, {script: NOTHING % write}, quiet=True)
        if not is_well:
            return figures["broken"]
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--json", metavar="FILE")
    o = p.parse_args()
    rows = []
    for write in writes():
        try:
            found = look_for(*write)
        except Exception as failure:  # a script that ends with an error is seen, too
            found = f"{type(failure).__name__}: {str(failure)[:100]}"
        rows.append({"write": " ".join(write), "found": found})
        print(f"{'found' if found else 'NOT FOUND':10} {' '.join(write):40} {found or ''}"[:160], flush=True)
    count = sum(row["found"] is not None for row in rows)
    print(f"{count} of {len(rows)} found")
    if o.json:
        pathlib.Path(o.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0 if count == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
