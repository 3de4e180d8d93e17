"""A worker as the model check sees it: what worker/ does between two scripts, one move at a time.

A lease goes through stages; each stage but two is one script call:

    permit -> send -> settle -> store -> write -> finish          (give_back: the permit came too late)

`send` asks the provider and `write` writes into Directus. A script call may lose its reply: it is sent again, with the
same arguments, when the worker comes to it again."""

import json

from queue_scripts import Job

from model_rules import check_admitted, must, winners

STEP, ROUTE, SLOT = "ask", "openai/gpt", "openai"
LEASE_MS, WAIT_MS, CALL_MS, MARGIN_MS = 15000, 30000, 60000, 1000
BUDGET = ("*", "budget", 10 ** 9)


class Lease:
    """What a worker knows of a job that it runs."""

    def __init__(self, id, fence, stored, end):
        self.id, self.fence, self.end = id, fence, end
        self.stored = stored
        self.last_n = 0
        self.outcome = self.permit = self.answer = self.question = self.resend = None
        self.park_at, self.full = 0, ""
        self.stage = None

    def is_sent(self):
        """The provider was asked, as far as is known: a crash just before looks the same to all others."""
        return self.stage == "settle" and self.outcome != "failed" and not self.resend


class Worker:
    def __init__(self, name, room):
        self.name, self.room = name, room
        self.claims, self.claim_again, self.heard, self.leases = 0, False, None, []


def known_calls(stored):
    return max([int(name.rpartition("#")[2]) for name in stored if name.startswith("call:")], default=0)


def question_of(stored, n):
    """The call that first asked what the n-th is going to ask (journal.c)."""
    text = stored.get(f"call:{STEP}#{n - 1}")
    if not text:
        return n
    question = int(text.split(" ")[1])
    for i in range(question, n):
        asked = stored.get(f"call:{STEP}#{i}")
        if asked and int(asked.split(" ")[1]) == question and f"answer:{STEP}#{i}" in stored:
            return n
    return question


def look_up(lease, hold):
    """What an operation does first, and again after each failed call: the answers that are there count (llm.c)."""
    ambiguous = False
    for n in range(lease.last_n + 1, known_calls(lease.stored) + 1):
        lease.last_n = n
        answer = lease.stored.get(f"answer:{STEP}#{n}")
        if answer is not None:
            lease.answer, lease.stage = answer, "store"
            return
        ambiguous = True
    lease.stage = "finish" if ambiguous and hold else "permit"
    lease.outcome = "hold" if ambiguous and hold else None


def begin(lease, hold):
    if f"step:{STEP}" in lease.stored:
        lease.answer, lease.stage = lease.stored[f"step:{STEP}"], "write"
    else:
        look_up(lease, hold)


class Moves:
    """The moves of workers on a state (model.py); each returns nothing and may raise Broken."""

    def __init__(self, state, caller_of):
        self.state, self.caller_of = state, caller_of

    # ---- the door, claims, leases ----

    def hear(self, w):
        reply = self.caller_of(w).store.run(
            ["XREADGROUP", "GROUP", "file", "worker", "COUNT", "64", "NOACK", "STREAMS", "{flow-worker}:in", ">"])[0]
        w.heard = [(sid, fields) for sid, fields in reply[0][1]] if reply else None

    def file(self, w, lost):
        args = []
        for sid, fields in w.heard:
            f = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2]))
            args += [sid, f.get("tenant", "-"), f.get("lane", "1"), ROUTE, "", "", ""]
        caller = self.caller_of(w)
        caller.call("file", 9, caller.ttl_ms, 1 << 20, *args)
        w.heard = w.heard if lost else None

    def claim(self, w, lost):
        w.claims += 0 if w.claim_again else 1
        caller = self.caller_of(w)
        _, jobs = caller.call("claim", w.name, w.claims, w.room - len(w.leases), LEASE_MS)
        w.claim_again = lost
        for id, fence, *_, stored, _is_trial in jobs:
            owner = self.state.ghost.handed.setdefault((id, fence), w.name)
            must(owner == w.name, f"job {id} was given to {owner} and to {w.name} with the same fence {fence}")
            newer = [f for i, f in self.state.ghost.handed if i == id and f > fence]
            must(not newer or w.name == owner, f"job {id} was given with fence {fence} after {newer}")
            if not lost:
                lease = Lease(id, fence, dict(zip(stored[::2], stored[1::2])), self.state.clock + LEASE_MS)
                begin(lease, self.state.ghost.hold)
                w.leases.append(lease)

    def renew(self, w):
        caller = self.caller_of(w)
        args = [part for lease in w.leases for part in (lease.id, lease.fence)]
        for lease, said in zip(list(w.leases), caller.call("renew", LEASE_MS, *args)):
            if said == "lost":
                self.told_lost(w, lease)
                continue
            lease.end = self.state.clock + LEASE_MS
            if said == "cancel" and lease.stage in ("permit", "write") and not lease.resend:
                lease.stage, lease.outcome = "finish", "cancelled"

    @staticmethod
    def told_lost(w, lease):
        """A call that is under way goes on: what it answers was paid for. All else stops."""
        if lease.stage not in ("send", "settle"):
            w.leases.remove(lease)

    def tick(self, w):
        """All who live tick each second; that one is looked at is another thing."""
        caller = self.caller_of(w)
        reply = caller.call("tick", w.name, "{}", 1, "", LEASE_MS, WAIT_MS, caller.ttl_ms, 500,
                            before=[["ZADD", "{flow-worker}:wrk", self.state.clock, w.name]])
        if reply[2] and w.heard is None:
            w.heard = reply[2]

    # ---- one stage of one job ----

    def job(self, w, lease):
        job = Job.__new__(Job)
        job.q, job.id, job.fence = self.caller_of(w), lease.id, lease.fence
        return job

    def op(self, w, lease, lost):
        """The script call of its stage. With `lost` it is carried out, and the reply does not arrive."""
        caller, before = self.caller_of(w), self.state.store.current.keys
        if lease.resend:
            reply = caller.again(*lease.resend)
        else:
            reply = getattr(self, "ask_" + lease.stage)(self.job(w, lease), lease, w)
            lease.resend = caller.last
        self.carried_out(lease, reply, before)
        if lost:
            return
        lease.resend = None
        getattr(self, "after_" + lease.stage)(w, lease, reply)

    def carried_out(self, lease, reply, before):
        """What is so from now on, whether the worker comes to know of it or not."""
        ghost, keys = self.state.ghost, self.state.store.current.keys
        j = before.get("j:" + lease.id, {})
        if lease.stage == "store" and reply == 1:
            must((j.get("fence"), j.get("state")) == (str(lease.fence), "active"),
                 f"a step of job {lease.id} is stored with fence {lease.fence}, it is {j.get('state')} with {j.get('fence')}")
        if lease.stage == "permit" and reply[0] == 1 and lease.permit not in ghost.permits_named:
            check_admitted(keys, ghost, lease.id, lease.permit, self.state.clock)
            ghost.under_way.setdefault(lease.id, {})[lease.permit] = self.state.clock
            ghost.permits_named.add(lease.permit)
            ghost.permits.append((lease.id, lease.permit))
            must(lease.id not in ghost.won, f"job {lease.id} may ask again although its answer is stored")
        if lease.stage in ("settle", "give_back"):
            ghost.under_way.get(lease.id, {}).pop(lease.permit, None)
        if lease.stage == "settle" and lease.outcome == "answer" and j:
            won = winners(keys.get("s:" + lease.id, {}))
            must(won, f"an answer to job {lease.id} was paid for, and is thrown away")
            ghost.won.setdefault(lease.id, (lease.permit, won[0]))

    def ask_permit(self, job, lease, w):
        n = lease.last_n + 1
        lease.question = question_of(lease.stored, n)
        lease.permit = f"{w.name}.{lease.id}.{lease.fence}.{n}.{lease.stored.get('tries', 0)}"
        ghost = self.state.ghost
        lease.begun = self.state.clock
        return job.permit([(*BUDGET, ghost.price, "total"), (SLOT, "concurrency", ghost.slots, 1)], STEP, n,
                          lease.question, ROUTE, CALL_MS, ghost.price, name=lease.permit)

    def after_permit(self, w, lease, reply):
        if reply[0] == 1:
            n = lease.last_n + 1
            lease.end = max(lease.end, lease.begun + LEASE_MS)
            lease.stored[f"call:{STEP}#{n}"] = f"sent {lease.question} 0 {lease.permit}"
            lease.stage = "send" if self.may_begin(lease) else "give_back"
        elif reply[0] == -1:
            w.leases.remove(lease)
        else:
            lease.stage, lease.outcome = "finish", "park"
            lease.park_at = self.state.clock if reply[0] == 3 else reply[1]
            lease.full = "" if reply[0] == 3 else reply[2]

    def may_begin(self, lease):
        return self.state.clock + MARGIN_MS < lease.end

    def send(self, w, lease, outcome):
        """answer: it came. failed: nobody was asked. unknown: somebody was, and the answer got lost."""
        lease.outcome, lease.stage = outcome, "settle"
        if outcome != "failed":
            self.state.ghost.carried.append((lease.id, lease.permit))
            lease.answer = f"answer {lease.permit}" if outcome == "answer" else None

    def ask_settle(self, job, lease, w):
        return self.settle(job, lease, lease.outcome, lease.answer or "")

    def settle(self, job, lease, outcome, answer):
        answered = outcome == "answer"
        return job.settle(outcome, answer, (3, 0, 4) if answered else (0, 0, 0), self.state.ghost.price if answered else 0,
                          name=lease.permit, ask=(STEP, lease.last_n + 1, lease.question, ROUTE))

    def after_settle(self, w, lease, reply):
        ours, winner, text = reply[:3]
        n = lease.last_n + 1
        if not ours:
            w.leases.remove(lease)
            return
        if lease.outcome == "answer":
            lease.answer = text or lease.answer
            lease.last_n, lease.stage = n, "store"
            return
        if lease.outcome == "failed":
            del lease.stored[f"call:{STEP}#{n}"]
            lease.stored["tries"] = lease.stored.get("tries", 0) + 1
        else:
            lease.stored[f"call:{STEP}#{n}"] = f"lost {lease.question} 0 {lease.permit}"
            lease.last_n = n
        held = lease.outcome == "unknown" and self.state.ghost.hold
        lease.outcome = "hold" if held else None
        lease.stage = "finish" if held else "permit"

    def ask_give_back(self, job, lease, w):
        return self.settle(job, lease, "failed", "")

    def after_give_back(self, w, lease, reply):
        lease.stage, lease.outcome, lease.park_at, lease.full = "finish", "park", self.state.clock, ""

    def ask_store(self, job, lease, w):
        return job.store(**{f"step__{STEP}": lease.answer})

    def after_store(self, w, lease, reply):
        if reply == 1:
            lease.stage = "write"
        else:
            w.leases.remove(lease)

    def write(self, w, lease):
        ghost, j = self.state.ghost, self.state.store.current.keys.get("j:" + lease.id, {})
        must(j.get("fence") == str(lease.fence) and j["state"] == "active",
             f"{w.name} writes for job {lease.id} with fence {lease.fence}, it is {j.get('state')} with {j.get('fence')}")
        ghost.writes[lease.id] = ghost.writes.get(lease.id, frozenset()) | {lease.answer}
        lease.stage, lease.outcome = "finish", "done"

    def ask_finish(self, job, lease, w):
        status = {"hold": "quarantined"}.get(lease.outcome, lease.outcome)
        result = json.dumps({"id": lease.id, "status": status, "last": lease.answer})
        return job.finish(lease.outcome, result, "STALLED" if lease.outcome == "hold" else "", lease.park_at, "", lease.full)

    def after_finish(self, w, lease, reply):
        w.leases.remove(lease)
