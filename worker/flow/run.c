#include "worker/flow/run.h"

#include "common/config.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/path.h"
#include "common/template.h"
#include "operations/services.h"
#include "worker/flow/failure.h"
#include "worker/flow/flow_check.h"
#include "worker/flow/flows.h"
#include "worker/flow/loop_guard.h"
#include "worker/flow/run_record.h"

#include <assert.h>
#include <stdlib.h>

enum {
	RENDERED_MAX = 16 * 1024 * 1024, /* bytes of one operation's resolved options */
	DEPTH_MAX = 32,                  /* causes that may stand before a job */
	LEASE_NAP_MS = 50,
	OUTAGE_FIRST_MS = 2000,
	OUTAGE_LONGEST_MS = 5 * 60 * 1000,
	/* Directus answers 500 when its database is away, but also for a text in an integer column: it
	 * gets some chances, not all. */
	STATUS_500_ATTEMPTS = 3,
	REPORT_MAX_BYTES = 256 * 1024, /* Directus takes 1 MB (MAX_PAYLOAD_SIZE) */
	REPORT_MS = 10000
};

static task_step load, loaded, has_extension, prepare, guard, guarded, pick, operate, waited,
	operated, recorded, end, reported;

static struct run *run_of(struct task *t)
{
	return container_of(t, struct run, task);
}

/* ---- how it ends ---- */

static enum task_next report(struct run *r);

static enum task_next finish(struct run *r, enum run_outcome outcome, const struct error *err)
{
	r->outcome = outcome;
	if (err)
		r->err = *err;
	if (!r->failure && (outcome == RUN_DEAD || outcome == RUN_CANCELLED || outcome == RUN_HELD))
		r->failure = failure_json(r->arena, &r->err, NULL);
	return task_go(&r->task, end);
}

/* About 2 s, 4 s, 8 s, … 5 min: ten of them are an outage of about twenty minutes. Jobs that have failed
 * together do not come back together. */
static uint64_t outage_delay(const struct run *r)
{
	uint32_t doubled = r->with.attempt < 16 ? r->with.attempt : 16;
	uint64_t delay = u64_min((uint64_t)OUTAGE_FIRST_MS << (doubled ? doubled - 1 : 0),
				 OUTAGE_LONGEST_MS);

	delay += delay / 4 - arc4random_uniform((uint32_t)delay / 2);
	return u64_max(delay, r->err.retry_after_ms);
}

/* It is not this job's trouble: then the queue wakes all who wait for Directus when one of them has found
 * it back. */
static bool is_directus_away(const struct run *r, const struct error *err)
{
	const struct directus *d = r->with.use->directus;

	return d && err->code != ERR_REDIS && err->status != 500 &&
	       directus_is_away(d, r->begun_ms);
}

static enum task_next finish_outage(struct run *r, const struct error *err)
{
	r->err = *err;
	r->again_ms = wall_ms() + outage_delay(r);
	r->directus_is_away = is_directus_away(r, err);
	return finish(r, RUN_OUTAGE, NULL);
}

static bool is_outage(const struct run *r, const struct error *err)
{
	return r->with.lease && r->op.op->waits_out_outages && error_is_retryable(err) &&
	       (err->status != 500 || r->with.attempt < STATUS_500_ATTEMPTS);
}

static enum task_next finish_stopped(struct run *r)
{
	struct error err;

	switch (r->stopped) {
	case ERR_SHUTDOWN:
		return finish(r, RUN_RETURNED, NULL);
	case ERR_TIMEOUT:
		(void)fail(&err, ERR_TIMEOUT, "the job took longer than its 'timeout' of %llu ms",
			   (unsigned long long)r->with.job->timeout_ms);
		return finish(r, RUN_DEAD, &err);
	default:
		(void)fail(&err, ERR_CANCELLED, "cancelled");
		return finish(r, RUN_CANCELLED, &err);
	}
}

static void find_returned(struct run *r)
{
	const char *path = r->with.job->return_path;
	struct error err;

	if (!path && r->flow)
		path = r->flow->return_path;
	if (!path)
		return;
	if (strcmp(path, "$all") == 0)
		r->returned = chain_shown(&r->chain);
	else if (!path_get(r->arena, r->chain.values, str_of(path), &r->returned, &err))
		r->returned = NULL; /* not a path: nothing is there */
}

static enum task_next end(struct task *t)
{
	struct run *r = run_of(t);

	if (r->outcome == RUN_DONE || r->outcome == RUN_DEAD)
		find_returned(r);
	if (r->origin.by_extension &&
	    (r->outcome == RUN_DONE || r->outcome == RUN_DEAD || r->outcome == RUN_CANCELLED))
		return report(r);
	return task_end(t);
}

/* ---- the log of a flow that Directus holds ---- */

static void report_over(struct timeout *timeout)
{
	struct run *r = container_of(timeout, struct run, report_over);

	call_cancel(&r->report.task.call, ERR_TIMEOUT);
}

/* Twice is harmless: the extension knows the job. The run has ended whether it is logged or not. */
static enum task_next report(struct run *r)
{
	struct directus_request req = {.method = "POST",
				       .path = "/flow-worker/runs",
				       .repeatable = true,
				       .is_bulk = r->origin.is_bulk,
				       .body = run_report(r, REPORT_MAX_BYTES)};

	directus_start(r->with.use->directus, &r->report, &req, r->arena);
	timeout_start(r->task.call.loop, &r->report_over, REPORT_MS, report_over);
	return task_await_either(&r->task, &r->report.task.call, reported);
}

static enum task_next reported(struct task *t)
{
	struct run *r = run_of(t);
	const struct error *err = &r->report.task.call.err;

	timeout_stop(t->call.loop, &r->report_over);
	if (err->code != ERR_OK)
		log_write(LOG_WARN, "the run is not in the flow's log in Directus",
			  LOG_TEXT("job", r->with.job->id), LOG_FAILURE(err), LOG_END);
	return task_end(t);
}

/* ---- the flow ---- */

static enum task_next load(struct task *t)
{
	struct run *r = run_of(t);
	struct error err;

	if (r->with.job->flow) {
		r->flow = r->with.job->flow;
		return task_go(t, prepare);
	}
	if (!r->with.flows) {
		(void)fail(&err, ERR_FLOW_NOT_FOUND,
			   "flow '%.100s' is to be read from Directus, but DIRECTUS_URL is not set",
			   r->with.job->flow_name);
		return finish(r, RUN_DEAD, &err);
	}
	r->loading = arena_make(r->arena, struct flows_call);
	flows_start(r->with.flows, r->loading, r->with.job->flow_name, r->arena);
	return task_await_either(t, &r->loading->call, loaded);
}

static enum task_next loaded(struct task *t)
{
	struct run *r = run_of(t);
	const struct error *err = &r->loading->call.err;

	if (r->stopped != ERR_OK)
		return finish_stopped(r);
	if (err->code != ERR_OK)
		return error_is_retryable(err) && r->with.lease ? finish_outage(r, err)
								: finish(r, RUN_DEAD, err);
	r->flow = r->loading->flow;
	r->origin.flow_id = r->flow->id;
	if (!flows_are_stored(r->with.flows))
		return task_go(t, prepare);
	directus_extension_start(r->with.use->directus, &r->extension, r->arena);
	return task_await_either(t, &r->extension.task.call, has_extension);
}

static enum task_next has_extension(struct task *t)
{
	struct run *r = run_of(t);
	const struct error *err = &r->extension.task.call.err;

	if (r->stopped != ERR_OK)
		return finish_stopped(r);
	if (err->code != ERR_OK)
		return error_is_retryable(err) && r->with.lease ? finish_outage(r, err)
								: finish(r, RUN_DEAD, err);
	r->origin.by_extension = r->extension.present;
	return task_go(t, prepare);
}

/* Once per process: every flow that was built in the Studio says so, without anybody meaning it. */
static void warn_of_events(const struct run *r)
{
	struct directus *d = r->with.use->directus;

	if (!d || r->origin.by_extension || !flow_is_quiet(r->flow) ||
	    directus_extension(d)->told_events)
		return;
	directus_extension(d)->told_events = true;
	log_write(LOG_WARN,
		  "a flow says emitEvents: false, but its writes emit events: that takes the "
		  "extension in Directus, and a flow that is stored there",
		  LOG_TEXT("flow", r->flow->name ? r->flow->name : "-"),
		  LOG_TEXT("job", r->with.job->id), LOG_END);
}

/* Where nothing is paid or written nothing is to be missed. */
static bool check_directus(const struct run *r, struct error *err)
{
	return r->with.use->directus || r->with.use->dry_run || r->with.leave_writes ||
	       flow_check_directus(r->flow, err);
}

static enum task_next prepare(struct task *t)
{
	struct run *r = run_of(t);
	struct job *job = r->with.job;
	struct error err;

	if (job->depth > DEPTH_MAX) {
		(void)fail(&err, ERR_LOOP_DETECTED,
			   "%u jobs have caused one another, at most %d may; do the writes of this "
			   "flow "
			   "trigger it again?",
			   job->depth, DEPTH_MAX);
		return finish(r, RUN_DEAD, &err);
	}
	if (!flow_check_options(r->arena, r->flow, &err) || !check_directus(r, &err) ||
	    !flow_check_keys(r->arena, r->flow, r->chain.values, &err))
		return finish(r, RUN_DEAD, &err);
	warn_of_events(r);
	r->node = r->flow->first;
	return task_go(t, guard);
}

static enum task_next guard(struct task *t)
{
	struct run *r = run_of(t);

	if (!r->with.guard || !loop_guard_start(r->with.guard, &r->guarding, r->with.job, r->flow))
		return task_go(t, pick);
	return task_await_either(t, &r->guarding.call, guarded);
}

static enum task_next guarded(struct task *t)
{
	struct run *r = run_of(t);
	struct error err;

	if (r->stopped != ERR_OK)
		return finish_stopped(r);
	if (!loop_guard_passed(&r->guarding, r->with.job, &err))
		return error_is_retryable(&err) ? finish_outage(r, &err)
						: finish(r, RUN_DEAD, &err);
	return task_go(t, pick);
}

/* ---- one operation ---- */

static enum task_next pick(struct task *t)
{
	struct run *r = run_of(t);
	struct run_record record;

	if (r->stopped != ERR_OK)
		return finish_stopped(r);
	if (!r->node)
		return finish(r, RUN_DONE, NULL);
	if (r->with.lease && run_record_find(r->with.lease, r->arena, r->node->key, &record)) {
		run_record_apply(r, &record);
		return r->outcome == RUN_DEAD ? task_go(t, end) : task_go(t, pick);
	}
	return task_go(t, operate);
}

/* Whether an option's text goes to a provider, where nothing may be missing. */
static bool must_resolve(const struct operation *op, const char *name)
{
	for (const struct option *o = op->options; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o->must_resolve;
	return false;
}

static enum on_missing missing_mode(const cJSON *options)
{
	const char *mode = json_get_text(options, "onMissing");

	if (mode && strcmp(mode, "empty") == 0)
		return ON_MISSING_EMPTY;
	if (mode && strcmp(mode, "literal") == 0)
		return ON_MISSING_LITERAL;
	return ON_MISSING_ERROR;
}

static cJSON *render(struct run *r, struct error *err)
{
	const cJSON *raw = r->node->options, *item;
	cJSON *rendered = json_object(r->arena);
	enum on_missing mode = missing_mode(raw);

	json_each(item, raw) {
		struct template_options with = {
			.chain = r->chain.values,
			.operation_keys = r->flow->keys,
			.key_count = r->flow->count,
			.on_missing =
				must_resolve(r->node->op, item->string) ? mode : ON_MISSING_LITERAL,
			.max_bytes = RENDERED_MAX,
			.where = item->string,
		};
		cJSON *value = r->with.job->rendered ? json_share(r->arena, item)
						     : template_resolve(r->arena, item, &with, err);

		if (!value)
			return NULL;
		json_set(r->arena, rendered, item->string, value);
	}
	return rendered;
}

static void tell_piece(struct op_call *c, struct str text)
{
	struct run *r = container_of(c, struct run, op);

	queue_piece(r->with.lease, r->pieces++, text);
}

static void prepare_operation(struct run *r)
{
	bool tells = r->with.job->stream && r->with.lease;

	r->op = (struct op_call){
		.op = r->node->op,
		.use = r->with.use,
		.origin = &r->origin,
		.journal = &r->budget.journal,
		.piece = tells ? tell_piece : NULL,
		.spawner = r->with.spawner,
		.undo = run_item_undo(r),
		.arena = r->arena,
		.job_id = r->with.job->id,
		.step = r->node->key,
		.attempt = r->with.attempt,
		.chain = r->chain.values,
		.note = r->with.lease ? run_note_find(r->with.lease, r->arena, r->node->key)
				      : r->note,
	};
}

/* In the last moment of a lease, and when it may be over because we were stopped or Redis is away, nothing
 * is begun: soon it is renewed, or we are told that it is lost. */
static enum task_next wait_for_lease(struct run *r)
{
	sleep_start(r->task.call.loop, &r->nap, LEASE_NAP_MS);
	return task_await_either(&r->task, &r->nap.call, waited);
}

static enum task_next operate(struct task *t)
{
	struct run *r = run_of(t);
	struct error err;
	cJSON *options;

	if (r->with.lease && !lease_may_begin(r->with.lease))
		return wait_for_lease(r);
	r->step_started = wall_ms();
	r->begun_ms = loop_now(t->call.loop);
	r->failed = false;
	chain_set_now(&r->chain);
	prepare_operation(r);
	options = render(r, &err);
	r->op.options = options;
	if (!options || !operation_check(r->op.op, options, &err)) {
		r->op.task.call.err = err;
		return task_go(t, operated);
	}
	run_item_options(r, options);
	if (r->op.op->writes && (r->with.use->dry_run || r->with.leave_writes))
		return task_go(t, operated);
	operation_start(&r->op);
	return task_await_either(t, &r->op.task.call, operated);
}

static enum task_next park(struct run *r)
{
	r->note = r->op.note;
	r->again_ms = u64_max(r->op.park_until_ms, wall_ms());
	if (r->with.lease)
		return finish(r, RUN_PARKED, &r->op.task.call.err);
	sleep_start(r->task.call.loop, &r->nap, r->again_ms - wall_ms());
	return task_await_either(&r->task, &r->nap.call, waited);
}

static enum task_next
waited(struct task *t) /* to begin with the operation, or (`exec`) once more */
{
	struct run *r = run_of(t);

	return r->stopped != ERR_OK ? finish_stopped(r) : task_go(t, operate);
}

/* Puts what the operation has left into the chain, and goes to the next one. */
static void advance(struct run *r)
{
	const struct error *err = &r->op.task.call.err;
	const struct flow_node *node = r->node;
	const cJSON *left = r->op.result;

	r->failed = err->code != ERR_OK;
	if (r->failed)
		left = r->op.rejection ? r->op.rejection
				       : failure_json(r->arena, err, r->op.error_extra);
	run_add_usage(&r->usage, &r->op.usage);
	run_item_note(r);
	run_log_step(r, left);
	chain_add(&r->chain, node->key, left);
	r->note = NULL;
	r->node = r->failed ? node->reject : r->item.is_unchanged ? NULL : node->resolve;
	if (r->failed && !node->reject && strcmp(node->type, "condition") != 0) {
		r->outcome = RUN_DEAD;
		r->err = *err;
		r->failure = cJSON_IsObject(left) && json_get(left, "code")
				     ? left
				     : failure_json(r->arena, err, r->op.error_extra);
	}
}

static enum task_next operated(struct task *t)
{
	struct run *r = run_of(t);
	const struct error *err = &r->op.task.call.err;

	if (err->code == ERR_LEASE_LOST)
		return finish(r, RUN_LOST, NULL);
	if (r->stopped != ERR_OK && err->code != ERR_OK) {
		run_add_usage(&r->usage, &r->op.usage);
		return finish_stopped(r);
	}
	if (err->code == ERR_PARKED)
		return park(r);
	if (err->code == ERR_STALLED)
		return finish(r, RUN_HELD, err);
	if (err->code != ERR_OK && is_outage(r, err))
		return finish_outage(r, err);
	advance(r);
	if (r->outcome == RUN_DEAD)
		return task_go(t, end);
	if (!r->node || !r->with.lease)
		return task_go(t, pick); /* the end of the job says what the last step has left */
	run_record_store(r, &r->store);
	return task_await_either(t, &r->store.call, recorded);
}

static enum task_next recorded(struct task *t)
{
	struct run *r = run_of(t);

	if (r->store.call.err.code != ERR_OK)
		return finish(r, RUN_LOST, NULL);
	return task_go(t, pick);
}

/* ---- the run ---- */

static void deadline_over(struct timeout *timeout)
{
	run_stop(container_of(timeout, struct run, deadline), ERR_TIMEOUT);
}

static void cleanup(struct task *t)
{
	struct run *r = run_of(t);

	timeout_stop(t->call.loop, &r->deadline);
	timeout_stop(t->call.loop, &r->report_over);
	r->ended_ms = wall_ms();
	if (t->call.stop != ERR_OK)
		r->outcome = RUN_LOST;
}

struct run *run_new(const struct run_options *options)
{
	struct job *job = options->job;
	struct run *r = arena_make(job->arena, struct run);
	struct chain_start start = {
		.trigger = job->trigger,
		.accountability = job->accountability,
		.env = options->env,
		.data = job->data,
		.job_id = job->id,
		.attempt = options->attempt,
	};

	r->with = *options;
	r->arena = job->arena;
	r->steps = json_array(r->arena);
	r->origin = (struct op_origin){
		.flow_id = job->flow ? job->flow->id : NULL,
		.chain_id = job->chain_id ? job->chain_id : job->id,
		.depth = job->depth,
		.accountability = job->accountability,
		.is_signed = job->is_signed,
		.is_bulk = options->lease && options->lease->lane == 2,
	};
	run_item_init(&r->item, r);
	budget_init(&r->budget, options->journal, r);
	chain_init(&r->chain, r->arena, &start);
	return r;
}

void run_start(struct run *r, struct loop *l)
{
	r->started_ms = wall_ms();
	r->begun_ms = loop_now(l);
	r->task.cleanup = cleanup;
	if (r->with.job->timeout_ms)
		timeout_start(l, &r->deadline, r->with.job->timeout_ms, deadline_over);
	task_start(&r->task, l, load);
}

void run_stop(struct run *r, enum error_code why)
{
	if (r->stopped != ERR_OK || r->task.call.ended)
		return;
	r->stopped = why;
	/* What is under way ends with that reason; the run itself goes on to its end. Storing a step is
	 * not stopped: it has happened. */
	if (r->task.call.child && r->task.call.child != &r->store.call)
		call_cancel(r->task.call.child, why);
}

void run_abandon(struct run *r)
{
	call_cancel(&r->task.call, ERR_LEASE_LOST);
}
