#include "tests/unit/redis_rig.h"

#include <stdlib.h>

static struct rig *rig_now; /* done() has only its call; a test has one rig */

static void out_of_patience(struct timeout *t)
{
	(void)t;
	FAIL("waited %d ms in vain: %zu of %zu calls ended; %s", RIG_PATIENCE_MS, rig_now->ended,
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
	if (g->stops_on_change)
		loop_stop(g->loop);
}

void rig_open(struct rig *g, const struct redis_options *options)
{
	*g = (struct rig){.loop = loop_new(), .arena = arena_new()};
	g->calls = xmalloc(RIG_CALLS_MAX * sizeof(*g->calls));
	g->ends = xmalloc(RIG_CALLS_MAX * sizeof(*g->ends));
	g->redis = redis_new(g->loop, options);
	redis_on_change(g->redis, changed, g);
	timeout_start(g->loop, &g->patience, RIG_PATIENCE_MS, out_of_patience);
	rig_now = g;
}

void rig_stop(struct rig *g)
{
	timeout_stop(g->loop, &g->patience);
	redis_free(g->redis);
	g->redis = NULL;
	loop_run(g->loop); /* ends by itself: nothing is left */
	for (size_t i = 0; i < g->started; i++)
		assert_int_equal(g->ends[i], 1);
}

void rig_close(struct rig *g)
{
	rig_stop(g);
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

struct redis_call *next_call(struct rig *g)
{
	struct redis_call *c = &g->calls[g->started++];

	c->call.done = ended;
	return c;
}

void run(struct rig *g)
{
	g->wanted = g->started;
	while (g->ended < g->wanted)
		loop_run(g->loop);
}

void run_until_made(struct rig *g, size_t count)
{
	g->stops_on_change = true;
	while (g->made < count)
		loop_run(g->loop);
	g->stops_on_change = false;
}

void run_until_lost(struct rig *g, size_t count)
{
	g->stops_on_change = true;
	while (g->lost < count)
		loop_run(g->loop);
	g->stops_on_change = false;
}

static void stop_loop(struct timeout *t)
{
	(void)t;
	loop_stop(rig_now->loop);
}

void run_until_said(struct rig *g, struct redis_server *s, const char *text, const char *command)
{
	struct timeout soon = {.place = 0};

	while (!strstr(redis_server_do(s, command, NULL), text)) {
		timeout_start(g->loop, &soon, 2, stop_loop);
		loop_run(g->loop);
	}
	timeout_stop(g->loop, &soon);
}

void assert_reply(const struct redis_call *c, const char *expected)
{
	if (c->call.err.code)
		FAIL("%s", c->call.err.text);
	assert_non_null(c->reply);
	assert_str(c->reply->text, expected);
}

void assert_failed(const struct redis_call *c, enum error_code code, const char *text)
{
	if (c->call.err.code != code || !strstr(c->call.err.text, text))
		FAIL("expected %s '%s', got %s '%s'", error_code_name(code), text,
		     error_name(&c->call.err), c->call.err.text);
}
