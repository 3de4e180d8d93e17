"""The worker against a provider server that others wrote: answers of each format, and what it makes of failures.

aimock's journal says how many calls were really made and what was in them."""
# labels: mocks

import base64
import pathlib

import pytest

import mocks
from worker import ANTHROPIC_KEY, GOOGLE_KEY, OPENAI_KEY, environment, run_command

mocks.installed()

FIXTURES = pathlib.Path(__file__).with_name("aimock.json")
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["title", "tags"],
    "properties": {"title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
# name -> provider, model, header with the key
FORMATS = {
    "chat": ("openai", "gpt-5.5", "authorization", OPENAI_KEY),
    "responses": ("openai", "gpt-5.5-pro", "authorization", OPENAI_KEY),
    "messages": ("anthropic", "claude-sonnet-5-5", "x-api-key", ANTHROPIC_KEY),
    "gemini": ("google", "gemini-3.6-flash", "x-goog-api-key", GOOGLE_KEY),
}
each_format = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = mocks.Aimock(FIXTURES, tmp_path_factory.mktemp("aimock") / "log")
    yield server
    server.stop()


@pytest.fixture
def aimock(server):
    server.forget()
    return server


@pytest.fixture
def ask(aimock, fake_directus, tmp_path):
    """ask("chat", "a prompt", maxRetries=0) -> the result object of `exec`."""

    def ask(format, prompt, operation="ai-generate", **options):
        provider, model, _, _ = FORMATS[format]
        job = {"operation": operation,
               "options": {"provider": provider, "model": model, "prompt": prompt, "maxTokens": 500, **options}}
        answer = run_command("exec", "-", env=environment(None, aimock, fake_directus), cwd=tmp_path, stdin=job)
        assert answer.status == (0 if answer.json["status"] == "done" else 1)
        return answer.json

    return ask


@each_format
def test_a_text_comes_back_with_its_usage(aimock, ask, format):
    result = ask(format, "a greeting")
    assert result["status"] == "done", result["error"]
    assert result["last"]["content"] == "Hi there, this answer comes from a fixture."
    assert result["last"]["finishReason"] == "stop"
    assert result["last"]["usage"]["totalTokens"] > 0
    assert result["last"]["attempts"] == 1


@each_format
def test_the_key_is_in_its_header_and_nowhere_else(aimock, ask, format):
    ask(format, "a greeting")
    call, = aimock.journal()
    _, _, header, key = FORMATS[format]
    headers = {name.lower(): value for name, value in call["headers"].items()}
    assert key not in call["path"] and key not in str(call["body"])
    # aimock's journal hides the value of some headers
    assert header in headers


@each_format
def test_a_thread_arrives_as_it_was(aimock, ask, format):
    thread = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "First question"},
              {"role": "assistant", "content": "First answer"}]
    assert ask(format, "a greeting", messages=thread)["status"] == "done"
    sent = str(aimock.journal()[0]["body"])
    places = [sent.index(text) for text in ("First question", "First answer", "a greeting")]
    assert places == sorted(places)
    assert "You are brief." in sent


@each_format
def test_a_schema_gives_an_object(ask, format):
    result = ask(format, "as an object", outputSchema=SCHEMA)
    assert result["status"] == "done", result["error"]
    assert result["last"]["data"] == {"title": "T", "tags": ["a", "b"]}


@each_format
def test_a_picture_is_sent_as_bytes(aimock, ask, fake_directus, format):
    id = fake_directus.add_file("image/png", PNG)
    result = ask(format, "what is shown", "ai-analyze-image", attachments=[{"type": "file", "fileId": id}])
    assert result["status"] == "done", result["error"]
    assert result["last"]["content"] == "One red dot."
    sent = str(aimock.journal()[0]["body"])
    assert fake_directus.url not in sent and id not in sent
    if format == "chat":  # the journal keeps no pictures of the others
        assert base64.b64encode(PNG).decode() in sent


@each_format
def test_a_long_answer_is_streamed(aimock, ask, format):
    """More tokens than a provider gives without a stream before it times out."""
    result = ask(format, "a greeting", maxTokens=60000)
    assert result["status"] == "done", result["error"]
    assert result["last"]["content"] == "Hi there, this answer comes from a fixture."
    call, = aimock.journal()
    assert call["body"].get("stream") is True or "streamGenerateContent" in call["path"]


@each_format
def test_an_answer_cut_by_length_says_so(aimock, ask, format):
    result = ask(format, "cut by length")
    assert (result["last"].get("finishReason"), result["last"].get("code")) in \
        [("length", None), (None, "OUTPUT_TRUNCATED")]
    assert len(aimock.journal()) == 1


# prompt, retries allowed -> code, calls
FAILURES = [
    ("no money", 3, "QUOTA_EXCEEDED", 1),
    ("no credit", 3, "QUOTA_EXCEEDED", 1),
    ("a wrong key", 3, "INVALID_API_KEY", 1),
    ("an unknown model", 3, "MODEL_NOT_FOUND", 1),
    ("too long", 3, "CONTEXT_LENGTH_EXCEEDED", 1),
    ("broken 500", 1, "PROVIDER_UNAVAILABLE", 2),
    ("broken 503", 1, "PROVIDER_UNAVAILABLE", 2),
    ("broken 529", 1, "PROVIDER_UNAVAILABLE", 2),
    ("dropped", 1, "PROVIDER_UNAVAILABLE", 2),
    ("malformed", 1, "INVALID_RESPONSE", 2),
    ("filtered away", 3, "CONTENT_FILTERED", 1),
]


@pytest.mark.parametrize("prompt, retries, code, calls", FAILURES, ids=[f[0] for f in FAILURES])
def test_a_failure_has_its_code_and_costs_no_more_calls_than_it_should(aimock, ask, prompt, retries, code, calls):
    result = ask("chat", prompt, maxRetries=retries)
    assert result["status"] == "dead"
    assert result["error"]["code"] == code, result["error"]
    assert len(aimock.journal()) == calls


@each_format
def test_too_fast_is_asked_again_after_the_time_that_was_told(aimock, ask, format):
    result = ask(format, f"too fast once, {format}")
    assert result["status"] == "done", result["error"]
    assert result["last"]["content"] == "Second try worked."
    first, second = aimock.journal()
    assert second["timestamp"] - first["timestamp"] >= 1000


@each_format
def test_an_error_of_the_server_is_asked_again(aimock, ask, format):
    result = ask(format, f"broken 500 once, {format}")
    assert result["status"] == "done", result["error"]
    assert (result["last"]["attempts"], len(aimock.journal())) == (2, 2)


@each_format
@pytest.mark.parametrize("prompt", ["truncated stream", "disconnected stream"])
def test_a_stream_that_ends_early_is_no_answer(aimock, ask, format, prompt):
    result = ask(format, prompt, maxTokens=60000, maxRetries=1)
    assert result["status"] == "dead"
    assert result["error"]["code"] == "PROVIDER_UNAVAILABLE"
    assert len(aimock.journal()) == 2
