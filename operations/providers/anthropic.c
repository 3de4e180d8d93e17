/* operations/providers/anthropic.c: Anthropic's Messages. */
#include "operations/providers/wire.h"

enum { BUDGET_MIN = 1024 };

/* ---- the question ---- */

static cJSON *source(const struct llm_part *part, struct arena *a)
{
	cJSON *object = json_object(a);

	json_set_text(a, object, "type", "base64");
	json_set_text(a, object, "media_type", part->media_type);
	json_set_text(a, object, "data", part->base64);
	return object;
}

static cJSON *content_part(const struct llm_part *part, struct arena *a)
{
	cJSON *object = json_object(a);

	switch (part->kind) {
	case PART_TEXT:
		json_set_text(a, object, "type", "text");
		json_set_text(a, object, "text", part->text);
		break;
	case PART_IMAGE:
		json_set_text(a, object, "type", "image");
		json_set(a, object, "source", source(part, a));
		break;
	case PART_DOCUMENT:
		json_set_text(a, object, "type", "document");
		json_set(a, object, "source", source(part, a));
		if (part->name)
			json_set_text(a, object, "title", part->name);
		break;
	}
	return object;
}

static cJSON *message(const struct llm_message *m, struct arena *a)
{
	cJSON *object = json_object(a), *parts;

	json_set_text(a, object, "role", m->role == ROLE_USER ? "user" : "assistant");
	if (wire_is_plain_text(m)) {
		json_set_text(a, object, "content", wire_message_text(a, m));
		return object;
	}
	parts = json_array(a);
	for (size_t i = 0; i < m->count; i++)
		json_push(parts, content_part(&m->parts[i], a));
	json_set(a, object, "content", parts);
	return object;
}

static void set_system(const struct llm_question *q, struct arena *a, cJSON *body)
{
	cJSON *block, *blocks, *mark;

	if (!q->system || !*q->system)
		return;
	if (!q->cache_system) {
		json_set_text(a, body, "system", q->system);
		return;
	}
	block = json_object(a);
	blocks = json_array(a);
	mark = json_object(a);
	json_set_text(a, mark, "type", "ephemeral");
	json_set_text(a, block, "type", "text");
	json_set_text(a, block, "text", q->system);
	json_set(a, block, "cache_control", mark);
	json_push(blocks, block);
	json_set(a, body, "system", blocks);
}

/* Thinking comes out of max_tokens: it gets a share by the effort, and leaves room for the text. */
static uint32_t budget(const struct llm_question *q)
{
	static const uint32_t percent[] = {[EFFORT_LOW] = 25,
					   [EFFORT_MEDIUM] = 50,
					   [EFFORT_HIGH] = 75,
					   [EFFORT_XHIGH] = 80,
					   [EFFORT_MAX] = 90};
	uint64_t tokens = (uint64_t)q->max_tokens * percent[q->effort] / 100;

	return (uint32_t)u64_max(tokens, BUDGET_MIN);
}

static void set_thinking(const struct llm_question *q, struct arena *a, cJSON *body)
{
	bool off = q->effort <= EFFORT_MINIMAL;
	cJSON *thinking = json_object(a);

	if (q->effort == EFFORT_UNSET)
		return;
	if (q->model->thinking == THINKING_BUDGET) {
		if (off || q->max_tokens <= BUDGET_MIN)
			return;
		json_set_text(a, thinking, "type", "enabled");
		json_set_number(a, thinking, "budget_tokens", budget(q));
	} else if (q->model->thinking == THINKING_ADAPTIVE ||
		   q->model->thinking == THINKING_ALWAYS) {
		json_set_text(a, thinking, "type", off ? "disabled" : "adaptive");
	} else {
		return;
	}
	json_set(a, body, "thinking", thinking);
}

static void set_output(const struct llm_question *q, struct arena *a, cJSON *body)
{
	cJSON *output = json_object(a), *format;
	bool adaptive =
		q->model->thinking == THINKING_ADAPTIVE || q->model->thinking == THINKING_ALWAYS;

	if (adaptive && q->effort >= EFFORT_LOW)
		json_set_text(a, output, "effort", effort_name(q->effort));
	if (q->format == OUTPUT_JSON && q->schema) {
		format = json_object(a);
		json_set_text(a, format, "type", "json_schema");
		json_set(a, format, "schema", json_share(a, q->schema));
		json_set(a, output, "format", format);
	}
	if (json_count(output))
		json_set(a, body, "output_config", output);
}

static bool anthropic_write(const struct llm_question *q, const struct endpoint *e, struct arena *a,
			    struct http_request *req, struct error *err)
{
	const char *version = e->api_version ? e->api_version : provider_anthropic.default_version;
	const struct http_header extra[] = {
		{"anthropic-version",      version     },
		{"anthropic-beta",         e->betas    },
		{"anthropic-workspace-id", e->workspace},
		{NULL,                     NULL        }
        };
	struct endpoint where = *e;
	cJSON *body = json_object(a), *list = json_array(a);

	/* Versions after the first take the key as a bearer token. */
	if (where.auth == AUTH_DEFAULT && strcmp(version, provider_anthropic.default_version) != 0)
		where.auth = AUTH_BEARER;
	for (size_t i = 0; i < q->count; i++)
		json_push(list, message(&q->messages[i], a));
	json_set_text(a, body, "model", q->model_id);
	json_set_number(a, body, "max_tokens", q->max_tokens);
	set_system(q, a, body);
	json_set(a, body, "messages", list);
	wire_set_maybe(a, body, "temperature", q->temperature);
	wire_set_maybe(a, body, "top_p", q->top_p);
	if (q->stop)
		json_set(a, body, "stop_sequences", wire_stop_list(a, q->stop));
	set_thinking(q, a, body);
	set_output(q, a, body);
	if (q->stream)
		json_set_bool(a, body, "stream", true);
	return wire_write(&(struct wire_request){&provider_anthropic, "/messages", extra, body}, q,
			  &where, a, req, err);
}

/* ---- the answer ---- */

static const struct {
	const char *name;
	enum llm_finish finish;
} finishes[] = {
	{"max_tokens",                    FINISH_LENGTH  },
        {"model_context_window_exceeded", FINISH_LENGTH  },
	{"tool_use",		      FINISH_TOOL    },
        {"refusal",                       FINISH_FILTERED},
	{"pause_turn",                    FINISH_TOOL    },
};

static void set_finish(struct llm_answer *answer, const cJSON *from, struct arena *a)
{
	const char *name = json_get_text(from, "stop_reason");

	if (!name)
		return;
	answer->finish = FINISH_STOP;
	answer->detail = wire_keep_text(a, name);
	for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
		if (strcmp(finishes[i].name, name) == 0)
			answer->finish = finishes[i].finish;
}

/* What a later event repeats replaces what an earlier one said. */
static void set_usage(struct llm_usage *u, const cJSON *usage)
{
	uint64_t fresh = u->input - u->cached - u->cache_write;

	if (!cJSON_IsObject(usage))
		return;
	if (json_get(usage, "input_tokens"))
		fresh = wire_count(usage, "input_tokens");
	if (json_get(usage, "cache_read_input_tokens"))
		u->cached = wire_count(usage, "cache_read_input_tokens");
	if (json_get(usage, "cache_creation_input_tokens"))
		u->cache_write = wire_count(usage, "cache_creation_input_tokens");
	if (json_get(usage, "output_tokens"))
		u->output = wire_count(usage, "output_tokens");
	if (json_get(usage, "output_tokens_details"))
		u->reasoning =
			wire_count(json_get(usage, "output_tokens_details"), "thinking_tokens");
	u->known = true;
	u->input = fresh + u->cached + u->cache_write;
}

static bool anthropic_read(const cJSON *body, struct arena *a, struct llm_answer *answer,
			   struct error *err)
{
	struct buf text, reasoning;
	const cJSON *block;

	set_usage(&answer->usage, json_get(body, "usage"));
	answer->model = wire_keep_text(a, json_get_text(body, "model"));
	if (!cJSON_IsArray(json_get(body, "content")))
		return fail(err, ERR_INVALID_RESPONSE,
			    "anthropic: found no 'content' in the answer");
	set_finish(answer, body, a);
	buf_init(&text, STREAM_TEXT_MAX);
	buf_init(&reasoning, STREAM_TEXT_MAX);
	json_each(block, json_get(body, "content")) {
		wire_add(&text, json_get_text(block, "text"));
		wire_add(&reasoning, json_get_text(block, "thinking"));
	}
	answer->text = wire_keep(a, &text);
	answer->reasoning = wire_keep(a, &reasoning);
	return true;
}

static void anthropic_event(struct llm_stream *s, struct str name, const cJSON *data)
{
	const char *type = json_get_text(data, "type");
	const cJSON *delta = json_get(data, "delta");
	const cJSON *started = json_get(data, "message");

	(void)name;
	if (!type)
		return;
	if (strcmp(type, "message_start") == 0) {
		set_usage(&s->answer.usage, json_get(started, "usage"));
		s->answer.model = wire_keep_text(s->arena, json_get_text(started, "model"));
	} else if (strcmp(type, "content_block_delta") == 0) {
		wire_add(&s->text, json_get_text(delta, "text"));
		wire_add(&s->reasoning, json_get_text(delta, "thinking"));
	} else if (strcmp(type, "message_delta") == 0) {
		set_usage(&s->answer.usage, json_get(data, "usage"));
		set_finish(&s->answer, delta, s->arena);
	} else if (strcmp(type, "message_stop") == 0) {
		s->complete = true;
	}
}

const struct provider provider_anthropic = {
	.name = "anthropic",
	.default_url = "https://api.anthropic.com/v1",
	.default_auth = AUTH_X_API_KEY,
	.default_version = "2023-06-01",
	.quota = QUOTA_USAGE,
	.temperature_max = 1,
	.stop_max = 64,
	.image_max = 5 * 1024 * 1024,
	.write = anthropic_write,
	.read = anthropic_read,
	.event = anthropic_event,
};
