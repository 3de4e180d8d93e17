"""Every request body that the worker builds fits the provider's own OpenAPI description, as Prism checks it.

The bodies are those of `exec --dry-run`. One wrong body for each description proves that the check is on."""
# labels: mocks

import base64
import json
import urllib.parse

import pytest

import mocks

mocks.specifications("openai-min.json", "anthropic-min.json", "mistral-min.json")
mocks.installed()

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["title", "tags"],
    "properties": {"title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
THREAD = [
    {"role": "system", "content": "You write product teasers."},
    {"role": "user", "content": "Article about cheese."},
    {"role": "assistant", "content": "Cheese, please!"},
]

MISTRAL_MODELS = "json:" + json.dumps([{
    "id": "mistral-small-latest", "name": "Mistral Small", "context": 128000, "output": 16000,
    "attachment": True, "reasoning": True}])

# name -> specification, provider, model, path that is expected, further variables
BUILDERS = {
    "chat": ("openai-min.json", "openai", "gpt-4.1-mini", "/v1/chat/completions", {}),
    "chat-reasoning": ("openai-min.json", "openai", "gpt-5.5", "/v1/chat/completions", {}),
    "responses": ("openai-min.json", "openai", "gpt-5.5-pro", "/v1/responses", {}),
    "anthropic": ("anthropic-min.json", "anthropic", "claude-sonnet-5-5", "/v1/messages", {}),
    "anthropic-4.5": ("anthropic-min.json", "anthropic", "claude-sonnet-4-5", "/v1/messages", {}),
    "mistral": ("mistral-min.json", "openai-compatible", "mistral-small-latest", "/v1/chat/completions",
                {"AI_OPENAI_COMPATIBLE_PRESET": "mistral", "AI_OPENAI_COMPATIBLE_API_KEY": "mistral-key-0001",
                 "AI_OPENAI_COMPATIBLE_MODELS": MISTRAL_MODELS}),
}

CASES = {
    "text": {"prompt": "Say hello in German."},
    "system": {"system": "You are brief.", "prompt": "Say hello.", "maxTokens": 50},
    "thread": {"messages": THREAD, "prompt": "Shorter."},
    "sampling": {"prompt": "Say hello.", "temperature": 0.4, "topP": 0.9, "stop": ["END"],
                 "frequencyPenalty": 0.1, "presencePenalty": 0.1},
    "json": {"prompt": "Answer as JSON.", "outputFormat": "json"},
    "schema": {"prompt": "A teaser.", "outputSchema": SCHEMA},
    "reasoning": {"prompt": "Think.", "enableReasoning": True, "reasoningEffort": "low", "maxTokens": 5000},
    "no-reasoning": {"prompt": "Do not think.", "enableReasoning": False},
    "data": {"prompt": "Summarise this.", "data": {"rows": [{"name": "x", "n": 1}]}},
    "image": {"prompt": "Describe.", "attachments": [{"type": "file", "fileId": "png", "detail": "low"}]},
    "document": {"prompt": "Summarise.", "attachments": [{"type": "file", "fileId": "pdf"}]},
}
IMPOSSIBLE = {("mistral", "document"), ("chat", "reasoning")}
PAIRS = [(builder, case) for builder in BUILDERS for case in CASES if (builder, case) not in IMPOSSIBLE]


@pytest.fixture(scope="module")
def prism(tmp_path_factory):
    """prism(specification) -> the server that checks by it."""
    servers = {}

    def of(specification):
        if specification not in servers:
            servers[specification] = mocks.Prism(specification, tmp_path_factory.mktemp("prism") / "log")
        return servers[specification]

    yield of
    for server in servers.values():
        server.stop()


def sent_path(specification, path):
    """Prism leaves the path of OpenAI's server URL out."""
    return path.removeprefix("/v1") if specification == "openai-min.json" else path


@pytest.fixture
def built_request(flow_worker, simulator, fake_directus):
    files = {"png": fake_directus.add_file("image/png", PNG), "pdf": fake_directus.add_file("application/pdf", PDF)}

    def build(builder, options):
        _, provider, model, path, variables = BUILDERS[builder]
        options = {"provider": provider, "model": model, **options}
        if "attachments" in options:
            options["attachments"] = [{**a, "fileId": files[a["fileId"]]} for a in options["attachments"]]
        job = {"operation": "ai-generate", "options": options}
        answer = flow_worker("exec", "-", "--dry-run", stdin=job, **variables)
        assert answer.status == 0, answer.out
        request = answer.lines[0]
        assert urllib.parse.urlsplit(request["url"]).path == path
        request["body"]["stream"] = False
        request["body"].pop("stream_options", None)
        return request

    return build


@pytest.mark.parametrize("builder, case", PAIRS)
def test_a_body_fits_the_providers_description(prism, built_request, builder, case):
    specification, _, _, path, _ = BUILDERS[builder]
    request = built_request(builder, CASES[case])
    answer = prism(specification).post(sent_path(specification, path), request["body"], request["headers"])
    assert answer.status_code == 200, f"{answer.text}\n{json.dumps(request['body'], indent=1)}"


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_wrong_body_is_refused(prism, built_request, builder):
    specification, _, _, path, _ = BUILDERS[builder]
    request = built_request(builder, CASES["text"])
    request["body"]["model"] = {"not": "a name"}
    answer = prism(specification).post(sent_path(specification, path), request["body"], request["headers"])
    assert answer.status_code == 422, answer.text
