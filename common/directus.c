/*	take_turn ─► send ─► answered ── good, or no use in trying again ──► end
 *	    ▲                    │
 *	    └────── rested ◄─────┘  (the turn is given back while it rests)            */
#include "common/directus.h"

#include "common/directus_extension.h"
#include "common/directus_key.h"
#include "common/utf8.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CONNECT_MS = 5000,
	TIMEOUT_MS = 30000,
	TRIES_MAX = 6,
	SERVER_FAILURES_MAX = 3, /* 5xx and the like: bad data fails for ever */
	FORBIDDEN_MAX = 4,
	FIRST_REST_MS = 200,
	LONGEST_REST_MS = 5000,
	LONGEST_WAIT_MS = 30000, /* who is told to wait longer goes back to the queue */
	LONG_TEXT = 200
};

struct directus {
	struct loop *loop;
	struct http *http;
	struct directus_keys *keys;
	struct directus_extension extension;
	char *url, *authorization;
	struct directus_turns turns;
	uint64_t
		answered_ms; /* loop time of the last answer that shows that it works; 0: none yet */
	bool is_away;        /* a call has given up, and nothing was answered since */
};

static task_step take_turn, send_it, answered, rested;

struct directus *directus_new(struct http *http, struct loop *l,
			      const struct directus_options *options)
{
	static const char bearer[] = "Bearer ";
	struct directus *d = xmalloc(sizeof(*d));

	d->loop = l;
	d->http = http;
	d->url = xstrdup(options->url);
	directus_turns_init(&d->turns, l, options->concurrency ? options->concurrency : 8,
			    options->bulk_share ? options->bulk_share : DIRECTUS_BULK_SHARE);
	d->keys = directus_keys_new();
	if (options->token && options->token[0]) {
		d->authorization = xmalloc(sizeof(bearer) + strlen(options->token));
		memcpy(d->authorization, bearer, sizeof(bearer) - 1);
		memcpy(d->authorization + sizeof(bearer) - 1, options->token,
		       strlen(options->token));
	}
	return d;
}

void directus_free(struct directus *d)
{
	if (!d)
		return;
	directus_turns_clear(&d->turns);
	directus_keys_free(d->keys);
	free(d->authorization);
	free(d->url);
	free(d);
}

const char *directus_url(const struct directus *d)
{
	return d->url;
}

unsigned directus_concurrency(const struct directus *d)
{
	return (unsigned)d->turns.limit;
}

void directus_share(struct directus *d, unsigned workers)
{
	directus_turns_share(&d->turns, workers);
}

bool directus_is_away(const struct directus *d, uint64_t since_ms)
{
	return d->answered_ms < since_ms;
}

struct loop *directus_loop(const struct directus *d)
{
	return d->loop;
}

struct directus_keys *directus_keys(const struct directus *d)
{
	return d->keys;
}

struct directus_extension *directus_extension(struct directus *d)
{
	return &d->extension;
}

/* ---- what was answered ---- */

static const char *name_of_status(int status)
{
	static const struct {
		int status;
		const char *name;
	} names[] = {
		{401, "INVALID_CREDENTIALS"  },
                {403, "FORBIDDEN"            },
		{404, "ROUTE_NOT_FOUND"      },
                {413, "CONTENT_TOO_LARGE"    },
		{429, "REQUESTS_EXCEEDED"    },
                {502, "SERVICE_UNAVAILABLE"  },
		{503, "SERVICE_UNAVAILABLE"  },
                {504, "SERVICE_UNAVAILABLE"  },
		{500, "INTERNAL_SERVER_ERROR"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].status == status)
			return names[i].name;
	return "UNEXPECTED_RESPONSE";
}

/* Directus repeats the whole value that it refuses. */
static const cJSON *shorten(struct arena *a, const cJSON *extensions)
{
	cJSON *made = json_object(a);
	const cJSON *member;

	if (!cJSON_IsObject(extensions))
		return NULL;
	json_each(member, extensions) {
		struct str text = str_of(cJSON_GetStringValue(member));

		if (text.len > LONG_TEXT)
			json_set_text(
				a, made, member->string,
				arena_printf(a, "%.*s...", STR_ARGS(utf8_cut(text, LONG_TEXT))));
		else
			json_set(a, made, member->string, json_share(a, member));
	}
	return made;
}

/* {"errors":[{"message","extensions":{"code",…}}]}, or whatever stands between us and Directus. */
static void read_error(struct directus_call *c)
{
	struct error ignored, *err = &c->task.call.err;
	const cJSON *root = json_parse_rounding(c->arena, c->http.body, &ignored);
	const cJSON *errors = json_get(root, "errors");
	const cJSON *first = cJSON_IsArray(errors) ? errors->child : NULL;
	const char *message = json_get_text(first, "message");
	const char *code = json_get_text(json_get(first, "extensions"), "code");
	size_t more = json_count(errors);

	c->extensions = shorten(c->arena, json_get(first, "extensions"));
	if (message && more > 1)
		(void)fail(err, ERR_NAMED, "%.*s (and %zu more)",
			   STR_ARGS(utf8_cut(str_of(message), 250)), more - 1);
	else if (message && c->status == 401)
		(void)fail(err, ERR_NAMED,
			   "%.250s (is DIRECTUS_TOKEN the static token of an active user?)",
			   message);
	else if (message)
		(void)fail(err, ERR_NAMED, "%s", message);
	else
		(void)fail(
			err, ERR_NAMED,
			"Directus answered with status %d and no error of its own: is DIRECTUS_URL "
			"right, and what stands before it?",
			c->status);
	(void)snprintf(err->name, sizeof(err->name), "%s",
		       code && code[0] ? code : name_of_status(c->status));
	err->status = c->status;
}

static enum task_next read_data(struct directus_call *c)
{
	struct task *t = &c->task;
	struct error err;
	const cJSON *root;

	if (c->req.raw || c->status == 204 || c->http.body.len == 0)
		return task_end(t);
	root = json_parse_rounding(c->arena, c->http.body, &err);
	if (!root)
		return task_fail(t, ERR_INVALID_RESPONSE,
				 "the answer of Directus to %s %.80s is no JSON (%.100s): is "
				 "DIRECTUS_URL right?",
				 c->req.method, c->req.path, err.text);
	c->data = json_get(root, "data") ? json_get(root, "data") : root;
	return task_end(t);
}

/* Whole seconds; a date is not understood, and is as if nothing had been said. */
static uint32_t retry_after_ms(const struct directus_call *c)
{
	const char *value = http_reply_header(&c->http, "retry-after");
	unsigned long seconds;

	if (!value || !isdigit((unsigned char)value[0]))
		return 0;
	seconds = strtoul(value, NULL, 10);
	return (uint32_t)(seconds > 86400 ? 86400 : seconds) * 1000;
}

/* ---- trying again ---- */

static bool is_repeatable(const struct directus_call *c)
{
	return c->req.repeatable || strcmp(c->req.method, "POST") != 0;
}

/* What the network did, in words that anybody outside may see. */
static bool may_try_after_failure(struct directus_call *c)
{
	struct error *err = &c->task.call.err;

	*err = c->http.call.err;
	if (err->code == ERR_CONNECTION) {
		err->code = ERR_NAMED;
		err->status = 503;
		(void)snprintf(err->name, sizeof(err->name), "SERVICE_UNAVAILABLE");
	} else if (err->code != ERR_TIMEOUT) {
		return false;
	}
	if (!c->http.sent)
		return true;
	c->may_have_happened = true;
	return is_repeatable(c) && ++c->server_failures < SERVER_FAILURES_MAX;
}

static bool may_try_after_reply(struct directus_call *c)
{
	struct directus *d = c->directus;
	struct error *err = &c->task.call.err;

	read_error(c);
	if (c->status == 429 || c->status == 503) {
		err->retry_after_ms = retry_after_ms(c);
		directus_turns_overload(&d->turns, u64_min(err->retry_after_ms, LONGEST_WAIT_MS));
		return err->retry_after_ms <= LONGEST_WAIT_MS;
	}
	if (c->status >= 500 || c->status == 408) {
		c->may_have_happened = true;
		return is_repeatable(c) && ++c->server_failures < SERVER_FAILURES_MAX;
	}
	return c->req.may_be_new && strcmp(err->name, "FORBIDDEN") == 0 &&
	       ++c->forbidden < FORBIDDEN_MAX;
}

static uint32_t rest_ms(const struct directus_call *c)
{
	uint32_t ms = FIRST_REST_MS << (c->tries - 1);

	if (ms > LONGEST_REST_MS)
		ms = LONGEST_REST_MS;
	ms = ms / 2 + arc4random_uniform(ms / 2);
	return (uint32_t)u64_max(ms, c->task.call.err.retry_after_ms);
}

/* ---- the steps ---- */

static struct directus_call *call_of(struct task *t)
{
	return container_of(t, struct directus_call, task);
}

/* What was read of it is in the tree: large items are not held twice. */
static void forget_reply(struct directus_call *c)
{
	if (!c->reply)
		return;
	arena_free(c->reply);
	c->reply = NULL;
	c->http = (struct http_call){.status = c->status};
}

static void clean_up(struct task *t)
{
	directus_turn_give_back(&call_of(t)->turn);
	forget_reply(call_of(t));
}

static enum task_next take_turn(struct task *t)
{
	struct directus_call *c = call_of(t);

	directus_turn_start(&c->directus->turns, &c->turn, c->req.is_bulk, c->req.goes_on);
	return task_await(t, &c->turn.call, send_it);
}

static enum task_next send_it(struct task *t)
{
	struct directus_call *c = call_of(t);

	c->tries++;
	t->call.err = (struct error){.code = ERR_OK};
	forget_reply(c);
	c->reply = c->req.raw ? NULL : arena_new();
	http_start(c->directus->http, &c->http, &c->http_req, c->reply ? c->reply : c->arena);
	return task_await_either(t, &c->http.call, answered);
}

/* What it refuses it has understood; what stands before it answers 502, 504 or a redirect. */
static void note_answer(struct directus *d, int status)
{
	bool is_good = (status >= 200 && status < 300) ||
		       (status >= 400 && status < 500 && status != 408 && status != 429);

	if (!is_good)
		return;
	d->answered_ms = loop_now(d->loop);
	d->is_away = false;
}

/* A 500 may be what was asked for. */
static bool is_outage(const struct directus_call *c)
{
	const struct error *network = &c->http.call.err;

	if (network->code != ERR_OK)
		return network->code == ERR_CONNECTION || network->code == ERR_TIMEOUT;
	return c->status != 500 && error_is_retryable(&c->task.call.err);
}

static enum task_next answered(struct task *t)
{
	struct directus_call *c = call_of(t);
	struct directus *d = c->directus;
	bool failed = c->http.call.err.code != ERR_OK;
	bool again;

	directus_turn_give_back(&c->turn);
	c->status = c->http.status;
	note_answer(d, failed ? 0 : c->status);
	c->reply_bytes = c->http.body.len;
	if (!failed && c->status >= 200 && c->status < 300) {
		if (!c->req.raw)
			directus_turns_good(&d->turns, &c->turn, c->http.first_byte_ms);
		return read_data(c);
	}
	if (!failed && c->status >= 300 && c->status < 400)
		return task_fail(t, ERR_INVALID_RESPONSE,
				 "Directus answered %s %.80s with a redirect to '%.80s': set "
				 "DIRECTUS_URL to where it is",
				 c->req.method, c->req.path,
				 http_reply_header(&c->http, "location")
					 ? http_reply_header(&c->http, "location")
					 : "");
	again = failed ? may_try_after_failure(c) : may_try_after_reply(c);
	if (!again || d->is_away || c->tries >= TRIES_MAX) {
		d->is_away = d->is_away || (is_outage(c) && directus_is_away(d, c->began_ms));
		return task_end(t);
	}
	sleep_start(d->loop, &c->rest, rest_ms(c));
	return task_await(t, &c->rest.call, rested);
}

static enum task_next rested(struct task *t)
{
	return task_go(t, take_turn);
}

static void write_headers(struct directus *d, struct directus_call *c)
{
	struct http_header *headers = arena_array(c->arena, struct http_header, 5);
	struct http_header *h = headers;
	const struct directus_request *r = &c->req;

	if (d->authorization)
		*h++ = (struct http_header){"Authorization", d->authorization};
	/* Without it Directus answers 200 to a PATCH, and changes nothing. */
	*h++ = (struct http_header){"Content-Type", "application/json"};
	if (r->accept)
		*h++ = (struct http_header){"Accept", r->accept};
	*h = (struct http_header){"User-Agent", r->user_agent ? r->user_agent
							      : "flow-worker/" FLOW_WORKER_VERSION};
	c->http_req.headers = headers;
}

void directus_start(struct directus *d, struct directus_call *c, const struct directus_request *req,
		    struct arena *a)
{
	bool has_query = req->query && req->query[0];

	*c = (struct directus_call){.task.call.done = c->task.call.done,
				    .task.call.parent = c->task.call.parent,
				    .task.cleanup = clean_up,
				    .directus = d,
				    .arena = a,
				    .req = *req,
				    .began_ms = loop_now(d->loop)};
	c->http_req = (struct http_request){
		.method = req->method,
		.url = arena_printf(a, "%s%s%s%s", d->url, req->path, has_query ? "?" : "",
				    has_query ? req->query : ""),
		.body = req->body ? json_print(a, req->body) : (struct str){"", 0},
		.connect_timeout_ms = CONNECT_MS,
		.timeout_ms = req->timeout_ms ? req->timeout_ms : TIMEOUT_MS,
		.max_reply = req->max_reply,
 /* DELETE is not: curl would not tell that it sent it twice. */
		.repeatable =
			strcmp(req->method, "POST") != 0 && strcmp(req->method, "DELETE") != 0,
	};
	write_headers(d, c);
	task_start(&c->task, d->loop, take_turn);
}

cJSON *directus_error_extra(const struct directus_call *c, struct arena *a)
{
	cJSON *extra;

	if (!c->extensions)
		return NULL;
	extra = json_object(a);
	json_set(a, extra, "extensions", json_share(a, c->extensions));
	return extra;
}
