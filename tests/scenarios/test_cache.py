"""The option `cache`: an answer to the very same question costs nothing, also if it is being given just now."""
import pytest
import requests

OPTIONS = {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "What is a cache?", "cache": 600}


def two_jobs(q):
    return q.one(id="a"), q.one(id="b")


# ---- the scripts ----

def test_an_answer_is_given_again_as_long_as_it_is_young_enough_for_who_asks(q):
    first, second = two_jobs(q)
    assert first.permit(cache="d", max_age_ms=60000, cost=500) == [1]
    first.settle(answer="text of\ntwo lines", used=(10, 0, 5), cost=400, cache="d", cache_ms=60000)
    q.clock.go(10000)
    assert second.permit(cache="d", max_age_ms=60000) == [4, "text of\ntwo lines", 400]
    assert second.permit(cache="d", max_age_ms=5000) == [1]
    second.settle(answer="new", cost=300, cache="d", cache_ms=5000)
    assert q.one(id="c").permit(cache="d", max_age_ms=60000) == [4, "new", 300]
    assert (q.count("cache_hits"), q.count("cache_misses"), q.count("cache_saved_nano")) == (2, 2, 700)
    day = q.costs()
    assert (day["openai/gpt|hits"], day["openai/gpt|misses"], day["openai/gpt|saved"]) == ("2", "2", "700")


def test_a_hit_needs_no_room_and_takes_none(q):
    first, second = two_jobs(q)
    rules = [("openai", "rpm", 1, 1)]
    assert first.permit(rules, cache="d", max_age_ms=60000) == [1]
    first.settle(answer="x", cache="d", cache_ms=60000)
    assert second.permit(rules, cache="d", max_age_ms=60000)[0] == 4
    assert q.r.zcard(q.key("px")) == 0


def test_who_asks_the_same_at_the_same_time_waits_for_the_answer(q):
    first, second = two_jobs(q)
    assert first.permit(cache="d", max_age_ms=60000) == [1]
    refusal = second.permit(cache="d", max_age_ms=60000)
    assert refusal[0] == 0 and refusal[3] == "cache" and refusal[1] == q.clock.ms + 2000
    second.finish("park", at_ms=refusal[1])
    assert q.claim() == []
    first.settle(answer="x", cost=1, cache="d", cache_ms=60000)
    second = q.claim()[0]
    assert second.id == "b" and second.permit(cache="d", max_age_ms=60000) == [4, "x", 1]


def test_when_the_first_one_fails_or_dies_the_next_one_asks(q):
    first, second = two_jobs(q)
    assert first.permit(cache="d", max_age_ms=60000) == [1]
    assert second.permit(cache="d", max_age_ms=60000)[0] == 0
    second.finish("park", at_ms=q.clock.ms + 2000)
    first.settle("failed", cache="d")
    second = q.claim()[0]
    assert second.permit(cache="d", max_age_ms=60000) == [1]
    third = q.one(id="c")
    assert third.permit(cache="d", max_age_ms=60000)[0] == 0
    q.clock.go(q.lease_ms + 1)
    q.tick()
    third = [job for job in q.claim(10) if job.id == "c"][0]
    assert third.permit(cache="d", max_age_ms=60000) == [1]


def test_one_that_will_not_do_is_asked_anew_and_replaced(q):
    first, second = two_jobs(q)
    first.permit(cache="d", max_age_ms=60000)
    first.settle(answer="bad", cache="d", cache_ms=60000)
    assert second.permit(cache="d", max_age_ms=0) == [1]
    second.settle(answer="good", cache="d", cache_ms=60000)
    assert q.one(id="c").permit(cache="d", max_age_ms=60000)[1] == "good"


# ---- the whole ----

def ask(**options):
    return {"operation": "ai-generate", "options": {**OPTIONS, **options}}


def test_two_identical_jobs_at_once_are_one_call(start_simulator, start_worker, queue):
    simulator = start_simulator(delay="700")
    for _ in range(2):
        start_worker(simulator=simulator, WORKER_CONCURRENCY=10)
    results = queue.results([queue.enqueue(ask()) for _ in range(20)])
    assert {r["status"] for r in results} == {"done"} and len({r["last"]["content"] for r in results}) == 1
    assert len(simulator.ledger()) == 1
    assert sorted(r["last"]["cached"] for r in results) == [False] + [True] * 19
    paid = [r["last"]["cost"]["total"] for r in results]
    assert sorted(paid)[:19] == [0] * 19 and max(paid) > 0


def test_whatever_decides_about_the_answer_decides_about_the_cache(simulator, queue, worker):
    variants = [{}, {"temperature": 0.5}, {"maxTokens": 50}, {"prompt": "Another"}, {"system": "Be brief."},
                {"model": "gpt-4.1"}, {"provider": "anthropic", "model": "claude-sonnet-4-6"},
                {"outputFormat": "json"}]
    for variant in variants:
        assert not queue.run(ask(**variant))["last"]["cached"], variant
    assert len(simulator.ledger()) == len(variants)
    assert all(queue.run(ask(**variant))["last"]["cached"] for variant in variants)
    assert len(simulator.ledger()) == len(variants)


def test_what_was_saved_is_counted(simulator, queue, worker, flow_worker):
    first = queue.run(ask())
    for _ in range(3):
        assert queue.run(ask())["last"]["usage"]["totalTokens"] == 0
    saved = 3 * first["last"]["cost"]["total"]
    line = [c for c in flow_worker("status", "--costs", "--json").json["costs"] if c["who"] == "openai/gpt-4.1-mini"][0]
    assert (line["cacheHits"], line["cacheMisses"]) == (3, 1) and line["savedUsd"] == pytest.approx(saved)
    metrics = requests.get(f"{worker.url}/metrics", timeout=30).text
    assert 'flow_worker_cache_lookups_total{provider="openai",model="gpt-4.1-mini",result="hit"} 3' in metrics
    assert "flow_worker_cache_saved_usd_total" in metrics


def test_an_answer_that_was_cut_off_is_not_kept(simulator, queue, worker):
    simulator.answer("half an", finish="length")
    assert queue.run(ask())["last"]["finishReason"] == "length"
    assert not queue.run(ask())["last"]["cached"]
    assert len(simulator.ledger()) == 2


def test_an_answer_that_had_to_be_repaired_is_repaired_from_the_cache(simulator, queue, worker):
    job = ask(outputSchema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
                            "additionalProperties": False})
    simulator.answer('{"n":"one"}')
    simulator.answer('{"n":1}')
    first = queue.run(job)
    again = queue.run(job)
    assert first["last"]["data"] == again["last"]["data"] == {"n": 1}
    assert not first["last"]["cached"] and again["last"]["cached"]
    assert len(simulator.ledger()) == 2


def test_exec_has_no_cache_and_says_so(simulator, flow_worker):
    results = [flow_worker("exec", "-", stdin=ask()).json for _ in range(2)]
    assert [r["last"]["cached"] for r in results] == [False, False]
    assert any("cache" in warning for warning in results[0]["last"]["warnings"])
    assert len(simulator.ledger()) == 2
