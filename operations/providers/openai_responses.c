/* operations/providers/openai_responses.c: OpenAI's Responses, for models that answer nowhere
 * else, and for answers in the background. `store` defaults to true there: it is sent as false, but for
 * those, which are fetched from what is stored. */
#include "operations/providers/errors.h"
#include "operations/providers/wire.h"

/* ---- the question ---- */

static cJSON *content_part(const struct llm_part *part, struct arena *a)
{
	cJSON *object = json_object(a);

	switch (part->kind) {
	case PART_TEXT:
		json_set_text(a, object, "type", "input_text");
		json_set_text(a, object, "text", part->text);
		break;
	case PART_IMAGE:
		json_set_text(a, object, "type", "input_image");
		json_set_text(a, object, "image_url", wire_data_url(a, part));
		json_set_text(a, object, "detail", part->detail ? part->detail : "auto");
		break;
	case PART_DOCUMENT:
		json_set_text(a, object, "type", "input_file");
		json_set_text(a, object, "filename", part->name ? part->name : "document.pdf");
		json_set_text(a, object, "file_data", wire_data_url(a, part));
		break;
	}
	return object;
}

static cJSON *message(const struct llm_message *m, struct arena *a)
{
	cJSON *object = json_object(a), *parts;

	json_set_text(a, object, "role", m->role == ROLE_USER ? "user" : "assistant");
	if (m->role == ROLE_ASSISTANT || wire_is_plain_text(m)) {
		json_set_text(a, object, "content", wire_message_text(a, m));
		return object;
	}
	parts = json_array(a);
	for (size_t i = 0; i < m->count; i++)
		json_push(parts, content_part(&m->parts[i], a));
	json_set(a, object, "content", parts);
	return object;
}

static void set_format(const struct llm_question *q, struct arena *a, cJSON *body)
{
	cJSON *text, *format;

	if (q->format != OUTPUT_JSON)
		return;
	text = json_object(a);
	format = json_object(a);
	json_set_text(a, format, "type", q->schema ? "json_schema" : "json_object");
	if (q->schema) {
		json_set_text(a, format, "name", q->schema_name);
		json_set_bool(a, format, "strict", q->schema_strict);
		json_set(a, format, "schema", json_share(a, q->schema));
	}
	json_set(a, text, "format", format);
	json_set(a, body, "text", text);
}

static void set_effort(const struct llm_question *q, struct arena *a, cJSON *body)
{
	cJSON *reasoning;

	if (q->effort == EFFORT_UNSET)
		return;
	reasoning = json_object(a);
	json_set_text(a, reasoning, "effort", effort_name(q->effort));
	if (q->effort > EFFORT_MINIMAL)
		json_set_text(a, reasoning, "summary", "auto");
	json_set(a, body, "reasoning", reasoning);
}

static const struct http_header *account(const struct endpoint *e, struct arena *a)
{
	struct http_header *extra = arena_array(a, struct http_header, 3);

	extra[0] = (struct http_header){"OpenAI-Organization", e->organization};
	extra[1] = (struct http_header){"OpenAI-Project", e->project};
	return extra;
}

static bool responses_write(const struct llm_question *q, const struct endpoint *e, struct arena *a,
			    struct http_request *req, struct error *err)
{
	cJSON *body = json_object(a), *input = json_array(a), *options;
	const char *path = "/responses";

	for (size_t i = 0; i < q->count; i++)
		json_push(input, message(&q->messages[i], a));
	json_set_text(a, body, "model", q->model_id);
	if (q->system && *q->system)
		json_set_text(a, body, "instructions", q->system);
	json_set(a, body, "input", input);
	json_set_number(a, body, "max_output_tokens", q->max_tokens);
	wire_set_maybe(a, body, "temperature", q->temperature);
	wire_set_maybe(a, body, "top_p", q->top_p);
	set_effort(q, a, body);
	set_format(q, a, body);
	json_set_bool(a, body, "store", q->background);
	if (q->background)
		json_set_bool(a, body, "background", true);
	if (q->cache_key)
		json_set_text(a, body, "prompt_cache_key", q->cache_key);
	if (q->stream) {
		json_set_bool(a, body, "stream", true);
		options = json_object(a);
		json_set_bool(a, options, "include_obfuscation", false);
		json_set(a, body, "stream_options", options);
	}
	if (e->api_version)
		path = arena_printf(a, "%s?api-version=%s", path, e->api_version);
	return wire_write(
		&(struct wire_request){&provider_openai_responses, path, account(e, a), body}, q, e,
		a, req, err);
}

/* ---- the answer ---- */

static bool is_text(const cJSON *object, const char *name, const char *value)
{
	const char *text = json_get_text(object, name);

	return text && strcmp(text, value) == 0;
}

struct words {
	struct buf text, reasoning;
	bool refused;
};

static void add_message(const cJSON *item, struct words *words)
{
	const cJSON *part;

	json_each(part, json_get(item, "content")) {
		if (is_text(part, "type", "output_text"))
			wire_add(&words->text, json_get_text(part, "text"));
		else if (is_text(part, "type", "refusal"))
			words->refused = true;
	}
}

/* Messages marked as commentary do not count where another one is marked as the final answer. */
static void add_output(const cJSON *output, struct words *words)
{
	const cJSON *item, *part;
	bool final = false;

	json_each(item, output) {
		final = final || is_text(item, "phase", "final_answer");
	}
	json_each(item, output) {
		if (is_text(item, "type", "message") &&
		    !(final && is_text(item, "phase", "commentary")))
			add_message(item, words);
		if (is_text(item, "type", "reasoning"))
			json_each(part, json_get(item, "summary")) {
				wire_add(&words->reasoning, json_get_text(part, "text"));
			}
	}
}

static void set_usage(struct llm_answer *answer, const cJSON *usage)
{
	const cJSON *in = json_get(usage, "input_tokens_details");

	if (!cJSON_IsObject(usage))
		return;
	answer->usage = (struct llm_usage){
		.known = true,
		.input = wire_count(usage, "input_tokens"),
		.output = wire_count(usage, "output_tokens"),
		.reasoning =
			wire_count(json_get(usage, "output_tokens_details"), "reasoning_tokens"),
		.cached = wire_count(in, "cached_tokens"),
		.cache_write = wire_count(in, "cache_write_tokens"),
	};
}

static bool responses_read(const cJSON *body, struct arena *a, struct llm_answer *answer,
			   struct error *err)
{
	struct words words = {.refused = false};
	const char *why = json_get_text(json_get(body, "incomplete_details"), "reason");

	set_usage(answer, json_get(body, "usage"));
	answer->model = wire_keep_text(a, json_get_text(body, "model"));
	if (!cJSON_IsArray(json_get(body, "output")))
		return fail(err, ERR_INVALID_RESPONSE, "openai: found no 'output' in the answer");
	if (is_text(body, "status", "queued") || is_text(body, "status", "in_progress"))
		return fail(err, ERR_INVALID_RESPONSE,
			    "openai: the answer is not ready, and was not asked for in the "
			    "background");
	if (is_text(body, "status", "cancelled"))
		return fail(err, ERR_UNAVAILABLE, "openai: the answer was cancelled over there");
	buf_init(&words.text, STREAM_TEXT_MAX);
	buf_init(&words.reasoning, STREAM_TEXT_MAX);
	add_output(json_get(body, "output"), &words);
	answer->text = wire_keep(a, &words.text);
	answer->reasoning = wire_keep(a, &words.reasoning);
	answer->finish = FINISH_STOP;
	if (is_text(body, "status", "incomplete")) {
		answer->detail = wire_keep_text(a, why);
		answer->finish =
			why && strcmp(why, "content_filter") == 0 ? FINISH_FILTERED : FINISH_LENGTH;
	}
	if (words.refused) {
		answer->finish = FINISH_FILTERED;
		answer->detail = "refusal";
	}
	return true;
}

static void responses_event(struct llm_stream *s, struct str name, const cJSON *data)
{
	const cJSON *response = json_get(data, "response");

	(void)name;
	if (is_text(data, "type", "response.output_text.delta"))
		wire_add(&s->text, json_get_text(data, "delta"));
	else if (is_text(data, "type", "response.reasoning_summary_text.delta"))
		wire_add(&s->reasoning, json_get_text(data, "delta"));
	if (!is_text(data, "type", "response.completed") &&
	    !is_text(data, "type", "response.incomplete") &&
	    !is_text(data, "type", "response.failed"))
		return;
	/* The last event holds all of it once more: that is what counts. */
	s->complete = true;
	if (provider_is_error(response))
		(void)provider_fail(s->provider, &(struct llm_reply){0}, response, &s->err);
	else
		(void)responses_read(response, s->arena, &s->answer, &s->err);
}

/* ---- in the background ---- */

static const char *responses_handle(const cJSON *body, struct arena *a)
{
	if (!is_text(body, "status", "queued") && !is_text(body, "status", "in_progress"))
		return NULL;
	return wire_keep_text(a, json_get_text(body, "id"));
}

/* What was told is not trusted to be part of an address. */
static const char *in_path(const char *handle, struct arena *a)
{
	char *path = arena_strdup(a, handle);

	for (char *p = path; *p; p++)
		if (!strchr("_-", *p) && !(*p >= '0' && *p <= '9') &&
		    !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
			*p = '_';
	return path;
}

static void responses_fetch(const char *handle, bool stop, const struct endpoint *e,
			    struct arena *a, struct http_request *req)
{
	const struct wire_request w = {.provider = &provider_openai_responses,
				       .extra = account(e, a)};

	*req = (struct http_request){
		.method = stop ? "POST" : "GET",
		.url = arena_printf(a, "%s/responses/%s%s%s%s", e->base_url, in_path(handle, a),
				    stop ? "/cancel" : "", e->api_version ? "?api-version=" : "",
				    e->api_version ? e->api_version : ""),
		.headers = wire_headers(&w, e, NULL, a),
		.repeatable = true,
	};
}

static const struct background responses_background = {responses_handle, responses_fetch};

const struct provider provider_openai_responses = {
	.name = "openai-responses",
	.default_url = "https://api.openai.com/v1",
	.quota = QUOTA_ARRIVAL,
	.temperature_max = 2,
	.stop_max = 0,
	.image_max = 20 * 1024 * 1024,
	.write = responses_write,
	.read = responses_read,
	.event = responses_event,
	.background = &responses_background,
};
