"""A provider that answers badly, slowly, too much or not at all: each failure has its code, in each wire format, and a
worker that neither crashes nor leaks (the sanitizers look)."""
# labels: slow

import email.utils
import json
import time

import pytest

from worker import SECRETS

FORMATS = {
    "chat": ("openai", "gpt-5.5"),
    "responses": ("openai", "gpt-5.5-pro"),
    "messages": ("anthropic", "claude-sonnet-5-5"),
    "gemini": ("google", "gemini-3.6-flash"),
}
each_format = pytest.mark.parametrize("format", FORMATS)
STREAMED = 60000  # more tokens than fit into an answer without a stream
HTML = "<!DOCTYPE html><html><body>Sorry</body></html>"


@pytest.fixture
def ask(flow_worker, simulator):
    """ask("chat", maxRetries=0) -> the result object of `exec`."""

    def ask(format, **options):
        provider, model = FORMATS[format]
        job = {"operation": "ai-generate", "options": {
            "provider": provider, "model": model, "prompt": "Say hello to everybody.", "maxTokens": 500,
            "maxRetries": 0, "timeout": 20000, **options}}
        answer = flow_worker("exec", "-", stdin=job)
        assert not [secret for secret in SECRETS if secret in answer.out + answer.err]
        return answer.json

    return ask


# fault, the code, options of the operation
FAULTS = {
    "reset before the answer": ({"do": "reset"}, "PROVIDER_UNAVAILABLE"),
    "reset in the answer": ({"do": "reset", "after": 30}, "PROVIDER_UNAVAILABLE"),
    "closed before the answer": ({"do": "cut"}, "PROVIDER_UNAVAILABLE"),
    "cut answer": ({"do": "cut", "after": 30}, "PROVIDER_UNAVAILABLE"),
    "shorter than its length": ({"do": "length", "length": 9999}, "PROVIDER_UNAVAILABLE"),
    "silence": ({"do": "hang"}, "TIMEOUT", {"timeout": 500}),
    "silence in the answer": ({"do": "hang", "after": 30}, "TIMEOUT", {"timeout": 500}),
    "a byte now and then": ({"do": "slow", "every_ms": 50}, "TIMEOUT", {"timeout": 500}),
    "broken JSON": ({"do": "garbage"}, "INVALID_RESPONSE"),
    "nothing at all": ({"do": "empty"}, "INVALID_RESPONSE"),
    "a gigabyte": ({"do": "huge", "bytes": 10**9}, "INVALID_RESPONSE"),
    "a page for people": ({"do": "html"}, "PROVIDER_UNAVAILABLE"),
    "a page for people as success": ({"body": HTML, "content_type": "text/html"}, "PROVIDER_UNAVAILABLE"),
    "JSON of another kind": ({"body": {"hello": "world"}}, "INVALID_RESPONSE"),
    "JSON that is no object": ({"body": "[1,2,3]"}, "INVALID_RESPONSE"),
    "no words, also when asked again": ({"text": "", "times": 2}, "INVALID_OUTPUT"),
    "filtered": ({"text": "", "finish": "filter"}, "CONTENT_FILTERED"),
    "refused": ({"text": "I can not do that.", "finish": "refusal"}, "CONTENT_FILTERED"),
    "all of it spent on thoughts": ({"text": "", "reasoning": "Hm.", "finish": "length"}, "OUTPUT_TRUNCATED"),
    "too fast": ({"do": "error", "kind": "rate_limit"}, "RATE_LIMIT_EXCEEDED"),
    "no money": ({"do": "error", "kind": "quota"}, "QUOTA_EXCEEDED"),
    "a bad key": ({"do": "error", "kind": "invalid_key"}, "INVALID_API_KEY"),
    "not allowed": ({"do": "error", "kind": "permission"}, "PERMISSION_DENIED"),
    "no such model": ({"do": "error", "kind": "not_found"}, "MODEL_NOT_FOUND"),
    "too long": ({"do": "error", "kind": "context"}, "CONTEXT_LENGTH_EXCEEDED"),
    "too large": ({"do": "error", "kind": "too_large"}, "REQUEST_TOO_LARGE"),
    "a wrong request": ({"do": "error", "kind": "bad_request"}, "INVALID_REQUEST"),
    "overloaded": ({"do": "error", "kind": "overloaded"}, "PROVIDER_UNAVAILABLE"),
    "broken": ({"do": "error", "kind": "server_error"}, "PROVIDER_UNAVAILABLE"),
    "too slow for itself": ({"do": "error", "kind": "timeout"}, "TIMEOUT"),
    "an error in the stream": ({"do": "stream_error", "kind": "overloaded"}, "PROVIDER_UNAVAILABLE",
                               {"maxTokens": STREAMED}),
    "a stream without its end": ({"do": "stream_cut"}, "PROVIDER_UNAVAILABLE", {"maxTokens": STREAMED}),
    "a stream cut in a line": ({"do": "cut", "after": 333}, "PROVIDER_UNAVAILABLE", {"maxTokens": STREAMED}),
    "a stream that falls silent": ({"do": "hang", "after": 333}, "TIMEOUT", {"maxTokens": STREAMED, "timeout": 500}),
    "an error in place of a stream": ({"do": "error", "kind": "overloaded"}, "PROVIDER_UNAVAILABLE",
                                      {"maxTokens": STREAMED}),
}


@each_format
@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_has_its_code(simulator, ask, format, name):
    fault, code, *options = FAULTS[name]
    simulator.fault(**fault)
    result = ask(format, **(options[0] if options else {}))
    assert result["status"] == "dead", result["last"]
    assert result["error"]["code"] == code, result["error"]
    assert len(simulator.ledger()) == fault.get("times", 1)


@each_format
def test_a_stream_is_read_whole(simulator, ask, format):
    simulator.set(answer_bytes=50000)
    last = ask(format, maxTokens=STREAMED)["last"]
    assert last["content"].startswith("SIMULATED answer to: Say hello to everybody.") and len(last["content"]) == 50000
    assert (last["finishReason"], last["usage"]["outputTokens"]) == ("stop", 10000)
    assert simulator.ledger()[0]["stream"] is True


@each_format
def test_bytes_that_come_one_by_one_are_an_answer(simulator, ask, format):
    simulator.fault("slow", every_ms=0)
    assert ask(format)["last"]["content"] == "SIMULATED answer to: Say hello to everybody."
    simulator.fault("slow", every_ms=0)
    assert ask(format, maxTokens=STREAMED)["last"]["content"] == "SIMULATED answer to: Say hello to everybody."


WAITS = {
    "retry-after in seconds": ({"retry-after": "1"}, 1000),
    "retry-after in milliseconds": ({"retry-after-ms": "700"}, 700),
    "the milliseconds win": ({"retry-after": "30", "retry-after-ms": "700"}, 700),
    "the reset of the limit": ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "900ms"}, 900),
}


@pytest.mark.parametrize("name", WAITS)
def test_the_provider_says_when_to_come_again(simulator, ask, name):
    headers, wait = WAITS[name]
    error = {"error": {"message": "Rate limit reached", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}
    simulator.fault("answer", status=429, headers=headers, body=error)
    result = ask("chat", maxRetries=1)
    assert result["status"] == "done", result["error"]
    first, second = simulator.ledger()
    assert wait <= second["at"] - first["at"] < wait + 10000


def test_a_date_says_when_to_come_again(simulator, ask):
    simulator.fault("error", kind="overloaded",
                    headers={"retry-after": email.utils.formatdate(time.time() + 3, usegmt=True)})
    assert ask("chat", maxRetries=1)["status"] == "done"
    first, second = simulator.ledger()
    assert second["at"] - first["at"] >= 1000


@pytest.mark.parametrize("format", ["messages", "gemini"])
def test_the_other_formats_say_when_to_come_again(simulator, ask, format):
    simulator.fault("error", kind="rate_limit", retry_after_ms=1500)
    assert ask(format, maxRetries=1)["status"] == "done"
    first, second = simulator.ledger()
    assert second["at"] - first["at"] >= 1500


@each_format
def test_usage_is_what_the_provider_says(simulator, ask, format):
    simulator.answer("Hello!", reasoning="Hm.", usage={"input": 1000, "cached": 400, "output": 70, "reasoning": 50})
    usage = ask(format)["last"]["usage"]
    assert usage == {"inputTokens": 1000, "cachedInputTokens": 400, "outputTokens": 70, "reasoningTokens": 50,
                     "totalTokens": 1070}


def test_a_parameter_that_the_model_refuses_is_left_out_once(simulator, ask):
    simulator.fault("error", kind="unsupported_parameter", param="temperature",
                    message="Unsupported value: 'temperature' does not support 0.3 with this model.")
    result = ask("chat", model="gpt-4.1", temperature=0.3)
    assert result["status"] == "done", result["error"]
    first, second = simulator.bodies()
    assert (first.pop("temperature"), second.get("temperature")) == (0.3, None)
    assert first == second
    assert "temperature" in json.dumps(result["last"]["warnings"])
