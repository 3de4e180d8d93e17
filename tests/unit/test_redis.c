/* The connection to Redis, against a real server that is stopped, killed and restarted. */
#include "common/redis.h"

#include "common/arena.h"
#include "common/loop.h"

#include "tests/unit/redis_server.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 30000, CALLS_MAX = 10000 };

#define test_failed(...)                   \
	do {                               \
		print_error(__VA_ARGS__);  \
		print_error("\n");         \
		_fail(__FILE__, __LINE__); \
	} while (0)

/* What every test has: a loop, a connection, and calls that end. */
struct rig {
	struct loop *loop;
	struct arena *arena;
	struct redis *redis;
	struct redis_call *calls;
	unsigned *ends; /* how often each has ended */
	size_t started, ended, wanted;
	struct timeout patience;
	size_t made, lost; /* connections */
	struct error why;
	bool *until; /* for run_until() */
};

static struct rig *rig_now; /* done() has only its call; a test has one rig */

static void out_of_patience(struct timeout *t)
{
	(void)t;
	test_failed("waited %d ms in vain: %zu of %zu calls ended; %s", PATIENCE_MS, rig_now->ended,
		    rig_now->started, rig_now->why.text);
}

static void changed(void *arg, const struct error *err)
{
	struct rig *g = arg;

	if (err) {
		g->lost++;
		g->why = *err;
	} else {
		g->made++;
	}
	if (g->until)
		loop_stop(g->loop);
}

static void rig_open(struct rig *g, const struct redis_options *options)
{
	*g = (struct rig){.loop = loop_new(), .arena = arena_new()};
	g->calls = xmalloc(CALLS_MAX * sizeof(*g->calls));
	g->ends = xmalloc(CALLS_MAX * sizeof(*g->ends));
	g->redis = redis_new(g->loop, options);
	redis_on_change(g->redis, changed, g);
	timeout_start(g->loop, &g->patience, PATIENCE_MS, out_of_patience);
	rig_now = g;
}

static void rig_close(struct rig *g)
{
	timeout_stop(g->loop, &g->patience);
	redis_free(g->redis);
	loop_run(g->loop); /* ends by itself: nothing is left */
	for (size_t i = 0; i < g->started; i++)
		assert_int_equal(g->ends[i], 1);
	loop_free(g->loop);
	arena_free(g->arena);
	free(g->calls);
	free(g->ends);
}

static void ended(struct call *c)
{
	struct rig *g = rig_now;

	g->ends[container_of(c, struct redis_call, call) - g->calls]++;
	if (++g->ended == g->wanted)
		loop_stop(g->loop);
}

static struct redis_call *next_call(struct rig *g)
{
	struct redis_call *c = &g->calls[g->started++];

	c->call.done = ended;
	return c;
}

/* Until all that was started has ended. */
static void run(struct rig *g)
{
	g->wanted = g->started;
	while (g->ended < g->wanted)
		loop_run(g->loop);
}

#define start(g, timeout_ms, ...) \
	redis_start((g)->redis, next_call(g), (g)->arena, (timeout_ms), __VA_ARGS__, NULL)

/* One command, and its reply. */
#define say(g, ...) (start((g), 0, __VA_ARGS__), run(g), &(g)->calls[(g)->started - 1])

static void run_until_made(struct rig *g, size_t count)
{
	bool here = true;

	g->until = &here;
	while (g->made < count)
		loop_run(g->loop);
	g->until = NULL;
}

static void stop_loop(struct timeout *t)
{
	(void)t;
	loop_stop(rig_now->loop);
}

/* Until the server's reply to the command contains the text. */
static void run_until_said(struct rig *g, struct redis_server *s, const char *text,
			   const char *command)
{
	struct timeout soon = {.place = 0};

	while (!strstr(redis_server_do(s, command, NULL), text)) {
		timeout_start(g->loop, &soon, 2, stop_loop);
		loop_run(g->loop);
	}
	timeout_stop(g->loop, &soon);
}

static void assert_reply(const struct redis_call *c, const char *expected)
{
	if (c->call.err.code)
		test_failed("%s", c->call.err.text);
	assert_non_null(c->reply);
	assert_str(c->reply->text, expected);
}

static void assert_failed(const struct redis_call *c, enum error_code code, const char *text)
{
	if (c->call.err.code != code || !strstr(c->call.err.text, text))
		test_failed("expected %s '%s', got %s '%s'", error_code_name(code), text,
			    error_name(&c->call.err), c->call.err.text);
}

/* ---- replies ---- */

TEST(a_command_is_answered)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	assert_reply(say(&g, "GET", "k"), "v");
	assert_int_equal(say(&g, "GET", "none")->reply->type, REDIS_NIL);
	assert_int_equal(say(&g, "INCRBY", "n", "41")->reply->integer, 41);
	assert_true(redis_is_connected(g.redis));
	assert_int_equal(g.made, 1);
	rig_close(&g);
	redis_server_stop(&s);
}

/* ---- the server is away ---- */

TEST(commands_wait_for_a_server_that_comes_later)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_prepare(&s);
	rig_open(&g, &(struct redis_options){.url = s.url});
	start(&g, 20, "SET", "k", "1");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "no connection within 20 ms: cannot connect to");
	start(&g, 20000, "SET", "k", "2");
	redis_server_run(&s, NULL);
	run(&g);
	assert_reply(&g.calls[1], "OK");
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_server_that_is_killed_ends_each_command_once)
{
	struct redis_server s;
	struct rig g;
	size_t before;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_made(&g, 1);
	for (int i = 0; i < 100; i++)
		start(&g, 0, "BLPOP", "nothing", "0");
	run_until_said(&g, &s, "blocked_clients:1", "INFO clients");
	before = g.made;
	redis_server_kill(&s, SIGKILL);
	run(&g);
	for (size_t i = 0; i < g.started; i++)
		assert_failed(&g.calls[i], ERR_REDIS, "lost the connection to Redis at 127.0.0.1:");
	redis_server_again(&s);
	run_until_made(&g, before + 1);
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	rig_close(&g);
	redis_server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_command_is_answered),
		ENTRY(commands_wait_for_a_server_that_comes_later),
		ENTRY(a_server_that_is_killed_ends_each_command_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
