"""R9: how long after a worker's SIGKILL its jobs go on elsewhere: those in a call of a provider, and those beside one.

Counts and order are judged: all go on, each call is made again once, and never while the first one may still be answered."""

from parts import (ASK, LONG, PREFIX, Queue, RedisServer, Simulator, add_count, add_time, calls_by_job, now_ms, states, under_way, wait_for,
                   wait_for_results)


def jobs_of(turn, s):
    """id: job. In a call that may last longer than is waited for; in one that may not; at Directus."""
    write = {"operation": "item-update", "options": {"collection": "articles", "payload": {"text": "new"}}}
    brief = {**ASK, "options": {**ASK["options"], "timeout": s.timeout}}
    kinds = {"long": lambda id: ASK, "brief": lambda id: brief,
             "write": lambda id: {**write, "options": {**write["options"], "key": id}}}
    return {id: job(id) for kind, job in kinds.items() for id in (f"{kind}-{turn}-{n}" for n in range(s.jobs))}


def of_kind(ids, *kinds):
    return [id for id in ids if id.startswith(kinds)]


def written(directus, since):
    """key: when its write came, of those that came since then."""
    return {r["path"].rpartition("/")[2] if r["body"].get("keys") is None else r["body"]["keys"][0]: r["at"]
            for r in directus.writes("articles") if r["at"] >= since}


def are_in_the_middle(simulator, directus, ids):
    at_directus = sum(r["method"] == "PATCH" for r in list(directus.under_way))
    return set(of_kind(ids, "long", "brief")) <= set(under_way(simulator)) and at_directus >= len(of_kind(ids, "write"))


def calls_over(client, ids, s):
    """id: when its call is certainly over, or has been waited for long enough; by what Redis knows of it."""
    return {id: min(int(client.hget(f"{PREFIX}j:{id}", "call_end")),
                    client.zscore(PREFIX + "lse", id + LONG) - s.lease + s.wait) for id in ids}


def crashes(parts, s, t):
    """Each worker is killed in its turn, in the middle of all that it has. The next one is there already."""
    redis, simulator, directus = parts.make(RedisServer), parts.make(Simulator), parts.make_directus()
    queue, ids, early, took = Queue(redis.client), [], 0, {"long": [], "brief": [], "write": []}
    env = {"WORKER_LEASE": s.lease, "WORKER_AMBIGUOUS_WAIT": s.wait, "WORKER_CONCURRENCY": 3 * s.jobs, "DIRECTUS_CONCURRENCY": 64}
    heir, is_ordered = parts.start_worker(redis, simulator, directus, **env).wait_until_ready(), True
    for turn in range(s.times):
        worker, heir = heir, parts.start_worker(redis, simulator, directus, **env).wait_until_ready()
        heir.pause()  # so that it claims nothing yet
        simulator.set(delay=600_000)
        directus.delay = 600
        some = jobs_of(turn, s)
        for id, job in some.items():
            directus.add("articles", id=id, text=None)
            queue.enqueue(job, id=id)
        wait_for(lambda some=some: are_in_the_middle(simulator, directus, some), "all are in the middle")
        worker.pause()  # so that it renews nothing any more
        over = calls_over(redis.client, of_kind(some, "long", "brief"), s)
        directus.delay = 0
        simulator.set(delay=50)
        killed = now_ms()
        worker.kill()
        heir.resume()
        wait_for_results(redis.client, list(some))
        again = {line["call"].partition("#")[0]: line["at"] for line in simulator.ledger() if line["at"] >= killed}
        again.update(written(directus, killed))
        early += sum(again[id] < over[id] for id in over if id in again)
        now = {kind: [again[id] - killed for id in of_kind(some, kind) if id in again] for kind in took}
        is_ordered = is_ordered and max(now["write"]) < min(now["brief"]) and max(now["brief"]) < min(now["long"])
        for kind in took:
            took[kind] += now[kind]
        ids += some
    tell(t, s, wait_for_results(redis.client, ids), calls_by_job(simulator), took)
    add_count(t, "R9", "calls made again before the first was certainly over", early)
    t.row("R9", "first what is in no call, then what has a deadline, then the others", True, is_ordered, is_ordered)


def tell(t, s, results, calls, took):
    add_count(t, "R9", f"{s.times} SIGKILLs in the middle of {len(results)} jobs: not done", len(results) - states(results).get("done", 0))
    add_count(t, "R9", "jobs in a call that were called again other than once", sum(calls[id] != 2 for id in of_kind(results, "long", "brief")))
    add_time(t, "R9", "in a call: called again after", s.wait + 1000, took["long"])
    add_time(t, "R9", f"in a call with a deadline of {s.timeout} ms: called again after", min(s.timeout, s.wait) + 1000, took["brief"])
    add_time(t, "R9", "not in a call: written again after", s.lease + 1000, took["write"], 0.99)
