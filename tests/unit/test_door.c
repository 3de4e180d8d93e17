/* The HTTP door, asked by real HTTP requests on the same loop. */
#include "worker/door/door.h"

#include "common/buf.h"
#include "common/http.h"
#include "common/loop.h"

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BODY = 1000 };

struct world {
	struct loop *loop;
	struct http *http;
	struct door *door;
	struct arena *arena;
	const char *base;
	const char *not_ready; /* what ready() says */
	unsigned pending;      /* requests of the test */
	unsigned calls, cancelled;
	struct door_call *held; /* a call that nobody answers until the test does */
	bool hold;
	const char *seen_id, *seen_body, *seen_fields;
	uint32_t seen_wait_ms;
};

static struct world *world;

static const char *ready(void *arg)
{
	return ((struct world *)arg)->not_ready;
}

static void count(void *arg, struct buf *out)
{
	(void)arg;
	(void)buf_add_text(out, "flow_worker_test 1\n");
}

static void cancel(struct call *c)
{
	world->cancelled++;
	world->held = NULL;
	call_end(c);
}

static void note_request(struct world *w, struct door_call *c)
{
	const char *fields = "";

	for (const struct http_header *f = c->fields; f->name; f++)
		fields = arena_printf(w->arena, "%s%s=%s;", fields, f->name, f->value);
	w->calls++;
	w->seen_id = c->id ? arena_strdup(w->arena, c->id) : NULL;
	w->seen_body = arena_strndup(w->arena, c->body.ptr, c->body.len);
	w->seen_fields = fields;
	w->seen_wait_ms = c->wait_ms;
}

static void enqueue(void *arg, struct door_call *c)
{
	struct world *w = arg;

	call_begin(&c->call, w->loop, cancel);
	note_request(w, c);
	c->status = 202;
	c->reply = STR("{\"id\":\"j1\"}");
	if (c->body.len && c->body.ptr[0] != '{')
		(void)fail(&c->call.err, ERR_INVALID_JOB, "found '%c', expected '{'",
			   c->body.ptr[0]);
	if (w->hold)
		w->held = c;
	else
		call_end(&c->call);
}

static void find(void *arg, struct door_call *c)
{
	struct world *w = arg;

	call_begin(&c->call, w->loop, cancel);
	note_request(w, c);
	c->reply = STR("{\"id\":\"j1\",\"status\":\"done\"}");
	if (strcmp(c->id, "away") == 0)
		(void)fail(&c->call.err, ERR_REDIS, "connection lost");
	call_end(&c->call);
}

static struct door_handlers handlers_of(struct world *w)
{
	return (struct door_handlers){w, ready, count, enqueue, find};
}

static struct door_handlers handlers;

static void open_door(struct world *w, const char *token)
{
	struct error err;
	const struct door_options options = {
		.address = "0", .token = token, .job_max_bytes = MAX_BODY, .handlers = &handlers};

	handlers = handlers_of(w);
	w->door = door_new(w->loop, &options, &err);
	assert_non_null(w->door);
	w->base = arena_printf(w->arena, "http://127.0.0.1:%u", door_port(w->door));
}

static int set_up(void **state)
{
	struct world *w = xmalloc(sizeof(*w));

	w->loop = loop_new();
	w->arena = arena_new();
	w->http = http_new(w->loop, &(struct http_options){.user_agent = "test"});
	open_door(w, "door-token");
	*state = world = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	door_free(w->door);
	http_free(w->http);
	loop_free(w->loop);
	arena_free(w->arena);
	free(w);
	return 0;
}

static void done(struct call *c)
{
	(void)c;
	if (--world->pending == 0)
		loop_stop(world->loop);
}

static const struct http_header with_token[] = {
	{"Authorization", "Bearer door-token"},
        {NULL,            NULL               }
};

static void start(struct world *w, struct http_call *c, const char *method, const char *path,
		  struct str body)
{
	struct http_request *req = arena_make(w->arena, struct http_request);

	*req = (struct http_request){
		.method = method,
		.url = arena_printf(w->arena, "%s%s", w->base, path),
		.headers = with_token,
		.body = body,
	};
	*c = (struct http_call){.call.done = done};
	w->pending++;
	http_start(w->http, c, req, w->arena);
}

/* One exchange to its end: its status; the body is in c. */
static int ask(struct world *w, struct http_call *c, const char *method, const char *path,
	       struct str body)
{
	start(w, c, method, path, body);
	loop_run(w->loop);
	assert_int_equal(c->call.err.code, ERR_OK);
	return c->status;
}

static int ask_as(struct world *w, struct http_call *c, const struct http_header *headers)
{
	const struct http_request req = {
		.method = "POST",
		.url = arena_printf(w->arena, "%s/jobs", w->base),
		.headers = headers,
		.body = STR("{}"),
	};

	*c = (struct http_call){.call.done = done};
	w->pending++;
	http_start(w->http, c, &req, w->arena);
	loop_run(w->loop);
	assert_int_equal(c->call.err.code, ERR_OK);
	return c->status;
}

static void assert_error(const struct http_call *c, const char *code)
{
	const char *wanted =
		arena_printf(world->arena, "\"extensions\":{\"code\":\"%s\"}}]}", code);

	assert_true(str_starts(c->body, STR("{\"errors\":[{\"message\":\"")));
	if (!strstr(arena_strndup(world->arena, c->body.ptr, c->body.len), wanted))
		FAIL("%.*s lacks %s", STR_ARGS(c->body), wanted);
}

TEST(health_ready_and_metrics_need_no_token)
{
	struct world *w = *state;
	struct http_call c;

	assert_int_equal(ask(w, &c, "GET", "/health", STR("")), 200);
	assert_str(c.body, "{\"status\":\"ok\"}");
	assert_int_equal(ask(w, &c, "GET", "/ready", STR("")), 200);
	assert_int_equal(ask(w, &c, "GET", "/metrics", STR("")), 200);
	assert_str(c.body, "flow_worker_test 1\n");
	assert_string_equal(http_reply_header(&c, "content-type"),
			    "text/plain; version=0.0.4; charset=utf-8");
}

TEST(who_is_not_ready_says_why)
{
	struct world *w = *state;
	struct http_call c;

	w->not_ready = "no connection to Redis";
	assert_int_equal(ask(w, &c, "GET", "/ready", STR("")), 503);
	assert_str(c.body, "{\"errors\":[{\"message\":\"no connection to Redis\","
			   "\"extensions\":{\"code\":\"SERVICE_UNAVAILABLE\"}}]}");
}

TEST(a_job_is_taken)
{
	struct world *w = *state;
	struct http_call c;

	assert_int_equal(ask(w, &c, "POST", "/jobs?id=a%20b&lane=2&dedup=x", STR("{\"flow\":1}")),
			 202);
	assert_str(c.body, "{\"id\":\"j1\"}");
	assert_string_equal(w->seen_body, "{\"flow\":1}");
	assert_string_equal(w->seen_fields, "id=a b;lane=2;dedup=x;");
	assert_int_equal(w->seen_wait_ms, 0);
	assert_null(w->seen_id);
}

TEST(a_result_is_found)
{
	struct world *w = *state;
	struct http_call c;

	assert_int_equal(ask(w, &c, "GET", "/jobs/j%231?wait=30", STR("")), 200);
	assert_str(c.body, "{\"id\":\"j1\",\"status\":\"done\"}");
	assert_string_equal(w->seen_id, "j#1");
	assert_int_equal(w->seen_wait_ms, 30000);
}

TEST(errors_have_a_status_and_a_code)
{
	struct world *w = *state;
	struct http_call c;
	static const struct {
		const char *method, *path, *body;
		int status;
		const char *code;
	} cases[] = {
		{"GET",    "/",               "",         404, "ROUTE_NOT_FOUND"    },
		{"GET",    "/jobs/",          "",         404, "ROUTE_NOT_FOUND"    },
		{"GET",    "/jobs/a/b",       "",         404, "ROUTE_NOT_FOUND"    },
		{"DELETE", "/health",         "",         405, "METHOD_NOT_ALLOWED" },
		{"GET",    "/jobs",           "",         405, "METHOD_NOT_ALLOWED" },
		{"PUT",    "/jobs",           "{}",       405, "METHOD_NOT_ALLOWED" },
		{"POST",   "/jobs?wiat=3",    "{}",       400, "INVALID_PAYLOAD"    },
		{"POST",   "/jobs?wait=301",  "{}",       400, "INVALID_PAYLOAD"    },
		{"POST",   "/jobs?wait=soon", "{}",       400, "INVALID_PAYLOAD"    },
		{"POST",   "/jobs?id=%FF",    "{}",       400, "INVALID_PAYLOAD"    },
		{"GET",    "/jobs/%FF",       "",         400, "INVALID_PAYLOAD"    },
		{"GET",    "/jobs/x?lane=1",  "",         400, "INVALID_PAYLOAD"    },
		{"POST",   "/jobs",           "nonsense", 400, "INVALID_JOB"        },
		{"GET",    "/jobs/away",      "",         503, "SERVICE_UNAVAILABLE"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(ask(w, &c, cases[i].method, cases[i].path, str_of(cases[i].body)),
				 cases[i].status);
		assert_error(&c, cases[i].code);
	}
}

TEST(jobs_want_the_token)
{
	struct world *w = *state;
	struct http_call c;
	static const struct http_header none[] = {
		{NULL, NULL}
        };
	static const struct http_header wrong[] = {
		{"Authorization", "Bearer door-tokem"},
                {NULL,            NULL               }
        };
	static const struct http_header basic[] = {
		{"Authorization", "Basic door-token"},
                {NULL,            NULL              }
        };
	static const struct http_header other_case[] = {
		{"authorization", "bearer door-token"},
                {NULL,            NULL               }
        };

	assert_int_equal(ask_as(w, &c, none), 401);
	assert_error(&c, "INVALID_CREDENTIALS");
	assert_string_equal(http_reply_header(&c, "www-authenticate"), "Bearer");
	assert_int_equal(ask_as(w, &c, wrong), 401);
	assert_int_equal(ask_as(w, &c, basic), 401);
	assert_int_equal(w->calls, 0);
	assert_int_equal(ask_as(w, &c, other_case), 202);
}

TEST(without_a_token_jobs_are_closed)
{
	struct world *w = *state;
	struct http_call c;

	door_free(w->door);
	open_door(w, NULL);
	assert_int_equal(ask(w, &c, "POST", "/jobs", STR("{}")), 403);
	assert_error(&c, "FORBIDDEN");
	assert_int_equal(ask(w, &c, "GET", "/health", STR("")), 200);
	assert_int_equal(w->calls, 0);
}

TEST(a_body_that_is_too_long_is_refused)
{
	struct world *w = *state;
	struct http_call c;
	char body[MAX_BODY + 1];

	memset(body, '{', sizeof(body));
	assert_int_equal(ask(w, &c, "POST", "/jobs", (struct str){body, MAX_BODY}), 202);
	assert_int_equal(ask(w, &c, "POST", "/jobs", (struct str){body, MAX_BODY + 1}), 413);
	assert_error(&c, "REQUEST_TOO_LARGE");
	assert_int_equal(w->calls, 1);
}

TEST(one_that_waits_does_not_hold_up_the_others)
{
	struct world *w = *state;
	struct http_call waiting, other;

	w->hold = true;
	start(w, &waiting, "POST", "/jobs?wait=60", STR("{}"));
	while (!w->held) {
		start(w, &other, "GET", "/health", STR(""));
		w->pending = 1; /* the loop stops for this one */
		loop_run(w->loop);
		assert_int_equal(other.status, 200);
	}
	assert_false(waiting.call.ended);
	assert_int_equal(w->seen_wait_ms, 60000);
	w->pending = 1;
	call_end(&w->held->call);
	loop_run(w->loop);
	assert_int_equal(waiting.status, 202);
}

TEST(a_door_that_closes_cancels_what_waits)
{
	struct world *w = *state;
	struct http_call waiting, other;

	w->hold = true;
	start(w, &waiting, "POST", "/jobs?wait=60", STR("{}"));
	while (!w->held) {
		start(w, &other, "GET", "/health", STR(""));
		w->pending = 1;
		loop_run(w->loop);
	}
	w->pending = 1;
	door_free(w->door);
	w->door = NULL;
	loop_run(w->loop);
	assert_int_equal(w->cancelled, 1);
	assert_int_equal(waiting.call.err.code, ERR_CONNECTION);
}

TEST(many_at_once_are_all_answered)
{
	struct world *w = *state;
	static struct http_call calls[60];

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		start(w, &calls[i], "POST", "/jobs", STR("{}"));
	loop_run(w->loop);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		assert_int_equal(calls[i].status, 202);
	assert_int_equal(w->calls, ARRAY_LEN(calls));
}

TEST(an_address_that_is_taken_is_told)
{
	struct world *w = *state;
	struct error err;
	const struct door_options options = {
		.address = arena_printf(w->arena, "127.0.0.1:%u", door_port(w->door)),
		.job_max_bytes = MAX_BODY,
		.handlers = &handlers,
	};

	assert_null(door_new(w->loop, &options, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.text, "Address already in use"));
}

TEST(addresses_come_in_several_forms)
{
	struct world *w = *state;
	static const char *const forms[] = {"localhost:0", ":0", "0.0.0.0:0", "127.0.0.1:0"};
	struct error err;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct door_options options = {
			.address = forms[i], .job_max_bytes = MAX_BODY, .handlers = &handlers};
		struct http_call c;

		door_free(w->door);
		w->door = door_new(w->loop, &options, &err);
		assert_non_null(w->door);
		w->base = arena_printf(w->arena, "http://127.0.0.1:%u", door_port(w->door));
		if (i > 0) /* localhost may be ::1 */
			assert_int_equal(ask(w, &c, "GET", "/health", STR("")), 200);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(health_ready_and_metrics_need_no_token),
		CASE(who_is_not_ready_says_why),
		CASE(a_job_is_taken),
		CASE(a_result_is_found),
		CASE(errors_have_a_status_and_a_code),
		CASE(jobs_want_the_token),
		CASE(without_a_token_jobs_are_closed),
		CASE(a_body_that_is_too_long_is_refused),
		CASE(one_that_waits_does_not_hold_up_the_others),
		CASE(a_door_that_closes_cancels_what_waits),
		CASE(many_at_once_are_all_answered),
		CASE(an_address_that_is_taken_is_told),
		CASE(addresses_come_in_several_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
