/* A request through libmicrohttpd, which calls request_handle() again and again:
 *
 *	first call      the head is there: the route is found, the token is checked
 *	with bytes      pieces of the body
 *	without         the body is complete: answered at once, or a door_call is started and the
 *	                connection sleeps until call_done() wakes it
 *	after that      the answer is sent
 *
 * Answering in the first call makes libmicrohttpd close the connection: that is done only where a
 * body comes that nobody wants. While a connection sleeps nobody looks at it; what it waits for has a
 * limit of its own. */
#include "worker/door/door_parts.h"

#include "common/buf.h"
#include "common/http.h"
#include "common/json.h"
#include "common/secrets.h"
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { WAIT_MAX_S = 300, ID_MAX = 256, METRICS_MAX = 16 * 1024 * 1024 };

struct route;

struct request {
	struct door *door;                 /* NULL: it is gone */
	struct MHD_Connection *connection; /* NULL: it is gone */
	struct arena *arena;
	const struct route *route;
	struct buf body;
	struct error refused; /* ERR_OK, or why it is not carried out; its status is set */
	const char *allow;    /* with 405 */
	bool started, ended;
	struct door_call call;
	struct request *next, **link;
};

/* ---- answers ---- */

/* The status of an error that has none itself. */
static int status_of(const struct error *err)
{
	static const short table[] = {
		[ERR_INVALID_JOB] = 400,
		[ERR_INVALID_PAYLOAD] = 400,
		[ERR_UNSUPPORTED_OPERATION] = 400,
		[ERR_LOOP_DETECTED] = 400,
		[ERR_FORBIDDEN] = 403,
		[ERR_FLOW_NOT_FOUND] = 404,
		[ERR_CONFLICT] = 409,
		[ERR_REQUEST_TOO_LARGE] = 413,
		[ERR_RATE_LIMIT] = 429,
		[ERR_BUDGET] = 429,
		[ERR_QUOTA] = 429,
		[ERR_REDIS] = 503,
		[ERR_CONNECTION] = 503,
		[ERR_SHUTDOWN] = 503,
		[ERR_CANCELLED] = 503,
		[ERR_UNAVAILABLE] = 503,
		[ERR_TIMEOUT] = 504,
	};

	if (err->status >= 400 && err->status <= 599)
		return err->status;
	return (size_t)err->code < ARRAY_LEN(table) && table[err->code] ? table[err->code] : 500;
}

/* Names of errors that are only for us become Directus' names. */
static const char *shown_code(const struct error *err, int status)
{
	if (err->code == ERR_NAMED)
		return error_name(err);
	return status == 503   ? "SERVICE_UNAVAILABLE"
	       : status == 500 ? "INTERNAL_SERVER_ERROR"
			       : error_name(err);
}

static struct str error_json(struct arena *a, const struct error *err, int status)
{
	cJSON *body = json_object(a), *list = json_array(a), *item = json_object(a);
	cJSON *extensions = json_object(a);
	struct error shown = *err;

	secrets_mask_error(&shown);
	json_set_text(a, extensions, "code", shown_code(&shown, status));
	json_set_text(a, item, "message", shown.text);
	json_set(a, item, "extensions", extensions);
	json_push(list, item);
	json_set(a, body, "errors", list);
	return json_print(a, body);
}

static enum MHD_Result send_answer(struct request *r, int status, struct str body, const char *type)
{
	struct MHD_Response *response;
	enum MHD_Result result;
	char *copy = xmalloc(body.len);

	if (body.len)
		memcpy(copy, body.ptr, body.len);
	response = MHD_create_response_from_buffer(body.len, copy, MHD_RESPMEM_MUST_FREE);
	(void)MHD_add_response_header(response, "Content-Type", type);
	(void)MHD_add_response_header(response, "Cache-Control", "no-store");
	if (status == 401)
		(void)MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	if (r->allow)
		(void)MHD_add_response_header(response, "Allow", r->allow);
	result = MHD_queue_response(r->connection, (unsigned)status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result send_json(struct request *r, int status, struct str body)
{
	return send_answer(r, status, body, "application/json");
}

static enum MHD_Result send_error(struct request *r, const struct error *err)
{
	int status = status_of(err);

	return send_json(r, status, error_json(r->arena, err, status));
}

/* Text of a request: UTF-8 without control characters. */
static bool is_clean(const char *text)
{
	struct str rest = str_of(text);

	while (rest.len) {
		size_t len = utf8_strict(rest);

		if (len == 0 || (unsigned char)rest.ptr[0] < 0x20 || rest.ptr[0] == 0x7F)
			return false;
		rest = (struct str){rest.ptr + len, rest.len - len};
	}
	return true;
}

static void refuse(struct request *r, int status, const char *name, const char *text)
{
	(void)fail(&r->refused, ERR_NAMED, "%s", is_clean(text) ? text : "not UTF-8");
	(void)snprintf(r->refused.name, sizeof(r->refused.name), "%s", name);
	r->refused.status = status;
}

/* ---- what is answered at once ---- */

static enum MHD_Result answer_health(struct request *r)
{
	return send_json(r, 200, STR("{\"status\":\"ok\"}"));
}

static enum MHD_Result answer_ready(struct request *r)
{
	const struct door_handlers *h = r->door->handlers;
	const char *why = h->ready(h->arg);

	if (!why)
		return send_json(r, 200, STR("{\"status\":\"ready\"}"));
	refuse(r, 503, "SERVICE_UNAVAILABLE", why);
	return send_error(r, &r->refused);
}

static enum MHD_Result answer_metrics(struct request *r)
{
	const struct door_handlers *h = r->door->handlers;
	enum MHD_Result result;
	struct buf out;

	buf_init(&out, METRICS_MAX);
	h->metrics(h->arg, &out);
	result = send_answer(r, 200, buf_str(&out), "text/plain; version=0.0.4; charset=utf-8");
	buf_clear(&out);
	return result;
}

/* ---- jobs ---- */

static void request_free(struct request *r)
{
	buf_clear(&r->body);
	arena_free(r->arena);
	free(r);
}

static void call_done(struct call *c)
{
	struct request *r = container_of(c, struct request, call.call);

	r->ended = true;
	if (r->link) {
		*r->link = r->next;
		if (r->next)
			r->next->link = r->link;
	}
	if (!r->connection) {
		request_free(r);
		return;
	}
	MHD_resume_connection(r->connection);
	door_run(r->door);
}

static enum MHD_Result start_call(struct request *r)
{
	const struct door_handlers *h = r->door->handlers;

	r->started = true;
	r->call.arena = r->arena;
	r->call.body = buf_str(&r->body);
	r->call.call.done = call_done;
	r->next = r->door->requests;
	r->link = &r->door->requests;
	if (r->next)
		r->next->link = &r->next;
	r->door->requests = r;
	MHD_suspend_connection(r->connection);
	if (r->call.id)
		h->find(h->arg, &r->call);
	else
		h->enqueue(h->arg, &r->call);
	return MHD_YES;
}

static enum MHD_Result answer_job(struct request *r)
{
	if (!r->started)
		return start_call(r);
	if (!r->ended)
		return MHD_YES;
	if (r->call.call.err.code != ERR_OK)
		return send_error(r, &r->call.call.err);
	return send_json(r, r->call.status ? r->call.status : 200, r->call.reply);
}

/* ---- the query of /jobs ---- */

static const char *const field_names[] = {"id",         "tenant",    "lane", "run_at", "dedup",
					  "dedup_mode", "dedup_ttl", "max",  "batch"};

struct query {
	struct request *r;
	struct http_header *fields; /* room for all of them */
	size_t count;
};

static bool is_field(const struct request *r, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(field_names); i++)
		if (!r->call.id && strcmp(field_names[i], name) == 0)
			return true;
	return false;
}

static void take_wait(struct request *r, const char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long seconds = strtoul(value, NULL, 10);

	if (digits == 0 || digits > 4 || value[digits] || seconds > WAIT_MAX_S)
		refuse(r, 400, "INVALID_PAYLOAD",
		       "'wait' is not understood, expected seconds from 0 to 300");
	else
		r->call.wait_ms = (uint32_t)seconds * 1000;
}

static enum MHD_Result take_argument(void *arg, enum MHD_ValueKind kind, const char *name,
				     const char *value)
{
	struct query *q = arg;
	struct arena *a = q->r->arena;

	(void)kind;
	if (!is_clean(name) || !is_clean(value ? value : ""))
		refuse(q->r, 400, "INVALID_PAYLOAD", "the query is not UTF-8");
	else if (strcmp(name, "wait") == 0)
		take_wait(q->r, value ? value : "");
	else if (is_field(q->r, name) && q->count < ARRAY_LEN(field_names))
		q->fields[q->count++] = (struct http_header){arena_strdup(a, name),
							     arena_strdup(a, value ? value : "")};
	else
		refuse(q->r, 400, "INVALID_PAYLOAD",
		       arena_printf(a, "no field '%.40s' in the query", name));
	return MHD_YES;
}

static void read_query(struct request *r)
{
	struct query q = {r, arena_array(r->arena, struct http_header, ARRAY_LEN(field_names) + 1),
			  0};

	(void)MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, take_argument, &q);
	r->call.fields = q.fields;
}

static void check_token(struct request *r)
{
	const char *given =
		MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");

	if (!r->door->token)
		refuse(r, 403, "FORBIDDEN", "/jobs is closed: WORKER_HTTP_TOKEN is not set");
	else if (!given || strncasecmp(given, "Bearer ", 7) != 0 ||
		 !secrets_equal(str_of(given + 7), str_of(r->door->token)))
		refuse(r, 401, "INVALID_CREDENTIALS",
		       "no or a wrong token, expected 'Authorization: Bearer <WORKER_HTTP_TOKEN>'");
}

/* ---- routes ---- */

struct route {
	const char *method, *path; /* a path that ends in / has something behind it: an id */
	bool wants_token;
	enum MHD_Result (*answer)(struct request *r);
};

static const struct route routes[] = {
	{"GET",  "/health",  false, answer_health },
        {"GET",  "/ready",   false, answer_ready  },
	{"GET",  "/metrics", false, answer_metrics},
        {"POST", "/jobs",    true,  answer_job    },
	{"GET",  "/jobs/",   true,  answer_job    },
};

static bool path_fits(const struct route *route, const char *url)
{
	size_t len = strlen(route->path);

	if (route->path[len - 1] == '/')
		return strncmp(url, route->path, len) == 0 && url[len] && !strchr(url + len, '/');
	return strcmp(url, route->path) == 0;
}

static bool method_fits(const struct route *route, const char *method)
{
	return strcmp(method, route->method) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void find_route(struct request *r, const char *url, const char *method)
{
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (!path_fits(&routes[i], url))
			continue;
		if (method_fits(&routes[i], method)) {
			r->route = &routes[i];
			return;
		}
		r->allow = routes[i].method;
	}
	if (r->allow)
		refuse(r, 405, "METHOD_NOT_ALLOWED",
		       arena_printf(r->arena, "method '%.20s' on '%.40s', expected %s", method, url,
				    r->allow));
	else
		refuse(r, 404, "ROUTE_NOT_FOUND",
		       "no such path, expected /health, /ready, /metrics, /jobs or /jobs/<id>");
}

static const char *header(const struct request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static void too_large(struct request *r)
{
	refuse(r, 413, "REQUEST_TOO_LARGE",
	       arena_printf(r->arena, "the body is longer than JOB_MAX_BYTES (%zu)",
			    r->door->job_max_bytes));
}

/* The head is there. */
static void begin(struct request *r, const char *url, const char *method)
{
	const char *length = header(r, "Content-Length");

	find_route(r, url, method);
	if (!r->route || !r->route->wants_token)
		return;
	check_token(r);
	if (r->refused.code != ERR_OK)
		return;
	if (length && strtoull(length, NULL, 10) > r->door->job_max_bytes)
		too_large(r);
	if (strcmp(r->route->method, "GET") == 0)
		r->call.id = arena_strdup(r->arena, url + strlen(r->route->path));
	if (r->call.id && (!is_clean(r->call.id) || strlen(r->call.id) > ID_MAX))
		refuse(r, 400, "INVALID_PAYLOAD", "the id is not UTF-8, or too long");
	read_query(r);
}

static bool has_body(const struct request *r)
{
	const char *length = header(r, "Content-Length");

	return header(r, "Transfer-Encoding") || (length && strcmp(length, "0") != 0);
}

static struct request *request_new(struct door *d, struct MHD_Connection *connection)
{
	struct request *r = xmalloc(sizeof(*r));

	r->door = d;
	r->connection = connection;
	r->arena = arena_new();
	buf_init(&r->body, d->job_max_bytes);
	return r;
}

/* false: more than anybody should send to a door that has said no. */
static bool take_piece(struct request *r, const char *piece, size_t len)
{
	if (r->refused.code == ERR_OK && !buf_add(&r->body, piece, len))
		too_large(r);
	return r->refused.code == ERR_OK || buf_overflowed(&r->body);
}

/* NOLINTNEXTLINE(readability-function-size): its parameters are libmicrohttpd's */
enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *piece,
			       size_t *piece_len, void **state)
{
	struct request *r = *state;

	(void)version;
	if (!r) {
		*state = r = request_new(arg, connection);
		begin(r, url, method);
		if (r->refused.code != ERR_OK && has_body(r))
			return send_error(r, &r->refused);
		return MHD_YES;
	}
	if (*piece_len > 0) {
		bool go_on = take_piece(r, piece, *piece_len);

		*piece_len = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	if (r->refused.code != ERR_OK)
		return send_error(r, &r->refused);
	return r->route->answer(r);
}

/* The connection is over, or ready for its next request. */
void request_completed(void *arg, struct MHD_Connection *connection, void **state,
		       enum MHD_RequestTerminationCode why)
{
	struct request *r = *state;

	(void)arg, (void)connection, (void)why;
	*state = NULL;
	if (!r)
		return;
	r->connection = NULL;
	if (r->started && !r->ended)
		call_cancel(&r->call.call, ERR_CANCELLED); /* call_done() frees it */
	else
		request_free(r);
}

void requests_wake(struct door *d)
{
	for (struct request *r = d->requests, *next; r; r = next) {
		next = r->next;
		r->link = NULL;
		r->door = NULL;
		MHD_resume_connection(r->connection);
	}
}
