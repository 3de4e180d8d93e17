/* operations/providers/google.c: Google's Gemini, generateContent. */
#include "operations/providers/wire.h"

#include <ctype.h>
#include <stdio.h>

/* ---- the question ---- */

static cJSON *content_part(const struct llm_part *part, struct arena *a)
{
	cJSON *object = json_object(a), *data;

	if (part->kind == PART_TEXT) {
		json_set_text(a, object, "text", part->text);
		return object;
	}
	data = json_object(a);
	json_set_text(a, data, "mimeType", part->media_type);
	json_set_text(a, data, "data", part->base64);
	json_set(a, object, "inlineData", data);
	return object;
}

static cJSON *text_part(const char *text, struct arena *a)
{
	return content_part(&(struct llm_part){.kind = PART_TEXT, .text = text}, a);
}

static bool has_system(const struct llm_question *q)
{
	return q->system && *q->system;
}

/* Gemma has no place for a system text: it goes before the first text of the user. */
static cJSON *contents(const struct llm_question *q, struct arena *a)
{
	cJSON *list = json_array(a);

	for (size_t i = 0; i < q->count; i++) {
		const struct llm_message *m = &q->messages[i];
		cJSON *content = json_object(a), *parts = json_array(a);

		json_set_text(a, content, "role", m->role == ROLE_USER ? "user" : "model");
		if (i == 0 && has_system(q) && q->model->no_system)
			json_push(parts, text_part(q->system, a));
		for (size_t j = 0; j < m->count; j++)
			json_push(parts, content_part(&m->parts[j], a));
		json_set(a, content, "parts", parts);
		json_push(list, content);
	}
	return list;
}

/* A budget of thoughts for the models that count them: a share of max_tokens, within what the model
 * allows. */
static double budget(const struct llm_question *q)
{
	static const uint32_t percent[] = {[EFFORT_LOW] = 25,
					   [EFFORT_MEDIUM] = 50,
					   [EFFORT_HIGH] = 75,
					   [EFFORT_XHIGH] = 80,
					   [EFFORT_MAX] = 90};
	const struct model *m = q->model;
	uint64_t tokens = (uint64_t)q->max_tokens * percent[q->effort] / 100;

	if (q->effort <= EFFORT_MINIMAL)
		return m->budget_min;
	tokens = u64_max(tokens, m->budget_min);
	return (double)(m->budget_max ? u64_min(tokens, m->budget_max) : tokens);
}

static void set_thinking(const struct llm_question *q, struct arena *a, cJSON *config)
{
	cJSON *thinking = json_object(a);
	char level[16];
	size_t i = 0;

	if (q->effort == EFFORT_UNSET)
		return;
	if (q->model->thinking == THINKING_BUDGET) {
		json_set_number(a, thinking, "thinkingBudget", budget(q));
	} else if (q->model->thinking == THINKING_LEVEL) {
		for (const char *p = effort_name(q->effort); *p && i + 1 < sizeof(level); p++)
			level[i++] = (char)toupper((unsigned char)*p);
		level[i] = '\0';
		json_set_text(a, thinking, "thinkingLevel", level);
	} else {
		return;
	}
	if (q->effort > EFFORT_MINIMAL)
		json_set_bool(a, thinking, "includeThoughts", true);
	json_set(a, config, "thinkingConfig", thinking);
}

static cJSON *generation_config(const struct llm_question *q, struct arena *a)
{
	cJSON *config = json_object(a);

	json_set_number(a, config, "maxOutputTokens", q->max_tokens);
	wire_set_maybe(a, config, "temperature", q->temperature);
	wire_set_maybe(a, config, "topP", q->top_p);
	wire_set_maybe(a, config, "frequencyPenalty", q->frequency_penalty);
	wire_set_maybe(a, config, "presencePenalty", q->presence_penalty);
	if (q->stop)
		json_set(a, config, "stopSequences", wire_stop_list(a, q->stop));
	if (q->format == OUTPUT_JSON) {
		json_set_text(a, config, "responseMimeType", "application/json");
		if (q->schema)
			json_set(a, config, "responseJsonSchema", json_share(a, q->schema));
	}
	set_thinking(q, a, config);
	return config;
}

/* "gemini-2.5-flash", "models/x", "tunedModels/x", as part of an address. */
static const char *model_path(const char *id, struct arena *a)
{
	static const char hex[] = "0123456789ABCDEF";
	bool has_folder = strncmp(id, "models/", 7) == 0 || strncmp(id, "tunedModels/", 12) == 0;
	struct str escaped;
	struct buf b;

	buf_init(&b, 4096);
	for (const char *p = id; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (isalnum(c) || strchr("-._~", c) || (c == '/' && has_folder)) {
			(void)buf_add_char(&b, *p);
		} else {
			(void)buf_add_char(&b, '%');
			(void)buf_add_char(&b, hex[c >> 4]);
			(void)buf_add_char(&b, hex[c & 15]);
		}
	}
	escaped = wire_keep(a, &b);
	return arena_printf(a, "%s%.*s", has_folder ? "" : "models/", STR_ARGS(escaped));
}

static bool google_write(const struct llm_question *q, const struct endpoint *e, struct arena *a,
			 struct http_request *req, struct error *err)
{
	const char *method = q->stream ? "streamGenerateContent?alt=sse" : "generateContent";
	const char *path = arena_printf(a, "/%s:%s", model_path(q->model_id, a), method);
	cJSON *body = json_object(a), *system, *parts;

	if (has_system(q) && !q->model->no_system) {
		system = json_object(a);
		parts = json_array(a);
		json_push(parts, text_part(q->system, a));
		json_set(a, system, "parts", parts);
		json_set(a, body, "systemInstruction", system);
	}
	json_set(a, body, "contents", contents(q, a));
	json_set(a, body, "generationConfig", generation_config(q, a));
	return wire_write(&(struct wire_request){&provider_google, path, NULL, body}, q, e, a, req,
			  err);
}

/* ---- the answer ---- */

static const struct {
	const char *name;
	enum llm_finish finish;
} finishes[] = {
	{"STOP",		     FINISH_STOP    },
	{"MAX_TOKENS",               FINISH_LENGTH  },
	{"SAFETY",		   FINISH_FILTERED},
	{"RECITATION",               FINISH_FILTERED},
	{"BLOCKLIST",                FINISH_FILTERED},
	{"PROHIBITED_CONTENT",       FINISH_FILTERED},
	{"SPII",		     FINISH_FILTERED},
	{"LANGUAGE",                 FINISH_FILTERED},
	{"IMAGE_SAFETY",             FINISH_FILTERED},
	{"IMAGE_PROHIBITED_CONTENT", FINISH_FILTERED},
	{"IMAGE_RECITATION",         FINISH_FILTERED},
	{"CONTINUATION",             FINISH_LENGTH  },
	{"MALFORMED_FUNCTION_CALL",  FINISH_BROKEN  },
	{"UNEXPECTED_TOOL_CALL",     FINISH_BROKEN  },
	{"TOO_MANY_TOOL_CALLS",      FINISH_BROKEN  },
	{"MALFORMED_RESPONSE",       FINISH_BROKEN  },
	{"NO_IMAGE",                 FINISH_BROKEN  },
	{"IMAGE_OTHER",              FINISH_BROKEN  },
	{"OTHER",		    FINISH_BROKEN  },
};

static void set_finish(struct llm_answer *answer, const char *name, struct arena *a)
{
	answer->finish = FINISH_STOP;
	answer->detail = wire_keep_text(a, name);
	for (size_t i = 0; i < ARRAY_LEN(finishes); i++)
		if (strcmp(finishes[i].name, name) == 0)
			answer->finish = finishes[i].finish;
}

/* Counts that are zero are left out; in a stream the last one is the whole. */
static void set_usage(struct llm_answer *answer, const cJSON *usage)
{
	uint64_t thoughts = wire_count(usage, "thoughtsTokenCount");

	if (!cJSON_IsObject(usage))
		return;
	answer->usage = (struct llm_usage){
		.known = true,
		.input = wire_count(usage, "promptTokenCount") +
			 wire_count(usage, "toolUsePromptTokenCount"),
		.output = wire_count(usage, "candidatesTokenCount") + thoughts,
		.reasoning = thoughts,
		.cached = wire_count(usage, "cachedContentTokenCount"),
	};
}

/* A whole answer or a piece of one; true: it says how it ended. */
static bool add_piece(const cJSON *body, struct arena *a, struct llm_answer *answer,
		      struct buf *text, struct buf *reasoning)
{
	const cJSON *list = json_get(body, "candidates");
	const cJSON *candidate = list ? list->child : NULL;
	const char *blocked = json_get_text(json_get(body, "promptFeedback"), "blockReason");
	const char *finish = json_get_text(candidate, "finishReason");
	const cJSON *part;

	set_usage(answer, json_get(body, "usageMetadata"));
	if (!answer->model)
		answer->model = wire_keep_text(a, json_get_text(body, "modelVersion"));
	if (!answer->request_id)
		answer->request_id = wire_keep_text(a, json_get_text(body, "responseId"));
	json_each(part, json_get(json_get(candidate, "content"), "parts")) {
		wire_add(json_get_bool(part, "thought", false) ? reasoning : text,
			 json_get_text(part, "text"));
	}
	if (finish) {
		set_finish(answer, finish, a);
	} else if (blocked) {
		answer->finish = FINISH_FILTERED;
		answer->detail = wire_keep_text(a, blocked);
	}
	return finish || blocked;
}

static bool google_read(const cJSON *body, struct arena *a, struct llm_answer *answer,
			struct error *err)
{
	struct buf text, reasoning;
	bool complete;

	buf_init(&text, STREAM_TEXT_MAX);
	buf_init(&reasoning, STREAM_TEXT_MAX);
	complete = add_piece(body, a, answer, &text, &reasoning);
	answer->text = wire_keep(a, &text);
	answer->reasoning = wire_keep(a, &reasoning);
	if (!complete && !answer->text.len)
		return fail(err, ERR_INVALID_RESPONSE,
			    "google: found neither 'candidates' nor 'promptFeedback.blockReason' "
			    "in the answer");
	return true;
}

static void google_event(struct llm_stream *s, struct str name, const cJSON *data)
{
	(void)name;
	if (add_piece(data, s->arena, &s->answer, &s->text, &s->reasoning))
		s->complete = true;
}

const struct provider provider_google = {
	.name = "google",
	.default_url = "https://generativelanguage.googleapis.com/v1beta",
	.default_auth = AUTH_GOOGLE,
	.quota = QUOTA_USAGE,
	.temperature_max = 2,
	.stop_max = 5,
	.image_max = 20 * 1024 * 1024,
	.write = google_write,
	.read = google_read,
	.event = google_event,
};
