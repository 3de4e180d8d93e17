#include "worker/door/door_jobs.h"

#include "common/config.h"
#include "common/digest.h"
#include "common/http.h"
#include "common/loop.h"
#include "common/redis.h"
#include "common/task.h"
#include "worker/door/door.h"
#include "worker/flow/job.h"
#include "worker/queue/queue.h"

#include <stdio.h>

enum { POLL_MS = 100, FIELDS_MAX = 16, ACCEPTED = 202 };

/* A request on its way; it lives in the request's arena. */
struct visit {
	struct task task;
	struct door_call *call;
	struct door_jobs *jobs;
	const char *id;
	struct redis_call redis;
	struct sleep_call nap;
	uint64_t until;
	bool is_new; /* POST: nothing may be known of it yet */
};

static task_step add, added, look, looked, rested, known;

static struct visit *visit_of(struct task *t)
{
	return container_of(t, struct visit, task);
}

static const char *key_of(const struct visit *v, const char *kind)
{
	return arena_printf(v->call->arena, "%s%s:%s", v->jobs->config->queue_prefix, kind, v->id);
}

static enum task_next answer(struct visit *v, int status, cJSON *json)
{
	v->call->status = status;
	v->call->reply = json_print(v->call->arena, json);
	return task_end(&v->task);
}

static enum task_next answer_state(struct visit *v, int status, const char *state)
{
	cJSON *json = json_object(v->call->arena);

	json_set_text(v->call->arena, json, "id", v->id);
	if (state)
		json_set_text(v->call->arena, json, "status", state);
	return answer(v, status, json);
}

/* What a worker would say of it when it is too late. */
static bool check_fields(const struct visit *v, struct error *err)
{
	const char *prefix = v->jobs->config->queue_prefix;

	for (const struct http_header *f = v->call->fields; f && f->name; f++)
		if (!queue_check_field(prefix, f->name, f->value, err))
			return false;
	return true;
}

static enum task_next add(struct task *t)
{
	struct visit *v = visit_of(t);
	struct arena *a = v->call->arena;
	struct str words[8 + 2 * FIELDS_MAX];
	size_t count = 0;
	struct error err;
	struct job *job = job_parse(v->call->body, v->id, v->jobs->config, &err);

	if (!job)
		return task_fail_as(t, &err);
	job_free(job);
	if (!check_fields(v, &err))
		return task_fail_as(t, &err);
	words[count++] = STR("XADD");
	words[count++] = str_of(arena_printf(a, "%sin", v->jobs->config->queue_prefix));
	words[count++] = STR("*");
	words[count++] = STR("id");
	words[count++] = str_of(v->id);
	for (const struct http_header *f = v->call->fields; f && f->name && count < 2 * FIELDS_MAX;
	     f++)
		if (strcmp(f->name, "id") != 0) {
			words[count++] = str_of(f->name);
			words[count++] = str_of(f->value);
		}
	words[count++] = STR("body");
	words[count++] = v->call->body;
	redis_start_argv(v->jobs->redis, &v->redis, a, 0, count, words);
	redis_confirm(&v->redis);
	return task_await(t, &v->redis.call, added);
}

static enum task_next added(struct task *t)
{
	struct visit *v = visit_of(t);

	return v->call->wait_ms ? task_go(t, look) : answer_state(v, ACCEPTED, NULL);
}

static enum task_next look(struct task *t)
{
	struct visit *v = visit_of(t);

	redis_start(v->jobs->redis, &v->redis, v->call->arena, 0, "GET", key_of(v, "res"), NULL);
	return task_await(t, &v->redis.call, looked);
}

static enum task_next looked(struct task *t)
{
	struct visit *v = visit_of(t);
	struct loop *l = v->jobs->loop;

	if (v->redis.reply->type == REDIS_TEXT) {
		v->call->status = 200;
		v->call->reply = v->redis.reply->text;
		return task_end(t);
	}
	if (loop_now(l) < v->until) {
		sleep_start(l, &v->nap, u64_min(POLL_MS, v->until - loop_now(l)));
		return task_await(t, &v->nap.call, rested);
	}
	redis_start(v->jobs->redis, &v->redis, v->call->arena, 0, "HGET", key_of(v, "j"), "state",
		    NULL);
	return task_await(t, &v->redis.call, known);
}

static enum task_next rested(struct task *t)
{
	return task_go(t, look);
}

static enum task_next known(struct task *t)
{
	struct visit *v = visit_of(t);
	struct error err;

	if (v->redis.reply->type == REDIS_TEXT)
		return answer_state(v, ACCEPTED, v->redis.reply->text.ptr);
	if (v->is_new)
		return answer_state(v, ACCEPTED, "waiting");
	(void)fail(&err, ERR_NAMED,
		   "no job '%.64s' is known: it was never there, or its result is older than "
		   "RESULT_TTL",
		   v->id);
	(void)snprintf(err.name, sizeof(err.name), "NOT_FOUND");
	err.status = 404;
	return task_fail_as(t, &err);
}

/* ---- */

static void cancel(struct call *c)
{
	struct visit *v = container_of(c, struct door_call, call)->state;

	call_cancel(&v->task.call, c->stop);
}

static void ended(struct call *c)
{
	struct visit *v = container_of(c, struct visit, task.call);

	if (v->call->call.err.code == ERR_OK)
		v->call->call.err = c->err;
	call_end(&v->call->call);
}

static void start(struct door_jobs *jobs, struct door_call *c, const char *id, task_step *first)
{
	struct visit *v = arena_make(c->arena, struct visit);

	v->call = c;
	v->jobs = jobs;
	v->id = id;
	v->is_new = c->id == NULL;
	v->until = loop_now(jobs->loop) + c->wait_ms;
	c->state = v;
	call_begin(&c->call, jobs->loop, cancel);
	v->task.call.done = ended;
	task_start(&v->task, jobs->loop, first);
}

void door_jobs_enqueue(struct door_jobs *jobs, struct door_call *c)
{
	char uuid[UUID_SIZE];
	const char *id = NULL;

	for (const struct http_header *f = c->fields; f && f->name; f++)
		if (strcmp(f->name, "id") == 0 && f->value[0])
			id = f->value;
	uuid_random(uuid);
	start(jobs, c, id ? id : arena_strdup(c->arena, uuid), add);
}

void door_jobs_find(struct door_jobs *jobs, struct door_call *c)
{
	start(jobs, c, c->id, look);
}
