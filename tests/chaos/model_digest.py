"""Whether two states are the same. What nobody asks for any more is left out, and names do not count.

What differs only in counters, in when it was, in which of two workers it is, or in what an ended job was called, goes on
in the same way: of such states one is gone through. A state is told in lines, each about a job or a worker or both. Jobs
are named anew by who came first, those that have ended by what is said about them; then the workers in the same way. Of the
fences of a job only the order counts; the worker's name within that of a permit follows from the fence."""

import hashlib
import re

LEFT_OUT = {"n", "wrk", "scp", "seq", "vt", "fin", "slow", "v", "in-group", "kept", "in", "tr"}
LEFT_OUT_KINDS = {"m", "use", "w", "rl", "cl", "j"}  # j and cl: told with jobs and workers
TIMES = {"lse", "dly", "thr", "px", "cs"}
JOB_LEFT_OUT = {"filed", "claimed", "ended", "nano", "bytes", "seq"}
LOSSES_LOOKED_AT = 5  # what a job may lose is more than all bounds allow
FAR_MS = 1_800_000    # no path takes so long: what ends later does not end in it

NAME = re.compile(r"\bJ[A-Z]\b")
WORKER = re.compile(r"\bW\d+\b")
OF_WORKER = re.compile(r"\bW\d+\.(?=J[A-Z]\.\d{13})")
FENCE = re.compile(r"\b(J[A-Z])[. ](\d{13})")
STATUS = re.compile(r'"status": ?"(.*?)"')

ASKS = ("stored", "last_n", "permit", "question")
KNOWN_STILL = {  # what a lease goes by in each stage, of what it knows
    "permit": ASKS, "send": ASKS, "settle": (*ASKS, "outcome", "answer"), "give_back": ASKS, "store": ("answer",),
    "write": ("answer",), "finish": ("outcome", "answer", "full")}


def relative(value, now):
    """A moment as a distance; what is over is over."""
    return max(0, int(float(value)) - now)


def of_job(id, hash_, now, holders):
    out = {k: v for k, v in hash_.items() if k not in JOB_LEFT_OUT}
    if "call_end" in out:
        out["call_end"] = relative(out["call_end"], now)
    if out.get("owner") not in holders:
        out.pop("owner", None)  # nobody of that name will ask
    out["losses"] = max(0, int(out.get("losses", 0)) - LOSSES_LOOKED_AT)
    out["fence"] = f"{id}.{out['fence']}"
    return sorted(out.items())


def of_call(text):
    """The end of a call is told in `call:` only for people."""
    return " ".join(word for i, word in enumerate(text.split(" ")) if i != 2)


def of_stored(hash_):
    return sorted((k, of_call(v) if k.startswith("call:") else v) for k, v in hash_.items())


def of_key(name, value, now):
    """-> what there is to say about a key, one thing for each line"""
    kind = name.split(":")[0]
    if kind in TIMES:
        return [(member, relative(end, now)) for member, end in value.items()]
    if kind == "s":
        return [of_stored(value)]
    if kind == "bud":
        return [value.get("r", 0)]
    if kind == "res":
        return STATUS.findall(value)
    if isinstance(value, dict):
        is_scored = value and all(isinstance(score, float) for score in value.values())
        return list(value) if is_scored else [sorted(value.items())]
    return value if isinstance(value, list) else [value]


def of_content(snapshot, now, known):
    for name, value in snapshot.keys.items():
        kind = name.split(":")[0]
        if name in LEFT_OUT or kind in LEFT_OUT_KINDS or kind == "p" and "reaped" in value and name[2:] not in known:
            continue
        if name in snapshot.ends:
            yield f"{name} until {min(relative(snapshot.ends[name], now), FAR_MS)}"
        for part in of_key(name, value, now):
            yield f"{name} {part}"


def of_lease(lease, now):
    known = {name: getattr(lease, name) for name in KNOWN_STILL[lease.stage]}
    if "stored" in known:
        known["stored"] = [(name, of_call(text) if name.startswith("call:") else text)
                           for name, text in sorted(lease.stored.items(), key=str)]
    return (f"{lease.id}.{lease.fence}", lease.stage, known, relative(lease.end, now), relative(lease.park_at, now),
            lease.resend and lease.resend[0])


def of_worker(worker, snapshot, now):
    ids = worker.heard and [dict(zip(f[::2], f[1::2])).get("id") if isinstance(f, list) else f.get("id")
                            for _, f in worker.heard]
    yield f"{worker.name} heard {ids}"
    claim = "cl:" + worker.name
    if worker.claim_again and claim in snapshot.keys:
        yield f"{worker.name} claims {snapshot.keys[claim].partition(chr(10))[2]!r} {relative(snapshot.ends[claim], now)}"
    elif worker.claim_again:
        yield f"{worker.name} claims"
    for lease in worker.leases:
        yield f"{worker.name} has {of_lease(lease, now)}"


def counted(keys, ghost):
    """Of the counters only what the rules compare."""
    n = {k: int(v) for k, v in keys.get("n", {}).items()}
    money = {k: int(v) for k, v in keys.get("bud:*:total", {}).items()}
    repeated = n.get("repeated", 0) - n.get("unrepeated", 0)
    return (repeated - len(ghost.carried), n.get("ambiguous", 0) - repeated, n.get("calls", 0) - n.get("failed", 0) - repeated,
            money.get("s", 0) + money.get("u", 0) - ghost.price * len(ghost.carried))


def of_ghost(state, keys):
    ghost = state.ghost
    yield f"left {sorted(ghost.left.items())} {counted(keys, ghost)} {ghost.redriven} {ghost.was_read}"
    asked = {id for id, _ in ghost.carried}
    for id in state.jobs:
        yield f"{id} asked {id in asked}, has {id in ghost.won}"
        ends = {permit: at + ghost.patience_ms - state.clock for permit, at in ghost.under_way.get(id, {}).items()}
        if any(end > 0 for end in ends.values()):
            yield f"{id} under way {sorted(call for call in ends.items() if call[1] > 0)}"
        if "j:" + id in keys:  # else nobody may write any more, and nothing is kept that could change
            yield f"{id} won {ghost.won.get(id)}, wrote {sorted(ghost.writes.get(id, ()))}, result {id in ghost.results}"


def lines_of(snapshot, state):
    now, keys = state.clock, snapshot.keys
    holders = {id: [w.name for w in state.workers if any(lease.id == id for lease in w.leases)] for id in state.jobs}
    yield from of_content(snapshot, now, {lease.permit for w in state.workers for lease in w.leases})
    yield from (f"job {of_job(id, keys['j:' + id], now, holders[id])}" for id in state.jobs if "j:" + id in keys)
    yield from (line for worker in state.workers for line in of_worker(worker, snapshot, now))
    yield from of_ghost(state, keys)


def place(keys, id):
    """Those that are there by arrival, then those at the door; the others have ended."""
    if "j:" + id in keys:
        return 0, int(keys["j:" + id]["seq"])
    ids = [dict(zip(f[::2], f[1::2])).get("id") for _, f in keys.get("in", [])]
    return (1, ids.index(id)) if id in ids else (2, 0)


def renamed(text, name, order, letter):
    """`order`: names with what comes first in the order; among equals goes what is said about them."""
    lines = text.split("\n")

    def said(one):
        about = [name.sub(lambda m: "@" if m[0] == one[1] else "-", line) for line in lines if one[1] in line]
        return one[0], sorted(about)
    places = [place for place, _ in order]
    ordered = sorted(order) if len(set(places)) == len(places) else sorted(order, key=said)
    names = {old: f"{letter}{i}" for i, (_, old) in enumerate(ordered)}
    return name.sub(lambda m: names.get(m[0], m[0]), text)


def without_moments(text):
    fences = {}
    for id, fence in set(FENCE.findall(text)):
        fences.setdefault(id, []).append(fence)
    ranks = {(id, fence): i for id, some in fences.items() for i, fence in enumerate(sorted(some))}
    return FENCE.sub(lambda m: f"{m[1]}.{ranks[m[1], m[2]]}", text)


def told(snapshot, state):
    text = OF_WORKER.sub("", "\n".join(lines_of(snapshot, state)))
    text = renamed(without_moments(text), NAME, [(place(snapshot.keys, id), id) for id in state.jobs], "job")
    text = renamed(text, WORKER, [(0, w.name) for w in state.workers], "worker")
    return sorted(text.split("\n"))


def digest(snapshot, state):
    return hashlib.blake2b("\n".join(told(snapshot, state)).encode(), digest_size=16).digest()
