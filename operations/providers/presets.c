/* operations/providers/presets.c: how servers that speak OpenAI's format differ. */
#include "operations/providers/provider.h"

#include <strings.h>

const struct preset preset_openai = {
	.name = "openai",
	.default_url = "https://api.openai.com/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_completion_tokens",
	.usage_in_stream = true,
	.schema = true,
	.effort = true,
	.detail = true,
	.pdf_file = true,
	.responses = true,
};

/* The subset that every server knows. */
static const struct preset generic = {
	.name = "generic",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
};

static const struct preset azure = {
	.name = "azure",
	.auth = AUTH_API_KEY,
	.max_tokens_name = "max_completion_tokens",
	.usage_in_stream = true,
	.schema = true,
	.effort = true,
	.detail = true,
	.pdf_file = true,
	.responses = true,
};

/* Answers 422 to any field it does not know. */
static const struct preset mistral = {
	.name = "mistral",
	.default_url = "https://api.mistral.ai/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
	.schema = true,
	.effort = true,
	.effort_high_or_none = true,
	.pdf_url = true,
};

/* Loads the model at the first call; cuts a prompt that is longer than its window. */
static const struct preset ollama = {
	.name = "ollama",
	.default_url = "http://localhost:11434/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
	.usage_in_stream = true,
	.schema = true,
	.effort = true,
	.context_option = true,
	.cuts_silently = true,
	.is_free = true,
	.context = 4096,
	.concurrency = 1,
	.patience_ms = 600000,
};

static const struct preset lmstudio = {
	.name = "lmstudio",
	.default_url = "http://localhost:1234/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
	.usage_in_stream = true,
	.schema = true,
	.cuts_silently = true,
	.is_free = true,
	.concurrency = 1,
	.patience_ms = 600000,
};

static const struct preset llamacpp = {
	.name = "llamacpp",
	.default_url = "http://localhost:8080/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
	.usage_in_stream = true,
	.schema = true,
	.is_free = true,
	.concurrency = 1,
	.patience_ms = 600000,
};

static const struct preset vllm = {
	.name = "vllm",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_tokens",
	.usage_in_stream = true,
	.schema = true,
	.is_free = true,
};

static const struct preset *const presets[] = {
	&generic, &azure, &mistral, &ollama, &lmstudio, &llamacpp, &vllm,
};

const struct preset *preset_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_LEN(presets); i++)
		if (strcasecmp(presets[i]->name, name) == 0)
			return presets[i];
	return name ? NULL : &generic;
}

enum auth_style auth_find(const char *name)
{
	static const char *const names[] = {
		[AUTH_BEARER] = "bearer",   [AUTH_X_API_KEY] = "x-api-key",
		[AUTH_API_KEY] = "api-key", [AUTH_GOOGLE] = "x-goog-api-key",
		[AUTH_NONE] = "none",
	};

	for (size_t i = 1; name && i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return (enum auth_style)i;
	return AUTH_DEFAULT;
}
