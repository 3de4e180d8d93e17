#include "worker/cli/exec_spawner.h"

#include "operations/services.h"
#include "worker/flow/child.h"

struct group;

struct child {
	struct group *group;
	size_t index;
	struct job *job;
	struct run *run; /* NULL: not started, or over */
};

/* One spawn_call under way, in its arena. */
struct group {
	struct exec_spawner *spawner;
	struct spawn_call *call;
	struct arena *arena;
	struct child *children;
	const cJSON *upcoming; /* the payload of the next child */
	size_t count, next, running;
	const cJSON **results;
	bool stopped;
};

static void start_more(struct group *g);

static void child_over(struct group *g, struct child *child, const cJSON *returned, bool good)
{
	g->results[child->index] = returned ? json_copy(g->arena, returned) : json_null(g->arena);
	if (!good && g->call->stop_on_error)
		g->stopped = true;
	job_free(child->job);
	child->job = NULL;
	child->run = NULL;
}

static void child_ended(struct call *c)
{
	struct run *run = container_of(c, struct run, task.call);
	struct child *child = run->owner;
	struct group *g = child->group;
	bool good = run->outcome == RUN_DONE;

	/* A flow that is not there is a mistake of the caller, not a failure of a child. */
	if (run->err.code == ERR_FLOW_NOT_FOUND && g->call->call.err.code == ERR_OK) {
		g->call->call.err = run->err;
		g->stopped = true;
	}
	g->running--;
	g->call->cost_nano += run->usage.cost_nano;
	child_over(g, child, run->returned, good);
	start_more(g);
}

static void child_start(struct group *g, struct child *child, const cJSON *payload)
{
	struct run_options with = g->spawner->with;
	struct str body = child_body(g->arena, with.job, g->call, payload, with.use->config);
	const char *id = child_id(g->arena, with.job->id, g->call->step, child->index);
	struct error err;

	child->job = job_parse(body, id, with.use->config, &err);
	if (!child->job) {
		child_over(g, child, NULL, false);
		return;
	}
	with.job = child->job;
	child->run = run_new(&with);
	child->run->owner = child;
	child->run->task.call.done = child_ended;
	g->running++;
	run_start(child->run, g->call->call.loop);
}

static void end_group(struct group *g)
{
	g->call->results = json_array(g->arena);
	for (size_t i = 0; i < g->count; i++)
		json_push(g->call->results, g->results[i] ? json_share(g->arena, g->results[i])
							  : json_null(g->arena));
	call_end(&g->call->call);
}

static bool is_over_budget(const struct group *g)
{
	return g->call->max_cost_nano && g->call->cost_nano >= g->call->max_cost_nano;
}

static void start_more(struct group *g)
{
	size_t most = g->call->concurrency ? g->call->concurrency : g->count;

	while (!g->stopped && !is_over_budget(g) && g->next < g->count && g->running < most) {
		struct child *child = &g->children[g->next];

		child->group = g;
		child->index = g->next++;
		child_start(g, child, g->upcoming);
		g->upcoming = g->upcoming->next;
	}
	if (g->running > 0)
		return;
	g->call->left = is_over_budget(g) ? g->count - g->next : 0;
	if (g->stopped || g->call->left || g->next == g->count)
		end_group(g);
}

static void cancel_group(struct call *call)
{
	struct group *g = container_of(call, struct spawn_call, call)->group;

	g->stopped = true;
	for (size_t i = 0; i < g->next; i++)
		if (g->children[i].run)
			run_stop(g->children[i].run, call->stop);
	if (g->running == 0)
		end_group(g);
}

static void start(struct spawner *spawner, struct spawn_call *c, struct arena *a)
{
	struct group *g = arena_make(a, struct group);

	g->spawner = container_of(spawner, struct exec_spawner, spawner);
	g->call = c;
	g->arena = a;
	g->count = json_count(c->payloads);
	g->upcoming = c->payloads->child;
	g->children = arena_array(a, struct child, g->count + 1);
	g->results = arena_array(a, const cJSON *, g->count + 1);
	c->group = g;
	call_begin(&c->call, g->spawner->with.use->loop, cancel_group);
	start_more(g);
}

void exec_spawner_init(struct exec_spawner *s, const struct run_options *with)
{
	s->spawner.start = start;
	s->with = *with;
	s->with.spawner = &s->spawner;
}
