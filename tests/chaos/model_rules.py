"""What must be true of the queue after every move of the model check, and at the end of every path."""

from collections import defaultdict

PLACES = {"ready": "q", "active": "lse", "delayed": "dly", "parked": "dly", "ambiguous": "dly", "dead": "dead",
          "quarantined": "quar", "next": "nx"}
ENDED = ("done", "dead", "cancelled", "quarantined")
KEPT = ("dead", "quarantined")


class Broken(Exception):
    """An invariant does not hold."""


def must(condition, text):
    if not condition:
        raise Broken(text)


def number(hash_, name):
    return int(float(hash_.get(name, 0)))


def group_of(j):
    return f"{j['route']}|{j['lane']}|{j['tenant']}"


def places_of(keys):
    """-> where each job is; it may be in several places"""
    found = defaultdict(list)
    for name, value in keys.items():
        kind = name.partition(":")[0]
        ids = value if kind == "q" or name in ("dly", "lse", "dead", "quar") else [value] if kind == "nx" else ()
        for id in ids:
            found[id].append(kind)
    for _, f in keys.get("in", []):
        found[dict(zip(f[::2], f[1::2])).get("id")].append("door")
    return found


def check_job(keys, id, found):
    j, has_result = keys.get("j:" + id), "res:" + id in keys
    if j:
        must(found == [PLACES[j["state"]]], f"job {id} is {j['state']}, and in {found}")
        must(not has_result or j["state"] in KEPT, f"job {id} is {j['state']} and has a result")
        must("b:" + id in keys, f"job {id} has lost its body")
        if j["state"] == "ready":
            group = group_of(j)
            awake, asleep = group in keys.get("rdy", {}), group in keys.get("thr", {})
            must(awake != asleep, f"the group of job {id} is {'twice' if awake else 'not'} among those that are looked at")
    else:
        must(has_result + found.count("door") == 1 and set(found) <= {"door"},
             f"job {id} is not there, in {found}" + (", and has a result" if has_result else ""))
        must("s:" + id not in keys and "b:" + id not in keys, f"job {id} has ended, and texts of it are left")


def check_permits(keys, state):
    ghost = state.ghost
    permits = {name[2:]: p for name, p in keys.items() if name.startswith("p:")}
    living = {name for name, p in permits.items() if "reaped" not in p}
    must(living == set(keys.get("px", {})), f"permits {sorted(living)}, but {sorted(keys.get('px', {}))} have an end")
    for name, holders in keys.items():
        if name.startswith("cs:"):
            must(set(holders) <= living, f"slots of {name[3:]} are held by {sorted(set(holders) - living)}, which are over")
            must(len(holders) <= ghost.slots, f"{len(holders)} slots of {name[3:]} are taken, there are {ghost.slots}")
    for w in state.workers:
        for lease in w.leases:
            is_asking = lease.stage in ("send", "settle", "give_back") and is_good(keys, lease, state.clock)
            must(not is_asking or "reaped" not in permits.get(lease.permit, ()),
                 f"{w.name} lives and asks for job {lease.id}; permit {lease.permit} was taken from it")
    money = keys.get("bud:*:total", {})
    reserved, spent = number(money, "r"), number(money, "s") + number(money, "u")
    must(reserved == ghost.price * len(living), f"{reserved} are reserved for {len(living)} permits")
    must(spent + reserved >= ghost.price * len(ghost.carried), f"{spent} + {reserved} cover not {len(ghost.carried)} calls")


def is_good(keys, lease, now):
    j = keys.get("j:" + lease.id, {})
    return (j.get("fence"), j.get("state")) == (str(lease.fence), "active") and keys.get("lse", {}).get(lease.id, 0) > now


def check_admitted(keys, ghost, id, permit, now):
    """Who is let through has a slot; and nobody asks again while the first call may still be on the wire."""
    must(any(permit in holders for name, holders in keys.items() if name.startswith("cs:")), f"permit {permit} has no slot")
    for other, at in ghost.under_way.get(id, {}).items():
        must(now >= at + ghost.patience_ms, f"job {id} asks with {permit} {now - at} ms after {other}, which may be under way")


def check_dedup(keys, state):
    """Of the jobs with one dedup key one is alive, and one comes after it."""
    alive = [id for id in state.jobs if keys.get("j:" + id, {"state": "done"})["state"] not in (*ENDED, "next")]
    must(len(alive) <= 1, f"jobs {alive} have one dedup key, and both are alive")


def check_counts(keys, ghost):
    n = keys.get("n", {})
    ends = sum(number(n, state) for state in ENDED) - ghost.redriven
    results = sum(name.startswith("res:") and '"status": "duplicate' not in text and '"duplicate of' not in text
                  for name, text in keys.items())
    must(ends == results, f"{ends} ends of jobs, {results} results")
    repeated = number(n, "repeated") - number(n, "unrepeated")
    extra = len(ghost.carried) - len({job for job, _ in ghost.carried})
    must(extra <= repeated, f"{extra} calls were made again, {repeated} are counted")
    if ghost.hold and not ghost.redriven:
        must(extra == 0, f"with hold {extra} calls were made again")


def winners(stored):
    """won:<step>#<question> = <n> says which answer:<step>#<n> counts."""
    return [stored.get(f"answer:{name[4:].rpartition('#')[0]}#{n}") for name, n in stored.items() if name.startswith("won:")]


def check_answers(keys, ghost):
    for id, (permit, text) in ghost.won.items():
        s = keys.get("s:" + id)
        if s is not None:
            kept = winners(s)
            must(text in kept, f"the answer of job {id} that counts is {text}; now it is {kept}")
    for id, texts in ghost.writes.items():
        must(len(texts) == 1, f"job {id} wrote {sorted(texts)}")
    for id, text in ghost.results.items():
        must(keys.get("res:" + id, text) == text, f"the result of job {id} was {text}, and is {keys.get('res:' + id)}")


def check_leases(keys, state):
    """The right to run a job is one worker's only."""
    for id in state.jobs:
        fence = keys.get("j:" + id, {}).get("fence")
        holders = [w.name for w in state.workers for lease in w.leases if lease.id == id and str(lease.fence) == fence]
        must(len(holders) <= 1, f"workers {holders} hold job {id} with the same fence {fence}")


def check(keys, state):
    places = places_of(keys)
    for id in state.jobs:
        check_job(keys, id, places[id])
    check_permits(keys, state)
    if state.ghost.latest:
        check_dedup(keys, state)
    check_counts(keys, state.ghost)
    check_answers(keys, state.ghost)
    check_leases(keys, state)


def check_end(keys, state):
    """Nothing can happen any more."""
    for id in state.jobs:
        must("res:" + id in keys, f"job {id} will never end: it is {keys.get('j:' + id)}")
    for name in keys:
        must(name.split(":")[0] not in ("q", "lse", "dly", "px", "rdy", "thr", "cs", "wt", "nx", "dd") or name.startswith("wt:"),
             f"all jobs have ended, and {name} is left: {keys[name]}")
    money = keys.get("bud:*:total", {})
    must(number(money, "r") == 0, f"{number(money, 'r')} are reserved for nobody")
    n = keys.get("n", {})
    ambiguous, held = number(n, "ambiguous"), sum(k.startswith("j:") and v["state"] == "quarantined" for k, v in keys.items())
    repeated = number(n, "repeated") - number(n, "unrepeated")
    must(ambiguous >= repeated, f"{ambiguous} ambiguous calls, {repeated} repeated ones, {held} held jobs")
    balance = number(n, "calls") - repeated - number(n, "failed") - number(n, "cancelled_calls")
    asked = len({job for job, _ in state.ghost.carried})
    held = any(name.startswith("res:") and '"done"' not in text for name, text in keys.items())
    must(held or balance == asked, f"{balance} permits were neither repetitions nor failures, {asked} jobs have asked")
