/* operations/providers/openai.c: Chat Completions: OpenAI itself, and all who copied it. */
#include "operations/providers/wire.h"

/* ---- the question ---- */

static cJSON *image_part(const struct llm_part *part, const struct preset *preset, struct arena *a)
{
	cJSON *object = json_object(a), *image = json_object(a);

	json_set_text(a, object, "type", "image_url");
	json_set_text(a, image, "url", wire_data_url(a, part));
	if (preset->detail && part->detail)
		json_set_text(a, image, "detail", part->detail);
	json_set(a, object, "image_url", image);
	return object;
}

static cJSON *document_part(const struct llm_part *part, const struct preset *preset,
			    struct arena *a)
{
	cJSON *object = json_object(a), *file;

	if (preset->pdf_url) {
		json_set_text(a, object, "type", "document_url");
		json_set_text(a, object, "document_url", wire_data_url(a, part));
		return object;
	}
	file = json_object(a);
	json_set_text(a, object, "type", "file");
	json_set_text(a, file, "filename", part->name ? part->name : "document.pdf");
	json_set_text(a, file, "file_data", wire_data_url(a, part));
	json_set(a, object, "file", file);
	return object;
}

static cJSON *content_part(const struct llm_part *part, const struct preset *preset,
			   struct arena *a)
{
	cJSON *object;

	if (part->kind == PART_IMAGE)
		return image_part(part, preset, a);
	if (part->kind == PART_DOCUMENT)
		return document_part(part, preset, a);
	object = json_object(a);
	json_set_text(a, object, "type", "text");
	json_set_text(a, object, "text", part->text);
	return object;
}

static cJSON *message(const char *role, cJSON *content, struct arena *a)
{
	cJSON *object = json_object(a);

	json_set_text(a, object, "role", role);
	json_set(a, object, "content", content);
	return object;
}

/* Text alone goes as a text: that is what the simplest servers know. */
static cJSON *content(const struct llm_message *m, const struct preset *preset, struct arena *a)
{
	cJSON *parts;

	if (wire_is_plain_text(m))
		return json_text(a, wire_message_text(a, m));
	parts = json_array(a);
	for (size_t i = 0; i < m->count; i++)
		json_push(parts, content_part(&m->parts[i], preset, a));
	return parts;
}

static cJSON *messages(const struct llm_question *q, const struct preset *preset, struct arena *a)
{
	cJSON *list = json_array(a);

	if (q->system && *q->system)
		json_push(list, message("system", json_text(a, q->system), a));
	for (size_t i = 0; i < q->count; i++)
		json_push(list, message(q->messages[i].role == ROLE_USER ? "user" : "assistant",
					content(&q->messages[i], preset, a), a));
	return list;
}

static void set_format(const struct llm_question *q, const struct preset *preset, struct arena *a,
		       cJSON *body)
{
	cJSON *format, *schema;

	if (q->format != OUTPUT_JSON || !preset->schema)
		return;
	format = json_object(a);
	if (!q->schema) {
		json_set_text(a, format, "type", "json_object");
	} else {
		schema = json_object(a);
		json_set_text(a, schema, "name", q->schema_name);
		json_set_bool(a, schema, "strict", q->schema_strict);
		json_set(a, schema, "schema", json_share(a, q->schema));
		json_set_text(a, format, "type", "json_schema");
		json_set(a, format, "json_schema", schema);
	}
	json_set(a, body, "response_format", format);
}

static void set_effort(const struct llm_question *q, const struct preset *preset, struct arena *a,
		       cJSON *body)
{
	enum effort effort = q->effort;

	if (effort == EFFORT_UNSET || !preset->effort)
		return;
	if (preset->effort_high_or_none)
		effort = effort <= EFFORT_MINIMAL ? EFFORT_NONE : EFFORT_HIGH;
	json_set_text(a, body, "reasoning_effort", effort_name(effort));
}

static void set_stream(const struct preset *preset, struct arena *a, cJSON *body)
{
	cJSON *options = json_object(a);

	json_set_bool(a, body, "stream", true);
	json_set_bool(a, options, "include_usage", true);
	if (preset == &preset_openai)
		json_set_bool(a, options, "include_obfuscation", false);
	if (preset->usage_in_stream)
		json_set(a, body, "stream_options", options);
}

static cJSON *context_option(const struct endpoint *e, struct arena *a)
{
	cJSON *options = json_object(a);

	json_set_number(a, options, "num_ctx", (double)e->context_size);
	return options;
}

static bool openai_write(const struct llm_question *q, const struct endpoint *e, struct arena *a,
			 struct http_request *req, struct error *err)
{
	const struct preset *preset = e->preset;
	const struct http_header extra[] = {
		{"OpenAI-Organization", e->organization},
		{"OpenAI-Project",      e->project     },
		{NULL,                  NULL           }
        };
	cJSON *body = json_object(a);
	const char *path = "/chat/completions";

	json_set_text(a, body, "model", q->model_id);
	json_set(a, body, "messages", messages(q, preset, a));
	json_set_number(a, body, preset->max_tokens_name, q->max_tokens);
	wire_set_maybe(a, body, "temperature", q->temperature);
	wire_set_maybe(a, body, "top_p", q->top_p);
	wire_set_maybe(a, body, "frequency_penalty", q->frequency_penalty);
	wire_set_maybe(a, body, "presence_penalty", q->presence_penalty);
	if (q->stop)
		json_set(a, body, "stop", wire_stop_list(a, q->stop));
	set_effort(q, preset, a, body);
	set_format(q, preset, a, body);
	if (preset == &preset_openai) {
		json_set_bool(a, body, "store", false);
		if (q->cache_key)
			json_set_text(a, body, "prompt_cache_key", q->cache_key);
	}
	if (preset->context_option && e->context_size)
		json_set(a, body, "options", context_option(e, a));
	if (q->stream)
		set_stream(preset, a, body);
	if (e->api_version) /* Azure's classic addresses */
		path = arena_printf(a, "%s?api-version=%s", path, e->api_version);
	return wire_write(&(struct wire_request){&provider_openai, path, extra, body}, q, e, a, req,
			  err);
}

/* ---- the answer ---- */

static const struct {
	const char *name;
	enum llm_finish finish;
} finishes[] = {
	{"stop",           FINISH_STOP    },
        {"length",         FINISH_LENGTH  },
	{"model_length",   FINISH_LENGTH  },
        {"content_filter", FINISH_FILTERED},
	{"tool_calls",     FINISH_TOOL    },
        {"function_call",  FINISH_TOOL    },
	{"error",          FINISH_BROKEN  },
};

static void set_finish(struct llm_answer *answer, const char *name, struct arena *a)
{
	answer->finish = FINISH_STOP; /* eos, end_turn, … of servers with words of their own */
	answer->detail = wire_keep_text(a, name);
	for (size_t i = 0; name && i < ARRAY_LEN(finishes); i++)
		if (strcmp(finishes[i].name, name) == 0)
			answer->finish = finishes[i].finish;
}

static void set_usage(struct llm_answer *answer, const cJSON *usage)
{
	const cJSON *in = json_get(usage, "prompt_tokens_details");
	const cJSON *out = json_get(usage, "completion_tokens_details");

	if (!cJSON_IsObject(usage))
		return;
	answer->usage = (struct llm_usage){
		.known = true,
		.input = wire_count(usage, "prompt_tokens"),
		.output = wire_count(usage, "completion_tokens"),
		.reasoning = wire_count(out, "reasoning_tokens"),
		.cached = wire_count(in, "cached_tokens"),
		.cache_write = wire_count(in, "cache_write_tokens"),
	};
}

/* A text, or (Mistral) a list of parts: {"type":"text"}, {"type":"thinking","thinking":[…]}. */
static void add_content(const cJSON *value, struct buf *text, struct buf *reasoning)
{
	const cJSON *part, *thought;

	if (cJSON_IsString(value))
		wire_add(text, value->valuestring);
	if (!cJSON_IsArray(value))
		return;
	json_each(part, value) {
		wire_add(text, json_get_text(part, "text"));
		json_each(thought, json_get(part, "thinking"))
			wire_add(reasoning, json_get_text(thought, "text"));
	}
}

/* A message, or the delta of one. */
static void add_message(const cJSON *message, struct llm_answer *answer, struct buf *text,
			struct buf *reasoning)
{
	const char *thought = json_get_text(message, "reasoning_content");
	const char *refusal = json_get_text(message, "refusal");

	add_content(json_get(message, "content"), text, reasoning);
	wire_add(reasoning, thought ? thought : json_get_text(message, "reasoning"));
	if (refusal && *refusal) {
		answer->finish = FINISH_FILTERED;
		answer->detail = "refusal";
	}
}

static bool openai_read(const cJSON *body, struct arena *a, struct llm_answer *answer,
			struct error *err)
{
	const cJSON *choice = json_get(body, "choices") ? json_get(body, "choices")->child : NULL;
	const cJSON *message = json_get(choice, "message");
	struct buf text, reasoning;

	set_usage(answer, json_get(body, "usage"));
	answer->model = wire_keep_text(a, json_get_text(body, "model"));
	if (!cJSON_IsObject(message))
		return fail(err, ERR_INVALID_RESPONSE,
			    "openai: found no 'choices[0].message' in the answer");
	buf_init(&text, STREAM_TEXT_MAX);
	buf_init(&reasoning, STREAM_TEXT_MAX);
	set_finish(answer, json_get_text(choice, "finish_reason"), a);
	add_message(message, answer, &text, &reasoning);
	if (cJSON_IsNull(json_get(message, "content")) && json_get_text(message, "refusal"))
		answer->finish = FINISH_FILTERED; /* also without a word */
	answer->text = wire_keep(a, &text);
	answer->reasoning = wire_keep(a, &reasoning);
	return true;
}

static void openai_event(struct llm_stream *s, struct str name, const cJSON *data)
{
	const cJSON *choice = json_get(data, "choices") ? json_get(data, "choices")->child : NULL;
	const char *finish = json_get_text(choice, "finish_reason");

	(void)name;
	set_usage(&s->answer, json_get(data, "usage"));
	if (!s->answer.model)
		s->answer.model = wire_keep_text(s->arena, json_get_text(data, "model"));
	/* A refusal may come before the finish reason "stop", which must not hide it. */
	if (finish && s->answer.finish != FINISH_FILTERED)
		set_finish(&s->answer, finish, s->arena);
	s->complete = s->complete || finish;
	add_message(json_get(choice, "delta"), &s->answer, &s->text, &s->reasoning);
}

const struct provider provider_openai = {
	.name = "openai",
	.default_url = "https://api.openai.com/v1",
	.quota = QUOTA_ARRIVAL,
	.temperature_max = 2,
	.stop_max = 4,
	.image_max = 20 * 1024 * 1024,
	.write = openai_write,
	.read = openai_read,
	.event = openai_event,
};

const struct provider provider_compatible = {
	.name = "openai-compatible",
	.quota = QUOTA_USAGE,
	.temperature_max = 2,
	.stop_max = 4,
	.image_max = 20 * 1024 * 1024,
	.write = openai_write,
	.read = openai_read,
	.event = openai_event,
};
