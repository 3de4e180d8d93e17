/* Directus over REST, against a server that answers as a real Directus was seen to answer. */
#include "common/directus.h"

#include "tests/unit/script.h"
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>

struct world {
	struct loop *loop;
	struct http *http;
	struct directus *directus;
	struct script *script;
	struct arena *arena;
	unsigned pending;
};

static struct world *now;

static void use(struct world *w, const char *url, unsigned concurrency)
{
	directus_free(w->directus);
	w->directus = directus_new(w->http, w->loop,
				   &(struct directus_options){.url = url,
							      .token = "worker-static-token",
							      .concurrency = concurrency});
}

static int set_up(void **state)
{
	struct world *w = xmalloc(sizeof(*w));

	w->loop = loop_new();
	w->arena = arena_new();
	w->http = http_new(w->loop, &(struct http_options){.user_agent = "test"});
	w->script = script_new(w->loop, w->arena);
	use(w, script_url(w->script), 8);
	*state = now = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	directus_free(w->directus);
	http_free(w->http);
	script_free(w->script);
	arena_free(w->arena);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void done(struct call *c)
{
	(void)c;
	if (--now->pending == 0)
		loop_stop(now->loop);
}

static void begin(struct world *w, struct directus_call *c, struct directus_request req)
{
	c->task.call.done = done;
	w->pending++;
	directus_start(w->directus, c, &req, w->arena);
}

static void ask(struct world *w, struct directus_call *c, struct directus_request req)
{
	begin(w, c, req);
	loop_run(w->loop);
	assert_int_equal(w->pending, 0);
}

static struct directus_request patch(struct world *w)
{
	cJSON *body = json_object(w->arena);

	json_set_text(w->arena, body, "title", "x");
	return (struct directus_request){
		.method = "PATCH", .path = "/items/articles/1", .body = body};
}

static struct directus_request post(struct world *w)
{
	struct directus_request r = patch(w);

	r.method = "POST";
	r.path = "/items/articles";
	return r;
}

static cJSON *read_vectors(struct world *w, const char *name)
{
	FILE *f = fopen(arena_printf(w->arena, "%s/vectors/%s", TESTS_DIR, name), "r");
	char *bytes = arena_alloc(w->arena, 1024 * 1024);
	struct error err = {0};
	cJSON *rows;

	assert_non_null(f);
	rows = json_parse(w->arena, (struct str){bytes, fread(bytes, 1, 1024 * 1024, f)}, &err);
	(void)fclose(f);
	assert_string_equal(err.text, "");
	return rows;
}

TEST(every_error_of_a_real_directus_is_told_with_its_code)
{
	struct world *w = *state;
	cJSON *rows = read_vectors(w, "directus-errors.json"), *row;

	assert_true(json_count(rows) >= 30);
	json_each(row, rows) {
		const cJSON *body = json_get(row, "body");
		const cJSON *error = json_get(body, "errors")->child;
		int status = (int)json_get_number(row, "status", 0);
		struct directus_call c = {0};

		script_reply(w->script, status, "Retry-After: 100\r\n",
			     json_print(w->arena, body).ptr);
		ask(w, &c, post(w));
		assert_int_equal(c.task.call.err.code, ERR_NAMED);
		assert_string_equal(error_name(&c.task.call.err),
				    json_path(error, "extensions", "code", NULL)->valuestring);
		assert_memory_equal(c.task.call.err.text, json_get_text(error, "message"),
				    strlen(json_get_text(error, "message")));
		assert_int_equal(strstr(c.task.call.err.text, "DIRECTUS_TOKEN") != NULL,
				 status == 401);
		assert_int_equal(c.task.call.err.status, status);
		assert_int_equal(c.tries, 1);
		assert_int_equal(c.task.call.err.retry_after_ms,
				 status == 429 || status == 503 ? 100000 : 0);
		assert_true(json_equal(c.extensions, json_get(error, "extensions")));
		use(w, script_url(w->script), 8); /* forgets what was said of coming back later */
	}
}

TEST(a_request_says_who_it_is_and_what_it_sends)
{
	struct world *w = *state;
	struct directus_call c = {0};
	struct directus_request r = patch(w);

	r.query = "fields=id";
	r.user_agent = directus_user_agent(w->arena, "job 1;(x)", "chain-1", 2);
	script_reply(w->script, 200, "", "{\"data\":{\"id\":1}}");
	ask(w, &c, r);
	assert_int_equal(c.task.call.err.code, ERR_OK);
	assert_int_equal((int)json_get_number(c.data, "id", 0), 1);
	assert_string_equal(script_request(w->script, 0),
			    "PATCH /items/articles/1?fields=id {\"title\":\"x\"}");
	assert_non_null(strstr(script_headers(w->script, 0),
			       "\r\nAuthorization: Bearer worker-static-token\r\n"));
	assert_non_null(
		strstr(script_headers(w->script, 0), "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(script_headers(w->script, 0),
			       "(job job_1__x_; chain chain-1; depth 2)\r\n"));
}

TEST(a_write_that_may_not_be_read_back_has_no_data)
{
	struct world *w = *state;
	struct directus_call c = {0};

	script_reply(w->script, 204, "", "");
	ask(w, &c, patch(w));
	assert_int_equal(c.task.call.err.code, ERR_OK);
	assert_int_equal(c.status, 204);
	assert_null(c.data);
}

TEST(what_is_too_much_now_is_sent_again)
{
	static const int statuses[] = {429, 503};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct directus_call c = {0};
		size_t before = script_count(w->script);

		script_reply(w->script, statuses[i], "Retry-After: 0\r\n", "{}");
		script_reply(w->script, 200, "", "{\"data\":{\"id\":7}}");
		ask(w, &c, post(w));
		assert_int_equal(c.task.call.err.code, ERR_OK);
		assert_int_equal(script_count(w->script) - before, 2);
		assert_false(c.may_have_happened);
	}
}

TEST(retry_after_holds_for_all_calls)
{
	struct world *w = *state;
	struct directus_call first = {0}, other = {0};
	uint64_t start = loop_now(w->loop);

	script_reply(w->script, 429, "Retry-After: 1\r\n", "{}");
	script_reply(w->script, 200, "", "{\"data\":1}");
	script_reply(w->script, 200, "", "{\"data\":2}");
	use(w, script_url(w->script), 1); /* so that the other one waits for the first */
	begin(w, &first, post(w));
	begin(w, &other, post(w));
	loop_run(w->loop);
	assert_int_equal(other.task.call.err.code, ERR_OK);
	assert_int_equal(script_count(w->script), 3);
	assert_true(loop_now(w->loop) - start >= 1000);
}

TEST(a_post_that_may_have_been_carried_out_is_not_repeated)
{
	static const int ends[] = {500, SCRIPT_CUT};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct directus_call c = {0};

		script_reply(w->script, ends[i], "", "{}");
		ask(w, &c, post(w));
		assert_int_equal(c.task.call.err.code, ERR_NAMED);
		assert_true(c.may_have_happened);
		assert_int_equal(c.tries, 1);
		assert_int_equal(script_count(w->script), i + 1);
	}
}

TEST(a_post_with_a_key_of_its_own_is_repeated)
{
	struct world *w = *state;
	struct directus_call c = {0};
	struct directus_request r = post(w);

	r.repeatable = true;
	script_reply(w->script, SCRIPT_CUT, "", "");
	script_reply(w->script, 200, "", "{\"data\":{\"id\":\"a\"}}");
	ask(w, &c, r);
	assert_int_equal(c.task.call.err.code, ERR_OK);
	assert_true(c.may_have_happened);
}

TEST(a_server_error_is_tried_a_few_times_only)
{
	struct world *w = *state;
	struct directus_call c = {0};

	for (int i = 0; i < 6; i++)
		script_reply(w->script, 500, "",
			     "{\"errors\":[{\"message\":\"An unexpected error occurred.\","
			     "\"extensions\":{\"code\":\"INTERNAL_SERVER_ERROR\"}}]}");
	ask(w, &c, patch(w));
	assert_string_equal(error_name(&c.task.call.err), "INTERNAL_SERVER_ERROR");
	assert_int_equal(script_count(w->script), 3);
}

TEST(a_directus_that_is_not_there_is_unavailable)
{
	struct world *w = *state;
	struct directus_call c = {0};
	struct script *gone = script_new(w->loop, w->arena);
	const char *url = arena_strdup(w->arena, script_url(gone));

	script_free(gone);
	use(w, url, 8);
	ask(w, &c, patch(w));
	assert_string_equal(error_name(&c.task.call.err), "SERVICE_UNAVAILABLE");
	assert_int_equal(c.task.call.err.status, 503);
	assert_true(error_is_retryable(&c.task.call.err));
	assert_int_equal(c.tries, 6);
	ask(w, &c, patch(w));
	assert_int_equal(c.tries, 1);
}

TEST(while_directus_is_away_each_call_tries_it_once)
{
	struct world *w = *state;
	struct directus_call c = {0};
	uint64_t before = loop_now(w->loop);

	for (int i = 0; i < 7; i++)
		script_reply(w->script, 503, "", "{}");
	ask(w, &c, patch(w));
	assert_int_equal(c.tries, 6);
	assert_true(directus_is_away(w->directus, before + 1));
	ask(w, &c, patch(w));
	assert_int_equal(c.tries, 1);
	script_reply(w->script, 403, "",
		     "{\"errors\":[{\"extensions\":{\"code\":\"FORBIDDEN\"}}]}");
	ask(w, &c, patch(w)); /* what it refuses it has understood */
	assert_false(directus_is_away(w->directus, before + 1));
	script_reply(w->script, 503, "", "{}");
	script_reply(w->script, 200, "", "{\"data\":{}}");
	ask(w, &c, patch(w));
	assert_int_equal(c.tries, 2);
}

TEST(a_row_that_is_too_new_to_be_seen_is_asked_for_again)
{
	static const char forbidden[] =
		"{\"errors\":[{\"message\":\"You don't have permission to access this.\","
		"\"extensions\":{\"code\":\"FORBIDDEN\"}}]}";
	struct world *w = *state;
	struct directus_call c = {0};
	struct directus_request r = {.method = "GET", .path = "/items/articles/1"};

	script_reply(w->script, 403, "", forbidden);
	ask(w, &c, r);
	assert_string_equal(error_name(&c.task.call.err), "FORBIDDEN");
	assert_int_equal(script_count(w->script), 1);
	r.may_be_new = true;
	script_reply(w->script, 403, "", forbidden);
	script_reply(w->script, 200, "", "{\"data\":{\"id\":1}}");
	ask(w, &c, r);
	assert_int_equal(c.task.call.err.code, ERR_OK);
	for (int i = 0; i < 9; i++)
		script_reply(w->script, 403, "", forbidden);
	ask(w, &c, r);
	assert_string_equal(error_name(&c.task.call.err), "FORBIDDEN");
	assert_int_equal(c.tries, 4);
}

TEST(what_is_not_directus_is_said_to_be_so)
{
	struct world *w = *state;
	struct directus_call c = {0};

	script_reply(w->script, 200, "", "<html>Welcome</html>");
	ask(w, &c, patch(w));
	assert_int_equal(c.task.call.err.code, ERR_INVALID_RESPONSE);
	assert_non_null(strstr(c.task.call.err.text, "DIRECTUS_URL"));
	script_reply(w->script, 301, "Location: https://cms.example.org/\r\n", "");
	ask(w, &c, patch(w));
	assert_int_equal(c.task.call.err.code, ERR_INVALID_RESPONSE);
	assert_non_null(strstr(c.task.call.err.text, "https://cms.example.org/"));
	script_reply(w->script, 404, "", "<html>nginx</html>");
	ask(w, &c, patch(w));
	assert_string_equal(error_name(&c.task.call.err), "ROUTE_NOT_FOUND");
	assert_non_null(strstr(c.task.call.err.text, "DIRECTUS_URL"));
}

TEST(a_long_value_in_an_error_is_shortened)
{
	static char body[4096];
	struct world *w = *state;
	struct directus_call c = {0};
	char value[1001];

	memset(value, 'y', 1000);
	value[1000] = '\0';
	(void)snprintf(body, sizeof(body),
		       "{\"errors\":[{\"message\":\"Value \\\"%s\\\" is too long\",\"extensions\":"
		       "{\"value\":\"%s\",\"code\":\"VALUE_TOO_LONG\"}}]}",
		       value, value);
	script_reply(w->script, 400, "", body);
	ask(w, &c, patch(w));
	assert_string_equal(error_name(&c.task.call.err), "VALUE_TOO_LONG");
	assert_true(strlen(json_get_text(c.extensions, "value")) < 210);
	assert_true(strlen(c.task.call.err.text) < sizeof(c.task.call.err.text));
}

/* Lets one waiting request after the other have its answer, and the loop do the rest. */
static void let_go(struct timeout *t)
{
	if (script_held(now->script))
		script_let_go(now->script);
	timeout_start(now->loop, t, 1, let_go);
}

TEST(no_more_calls_are_under_way_than_allowed_and_they_keep_their_order)
{
	enum { CALLS = 30 };
	struct world *w = *state;
	struct directus_call *c = arena_array(w->arena, struct directus_call, CALLS);
	struct timeout t = {0};

	use(w, script_url(w->script), 3);
	script_hold(w->script);
	for (int i = 0; i < CALLS; i++) {
		struct directus_request r = {.method = "GET"};

		r.path = arena_printf(w->arena, "/items/articles/%d", i);
		script_reply(w->script, 200, "", "{\"data\":{}}");
		begin(w, &c[i], r);
	}
	timeout_start(w->loop, &t, 50, let_go); /* all that may come have come by then */
	loop_run(w->loop);
	timeout_stop(w->loop, &t);
	assert_int_equal(script_most_at_once(w->script), 3);
	assert_int_equal(script_count(w->script), CALLS);
	/* The first three go out together; from then on each follows an answer. */
	for (int i = 3; i < CALLS; i++)
		assert_string_equal(script_request(w->script, (size_t)i),
				    arena_printf(w->arena, "GET /items/articles/%d", i));
}

TEST(an_overloaded_directus_gets_fewer_calls_and_slowly_more_again)
{
	struct world *w = *state;
	struct directus_call c = {0};
	struct directus_request get = {.method = "GET", .path = "/items/articles/1"};

	script_reply(w->script, 503, "", "{}");
	script_reply(w->script, 200, "", "{\"data\":{}}");
	ask(w, &c, get);
	assert_int_equal(directus_concurrency(w->directus), 4);
	for (int i = 0; i < 40; i++) {
		script_reply(w->script, 200, "", "{\"data\":{}}");
		ask(w, &c, get);
	}
	assert_int_equal(directus_concurrency(w->directus), 8);
}

static struct directus_call *resting;

static void cancel_resting(struct timeout *t)
{
	if (timeout_is_running(&resting->rest.timeout))
		call_cancel(&resting->task.call, ERR_SHUTDOWN);
	else
		timeout_start(now->loop, t, 1, cancel_resting);
}

TEST(a_call_can_be_cancelled_while_it_waits_for_its_turn_and_while_it_rests)
{
	struct world *w = *state;
	struct directus_call first = {0}, second = {0}, third = {0};
	struct timeout t = {0};

	use(w, script_url(w->script), 1);
	script_reply(w->script, 503, "", "{}");
	script_reply(w->script, 200, "", "{\"data\":{}}");
	begin(w, &first, patch(w));
	begin(w, &second, patch(w));
	begin(w, &third, patch(w));
	call_cancel(&second.task.call, ERR_CANCELLED);
	loop_run(w->loop);
	assert_int_equal(second.task.call.err.code, ERR_CANCELLED);
	assert_int_equal(second.tries, 0);
	assert_int_equal(third.task.call.err.code, ERR_OK);

	script_reply(w->script, 429, "Retry-After: 20\r\n", "{}");
	resting = &first;
	begin(w, &first, patch(w));
	timeout_start(w->loop, &t, 1, cancel_resting);
	loop_run(w->loop);
	assert_int_equal(first.task.call.err.code, ERR_SHUTDOWN);
}

TEST(names_become_paths)
{
	static const struct {
		const char *collection, *key, *path;
	} rows[] = {
		{"articles",       "15",           "/items/articles/15"            },
		{"my articles",    "a/b?c",        "/items/my%20articles/a%2Fb%3Fc"},
		{"directus_files", "c5dc5404",     "/files/c5dc5404"               },
		{"directus_users", "x",            "/users/x"                      },
		{"\xc3\xa4rger",   "\xe2\x82\xac", "/items/%C3%A4rger/%E2%82%AC"   },
		{"articles",       "..",           NULL                            },
		{"articles",       "",             NULL                            },
		{"..",             "1",            NULL                            },
		{"",               "1",            NULL                            },
		{"a/b",            "1",            NULL                            },
		{"a\\b",           "1",            NULL                            },
		{"a?b",            "1",            NULL                            },
		{"a%2fb",          "1",            NULL                            },
		{"directus_",      "1",            NULL                            },
		{"directus_../x",  "1",            NULL                            },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *path = NULL;
		struct error err = {0};
		bool good =
			directus_item_path(w->arena, rows[i].collection, rows[i].key, &path, &err);

		assert_int_equal(good, rows[i].path != NULL);
		if (good)
			assert_string_equal(path, rows[i].path);
		else
			assert_int_equal(err.code, ERR_INVALID_PAYLOAD);
	}
}

TEST(a_query_becomes_a_part_of_the_url)
{
	struct world *w = *state;
	struct error err;
	cJSON *query =
		json_parse(w->arena,
			   STR("{\"fields\":[\"id\",\"image.id\"],\"limit\":5,\"search\":\"a&b\","
			       "\"filter\":{\"id\":{\"_in\":[1,2]}},\"sort\":null,\"deep\":{}}"),
			   &err);

	assert_string_equal(directus_query(w->arena, query),
			    "fields=id,image.id&limit=5&search=a%26b&"
			    "filter=%7B%22id%22%3A%7B%22_in%22%3A%5B1%2C2%5D%7D%7D&deep=%7B%7D");
	assert_string_equal(directus_query(w->arena, NULL), "");
}

#define ENTRY_IN_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY_IN_WORLD(every_error_of_a_real_directus_is_told_with_its_code),
		ENTRY_IN_WORLD(a_request_says_who_it_is_and_what_it_sends),
		ENTRY_IN_WORLD(a_write_that_may_not_be_read_back_has_no_data),
		ENTRY_IN_WORLD(what_is_too_much_now_is_sent_again),
		ENTRY_IN_WORLD(retry_after_holds_for_all_calls),
		ENTRY_IN_WORLD(while_directus_is_away_each_call_tries_it_once),
		ENTRY_IN_WORLD(a_post_that_may_have_been_carried_out_is_not_repeated),
		ENTRY_IN_WORLD(a_post_with_a_key_of_its_own_is_repeated),
		ENTRY_IN_WORLD(a_server_error_is_tried_a_few_times_only),
		ENTRY_IN_WORLD(a_directus_that_is_not_there_is_unavailable),
		ENTRY_IN_WORLD(a_row_that_is_too_new_to_be_seen_is_asked_for_again),
		ENTRY_IN_WORLD(what_is_not_directus_is_said_to_be_so),
		ENTRY_IN_WORLD(a_long_value_in_an_error_is_shortened),
		ENTRY_IN_WORLD(no_more_calls_are_under_way_than_allowed_and_they_keep_their_order),
		ENTRY_IN_WORLD(an_overloaded_directus_gets_fewer_calls_and_slowly_more_again),
		ENTRY_IN_WORLD(
			a_call_can_be_cancelled_while_it_waits_for_its_turn_and_while_it_rests),
		ENTRY_IN_WORLD(names_become_paths),
		ENTRY_IN_WORLD(a_query_becomes_a_part_of_the_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
