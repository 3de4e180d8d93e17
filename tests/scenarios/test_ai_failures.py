"""How the ai-* operations fail: what is wrong is told before it costs anything, what may pass is tried again."""

import json

import pytest

from ai import FILE, MODELS, bodies, body, code, last


# ---- what is wrong is told before it costs anything ----

@pytest.mark.parametrize("options, env, expected", [
    ({"model": "gpt-9"}, {}, "MODEL_NOT_ALLOWED"),
    ({"model": "gpt-4.1"}, {"AI_OPENAI_ALLOWED_MODELS": ""}, "MODEL_NOT_ALLOWED"),
    ({"model": "gpt-4.1"}, {"AI_OPENAI_ALLOWED_MODELS": "gpt-5"}, "MODEL_NOT_ALLOWED"),
    ({"provider": "replicate"}, {}, "PROVIDER_NOT_CONFIGURED"),
    ({"provider": "nobody"}, {}, "PROVIDER_NOT_CONFIGURED"),
    ({}, {"AI_OPENAI_ENABLED": "false"}, "PROVIDER_NOT_CONFIGURED"),
    ({}, {"AI_ENABLED": "false"}, "AI_DISABLED"),
    ({"prompt": None}, {}, "INVALID_PAYLOAD"),
    ({"temperature": 3}, {}, "INVALID_PAYLOAD"),
    ({"maxTokens": "many"}, {}, "INVALID_PAYLOAD"),
    ({"maxTokens": 40000}, {}, "INVALID_PAYLOAD"),
    ({"enableReasoning": True}, {}, "INVALID_PAYLOAD"),
    ({"serviceTier": "batch"}, {}, "INVALID_PAYLOAD"),
    ({"outputSchema": {"type": "nonsense"}}, {}, "INVALID_PAYLOAD"),
    ({"messages": [{"role": "robot", "content": "x"}]}, {}, "INVALID_PAYLOAD"),
    ({"budget": {"maxCostUsd": 0.0000001}}, {}, "BUDGET_EXCEEDED"),
    ({"budget": {"maxTokens": 100}}, {}, "BUDGET_EXCEEDED"),
    ({"model": "gpt-4o-mini", "prompt": "word " * 200000}, {}, "CONTEXT_LENGTH_EXCEEDED"),
    ({"prompt": "{{$trigger.nope}}"}, {}, "TEMPLATE_UNRESOLVED"),  # V-03
    ({"provider": "openai-compatible", "model": "m", "attachments": [{"type": "file", "fileId": FILE}]}, {},
     "ATTACHMENT_UNSUPPORTED"),
    ({"attachments": [{"type": "file", "fileId": "../../server/info"}]}, {}, "INVALID_PAYLOAD"),  # V-13
    ({"attachments": [{"type": "url", "url": "http://169.254.169.254/latest"}]}, {}, "INVALID_PAYLOAD"),
    ({"attachments": [{"type": "url", "url": "file:///etc/passwd"}]}, {}, "INVALID_PAYLOAD"),
])
def test_what_is_wrong_costs_nothing(ask, simulator, fake_directus, options, env, expected):
    assert code(ask(env=env, **{"prompt": "Say hello.", **options})) == expected
    assert simulator.ledger() == [] and fake_directus.requests == []


def test_v14_allowed_models(ask):
    listed = {"AI_OPENAI_ALLOWED_MODELS": "gpt-4.1-mini,my-model"}
    assert last(ask(prompt="Say hello.", env=listed))["cost"]["known"]
    assert last(ask(prompt="Say hello.", model="my-model", env=listed))["cost"]["known"] is False
    dated = last(ask(prompt="Say hello.", model="gpt-4.1-mini-2025-04-14"))
    assert dated["model"] == "gpt-4.1-mini-2025-04-14" and dated["cost"]["known"]


def test_allowed_models_of_directus_settings(ask, fake_directus):
    fake_directus.settings = {"ai_openai_allowed_models": ["mine"]}
    env = {"AI_SETTINGS_IMPORT": "true"}
    assert last(ask(prompt="Hi.", model="mine", env=env))["content"]
    assert code(ask(prompt="Hi.", env=env)) == "MODEL_NOT_ALLOWED"
    assert last(ask(prompt="Hi.", env={**env, "AI_OPENAI_ALLOWED_MODELS": "gpt-4.1-mini"}))["content"]
    fake_directus.broken = 403, {"errors": [{"message": "no", "extensions": {"code": "FORBIDDEN"}}]}
    assert last(ask(prompt="Hi.", env=env))["content"]


def test_the_provider_may_be_left_out(ask):
    assert last(ask(provider=None, model="claude-sonnet-4-6", prompt="Hi."))["provider"] == "anthropic"
    env = {"AI_DEFAULT_MODEL": "google:gemini-2.5-flash"}
    assert last(ask(provider=None, model=None, prompt="Hi.", env=env))["model"] == "gemini-2.5-flash"


def test_ai_models_adds_and_overrides(ask, simulator):
    models = [{"provider": "openai", "model": "dep-1", "base": "gpt-5", "cost": {"input": 1, "output": 2}},
              {"provider": "openai", "model": "gpt-4.1-mini", "limit": {"context": 100, "output": 50}}]
    env = {"AI_MODELS": "json:" + json.dumps(models)}
    last(ask(model="dep-1", prompt="Hi.", temperature=1, env=env))
    assert "temperature" not in body(simulator)
    assert code(ask(prompt="word " * 500, maxTokens=10, env=env)) == "CONTEXT_LENGTH_EXCEEDED"


def test_nothing_to_work_on_is_no_call(ask, simulator):
    for nothing in ([], {}, "", "  ", None):
        result = last(ask("ai-analyze", prompt="Analyse.", data=nothing))
        assert result["content"] is None and result["warnings"] == ["empty"]
    assert simulator.ledger() == []


def test_the_hash_of_the_input_spares_a_call(ask, simulator):
    first = last(ask(prompt="Say hello."))
    again = last(ask(prompt="Say hello.", skipIfHash=first["inputHash"]))
    other = last(ask(prompt="Say goodbye.", skipIfHash=first["inputHash"]))
    assert again["content"] is None and again["warnings"] == ["unchanged"] and again["inputHash"] == first["inputHash"]
    assert other["content"] and len(simulator.ledger()) == 2


# ---- failures and retries ----

FINAL = {"invalid_key": "INVALID_API_KEY", "permission": "PERMISSION_DENIED", "not_found": "MODEL_NOT_FOUND",
         "context": "CONTEXT_LENGTH_EXCEEDED", "content": "CONTENT_FILTERED", "too_large": "REQUEST_TOO_LARGE",
         "quota": "QUOTA_EXCEEDED", "bad_request": "INVALID_REQUEST"}


# Others than OpenAI tell of their content filter with status 200: not an error of the simulator's.
@pytest.mark.parametrize("provider, kind, expected", [
    (provider, *row) for provider in MODELS for row in FINAL.items() if provider == "openai" or row[0] != "content"])
def test_what_trying_again_can_not_mend_is_tried_once(ask, simulator, provider, kind, expected):
    simulator.fault("error", kind=kind, times=-1)
    assert code(ask(provider=provider, model=MODELS[provider], prompt="Say hello.")) == expected  # V-09
    assert len(simulator.ledger()) == 1


@pytest.mark.parametrize("kind, expected", [
    ("rate_limit", "RATE_LIMIT_EXCEEDED"), ("slow_down", "RATE_LIMIT_EXCEEDED"), ("server_error", "PROVIDER_UNAVAILABLE"),
    ("overloaded", "PROVIDER_UNAVAILABLE"), ("timeout", "TIMEOUT")])
@pytest.mark.parametrize("provider", MODELS)
def test_what_may_pass_is_tried_again(ask, simulator, provider, kind, expected):
    fault = {"kind": kind, "retry_after_ms": 20}
    simulator.fault("error", **fault)
    asked = {"provider": provider, "model": MODELS[provider], "prompt": "Say hello."}
    assert last(ask(**asked))["attempts"] == 2  # V-10
    simulator.fault("error", times=-1, **fault)
    result = ask(maxRetries=0, **asked)
    assert code(result) == expected and result["error"]["attempts"] == 1 and result["error"]["retryable"]
    assert len(simulator.ledger()) == 3


def test_attempts_are_one_more_than_the_retries(ask, simulator):
    simulator.fault("error", kind="rate_limit", retry_after_ms=20, times=-1)
    result = ask(prompt="Say hello.", maxRetries=3)
    assert result["error"]["attempts"] == 4 == len(simulator.ledger())
    assert "gave up after 4 attempts" in result["error"]["message"]


@pytest.mark.parametrize("fault, expected, calls", [
    ({"do": "reset"}, "PROVIDER_UNAVAILABLE", 2), ({"do": "cut", "after": 40}, "PROVIDER_UNAVAILABLE", 2),
    ({"do": "html"}, "PROVIDER_UNAVAILABLE", 2), ({"do": "garbage"}, "INVALID_RESPONSE", 2),
    ({"do": "empty"}, "INVALID_RESPONSE", 2), ({"do": "huge", "bytes": 20000000}, "INVALID_RESPONSE", 2),
    ({"do": "answer", "status": 200, "body": {"error": {"message": "upstream"}}}, "PROVIDER_UNAVAILABLE", 2),
    ({"do": "hang"}, "TIMEOUT", 2), ({"do": "slow", "every_ms": 200}, "TIMEOUT", 2)])
def test_v11_faults_of_the_line_have_their_codes(ask, simulator, fault, expected, calls):
    simulator.fault(**fault, times=-1)
    timeout = 500 if expected == "TIMEOUT" else 60000
    assert code(ask(prompt="Say hello.", maxRetries=1, timeout=timeout)) == expected
    assert len(simulator.ledger()) == calls


@pytest.mark.parametrize("provider", MODELS)
def test_faults_inside_a_stream(ask, simulator, provider):
    asked = {"provider": provider, "model": MODELS[provider], "prompt": "Say hello to everybody here.", "maxTokens": 9000}
    simulator.fault("stream_error", kind="overloaded")
    assert last(ask(**asked))["attempts"] == 2
    simulator.fault("stream_cut")
    assert last(ask(**asked))["attempts"] == 2
    simulator.fault("stream_error", kind="overloaded", times=-1)
    result = ask(maxRetries=0, **asked)
    assert code(result) == "PROVIDER_UNAVAILABLE"


def test_a_provider_may_say_that_trying_again_is_of_no_use(ask, simulator):
    simulator.fault("error", kind="server_error", headers={"x-should-retry": "false"}, times=-1)
    assert code(ask(prompt="Say hello.")) == "PROVIDER_UNAVAILABLE" and len(simulator.ledger()) == 1


def test_a_call_that_may_have_been_paid_is_held_if_that_is_wanted(ask, simulator):
    simulator.fault("cut", after=40, times=-1)
    result = ask(prompt="Say hello.", onAmbiguous="hold")
    assert result["status"] == "quarantined" and len(simulator.ledger()) == 1
    simulator.reset()
    simulator.fault("error", kind="rate_limit", retry_after_ms=20)  # refused at the door: not paid
    assert last(ask(prompt="Say hello.", onAmbiguous="hold"))


def test_a_parameter_that_is_refused_is_left_out_once(ask, simulator):
    simulator.fault("error", kind="unsupported_parameter", param="temperature",
                    message="Unsupported parameter: 'temperature' is not supported with this model.")
    result = last(ask(prompt="Say hello.", temperature=0.5, maxRetries=0))
    first, second = bodies(simulator)
    assert "temperature" in first and "temperature" not in second
    assert any("temperature" in warning for warning in result["warnings"])


def test_fallback_comes_after_the_retries(ask, simulator):
    simulator.fault("error", kind="server_error", times=-1, model="gpt-4.1-mini", retry_after_ms=10)
    result = last(ask(prompt="Say hello.", maxRetries=1,
                      fallback=[{"provider": "anthropic", "model": "claude-sonnet-4-6"}]))
    assert result["provider"] == "anthropic" and result["attempts"] == 3
    assert [line["model"] for line in simulator.ledger()] == ["gpt-4.1-mini"] * 2 + ["claude-sonnet-4-6"]
