"""Nothing is lost when the worker dies, again and again, while it writes to a real Directus."""

import random
import time

from directus import to_article
from processes import wait_for


def test_a_thousand_jobs_and_ten_kills_of_the_worker(admin, simulator, queue, connected):
    """Every job ends done, every article has the answer to its own question, no stored answer is asked for again."""
    count, kills, concurrency = 1000, 10, 40
    keys = []
    for start in range(0, count, 100):
        keys += [i["id"] for i in admin.post("/items/articles", [{"title": f"article {n}"} for n in range(start, start + 100)])]
    simulator.set(delay="5-60")
    ids = [queue.enqueue(to_article(key, f"question no. {key} ends here"), id=f"job-{key}") for key in keys]
    settings = {"WORKER_CONCURRENCY": concurrency, "WORKER_LEASE": "2s", "WORKER_AMBIGUOUS_WAIT": "1s", "LOG_LEVEL": "info"}
    chance = random.Random(7)

    def done():
        return queue.client.exists(*(f"{queue.prefix}res:{id}" for id in ids))

    for n in range(kills):
        before, worker = done(), connected(**settings)
        wait_for(lambda: done() > before + 10, f"the worker after kill {n} gets on", 120)
        time.sleep(chance.uniform(0, 0.3))  # any moment is a good one
        worker.kill()
        assert done() < count, "all jobs were done before the last kill"
    connected(**settings)
    results = queue.results(ids, 300)
    assert [r["status"] for r in results] == ["done"] * count
    wrong = [a for a in admin.get("/items/articles", limit=-1, fields="id,meta_description")
             if f"no. {a['id']} ends" not in (a["meta_description"] or "")]
    assert wrong == []
    # A call under way at a kill may be made again; one whose answer was stored may not.
    assert len(simulator.ledger()) <= count + kills * concurrency
