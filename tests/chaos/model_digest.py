"""Whether two states are the same: what differs only in counts that nobody asks for, or by when it was, is."""

import hashlib
import re

LEFT_OUT = {"n", "wrk", "scp", "seq", "vt", "fin", "slow", "v", "in-group"}
LEFT_OUT_KINDS = {"m", "use", "w", "rl"}
TIMES = {"lse", "dly", "thr", "px", "cs"}
MOMENT = re.compile(r"\b1[89]\d{11}\b")
JOB_LEFT_OUT = {"filed", "claimed", "seq", "ended", "nano"}


def relative(value, now):
    """A moment as a distance; what is over is over."""
    return max(0, int(float(value)) - now)


def of_job(hash_, now):
    out = {k: v for k, v in hash_.items() if k not in JOB_LEFT_OUT}
    if "call_end" in out:
        out["call_end"] = relative(out["call_end"], now)
    return sorted(out.items())


def of_stored(hash_):
    """The end of a call is told in `call:` only for people."""
    return sorted((k, " ".join(w for i, w in enumerate(v.split(" ")) if i != 2) if k.startswith("call:") else v)
                  for k, v in hash_.items())


def of_key(name, value, now):
    kind = name.split(":")[0]
    if kind in TIMES:
        return sorted((member, relative(end, now)) for member, end in value.items())
    if kind == "rdy":
        return sorted(value)
    if kind == "j":
        return of_job(value, now)
    if kind == "s":
        return of_stored(value)
    if kind == "bud":
        return value.get("r", 0)
    return sorted(value.items()) if isinstance(value, dict) else value


def counted(keys, ghost):
    """Of the counters only what the rules compare."""
    n = {k: int(v) for k, v in keys.get("n", {}).items()}
    money = {k: int(v) for k, v in keys.get("bud:*:total", {}).items()}
    repeated = n.get("repeated", 0) - n.get("unrepeated", 0)
    return (repeated - len(ghost.carried), n.get("ambiguous", 0) - repeated, n.get("calls", 0) - n.get("failed", 0) - repeated,
            money.get("s", 0) + money.get("u", 0) - ghost.price * len(ghost.carried))


def of_lease(lease, now):
    return (lease.id, lease.fence, lease.stage, lease.outcome, lease.permit, lease.answer, lease.question, lease.last_n,
            lease.full, relative(lease.end, now), relative(lease.park_at, now), lease.resend and lease.resend[0],
            sorted(lease.stored.items()))


def digest(snapshot, state):
    now, keys, ghost = state.clock, snapshot.keys, state.ghost
    content = [(name, of_key(name, value, now), snapshot.ends.get(name, 0) and relative(snapshot.ends[name], now))
               for name, value in sorted(keys.items())
               if name not in LEFT_OUT and name.split(":")[0] not in LEFT_OUT_KINDS]
    workers = [(w.key(), sorted(of_lease(lease, now) for lease in w.leases)) for w in state.workers]
    known = (counted(keys, ghost), sorted(ghost.left.items()), sorted(ghost.won.items()), sorted(ghost.results.items()),
             sorted((id, sorted(texts)) for id, texts in ghost.writes.items()), ghost.redriven, ghost.was_read)
    text = repr((content, workers, known))
    moments = {moment: f"t{i}" for i, moment in enumerate(sorted(set(MOMENT.findall(text))))}  # of fences: their order counts
    return hashlib.blake2b(MOMENT.sub(lambda m: moments[m[0]], text).encode(), digest_size=16).digest()
