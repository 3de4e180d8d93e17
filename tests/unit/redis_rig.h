/* tests/unit/redis_rig.h: a loop, one connection to Redis and its calls, each of which must end
 * exactly once. A test has one rig at a time; it fails when it has waited RIG_PATIENCE_MS. */
#ifndef TESTS_UNIT_REDIS_RIG_H
#define TESTS_UNIT_REDIS_RIG_H

#include "common/arena.h"
#include "common/loop.h"
#include "common/redis.h"

#include "tests/unit/redis_server.h"
#include "tests/unit/test.h"

enum { RIG_PATIENCE_MS = 30000, RIG_CALLS_MAX = 100001 };

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
	bool stops_on_change; /* the loop: when a connection is made or lost */
};

void rig_open(struct rig *g, const struct redis_options *options);
/* Frees the connection; the calls can still be looked at. */
void rig_stop(struct rig *g);
void rig_close(struct rig *g);

struct redis_call *next_call(struct rig *g);
/* Until all that was started has ended. */
void run(struct rig *g);

#define start(g, timeout_ms, ...) \
	redis_start((g)->redis, next_call(g), (g)->arena, (timeout_ms), __VA_ARGS__, NULL)

/* One command, and its reply. */
#define say(g, ...) (start((g), 0, __VA_ARGS__), run(g), &(g)->calls[(g)->started - 1])

/* Until the connection has been made so often. */
void run_until_made(struct rig *g, size_t count);
/* Until it has been told so often that there is none. */
void run_until_lost(struct rig *g, size_t count);
/* Until the server's reply to the command contains the text. */
void run_until_said(struct rig *g, struct redis_server *s, const char *text, const char *command);

void assert_reply(const struct redis_call *c, const char *expected);
void assert_failed(const struct redis_call *c, enum error_code code, const char *text);

#endif
