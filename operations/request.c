/* request: an HTTP request as Directus' own operation makes it, and with what that one lacks: a
 * time limit, retries, and an end to redirects into the machine's own network.
 *
 *	check ─► send ─► answered ── redirect ──► send
 *	                    ├── worth another try ─► rest ─► send
 *	                    └── 2xx: resolves; else rejects with {status, statusText, headers, data} */
#include "operations/request_text.h"

#include "common/directus.h"
#include "common/loop.h"
#include "operations/duration.h"
#include "operations/operation.h"
#include "operations/services.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	REDIRECTS_MAX = 21,
	TIMEOUT_MS = 60000,
	LONGEST_TIMEOUT_MS = 3600000,
	RETRIES_MAX = 10,
	FIRST_REST_MS = 500,
	LONGEST_REST_MS = 60000
};

struct state {
	struct http_request req;
	struct request_text text;
	struct http_header *headers; /* text.headers and our own */
	struct http_call http;
	struct sleep_call rest;
	unsigned redirects, retries, retries_left;
};

static task_step check, send_it, answered;

static struct state *state_of(struct task *t)
{
	return op_of(t)->state;
}

/* For error_extra: the error's name is not Directus'. */
static cJSON *named(struct arena *a, const char *name)
{
	cJSON *extra = json_object(a);

	json_set_text(a, extra, "name", name);
	return extra;
}

/* ---- the options ---- */

/* A number, or a text such as "15s". */
static bool read_number(const cJSON *options, const char *name, double max, double *number,
			struct error *err)
{
	const cJSON *value = json_get(options, name);
	char text[JSON_NUMBER_MAX];
	struct duration given;
	double read = -1;

	if (!value || cJSON_IsNull(value) || (cJSON_IsString(value) && !value->valuestring[0]))
		return true;
	if (cJSON_IsNumber(value))
		read = value->valuedouble;
	else if (cJSON_IsString(value) && duration_parse(str_of(value->valuestring), &given))
		read = duration_ms(given);
	if (!(read >= 0) || read > max)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option '%s' is '%.40s', expected a number from 0 to %.0f", name,
			    cJSON_IsString(value)   ? value->valuestring
			    : cJSON_IsNumber(value) ? json_number_text(read, text)
						    : json_type_name(value),
			    max);
	*number = read;
	return true;
}

static const char *read_method(struct arena *a, const cJSON *options)
{
	const char *given = json_get_text(options, "method");
	char *method = arena_strdup(a, given && given[0] ? given : "GET");

	for (char *c = method; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return method;
}

static void add_header(struct http_header *list, const char *name, const char *value)
{
	for (; list->name; list++)
		if (strcasecmp(list->name, name) == 0)
			return;
	*list = (struct http_header){name, value};
}

static void add_own_headers(struct op_call *c, struct state *s)
{
	size_t count = 0;
	const char *home = c->use->directus ? directus_url(c->use->directus) : NULL;

	while (s->text.headers[count].name)
		count++;
	s->headers = arena_array(c->arena, struct http_header, count + 4);
	memcpy(s->headers, s->text.headers, count * sizeof(*s->headers));
	add_header(s->headers, "Accept", "application/json, text/plain, */*");
	add_header(s->headers, "Accept-Encoding", "gzip, deflate, br");
	/* A flow that calls its own Directus is seen there as what it is. */
	if (home && strncmp(s->req.url, home, strlen(home)) == 0)
		add_header(s->headers, "User-Agent",
			   directus_user_agent(c->arena, c->job_id,
					       c->origin ? c->origin->chain_id : NULL,
					       c->origin ? c->origin->depth : 0));
}

static bool read_options(struct op_call *c, struct state *s, struct error *err)
{
	const cJSON *o = c->options;
	const char *url = json_get_text(o, "url");
	struct request_parts parts = {.method = read_method(c->arena, o),
				      .headers = json_get(o, "headers"),
				      .body = json_get(o, "body")};
	double timeout_ms = TIMEOUT_MS, retries = 0;

	if (!url || !url[0])
		return fail(err, ERR_INVALID_PAYLOAD, "option 'url' is missing");
	if (!read_number(o, "timeout", LONGEST_TIMEOUT_MS, &timeout_ms, err) ||
	    !read_number(o, "retries", RETRIES_MAX, &retries, err) ||
	    !request_write(c->arena, &parts, &s->text, err))
		return false;
	s->retries_left = (unsigned)retries;
	s->req = (struct http_request){.method = parts.method,
				       .url = request_url(c->arena, url),
				       .body = s->text.body,
				       .timeout_ms = (uint32_t)timeout_ms,
				       .guarded = true};
	if (!http_url_join(c->arena, s->req.url, s->req.url)) {
		(void)fail(err, ERR_NAMED, "Invalid URL");
		(void)snprintf(err->name, sizeof(err->name), "ERR_INVALID_URL");
		c->error_extra = named(c->arena, "TypeError");
		return false;
	}
	add_own_headers(c, s);
	s->req.headers = s->headers;
	return true;
}

static enum task_next check(struct task *t)
{
	struct error err;

	if (!read_options(op_of(t), state_of(t), &err))
		return task_fail_as(t, &err);
	return task_go(t, send_it);
}

static enum task_next send_it(struct task *t)
{
	struct op_call *c = op_of(t);
	struct state *s = state_of(t);

	s->http = (struct http_call){0};
	http_start(c->use->http, &s->http, &s->req, c->arena);
	return task_await_either(t, &s->http.call, answered);
}

/* ---- redirects ---- */

static void drop_headers(struct http_header *list, const char *const *names, size_t count)
{
	struct http_header *to = list;

	for (; list->name; list++) {
		bool drop = false;

		for (size_t i = 0; i < count; i++)
			drop = drop || strcasecmp(list->name, names[i]) == 0;
		if (!drop)
			*to++ = *list;
	}
	*to = (struct http_header){NULL, NULL};
}

static bool same_origin(const char *a, const char *b)
{
	size_t length = strcspn(strstr(a, "://") + 3, "/?#") + (size_t)(strstr(a, "://") + 3 - a);

	return strncasecmp(a, b, length) == 0 && strchr("/?#", b[length]);
}

/* As browsers do: after 303, and after 301 or 302 of a POST, a GET without a body. What proves who we
 * are stays with the server that it is for. */
static void follow(struct op_call *c, struct state *s, const char *to)
{
	static const char *const of_body[] = {"Content-Type", "Content-Length", "Content-Encoding"};
	static const char *const of_identity[] = {"Authorization", "Proxy-Authorization", "Cookie"};
	const char *url = http_url_join(c->arena, s->req.url, to);
	int status = s->http.status;

	if ((status == 303 && strcmp(s->req.method, "HEAD") != 0) ||
	    ((status == 301 || status == 302) && strcmp(s->req.method, "POST") == 0)) {
		s->req.method = "GET";
		s->req.body = (struct str){"", 0};
		drop_headers(s->headers, of_body, ARRAY_LEN(of_body));
	}
	if (!same_origin(s->req.url, url))
		drop_headers(s->headers, of_identity, ARRAY_LEN(of_identity));
	s->req.url = url;
}

/* ---- the answer ---- */

static cJSON *headers_json(struct arena *a, const struct http_call *h)
{
	cJSON *json = json_object(a);

	for (size_t i = 0; i < h->header_count; i++) {
		const char *name = h->headers[i].name;
		cJSON *value = json_text(a, h->headers[i].value);
		const cJSON *before = json_get(json, name);
		cJSON *list;

		if (strcmp(name, "content-encoding") == 0)
			continue; /* the data is decoded */
		if (strcmp(name, "set-cookie") == 0) {
			list = before ? json_copy(a, before) : json_array(a);
			json_push(list, value);
			value = list;
		} else if (before) {
			value = json_text(a, arena_printf(a, "%s, %s", before->valuestring,
							  h->headers[i].value));
		}
		json_set(a, json, name, value);
	}
	return json;
}

static cJSON *answer_json(struct arena *a, const struct http_call *h)
{
	cJSON *json = json_object(a);

	json_set_number(a, json, "status", h->status);
	json_set_text(a, json, "statusText", h->reason);
	json_set(a, json, "headers", headers_json(a, h));
	json_set(a, json, "data", request_read(a, h->body));
	return json;
}

/* Directus' own rejections have the cookies as one text. */
static void join_cookies(struct arena *a, cJSON *answer)
{
	const cJSON *list = json_path(answer, "headers", "set-cookie", NULL), *item;
	cJSON *headers = json_copy(a, json_get(answer, "headers"));
	const char *text = NULL;

	json_each(item, list)
		text = text ? arena_printf(a, "%s, %s", text, item->valuestring)
			    : item->valuestring;
	if (text) {
		json_set_text(a, headers, "set-cookie", text);
		json_set(a, answer, "headers", headers);
	}
}

/* The network's failures under the names that Directus' flows know. */
static enum task_next fail_network(struct task *t, const struct http_call *h)
{
	static const struct {
		const char *detail, *name;
	} names[] = {
		{"",        "ENOTFOUND"   },
                {"curl 6",  "ENOTFOUND"   },
                {"curl 7",  "ECONNREFUSED"},
		{"curl 35", "ERR_TLS"     },
                {"curl 60", "ERR_TLS"     },
                {NULL,      "ECONNRESET"  },
	};
	struct op_call *c = op_of(t);
	struct error err = h->call.err;
	size_t i = 0;

	if (err.code != ERR_CONNECTION)
		return task_fail_as(t, &err);
	while (names[i].detail && strcmp(names[i].detail, err.detail) != 0)
		i++;
	err.code = ERR_NAMED;
	(void)snprintf(err.name, sizeof(err.name), "%s", names[i].name);
	err.detail[0] = '\0';
	c->error_extra = named(c->arena, "Error");
	return task_fail_as(t, &err);
}

static enum task_next fail_status(struct task *t)
{
	struct op_call *c = op_of(t);
	const struct http_call *h = &state_of(t)->http;
	struct error err;

	c->rejection = answer_json(c->arena, h);
	join_cookies(c->arena, c->rejection);
	(void)fail(&err, ERR_NAMED, "the server answered with status %d %.80s", h->status,
		   h->reason);
	(void)snprintf(err.name, sizeof(err.name), "UNEXPECTED_RESPONSE");
	err.status = h->status;
	return task_fail_as(t, &err);
}

static bool is_worth_a_retry(const struct http_call *h)
{
	if (h->call.err.code != ERR_OK)
		return error_is_retryable(&h->call.err);
	return h->status == 408 || h->status == 429 || h->status >= 500;
}

static uint32_t rest_ms(const struct state *s)
{
	const char *wish = http_reply_header(&s->http, "retry-after");
	uint64_t ms = (uint64_t)FIRST_REST_MS << s->retries;

	ms = ms / 2 + arc4random_uniform((uint32_t)ms / 2);
	if (wish && isdigit((unsigned char)wish[0]))
		ms = u64_max(ms, strtoul(wish, NULL, 10) * 1000);
	return (uint32_t)u64_min(ms, LONGEST_REST_MS);
}

static enum task_next answered(struct task *t)
{
	struct op_call *c = op_of(t);
	struct state *s = state_of(t);
	const struct http_call *h = &s->http;
	const char *to = http_reply_header(h, "location");

	if (s->retries_left && is_worth_a_retry(h)) {
		s->retries_left--;
		sleep_start(t->call.loop, &s->rest, rest_ms(s));
		s->retries++;
		return task_await(t, &s->rest.call, send_it);
	}
	if (h->call.err.code != ERR_OK)
		return fail_network(t, h);
	if (h->status >= 300 && h->status < 400 && to && http_url_join(c->arena, s->req.url, to)) {
		if (++s->redirects > REDIRECTS_MAX) {
			struct error err;

			(void)fail(&err, ERR_NAMED, "Maximum number of redirects exceeded");
			(void)snprintf(err.name, sizeof(err.name), "ERR_FR_TOO_MANY_REDIRECTS");
			return task_fail_as(t, &err);
		}
		follow(c, s, to);
		return task_go(t, send_it);
	}
	if (h->status < 200 || h->status >= 300)
		return fail_status(t);
	c->result = answer_json(c->arena, h);
	return task_end(t);
}

/* clang-format off */
static const struct option options[] = {
	{.name = "method", .types = OPTION_TEXT, .help = "GET by default"},
	{.name = "url", .types = OPTION_TEXT, .required = true, .help = "http or https"},
	{.name = "headers", .types = OPTION_ANY, .help = "a list of {header, value}"},
	{.name = "body", .types = OPTION_ANY, .help = "an object is sent as JSON"},
	{.name = "timeout", .types = OPTION_NUMBER | OPTION_TEXT,
	 .help = "milliseconds for each try; 60000 by default, 0: none"},
	{.name = "retries", .types = OPTION_NUMBER | OPTION_TEXT,
	 .help = "further tries after no answer, 408, 429 and 5xx; 0 by default"},
	{.name = NULL},
};
/* clang-format on */

const struct operation operation_request = {
	.type = "request",
	.options = options,
	.writes = true,
	.state_size = sizeof(struct state),
	.first = check,
};
