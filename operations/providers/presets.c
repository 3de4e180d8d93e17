/* operations/providers/presets.c: how servers that speak OpenAI's format differ. */
#include "operations/providers/provider.h"

const struct preset preset_openai = {
	.default_url = "https://api.openai.com/v1",
	.auth = AUTH_BEARER,
	.max_tokens_name = "max_completion_tokens",
	.usage_in_stream = true,
	.schema = true,
	.effort = true,
	.detail = true,
	.pdf_file = true,
	.call_id = true,
	.responses = true,
};

static const struct preset presets[] = {
  /* The subset that every server knows. */
	[PRESET_GENERIC] = {.auth = AUTH_BEARER,                        .max_tokens_name = "max_tokens", .call_id = true},
	[PRESET_AZURE] = { .auth = AUTH_API_KEY,
			    .max_tokens_name = "max_completion_tokens",
			    .usage_in_stream = true,
			    .schema = true,
			    .effort = true,
			    .detail = true,
			    .pdf_file = true,
			    .call_id = true,
			    .responses = true},
 /* Answers 422 to any field it does not know. */
	[PRESET_MISTRAL] = {									       .default_url = "https://api.mistral.ai/v1",
			    .auth = AUTH_BEARER,
			    .max_tokens_name = "max_tokens",
			    .schema = true,
			    .effort = true,
			    .effort_high_or_none = true,
			    .pdf_url = true,
			    .call_id = true},
 /* Loads the model at the first call; cuts a prompt that is longer than its window. */
	[PRESET_OLLAMA] = {										 .default_url = "http://localhost:11434/v1",
			    .auth = AUTH_BEARER,
			    .max_tokens_name = "max_tokens",
			    .usage_in_stream = true,
			    .schema = true,
			    .effort = true,
			    .call_id = true,
			    .cuts_silently = true,
			    .is_free = true,
			    .context = 4096,
			    .concurrency = 1,
			    .patience_ms = 600000},
	[PRESET_LMSTUDIO] = {									    .default_url = "http://localhost:1234/v1",
                            .auth = AUTH_BEARER,
                            .max_tokens_name = "max_tokens",
                            .usage_in_stream = true,
                            .schema = true,
                            .call_id = true,
                            .cuts_silently = true,
                            .is_free = true,
                            .concurrency = 1,
                            .patience_ms = 600000},
	[PRESET_LLAMACPP] = {										.default_url = "http://localhost:8080/v1",
                            .auth = AUTH_BEARER,
                            .max_tokens_name = "max_tokens",
                            .usage_in_stream = true,
                            .schema = true,
                            .call_id = true,
                            .is_free = true,
                            .concurrency = 1,
                            .patience_ms = 600000},
	[PRESET_VLLM] = {								.auth = AUTH_BEARER,
			    .max_tokens_name = "max_tokens",
			    .usage_in_stream = true,
			    .schema = true,
			    .call_id = true,
			    .is_free = true},
};

const struct preset *preset_of(enum provider_preset preset)
{
	return &presets[preset];
}
