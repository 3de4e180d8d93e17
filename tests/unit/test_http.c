/* HTTP exchanges against a server on the same loop that answers well, badly, slowly or not at all. */
#include "tests/unit/http_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

struct world {
	struct http_rig rig;
	char last_text[4096]; /* request line and headers of the last request */
	size_t last_body;
	struct http_call *to_cancel; /* cancelled as soon as the server has the request */
};

static struct world *world_now; /* for callbacks that get a call only */

static void serve(void *arg, const struct web_request *r);

static int set_up(void **state)
{
	struct world *w = xmalloc(sizeof(*w));

	http_rig_open(&w->rig, serve, w);
	*state = world_now = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	http_rig_close(&w->rig);
	free(w);
	return 0;
}

static void send_many_headers(struct peer *peer)
{
	web_send(peer, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 2000; i++)
		web_send(peer, "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
}

/* What the server does, by path. */
static void serve(void *arg, const struct web_request *r)
{
	struct world *w = arg;

	(void)snprintf(w->last_text, sizeof(w->last_text), "%s", r->text);
	w->last_body = r->body.len;
	if (w->to_cancel)
		call_cancel(&w->to_cancel->call, ERR_CANCELLED);
	else if (strcmp(r->path, "/redirect") == 0)
		web_reply(r->peer, 302, "Location: /ok\r\n", "");
	else if (strcmp(r->path, "/bad") == 0)
		web_reply(r->peer, 500, "X-Reason:  Because \r\n", "broken");
	else if (strcmp(r->path, "/reset") == 0)
		web_reset(r->peer);
	else if (strcmp(r->path, "/garbage") == 0)
		web_send(r->peer, "220 mail.example.org ESMTP\r\n\r\n");
	else if (strcmp(r->path, "/many-headers") == 0)
		send_many_headers(r->peer);
	else if (strcmp(r->path, "/cut") == 0) {
		web_send(r->peer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
		web_hang_up(r->peer);
	} else if (strcmp(r->path, "/drip") == 0) {
		web_send(r->peer, "HTTP/1.1 200 OK\r\n\r\n");
		web_drip(r->peer, 'x', 5);
	} else if (strcmp(r->path, "/stuck") == 0) {
		web_send(r->peer, "HTTP/1.1 200 OK\r\n\r\nonce");
	} else if (strcmp(r->path, "/big") == 0) {
		web_send(r->peer, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
		web_send_forever(r->peer);
	} else if (strcmp(r->path, "/dies-when-reused") == 0 && r->nth == 2) {
		web_hang_up(r->peer);
	} else if (strcmp(r->path, "/pieces") == 0) {
		web_send(r->peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		web_send(r->peer, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
	} else if (strcmp(r->path, "/silent") != 0) {
		web_reply(r->peer, 200, "X-Kind: Good\r\nKeep-Alive: timeout=5\r\n", "hello");
	}
}

TEST(any_reply_is_a_reply)
{
	struct world *w = *state;
	struct http_call c = {0};

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/bad"});
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_int_equal(c.status, 500);
	assert_str(c.body, "broken");
	assert_true(c.sent);
	assert_string_equal(http_reply_header(&c, "x-reason"), "Because");
	assert_string_equal(http_reply_header(&c, "X-REASON"), "Because");
	assert_string_equal(c.headers[0].name, "x-reason");
	assert_null(http_reply_header(&c, "x-reaso"));
}

TEST(a_request_goes_out_as_it_was_given)
{
	static char body[2 * 1024 * 1024];
	const struct http_header headers[] = {
		{"Content-Type", "application/json"},
		{"X-Empty",      ""                },
		{"User-Agent",   "own/1"           },
		{NULL,           NULL              }
        };
	struct world *w = *state;
	struct http_call c = {0};

	memset(body, 'a', sizeof(body));
	http_rig_exchange(&w->rig, &c,
			  (struct http_request){
				  .url = "/ok",
				  .method = "PATCH",
				  .headers = headers,
				  .body = {body, sizeof(body)}
        });
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_int_equal(w->last_body, sizeof(body));
	assert_non_null(strstr(w->last_text, "PATCH /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(w->last_text, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(strstr(w->last_text, "\r\nX-Empty:\r\n"));
	assert_non_null(strstr(w->last_text, "\r\nUser-Agent: own/1\r\n"));
	assert_null(strstr(w->last_text, "Expect"));

	http_rig_exchange(
		&w->rig, &c,
		(struct http_request){.url = "/ok", .method = "SEARCH", .body = STR("{}")});
	assert_non_null(strstr(w->last_text, "SEARCH /ok HTTP/1.1\r\n"));
	assert_non_null(strstr(w->last_text, "\r\nUser-Agent: flow-worker/test\r\n"));
	assert_null(strstr(w->last_text, "Content-Type"));

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok", .method = "DELETE"});
	assert_non_null(strstr(w->last_text, "DELETE /ok HTTP/1.1\r\n"));
	assert_int_equal(w->last_body, 0);

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok", .method = "POST"});
	assert_non_null(strstr(w->last_text, "\r\nContent-Length: 0\r\n"));

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok", .method = "HEAD"});
	assert_int_equal(c.status, 200);
	assert_int_equal(c.body.len, 0);
}

TEST(connections_are_used_again)
{
	struct world *w = *state;
	struct http_call c = {0};

	for (int i = 0; i < 50; i++)
		http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok"});
	assert_int_equal(web_connections(w->rig.web), 1);
}

TEST(nobody_there_is_a_connection_error_before_anything_was_sent)
{
	struct world *w = *state;
	struct http_call c = {0};
	struct web *other = web_new(w->rig.loop, serve, w);
	const char *url = arena_strdup(w->rig.arena, web_url(other));

	web_free(other);
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = url});
	assert_int_equal(c.call.err.code, ERR_CONNECTION);
	assert_string_equal(c.call.err.detail, "curl 7");
	assert_false(c.sent);
}

TEST(a_broken_answer_is_a_connection_error_after_sending)
{
	static const char *const paths[] = {"/reset", "/cut", "/garbage"};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct http_call c = {0};

		http_rig_exchange(&w->rig, &c,
				  (struct http_request){.url = paths[i], .method = "POST"});
		assert_int_equal(c.call.err.code, ERR_CONNECTION);
		assert_true(c.sent);
		assert_int_equal(strncmp(c.call.err.detail, "curl ", 5), 0);
		if (strcmp(paths[i], "/cut") == 0)
			assert_str(c.body, "half");
	}
	assert_int_equal(web_requests(w->rig.web), ARRAY_LEN(paths));
}

TEST(each_time_out_is_told_apart)
{
	static const struct {
		const char *path;
		uint32_t whole, first_byte, idle;
		const char *text;
	} rows[] = {
		{"/drip",   120, 0,     60000, "no complete answer"},
		{"/silent", 0,   60,    1,     "no first byte"     },
		{"/stuck",  0,   60000, 60,    "no further piece"  },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_call c = {0};

		http_rig_exchange(&w->rig, &c,
				  (struct http_request){.url = rows[i].path,
							.timeout_ms = rows[i].whole,
							.first_byte_timeout_ms = rows[i].first_byte,
							.idle_timeout_ms = rows[i].idle});
		assert_int_equal(c.call.err.code, ERR_TIMEOUT);
		assert_non_null(strstr(c.call.err.text, rows[i].text));
		assert_true(c.sent);
	}
}

TEST(a_reply_that_is_too_long_is_stopped)
{
	struct world *w = *state;
	struct http_call c = {0};

	http_rig_exchange(&w->rig, &c,
			  (struct http_request){.url = "/big", .max_reply = 1024 * 1024});
	assert_int_equal(c.call.err.code, ERR_INVALID_RESPONSE);
	assert_non_null(strstr(c.call.err.text, "1048576"));
	assert_true(c.body.len <= 1024 * 1024);
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/many-headers"});
	assert_int_equal(c.call.err.code, ERR_INVALID_RESPONSE);
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok", .max_reply = 5});
	assert_int_equal(c.call.err.code, ERR_OK);
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok", .max_reply = 4});
	assert_int_equal(c.call.err.code, ERR_INVALID_RESPONSE);
}

TEST(a_post_is_sent_once_when_a_reused_connection_dies)
{
	struct world *w = *state;
	struct http_call c = {0};

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok"});
	http_rig_exchange(&w->rig, &c,
			  (struct http_request){.url = "/dies-when-reused", .method = "POST"});
	assert_int_equal(c.call.err.code, ERR_CONNECTION);
	assert_true(c.sent);
	assert_int_equal(web_requests(w->rig.web), 2);
}

TEST(a_repeatable_request_is_sent_again_when_a_reused_connection_dies)
{
	struct world *w = *state;
	struct http_call c = {0};

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok"});
	http_rig_exchange(&w->rig, &c,
			  (struct http_request){.url = "/dies-when-reused", .repeatable = true});
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_str(c.body, "hello");
	assert_int_equal(web_requests(w->rig.web), 3);
}

TEST(redirects_are_not_followed)
{
	struct world *w = *state;
	struct http_call c = {0};

	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/redirect"});
	assert_int_equal(c.status, 302);
	assert_string_equal(http_reply_header(&c, "location"), "/ok");
	assert_int_equal(web_requests(w->rig.web), 1);
}

TEST(no_proxy_is_taken_from_the_environment)
{
	struct world *w = *state;
	struct http_call c = {0};

	(void)setenv("http_proxy", "http://127.0.0.1:9", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/ok"});
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	assert_int_equal(c.status, 200);
}

static char pieces[64];

static void take_piece(struct http_call *c, struct str piece)
{
	assert_int_equal(c->status, 200);
	(void)strncat(pieces, piece.ptr, piece.len);
}

TEST(pieces_are_told_as_they_come)
{
	struct world *w = *state;
	struct http_call c = {.on_data = take_piece};

	pieces[0] = '\0';
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/pieces"});
	assert_string_equal(pieces, "onetwo");
	assert_str(c.body, "onetwo");
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/bad"});
	assert_str(c.body, "broken");
	assert_string_equal(pieces, "onetwo");
}

static void watch_hang_up(struct timeout *t)
{
	if (web_open_connections(world_now->rig.web) == 0)
		loop_stop(world_now->rig.loop);
	else
		timeout_start(world_now->rig.loop, t, 1, watch_hang_up);
}

TEST(cancel_closes_the_connection)
{
	struct world *w = *state;
	struct http_call c = {0};
	struct timeout t = {0};

	w->to_cancel = &c;
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/silent"});
	assert_int_equal(c.call.err.code, ERR_CANCELLED);
	assert_true(c.sent);
	watch_hang_up(&t);
	loop_run(w->rig.loop);
	assert_int_equal(web_open_connections(w->rig.web), 0);
}

TEST(cancel_while_the_name_is_looked_up)
{
	struct world *w = *state;
	struct http_call c = {0};
	const char *url =
		arena_printf(w->rig.arena, "http://localhost:%u/ok", web_port(w->rig.web));

	http_rig_begin(&w->rig, &c, &(struct http_request){.url = url, .method = "GET"});
	call_cancel(&c.call, ERR_SHUTDOWN);
	loop_run(w->rig.loop);
	assert_int_equal(c.call.err.code, ERR_SHUTDOWN);
	assert_false(c.sent);
	http_rig_exchange(&w->rig, &c,
			  (struct http_request){.url = url}); /* lets the look-up end */
	assert_int_equal(c.status, 200);
}

static unsigned threads_now(void)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

static unsigned most_threads;

static void count_threads(struct timeout *t)
{
	unsigned now = threads_now();

	most_threads = now > most_threads ? now : most_threads;
	timeout_start(world_now->rig.loop, t, 1, count_threads);
}

TEST(many_requests_to_a_new_name_make_one_look_up_and_no_threads)
{
	enum { MANY = 2000, POOL = 4, PATIENCE_MS = 120000 };
	struct world *w = *state;
	struct http_call *calls = arena_array(w->rig.arena, struct http_call, MANY);
	unsigned before = threads_now();
	struct timeout t = {0};
	struct http_request none = {.url = "http://nobody.invalid/",
				    .method = "GET",
				    .connect_timeout_ms = PATIENCE_MS};
	struct http_request some = {
		.url = arena_printf(w->rig.arena, "http://localhost:%u/ok", web_port(w->rig.web)),
		.method = "GET",
		.connect_timeout_ms = PATIENCE_MS};

	most_threads = 0;
	for (int i = 0; i < MANY; i++)
		http_rig_begin(&w->rig, &calls[i], i % 10 ? &none : &some);
	count_threads(&t);
	loop_run(w->rig.loop);
	timeout_stop(w->rig.loop, &t);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(calls[i].call.err.code, i % 10 ? ERR_CONNECTION : ERR_OK);
		assert_int_equal(calls[i].sent, i % 10 == 0);
	}
	assert_int_equal(web_requests(w->rig.web), MANY / 10);
	assert_true(most_threads <= before + POOL);
}

static struct http_call second;
static struct http_request second_request;

static void start_another(struct http_call *c, struct str piece)
{
	(void)c;
	(void)piece;
	if (!second.call.done)
		http_rig_begin(&world_now->rig, &second, &second_request);
}

TEST(a_request_may_be_started_while_a_piece_is_told)
{
	struct world *w = *state;
	struct http_call c = {.on_data = start_another};

	second = (struct http_call){0};
	second_request = (struct http_request){
		.url = arena_printf(w->rig.arena, "%s/ok", web_url(w->rig.web)), .method = "GET"};
	http_rig_exchange(&w->rig, &c, (struct http_request){.url = "/pieces"});
	assert_int_equal(second.status, 200);
}

#define ENTRY_IN_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY_IN_WORLD(any_reply_is_a_reply),
		ENTRY_IN_WORLD(a_request_goes_out_as_it_was_given),
		ENTRY_IN_WORLD(connections_are_used_again),
		ENTRY_IN_WORLD(nobody_there_is_a_connection_error_before_anything_was_sent),
		ENTRY_IN_WORLD(a_broken_answer_is_a_connection_error_after_sending),
		ENTRY_IN_WORLD(each_time_out_is_told_apart),
		ENTRY_IN_WORLD(a_reply_that_is_too_long_is_stopped),
		ENTRY_IN_WORLD(a_post_is_sent_once_when_a_reused_connection_dies),
		ENTRY_IN_WORLD(a_repeatable_request_is_sent_again_when_a_reused_connection_dies),
		ENTRY_IN_WORLD(redirects_are_not_followed),
		ENTRY_IN_WORLD(no_proxy_is_taken_from_the_environment),
		ENTRY_IN_WORLD(pieces_are_told_as_they_come),
		ENTRY_IN_WORLD(cancel_closes_the_connection),
		ENTRY_IN_WORLD(cancel_while_the_name_is_looked_up),
		ENTRY_IN_WORLD(many_requests_to_a_new_name_make_one_look_up_and_no_threads),
		ENTRY_IN_WORLD(a_request_may_be_started_while_a_piece_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
