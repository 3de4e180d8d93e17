/* The queue as a whole: made, started, stopped; what is done every second. */
#include "worker/queue/queue_own.h"

#include "common/crashpoint.h"
#include "worker/queue/calibrations.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	TICK_MS = 1000,
	TICK_SOON_MS = 50,
	REAPED_AT_ONCE = 500,
	START_REST_MS = 500,
	COMMAND_MIN_MS = 1000,
	COMMAND_MAX_MS = 5000,
	LAST_WORDS_MS = 2000,
	TURNS_AT_END = 100
};

/* ---- every second ---- */

/* Jobs that were lost too often: they have ended without a worker. */
static void tell_stalled(struct queue *q, const struct redis_value *stalled)
{
	struct error err;

	for (size_t i = 0; q->with->refused && i + 2 < stalled->count; i += 3) {
		(void)fail(&err, ERR_STALLED, "%.*s", STR_ARGS(stalled->items[i + 2].text));
		q->with->refused(q->with->arg, stalled->items[i].text.ptr,
				 stalled->items[i + 1].text.ptr, &err);
	}
}

/* Once, until there is room again. */
static void tell_dead(struct queue *q, uint64_t bytes)
{
	uint64_t most = q->with->dead_max_bytes;
	bool is_full = most > 0 && bytes > most;
	struct error err;

	if (is_full && !q->is_full_of_dead) {
		(void)fail(&err, ERR_REDIS,
			   "dead and quarantined jobs take %llu bytes, more than the %llu of "
			   "QUEUE_DEAD_MAX_BYTES, and nobody has looked at them: see `flow-worker "
			   "jobs list --state dead`, then retry or purge them",
			   (unsigned long long)bytes, (unsigned long long)most);
		queue_note(q, &err);
	}
	q->is_full_of_dead = is_full;
}

static void ticked(struct once *o)
{
	struct queue *q = o->queue;
	const struct redis_value *reply = o->redis.reply;

	if (o->redis.call.err.code != ERR_OK || reply->type != REDIS_ARRAY || reply->count != 6)
		return;
	CRASH_POINT("after_tick");
	q->workers = (unsigned)reply->items[4].integer;
	queue_limits_seen(q, &reply->items[1]);
	tell_stalled(q, &reply->items[3]);
	tell_dead(q, (uint64_t)reply->items[5].integer);
	if (reply->items[0].integer > 0)
		claim_poke(q);
	if (reply->items[2].count > 0 && !q->refiling.is_busy && !q->is_stopping)
		door_file(q, &q->refiling, &reply->items[2], door_filed);
}

static struct str heartbeat(struct queue *q, struct arena *a)
{
	return str_of(arena_printf(a,
				   "{\"version\":\"%s\",\"pid\":%d,\"slots\":%u,\"busy\":%zu,"
				   "\"stopping\":%s,\"startedMs\":%llu}",
				   q->with->version ? q->with->version : "", (int)getpid(),
				   q->with->slots, q->lease_count,
				   q->is_stopping ? "true" : "false",
				   (unsigned long long)q->started_ms));
}

static void send_tick(struct queue *q)
{
	struct arena *a = once_begin(q, &q->tick);
	const struct str words[] = {
		str_of(q->with->worker),
		heartbeat(q, a),
		word_of(a, QUEUE_LAYOUT),
		str_of(q->limits_digest),
		word_of(a, q->with->lease_ms),
		word_of(a, q->with->ambiguous_wait_ms),
		word_of(a, q->with->result_ttl_ms),
		word_of(a, REAPED_AT_ONCE),
		word_of(a, q->with->dead_max_bytes),
	};

	once_start(&q->tick, SCRIPT_TICK, ARRAY_LEN(words), words, ticked);
}

static void tick_due(struct timeout *t)
{
	struct queue *q = container_of(t, struct queue, tick_timer);

	timeout_start(q->loop, t, TICK_MS, tick_due);
	if (!redis_is_connected(q->redis))
		return;
	if (!q->tick.is_busy)
		send_tick(q);
	claim_probe(q);
}

void queue_tick_soon(struct queue *q)
{
	if (q->is_open && !q->is_closed)
		timeout_start(q->loop, &q->tick_timer, TICK_SOON_MS, tick_due);
}

/* ---- starting ---- */

static task_step ask_info, look_at_info, say_hello, look_at_hello, open_all;

static struct queue *starting(struct task *t)
{
	return container_of(t, struct queue, start);
}

static enum task_next try_again(struct queue *q, const struct error *err)
{
	if (err->code == ERR_CONFIG)
		return task_fail_as(&q->start, err);
	if (!q->start_noted)
		queue_note(q, err);
	q->start_noted = true;
	sleep_start(q->loop, &q->start_rest, START_REST_MS);
	return task_await(&q->start, &q->start_rest.call, ask_info);
}

static enum task_next ask_info(struct task *t)
{
	struct queue *q = starting(t);

	redis_start(q->redis, &q->start_redis, q->start_arena, 0, "INFO", NULL);
	return task_await_either(t, &q->start_redis.call, look_at_info);
}

/* "name:value\r\n" in the reply to INFO; "" if it is not there. */
static const char *info_value(const struct redis_value *info, const char *name, struct arena *a)
{
	const char *line = strstr(info->text.ptr, arena_printf(a, "\n%s:", name));

	if (!line)
		return "";
	line += strlen(name) + 2;
	return arena_strndup(a, line, strcspn(line, "\r\n"));
}

static bool check_server(struct queue *q, struct error *err)
{
	const struct redis_value *info = q->start_redis.reply;
	const char *version = info_value(info, "redis_version", q->start_arena);
	const char *policy = info_value(info, "maxmemory_policy", q->start_arena);
	char *rest;
	long major = strtol(version, &rest, 10);
	long minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;

	if (*version && (major < 6 || (major == 6 && minor < 2)))
		return fail(err, ERR_CONFIG,
			    "the server is Redis %s, expected 6.2 or later (or Valkey)", version);
	if (*policy && strcmp(policy, "noeviction") != 0 && !q->with->allow_eviction)
		return fail(err, ERR_CONFIG,
			    "Redis' maxmemory-policy is '%s': it may throw jobs away; set it to "
			    "noeviction, or QUEUE_ALLOW_EVICTION=true",
			    policy);
	return true;
}

static enum task_next look_at_info(struct task *t)
{
	struct queue *q = starting(t);
	struct error err;

	if (q->start_redis.call.err.code != ERR_OK)
		return try_again(q, &q->start_redis.call.err);
	if (!check_server(q, &err))
		return task_fail_as(t, &err);
	return task_go(t, say_hello);
}

static enum task_next say_hello(struct task *t)
{
	struct queue *q = starting(t);
	const struct str layout = word_of(q->start_arena, QUEUE_LAYOUT);

	script_start(&q->scripts, &q->start_redis, q->start_arena, SCRIPT_HELLO, 1, &layout);
	return task_await_either(t, &q->start_redis.call, look_at_hello);
}

static enum task_next look_at_hello(struct task *t)
{
	struct queue *q = starting(t);
	const struct redis_value *reply = q->start_redis.reply;

	if (q->start_redis.call.err.code != ERR_OK)
		return try_again(q, &q->start_redis.call.err);
	if (reply->items[0].integer == 0)
		return task_fail(
			t, ERR_CONFIG,
			"the queue '%s' has layout %lld, this program knows %d and its "
			"neighbours: use a newer or older release, or another QUEUE_PREFIX",
			q->with->prefix, (long long)reply->items[1].integer, QUEUE_LAYOUT);
	return task_go(t, open_all);
}

static enum task_next open_all(struct task *t)
{
	struct queue *q = starting(t);

	if (q->start_noted)
		queue_note(q, &(struct error){.code = ERR_OK, .text = "connected"});
	q->is_open = true;
	q->last_claim = loop_now(q->loop);
	queue_limits_open(q);
	lease_open(q);
	door_open(q);
	journal_spool_open(q);
	timeout_start(q->loop, &q->tick_timer, 0, tick_due);
	claim_poke(q);
	return task_end(t);
}

static void started(struct call *c)
{
	struct queue *q = container_of(c, struct queue, start.call);
	struct call *starter = q->starting;

	arena_free(q->start_arena);
	q->start_arena = NULL;
	q->starting = NULL;
	starter->err = c->err;
	call_end(starter);
}

static void cancel_start(struct call *c)
{
	/* starter -> task: the only child it has, so call_cancel() never comes here */
	(void)c;
}

void queue_start(struct queue *q, struct call *c)
{
	call_begin(c, q->loop, cancel_start);
	q->starting = c;
	q->start_arena = arena_new();
	q->start.call.done = started;
	task_start(&q->start, q->loop, ask_info);
	c->child = &q->start.call;
}

/* ---- the whole ---- */

void queue_note(struct queue *q, const struct error *err)
{
	if (q->with->note)
		q->with->note(q->with->arg, err);
}

static void connection_changed(void *arg, const struct error *err)
{
	struct queue *q = arg;

	if (!q->is_open) { /* the first reason, at once: our first command waits longer */
		if (err && !q->start_noted)
			queue_note(q, err);
		q->start_noted = q->start_noted || err;
		return;
	}
	queue_note(q, err ? err : &(struct error){.code = ERR_OK, .text = "connected"});
	if (!err) {
		lease_look_soon(q);
		queue_tick_soon(q);
	}
}

struct queue *queue_new(struct loop *l, const struct queue_options *options)
{
	struct queue *q = xmalloc(sizeof(*q));
	struct arena *a = arena_new();

	q->loop = l;
	q->with = options;
	q->arena = a;
	q->started_ms = wall_ms();
	q->redis = redis_new(l, options->redis);
	scripts_init(&q->scripts, q->redis, options->prefix);
	q->scripts.timeout_ms = queue_command_ms(q);
	q->door = arena_printf(a, "%sin", options->prefix);
	q->channel = arena_printf(a, "%sctl", options->prefix);
	q->limits = options->limits;
	q->calibrations = calibrations_new(a);
	redis_on_change(q->redis, connection_changed, q);
	return q;
}

static bool is_busy(const struct queue *q)
{
	return q->sends || q->joints || q->shots || q->is_listening || q->tick.is_busy ||
	       q->filing.is_busy || q->refiling.is_busy || q->claiming.is_busy ||
	       q->renewing.is_busy || q->limits_fetch.is_busy || q->starting;
}

static void stop_loop(struct timeout *t)
{
	loop_stop(container_of(t, struct queue, tick_timer)->loop);
}

static void run_loop(struct queue *q, uint64_t ms)
{
	timeout_start(q->loop, &q->tick_timer, ms, stop_loop);
	loop_run(q->loop);
	timeout_stop(q->loop, &q->tick_timer);
}

static void said_bye(struct send *s)
{
	(void)s;
}

static void say_bye(struct queue *q)
{
	struct send *s = send_new(q, SCRIPT_BYE, 1);

	send_add_text(s, q->with->worker);
	send_start(s, said_bye);
}

void queue_give_up(struct queue *q)
{
	if (q->is_given_up)
		return;
	q->is_given_up = true;
	for (const struct lease_own *o = q->leases; o; o = o->next)
		q->untold.jobs += !o->lease.lost;
	claim_end(q);
	for (struct send *s = q->sends; s; s = s->next)
		call_cancel(&s->task.call, ERR_SHUTDOWN);
}

static void tell_untold(struct queue *q)
{
	const struct queue_untold *u = &q->untold;

	if (q->with->untold &&
	    u->jobs + u->steps + u->calls + u->answers_kept + u->answers_lost > 0)
		q->with->untold(q->with->arg, u);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	queue_stop_claiming(q);
	q->is_closed = true;
	timeout_stop(q->loop, &q->claim_timer);
	timeout_stop(q->loop, &q->tick_timer); /* run_loop() may not come to it */
	lease_close(q);
	door_close(q);
	if (q->is_open && !q->is_given_up && redis_is_connected(q->redis)) {
		say_bye(q);
		run_loop(q, LAST_WORDS_MS); /* until the last is answered */
	}
	queue_give_up(q);
	joint_go(q); /* nobody waits for it: it is forgotten */
	redis_free(q->redis);
	for (int i = 0; i < TURNS_AT_END && is_busy(q); i++)
		run_loop(q, 0);
	while (q->spooling > 0)
		run_loop(q, LAST_WORDS_MS);
	tell_untold(q);
	queue_limits_close(q);
	arena_free(q->listen_arena);
	arena_free(q->handed_out);
	arena_free(q->arena);
	free(q);
}

uint32_t queue_command_ms(const struct queue *q)
{
	return (uint32_t)u64_max(COMMAND_MIN_MS, u64_min(COMMAND_MAX_MS, q->with->lease_ms / 3));
}

uint64_t queue_last_claim_age_ms(const struct queue *q)
{
	return q->last_claim ? loop_now(q->loop) - q->last_claim : UINT64_MAX;
}

bool queue_is_connected(const struct queue *q)
{
	return redis_is_connected(q->redis);
}

unsigned queue_workers(const struct queue *q)
{
	return q->workers;
}

size_t queue_lease_count(const struct queue *q)
{
	return q->lease_count;
}

struct redis *queue_redis(struct queue *q)
{
	return q->redis;
}

const char *queue_key(const struct queue *q, struct arena *a, const char *name)
{
	return arena_printf(a, "%s%s", q->with->prefix, name);
}
