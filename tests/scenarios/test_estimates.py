"""How good estimates are: of each question by its own step's past calls, of each answer by those before it.

Prints the table of operations/README.md. With FLOW_WORKER_TOKEN_COUNTS (a JSON object: kind → list of [text, tokens])
the provider counts as that file says, else as the simulator does."""

import json
import os

import pytest

from texts import KINDS, some

CALLS, LEARNING = 150, 50


def texts_and_counts():
    path = os.environ.get("FLOW_WORKER_TOKEN_COUNTS")
    if path:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    return {kind: [[text, None] for text in some(kind, CALLS)] for kind in KINDS}


def job(kind, text):
    return {"operations": [{"operation": "ai-generate", "key": kind, "options": {
        "provider": "openai", "model": "gpt-4.1-mini", "prompt": text, "maxTokens": 400}}]}


class Learned:
    def __init__(self, queue, kind):
        self.calls, self.near, self.over = queue.client.eval(
            "local s = {cmsgpack.unpack(redis.call('HGET', KEYS[1], 's'))} return {s[10], s[11], s[12]}", 1,
            f"{queue.prefix}cal:openai/gpt-4.1-mini|{kind}")


def run(queue, simulator, kind, lines):
    for text, count in lines:
        if count:
            simulator.fault("answer", contains=json.dumps(text, ensure_ascii=False)[1:80], usage={"input": count, "output": 20})
    queue.results([queue.enqueue(job(kind, text)) for text, _ in lines], timeout=120)


def test_95_of_100_questions_are_within_5_percent_after_50_calls(start_simulator, start_worker, queue):
    simulator = start_simulator()
    start_worker(simulator=simulator, WORKER_CONCURRENCY=4)
    table, over = {}, 0
    for kind, lines in texts_and_counts().items():
        run(queue, simulator, kind, lines[:LEARNING])
        before = Learned(queue, kind)
        run(queue, simulator, kind, lines[LEARNING:])
        after = Learned(queue, kind)
        assert (before.calls, after.calls) == (LEARNING, len(lines))
        table[kind] = [before.near / LEARNING, (after.near - before.near) / (len(lines) - LEARNING)]
        over += after.over - before.over
    print("\n| texts | within 5 %, calls 1 to 50 | after 50 calls |\n| --- | --- | --- |")
    for kind, (first, then) in table.items():
        print(f"| {kind} | {first:.0%} | {then:.0%} |")
    share = over / (CALLS - LEARNING) / len(table)
    print(f"answers longer than expected: {share:.1%}")
    if not os.environ.get("FLOW_WORKER_TOKEN_COUNTS"):
        assert all(then >= 0.95 for _, then in table.values()), table
        assert share <= 0.07


def test_tokens_tells_estimate_method_and_cost(start_simulator, start_worker, queue, simulator, flow_worker, tmp_path):
    start_worker(simulator=simulator)
    text = some("English", 1, seed=2)[0]
    (tmp_path / "text").write_text(text, encoding="utf-8")
    guess = flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--json", REDIS=None).json
    assert guess["method"] == "classes" and guess["costUsd"] == pytest.approx(guess["tokens"] * 0.4e-6)
    run(queue, simulator, "English", [[t, None] for t in some("English", 20)])
    known = flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--step", "English", "--json").json
    assert known["method"] == "calibrated" and known["calls"] == 20
    assert known["tokens"] == pytest.approx(-(-len(text.encode()) // 5), rel=0.05)
    assert known["outputTokens"] > 0
    assert "calibrated" in flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--step", "English").out
