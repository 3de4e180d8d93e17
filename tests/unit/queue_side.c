#include "tests/unit/queue_side.h"

#include "worker/queue/limits.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

struct redis_server side_server;

static void out_of_patience(struct timeout *t)
{
	(void)t;
	FAIL("waited %d ms in vain", SIDE_PATIENCE_MS);
}

static bool describe(void *arg, struct str body, struct arena *a, struct job_description *out,
		     struct error *err)
{
	(void)arg;
	(void)a;
	if (!str_starts(body, STR("{")))
		return fail(err, ERR_INVALID_JOB, "it does not begin with '{'");
	out->route = "openai/m";
	return true;
}

static void told_lost(void *arg, struct lease *lease)
{
	struct side *s = arg;

	assert_null(s->lost);
	s->lost = lease;
	loop_stop(s->loop);
}

static void told_cancel(void *arg, struct lease *lease)
{
	struct side *s = arg;

	assert_null(s->cancelled);
	s->cancelled = lease;
	loop_stop(s->loop);
}

static void note_untold(void *arg, const struct queue_untold *what)
{
	((struct side *)arg)->untold = *what;
}

static void ended(struct call *c)
{
	loop_stop(c->loop);
}

void wait_for(struct side *s, struct call *c)
{
	timeout_start(s->loop, &s->patience, SIDE_PATIENCE_MS, out_of_patience);
	c->done = ended;
	while (!c->ended || c->next_ready)
		loop_run(s->loop);
	timeout_stop(s->loop, &s->patience);
}

void run_until(struct side *s, struct lease **what)
{
	timeout_start(s->loop, &s->patience, SIDE_PATIENCE_MS, out_of_patience);
	while (!*what)
		loop_run(s->loop);
	timeout_stop(s->loop, &s->patience);
}

const char *start_side(struct side *s, const char *name, const char *limits)
{
	struct call started = {.done = ended};
	static char text[320];
	struct error err;

	memset(s, 0, sizeof(*s));
	s->loop = loop_new();
	s->arena = arena_new();
	s->redis = (struct redis_options){.url = side_server.url};
	(void)snprintf(s->spool, sizeof(s->spool), "/tmp/fw-spool-%d-%s", (int)getpid(), name);
	s->options = (struct queue_options){
		.redis = &s->redis,
		.prefix = "{t}:",
		.worker = name,
		.slots = 4,
		.lease_ms = 1500,
		.ambiguous_wait_ms = 1000,
		.result_ttl_ms = 60000,
		.job_max_bytes = 1000,
		.spool_dir = s->spool,
		.limits = limits_parse(s->arena, str_of(limits), &err),
		.arg = s,
		.describe = describe,
		.lost = told_lost,
		.cancel = told_cancel,
		.untold = note_untold,
	};
	s->queue = queue_new(s->loop, &s->options);
	queue_start(s->queue, &started);
	wait_for(s, &started);
	(void)snprintf(text, sizeof(text), "%s", started.err.text);
	return started.err.code == ERR_OK ? NULL : text;
}

void remove_spool(const struct side *s)
{
	char path[400];
	DIR *d = opendir(s->spool);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->spool, entry->d_name);
		(void)unlink(path);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(s->spool);
}

size_t spooled(const struct side *s)
{
	DIR *d = opendir(s->spool);
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return n;
}

void stop_side(struct side *s)
{
	queue_free(s->queue);
	arena_free(s->arena);
	loop_free(s->loop);
}

void claim(struct side *s, size_t want)
{
	queue_claim_start(s->queue, &s->claim, want);
	wait_for(s, &s->claim.call);
	assert_int_equal(s->claim.call.err.code, ERR_OK);
	s->job_count = s->claim.count;
	for (size_t i = 0; i < s->claim.count; i++)
		s->jobs[i] = s->claim.leases[i];
}

enum error_code finish(struct side *s, struct lease *lease, const struct finish *how)
{
	struct finish_call c;

	queue_finish_start(lease, &c, how);
	wait_for(s, &c.call);
	lease_free(lease);
	return c.call.err.code;
}

const struct finish side_done = {
	.outcome = QUEUE_DONE, .result = {"{\"id\":\"a\",\"status\":\"done\"}", 26}
};

void enqueue(const char *id, const char *more)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "XADD {t}:in * id %s body {} %s", id, more);
	(void)redis_server_do(&side_server, command);
}

int server_starts(void **state)
{
	(void)state;
	redis_server_start(&side_server, "appendonly yes\nappendfsync always\nsave \"\"\n");
	return 0;
}

int server_stops(void **state)
{
	(void)state;
	redis_server_stop(&side_server);
	return 0;
}

int fresh(void **state)
{
	(void)state;
	(void)redis_server_do(&side_server, "FLUSHALL");
	return 0;
}
