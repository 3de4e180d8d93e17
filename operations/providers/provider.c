#include "operations/providers/provider.h"

#include "operations/providers/errors.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ---- the tables ---- */

static const struct provider *const providers[] = {
	&provider_openai, &provider_openai_responses, &provider_anthropic,
	&provider_google, &provider_compatible,
};

const struct provider *const *provider_table(size_t *count)
{
	*count = ARRAY_LEN(providers);
	return providers;
}

const struct provider *provider_find(const char *name)
{
	size_t len = strcspn(name, ":"); /* openai-compatible:<name> */

	for (size_t i = 0; i < ARRAY_LEN(providers); i++)
		if (strlen(providers[i]->name) == len &&
		    strncasecmp(providers[i]->name, name, len) == 0)
			return providers[i];
	return NULL;
}

const struct provider *provider_for(const struct provider *p, const struct endpoint *e,
				    const struct model *m)
{
	bool chat = p == &provider_openai || p == &provider_compatible;

	return chat && m->responses && e->preset->responses ? &provider_openai_responses : p;
}

static const char *const efforts[] = {
	[EFFORT_NONE] = "none",     [EFFORT_MINIMAL] = "minimal", [EFFORT_LOW] = "low",
	[EFFORT_MEDIUM] = "medium", [EFFORT_HIGH] = "high",       [EFFORT_XHIGH] = "xhigh",
	[EFFORT_MAX] = "max",
};

const char *effort_name(enum effort e)
{
	return efforts[e];
}

enum effort effort_find(const char *name)
{
	for (size_t i = 1; name && i < ARRAY_LEN(efforts); i++)
		if (strcasecmp(efforts[i], name) == 0)
			return (enum effort)i;
	return EFFORT_UNSET;
}

const char *finish_name(enum llm_finish f)
{
	static const char *const names[] = {[FINISH_STOP] = "stop",
					    [FINISH_LENGTH] = "length",
					    [FINISH_FILTERED] = "content-filter",
					    [FINISH_TOOL] = "tool-calls",
					    [FINISH_BROKEN] = "error"};

	return names[f];
}

/* ---- replies ---- */

const char *reply_header(const struct llm_reply *reply, const char *name)
{
	for (size_t i = 0; i < reply->header_count; i++)
		if (strcasecmp(reply->headers[i].name, name) == 0)
			return reply->headers[i].value;
	return NULL;
}

const char *reply_request_id(const struct llm_reply *reply, struct arena *a)
{
	static const char *const names[] = {"x-request-id", "request-id", "apim-request-id"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *id = reply_header(reply, names[i]);

		if (id && *id)
			return arena_strdup(a, id);
	}
	return NULL;
}

/* The first byte that is no white space; 0: none. */
static char first_byte(struct str body)
{
	size_t i = 0;

	while (i < body.len && isspace((unsigned char)body.ptr[i]))
		i++;
	return i < body.len ? body.ptr[i] : '\0';
}

static bool read_body(const struct provider *p, const struct llm_reply *reply,
		      struct arena *scratch, struct arena *a, struct llm_answer *answer,
		      struct error *err)
{
	bool good = reply->status >= 200 && reply->status < 300;
	struct error parse_error = {.code = ERR_OK};
	char first = first_byte(reply->body);
	cJSON *body = NULL;

	if (first == '{' || first == '[')
		body = json_parse_rounding(scratch, reply->body, &parse_error);
	if (!good || first == '<' || (body && provider_is_error(body)))
		return provider_fail(p, reply, body, err);
	if (!body)
		return fail(err, ERR_INVALID_RESPONSE, "%s answered %d and no JSON: %s", p->name,
			    reply->status, parse_error.text[0] ? parse_error.text : "another text");
	if (cJSON_IsArray(body) && body->child)
		body = body->child;
	return p->read(body, a, answer, err);
}

bool provider_read(const struct provider *p, const struct llm_reply *reply, struct arena *a,
		   struct llm_answer *answer, struct error *err)
{
	/* The tree is large and soon forgotten; readers copy what they keep. */
	struct arena *scratch = arena_new();
	bool good;

	*answer = (struct llm_answer){.finish = FINISH_STOP,
				      .request_id = reply_request_id(reply, a)};
	good = read_body(p, reply, scratch, a, answer, err);
	arena_free(scratch);
	return good;
}

static int64_t count_in(const struct llm_reply *reply, const char *const *names)
{
	for (; *names; names++) {
		const char *value = reply_header(reply, *names);
		char *end;
		long long number;

		if (!value)
			continue;
		number = strtoll(value, &end, 10);
		if (end != value && number >= 0)
			return number;
	}
	return -1;
}

void provider_limits(const struct llm_reply *reply, struct llm_limits *limits)
{
	static const char *const names[4][4] = {
		{"x-ratelimit-limit-requests",     "anthropic-ratelimit-requests-limit",
		 "x-ratelimit-limit-req-minute",        NULL},
		{"x-ratelimit-remaining-requests", "anthropic-ratelimit-requests-remaining",
		 "x-ratelimit-remaining-req-minute",    NULL},
		{"x-ratelimit-limit-tokens",       "anthropic-ratelimit-tokens-limit",
		 "x-ratelimit-limit-tokens-minute",     NULL},
		{"x-ratelimit-remaining-tokens",   "anthropic-ratelimit-tokens-remaining",
		 "x-ratelimit-remaining-tokens-minute", NULL},
	};

	*limits = (struct llm_limits){count_in(reply, names[0]), count_in(reply, names[1]),
				      count_in(reply, names[2]), count_in(reply, names[3])};
}

/* ---- streams ---- */

static void take_event(void *arg, struct str name, struct str data)
{
	struct llm_stream *s = arg;
	struct arena *scratch;
	const cJSON *event;

	if (data.len == 0 || str_is(data, "[DONE]") || s->err.code != ERR_OK)
		return;
	scratch = arena_new();
	event = json_parse_rounding(scratch, data, &s->err);
	if (!event)
		s->err.code = ERR_INVALID_RESPONSE;
	else if (provider_is_error(event))
		(void)provider_fail(s->provider, &(struct llm_reply){0}, event, &s->err);
	else
		s->provider->event(s, name, event);
	arena_free(scratch);
}

static void stream_clear(void *stream)
{
	struct llm_stream *s = stream;

	buf_clear(&s->text);
	buf_clear(&s->reasoning);
	sse_clear(&s->sse);
}

void stream_init(struct llm_stream *s, const struct provider *p, struct arena *a)
{
	*s = (struct llm_stream){.provider = p, .arena = a};
	buf_init(&s->text, STREAM_TEXT_MAX);
	buf_init(&s->reasoning, STREAM_TEXT_MAX);
	sse_init(&s->sse, STREAM_TEXT_MAX, take_event, s);
	arena_defer(a, stream_clear, s);
}

void stream_feed(struct llm_stream *s, struct str piece)
{
	sse_feed(&s->sse, piece);
}

bool stream_end(struct llm_stream *s, struct llm_answer *answer, struct error *err)
{
	sse_end(&s->sse);
	*answer = s->answer;
	if (!answer->text.len)
		answer->text = arena_str(s->arena, buf_str(&s->text));
	if (!answer->reasoning.len)
		answer->reasoning = arena_str(s->arena, buf_str(&s->reasoning));
	if (s->err.code != ERR_OK) {
		*err = s->err;
		return false;
	}
	if (sse_failed(&s->sse) || buf_overflowed(&s->text) || buf_overflowed(&s->reasoning))
		return fail(err, ERR_INVALID_RESPONSE, "%s: the answer is longer than %d bytes",
			    s->provider->name, STREAM_TEXT_MAX);
	if (!s->complete) {
		(void)fail(err, ERR_UNAVAILABLE, "%s: the stream broke off", s->provider->name);
		memcpy(err->detail, "STREAM_INTERRUPTED", sizeof("STREAM_INTERRUPTED"));
		return false;
	}
	return true;
}
