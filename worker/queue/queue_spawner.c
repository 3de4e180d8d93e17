#include "worker/queue/queue_spawner.h"

#include "common/loop.h"
#include "common/task.h"
#include "worker/flow/child.h"
#include "worker/queue/queue.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	WINDOW = 500,  /* children at the door or running, of one parent */
	AT_ONCE = 100, /* looked after in one round trip */
	FIRST_WAIT_MS = 20,
	LONGEST_WAIT_MS = 5000
};

/* One look after the children. */
struct look {
	struct task task;
	struct queue_spawner *spawner;
	struct spawn_call *call;
	struct arena *arena;
	size_t count, next, open_count, most;
	const cJSON *upcoming; /* the payload of child `next` */
	size_t *open; /* indexes of children that are not over, in the order of their starts */
	const cJSON **results; /* by index; NULL: not over, or not started */
	bool stopped, moved;
	uint64_t wait_ms;
	struct redis_call redis;
	size_t asked; /* how many of `open` this round trip asks for, from `at` on */
	size_t at;
};

static task_step ask, answered, finish;

static struct look *look_of(struct task *t)
{
	return container_of(t, struct look, task);
}

/* ---- what is known ---- */

static void read_state(struct look *k)
{
	const cJSON *state = k->call->state, *item;

	k->next = (size_t)json_get_number(state, "next", 0);
	k->wait_ms = (uint64_t)json_get_number(state, "wait", FIRST_WAIT_MS);
	k->stopped = json_get_bool(state, "stopped", false);
	k->call->cost_nano = (uint64_t)json_get_number(state, "cost", 0);
	json_each(item, json_get(state, "open"))
		k->open[k->open_count++] = (size_t)item->valuedouble;
	json_each(item, json_get(state, "results")) {
		size_t index = (size_t)strtoull(item->string, NULL, 10);

		if (index < k->count)
			k->results[index] = item;
	}
}

static cJSON *write_state(const struct look *k)
{
	struct arena *a = k->arena;
	cJSON *state = json_object(a), *open = json_array(a), *results = json_object(a);
	char name[24];

	for (size_t i = 0; i < k->open_count; i++)
		json_push(open, json_number(a, (double)k->open[i]));
	for (size_t i = 0; i < k->next; i++)
		if (k->results[i]) {
			(void)snprintf(name, sizeof(name), "%zu", i);
			json_set(a, results, name, json_share(a, k->results[i]));
		}
	json_set_number(a, state, "next", (double)k->next);
	json_set(a, state, "open", open);
	json_set(a, state, "results", results);
	json_set_number(a, state, "wait", (double)k->wait_ms);
	json_set_bool(a, state, "stopped", k->stopped);
	json_set_number(a, state, "cost", (double)k->call->cost_nano);
	return state;
}

/* ---- a round trip ---- */

static bool is_over_budget(const struct look *k)
{
	return k->call->max_cost_nano && k->call->cost_nano >= k->call->max_cost_nano;
}

static size_t to_start(const struct look *k)
{
	size_t room = k->open_count < k->most ? k->most - k->open_count : 0;

	return k->stopped || is_over_budget(k)
		       ? 0
		       : size_min(size_min(room, k->count - k->next), AT_ONCE);
}

static enum task_next ask(struct task *t)
{
	struct look *k = look_of(t);
	struct arena *a = k->arena;
	const struct lease *lease = k->spawner->lease;
	const char *job_id = k->spawner->job->id;
	size_t starts = to_start(k), count = 0;
	struct str *words;

	k->asked = size_min(k->open_count - k->at, AT_ONCE);
	if (k->asked == 0 && starts == 0)
		return task_go(t, finish);
	words = arena_array(a, struct str, 3 + k->asked + 2 * starts);
	words[count++] = word_of(a, (uint64_t)lease->lane);
	words[count++] = str_of(lease->tenant);
	words[count++] = word_of(a, k->asked);
	for (size_t i = 0; i < k->asked; i++)
		words[count++] = str_of(child_id(a, job_id, k->call->step, k->open[k->at + i]));
	for (size_t i = 0; i < starts; i++) {
		words[count++] = str_of(child_id(a, job_id, k->call->step, k->next));
		words[count++] =
			child_body(a, k->spawner->job, k->call, k->upcoming, k->spawner->config);
		k->upcoming = k->upcoming->next;
		k->open[k->open_count++] = k->next++;
		k->moved = true;
	}
	script_start(k->spawner->scripts, &k->redis, a, SCRIPT_SPAWN, count, words);
	return task_await(t, &k->redis.call, answered);
}

/* A child is over: what it has returned. */
static bool take_result(struct look *k, size_t index, struct str text)
{
	struct error err;
	const cJSON *result = json_parse_rounding(k->arena, text, &err);
	const char *status = json_get_text(result, "status");
	const char *code = json_get_text(json_get(result, "error"), "code");

	if (code && strcmp(code, error_code_name(ERR_FLOW_NOT_FOUND)) == 0)
		return fail(&k->call->call.err, ERR_FLOW_NOT_FOUND, "there is no flow '%.100s'",
			    k->call->flow);
	k->call->cost_nano +=
		(uint64_t)llround(json_get_number(json_get(result, "cost"), "total", 0) * 1e9);
	if (k->call->stop_on_error && (!status || strcmp(status, "done") != 0))
		k->stopped = true;
	k->results[index] =
		json_get(result, "return") ? json_get(result, "return") : json_null(k->arena);
	k->moved = true;
	return true;
}

static enum task_next answered(struct task *t)
{
	struct look *k = look_of(t);
	const struct redis_value *reply = k->redis.reply;
	size_t kept = k->at;

	for (size_t i = 0; i < k->asked; i++) {
		size_t index = k->open[k->at + i];

		if (i >= reply->count || reply->items[i].type != REDIS_TEXT)
			k->open[kept++] = index;
		else if (!take_result(k, index, reply->items[i].text))
			return task_end(t);
	}
	memmove(k->open + kept, k->open + k->at + k->asked,
		(k->open_count - k->at - k->asked) * sizeof(*k->open));
	k->open_count -= k->at + k->asked - kept;
	k->at = kept;
	return task_go(t, ask);
}

static enum task_next finish(struct task *t)
{
	struct look *k = look_of(t);
	struct spawn_call *c = k->call;

	if (k->open_count == 0 && (k->stopped || is_over_budget(k) || k->next == k->count)) {
		c->left = is_over_budget(k) ? k->count - k->next : 0;
		c->results = json_array(k->arena);
		for (size_t i = 0; i < k->count; i++)
			json_push(c->results, k->results[i] ? json_share(k->arena, k->results[i])
							    : json_null(k->arena));
		return task_end(t);
	}
	k->wait_ms = k->moved ? FIRST_WAIT_MS : u64_min(k->wait_ms * 2, LONGEST_WAIT_MS);
	c->retry_at_ms = wall_ms() + k->wait_ms;
	c->state = write_state(k);
	(void)fail(&c->call.err, ERR_PARKED, "%zu of %zu runs of flow '%.64s' are over",
		   k->next - k->open_count, k->count, c->flow);
	return task_end(t);
}

/* ---- */

static void looked(struct call *call)
{
	struct look *k = container_of(call, struct look, task.call);

	if (k->call->call.err.code == ERR_OK)
		k->call->call.err = call->err;
	call_end(&k->call->call);
}

static void cancel(struct call *call)
{
	struct look *k = container_of(call, struct spawn_call, call)->group;

	call_cancel(&k->task.call, call->stop);
}

static void start(struct spawner *spawner, struct spawn_call *c, struct arena *a)
{
	struct look *k = arena_make(a, struct look);
	struct queue_spawner *s = container_of(spawner, struct queue_spawner, spawner);

	k->spawner = s;
	k->call = c;
	k->arena = a;
	k->count = json_count(c->payloads);
	k->most = c->concurrency ? size_min(c->concurrency, WINDOW) : WINDOW;
	k->open = arena_array(a, size_t, k->count + 1);
	k->results = arena_array(a, const cJSON *, k->count + 1);
	c->group = k;
	read_state(k);
	k->upcoming = cJSON_GetArrayItem(c->payloads, (int)k->next);
	call_begin(&c->call, s->loop, cancel);
	k->task.call.done = looked;
	task_start(&k->task, s->loop, ask);
}

void queue_spawner_init(struct queue_spawner *s)
{
	s->spawner.start = start;
}
