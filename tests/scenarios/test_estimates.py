"""How good estimates are: of each question by its own step's past calls, of each answer by those before it (R24).

The truth is what real tokenizers count (tests/vectors/token-counts.json, made by tests/bench/tokens/vectors.mjs): the
provider here answers with these counts. The worker has a part of o200k's ranks that is enough for these texts.
FLOW_WORKER_TOKENIZERS=all tries every tokenizer of that file, with more calls, and prints the table of operations/README.md."""

import json
import os
import pathlib
import random
import shutil

import pytest

from texts import KINDS, some

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"
ALL = os.environ.get("FLOW_WORKER_TOKENIZERS") == "all"
CALLS, LEARNING = 150 if ALL else 80, 50
FORM = 7  # what the form of a chat adds: providers count it too


def counts():
    """tokenizer → kind → how many tokens each text of that kind is."""
    table = {}
    for line in json.loads((VECTORS / "token-counts.json").read_text()):
        table.setdefault(line["tokenizer"], {})[line["kind"]] = line["tokens"]
    return table


def job(step, text):
    return {"operations": [{"operation": "ai-generate", "key": step, "options": {
        "provider": "openai", "model": "gpt-4.1-mini", "prompt": text, "maxTokens": 400}}]}


def learned(queue, step):
    """Of each call of that step, the last one first: tokens of the question and of the answer, expected and real."""
    keys = list(queue.client.scan_iter(f"{queue.prefix}past:openai/gpt-4.1-mini|{step}|*"))
    assert len(keys) == 1, keys
    return [[int(number) for number in row.split()[-4:]] for row in queue.client.lrange(keys[0], 0, -1)]


def run(queue, simulator, step, lines):
    for text, count in lines:
        if count:  # answers as they are: most short, some several times as long
            output = int(random.Random(text).lognormvariate(4.4, 0.5))
            simulator.fault("answer", contains=json.dumps(text, ensure_ascii=False)[1:80], usage={"input": count + FORM, "output": output})
    queue.results([queue.enqueue(job(step, text)) for text, _ in lines], timeout=120)


def within(calls):
    return sum(abs(estimate - question) <= 0.05 * question for estimate, question, _, _ in calls) / len(calls)


def shares(queue, simulator, step, lines):
    """Of the questions within 5 % while learning and after it, and of the answers longer than expected after it."""
    run(queue, simulator, step, lines[:LEARNING])
    before = learned(queue, step)
    run(queue, simulator, step, lines[LEARNING:])
    after = learned(queue, step)[:-LEARNING]
    assert (len(before), len(after)) == (LEARNING, len(lines) - LEARNING)
    return within(before), within(after), sum(answer > expected for _, _, expected, answer in after) / len(after)


def measure(queue, simulator, tokenizer, by_kind):
    table = {}
    for kind, tokens in by_kind.items():
        lines = list(zip(some(kind, 150), tokens))[:CALLS]
        table[kind] = shares(queue, simulator, f"{kind} {tokenizer}".replace(" ", "-"), lines)
    print(f"\n| {tokenizer} | " + " | ".join(f"{first:.0%}, {then:.0%}" for first, then, _ in table.values()) + " |")
    over = sum(over for _, _, over in table.values()) / len(table)
    print(f"answers longer than expected, after {LEARNING} calls: {over:.1%}")
    assert 0.03 <= over <= 0.07 if ALL else over <= 0.12, over
    return {kind: then for kind, (_, then, _) in table.items()}


@pytest.fixture
def ranks(tmp_path):
    folder = tmp_path / "ranks"
    folder.mkdir()
    shutil.copy(VECTORS / "o200k_part.tiktoken", folder / "o200k_base.tiktoken")
    return str(folder)


@pytest.fixture
def counting(start_simulator, start_worker, ranks):
    simulator = start_simulator()
    start_worker(simulator=simulator, WORKER_CONCURRENCY=4, AI_TOKENIZER_DIR=ranks)
    return simulator


def test_all_questions_to_a_model_whose_tokenizer_is_there_are_within_5_percent(counting, queue):
    table = measure(queue, counting, "o200k", counts()["o200k"])
    assert all(then == 1 for then in table.values()), table


@pytest.mark.parametrize("tokenizer", [name for name in counts() if name != "o200k" and (ALL or name == "Llama 3")])
def test_most_questions_to_a_model_with_another_tokenizer_are_within_5_percent_after_50_calls(counting, queue, tokenizer):
    by_kind = counts()[tokenizer]
    table = measure(queue, counting, tokenizer, by_kind if ALL else {kind: by_kind[kind] for kind in ("English", "numbers", "mixed")})
    assert table["English"] >= 0.95 and table["numbers"] >= 0.95, table
    assert all(then >= 0.7 for then in table.values()), table


def test_without_a_tokenizer_a_step_learns_the_provider_s_own_way_of_counting(start_simulator, start_worker, queue):
    simulator = start_simulator()
    start_worker(simulator=simulator, WORKER_CONCURRENCY=4)
    for kind in ("German", "mixed"):
        _, then, over = shares(queue, simulator, kind, [(text, None) for text in some(kind, CALLS)])
        assert then >= 0.9 and over <= 0.1, (kind, then, over)


def test_tokens_counts_as_the_model_does_and_tells_method_and_cost(flow_worker, ranks):
    def count(text, model):
        return flow_worker("tokens", text, "--model", model, "--json", AI_TOKENIZER_DIR=ranks).json

    text, tokens = some("German", 1)[0], counts()["o200k"]["German"][0]
    exact = count(text, "openai:gpt-4.1-mini")
    assert (exact["tokens"], exact["method"]) == (tokens, "byte-pairs")
    assert exact["costUsd"] == pytest.approx(tokens * 0.4e-6)
    near = count(text, "anthropic:claude-haiku-4-5")
    assert near["method"] == "near-byte-pairs" and near["tokens"] > tokens


def test_a_tokenizer_that_is_not_one_stops_the_start_with_what_is_wrong(flow_worker, ranks):
    (pathlib.Path(ranks) / "o200k_base.tiktoken").write_text("<html>404</html>\n")
    for command in (["run"], ["tokens", "a b"]):
        failed = flow_worker(*command, AI_TOKENIZER_DIR=ranks)
        assert failed.status == 1 and "o200k_base.tiktoken: line 1: expected a token in base64" in failed.err
    missing = flow_worker("run", AI_TOKENIZER_DIR=ranks + "/nowhere")
    assert missing.status == 1 and "AI_TOKENIZER_DIR" in missing.err and "deploy/tokenizer" in missing.err


def test_tokens_tells_estimate_method_and_cost(start_simulator, start_worker, queue, simulator, flow_worker, tmp_path):
    start_worker(simulator=simulator)
    text = some("English", 1, seed=2)[0]
    (tmp_path / "text").write_text(text, encoding="utf-8")
    guess = flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--json", REDIS=None).json
    assert guess["method"] in ("classes", "byte-pairs") and guess["costUsd"] == pytest.approx(guess["tokens"] * 0.4e-6)
    run(queue, simulator, "English", [[t, None] for t in some("English", 20)])
    known = flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--step", "English", "--json").json
    assert known["method"] == "calibrated" and known["calls"] == 20
    assert known["tokens"] == pytest.approx(-(-len(text.encode()) // 5), rel=0.05)
    assert known["outputTokens"] > 0
    assert "calibrated" in flow_worker("tokens", "text", "--model", "openai:gpt-4.1-mini", "--step", "English").out
