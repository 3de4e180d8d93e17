#include "worker/worker.h"

#include "common/config.h"
#include "common/directus.h"
#include "common/log.h"
#include "common/loop.h"
#include "operations/services.h"
#include "worker/door/metrics.h"
#include "worker/flow/failure.h"
#include "worker/flow/loop_guard.h"
#include "worker/flow/run.h"
#include "worker/flow/run_record.h"
#include "worker/notice/on_dead.h"
#include "worker/notice/run_logs.h"
#include "worker/queue/queue.h"
#include "worker/queue/queue_spawner.h"

#include <assert.h>
#include <stdlib.h>

enum {
	LONGEST_CALL_MS = 120 * 1000,
	DRAIN_EXTRA_MS = 10 * 1000,
	REDIS_LAST_MS = 5 * 1000 /* after the drain time, for Redis to take what is to be told */
};

struct worker {
	struct worker_options with;
	struct queue *queue;
	struct scripts scripts;
	struct loop_guard guard;
	struct claim_call claim;
	bool claiming, draining;
	bool stopping;      /* the drain time is over */
	struct work *first; /* what runs */
	size_t running;
	struct timeout drain_over;
	void (*drained)(void *arg);
	void *drained_arg;
};

/* One job on its way through here; it lives in its lease's arena. */
struct work {
	struct task task;
	struct worker *worker;
	struct lease *lease;
	struct job *job; /* NULL: it could not be read */
	struct run *run; /* NULL: there is none yet */
	struct queue_spawner spawner;
	struct finish_call finish;
	enum queue_outcome outcome; /* what the queue was told */
	struct error refusal;       /* why it could not be read */
	struct work *next, **link;
};

static task_step read_job, ran, finished;

static void claim_more(struct worker *w);

/* ---- one job ---- */

static struct work *work_of(struct task *t)
{
	return container_of(t, struct work, task);
}

static void log_end(const struct work *k, const char *what, enum log_level level)
{
	const struct run *r = k->run;

	log_write(level, what, LOG_TEXT("job", k->lease->id), LOG_TEXT("flow", k->lease->tenant),
		  LOG_TEXT("code", r->err.code != ERR_OK ? failure_code(&r->err) : NULL),
		  LOG_TEXT("error", r->err.code != ERR_OK ? r->err.text : NULL),
		  LOG_TEXT("step", r->node ? r->node->key : NULL),
		  LOG_NUMBER("attempt", k->lease->attempt),
		  LOG_NUMBER("ms", r->ended_ms - r->started_ms),
		  LOG_NUMBER("tokens", r->usage.input_tokens + r->usage.output_tokens),
		  LOG_NUMBER("costUsd", (double)r->usage.cost_nano / 1e9), LOG_END);
}

static void count_end(const struct work *k, const char *status)
{
	struct metrics *m = k->worker->with.metrics;
	const struct run *r = k->run;

	metric_add(m, METRIC_JOBS_ENDED, 1, LABELS(status));
	metric_add(m, METRIC_JOB_SECONDS, (double)(r->ended_ms - r->started_ms) / 1000,
		   LABELS(status));
}

/* What the queue is told for each way in which a run ends. */
static const struct {
	enum queue_outcome outcome;
	const char *status;  /* of the result; NULL: the job has none yet */
	const char *counted; /* in the metrics */
	const char *message;
	enum log_level level;
} ends[] = {
  /* clang-format off */
	[RUN_DONE]      = {QUEUE_DONE,      "done",        "done",        "job done",        LOG_INFO},
	[RUN_DEAD]      = {QUEUE_DEAD,      "dead",        "dead",        "job failed",      LOG_WARN},
	[RUN_CANCELLED] = {QUEUE_CANCELLED, "cancelled",   "cancelled",   "job cancelled",   LOG_INFO},
	[RUN_HELD]      = {QUEUE_HOLD,      "quarantined", "quarantined", "job held for a person to decide",
	                   LOG_WARN},
	[RUN_PARKED]    = {QUEUE_PARK,      NULL,          "parked",      "job parked",      LOG_DEBUG},
	[RUN_OUTAGE]    = {QUEUE_RETRY,     "dead",        "released",    "job put back",    LOG_WARN},
	[RUN_RETURNED]  = {QUEUE_RETURN,    NULL,          "released",    "job given back",  LOG_INFO},
	[RUN_LOST]      = {QUEUE_RETURN,    NULL,          "released",    "lease lost",      LOG_WARN},
  /* clang-format on */
};

static enum task_next finish_refused(struct work *k, const struct error *err)
{
	struct arena *a = k->lease->arena;
	struct finish finish = {
		.outcome = QUEUE_DEAD,
		.result = json_print(a, run_refused(a, k->lease->id, err, k->lease->attempt)),
		.code = failure_code(err),
	};

	k->refusal = *err;
	k->outcome = QUEUE_DEAD;
	log_write(LOG_WARN, "job refused", LOG_TEXT("job", k->lease->id), LOG_FAILURE(err),
		  LOG_END);
	queue_finish_start(k->lease, &k->finish, &finish);
	return task_await_either(&k->task, &k->finish.call, finished);
}

/* Claimed before we were told to stop, but Redis has said so when the drain time was over. */
static enum task_next give_back(struct work *k)
{
	k->outcome = QUEUE_RETURN;
	queue_finish_start(k->lease, &k->finish, &(struct finish){.outcome = QUEUE_RETURN});
	return task_await_either(&k->task, &k->finish.call, finished);
}

static void prepare_spawner(struct work *k)
{
	struct worker *w = k->worker;

	k->spawner.loop = w->with.loop;
	k->spawner.lease = k->lease;
	k->spawner.job = k->job;
	k->spawner.config = w->with.config;
	k->spawner.redis = queue_redis(w->queue);
	k->spawner.scripts = &w->scripts;
	queue_spawner_init(&k->spawner);
}

static enum task_next read_job(struct task *t)
{
	struct work *k = work_of(t);
	const struct config *config = k->worker->with.config;
	struct run_options options = {
		.use = k->worker->with.services,
		.journal = &k->lease->journal,
		.flows = k->worker->with.flows,
		.lease = k->lease,
		.guard = &k->worker->guard,
		.attempt = k->lease->attempt,
		.env = config->flow_env,
	};
	struct error err;

	if (k->worker->stopping)
		return give_back(k);
	k->job = job_parse(k->lease->body, k->lease->id, config, &err);
	if (!k->job || !job_is_first(k->job, k->lease->filed_ms, config, &err))
		return finish_refused(k, &err);
	if (!k->job->is_batch) /* a batch stores its own */
		lease_drop_body(k->lease);
	prepare_spawner(k);
	options.job = k->job;
	options.spawner = &k->spawner.spawner;
	k->lease->flow = job_tenant(k->job);
	k->lease->collection = json_get_text(k->job->trigger, "collection");
	k->lease->user = json_get_text(k->job->accountability, "user");
	k->run = run_new(&options);
	run_start(k->run, t->call.loop);
	if (k->lease->cancelled)
		run_stop(k->run, ERR_CANCELLED);
	return task_await_either(t, &k->run->task.call, ran);
}

static enum task_next ran(struct task *t)
{
	struct work *k = work_of(t);
	const struct run *r = k->run;
	struct arena *a = r->arena;
	const char *status = ends[r->outcome].status;
	struct stored_text note;
	struct finish finish = {
		.outcome = ends[r->outcome].outcome,
		.result = status ? json_print(a, run_result(r, status)) : (struct str){NULL, 0},
		.log = run_log(r, k->worker->with.config->run_log_max_bytes),
		.item = run_item_record(r),
		.code = r->err.code != ERR_OK ? failure_code(&r->err) : NULL,
		.at_ms = r->again_ms,
		.directus_is_away = r->directus_is_away,
		.not_before_ms = r->err.retry_after_ms ? wall_ms() + r->err.retry_after_ms : 0,
	};

	if (r->outcome == RUN_PARKED && r->err.code != ERR_OK)
		finish.result = str_of(r->err.text);
	k->outcome = finish.outcome;
	log_end(k, ends[r->outcome].message, ends[r->outcome].level);
	count_end(k, ends[r->outcome].counted);
	if (r->outcome == RUN_LOST)
		return task_end(t);
	if (run_note_text(r, &note)) {
		finish.texts = &note;
		finish.text_count = 1;
	}
	queue_finish_start(k->lease, &k->finish, &finish);
	return task_await_either(t, &k->finish.call, finished);
}

/* To whom it matters that a job has ended for good. */
static void tell_end(struct work *k)
{
	const struct error *err = k->run ? &k->run->err : &k->refusal;
	bool held = k->outcome == QUEUE_HOLD;
	const struct dead_job job = {
		.id = k->lease->id,
		.flow = k->lease->tenant,
		.code = failure_code(err),
		.message = err->text,
		.status = held ? "quarantined" : "dead",
	};

	if (k->outcome == QUEUE_DEAD || held || k->finish.became_dead)
		on_dead_tell(k->worker->with.on_dead, &job);
	if (k->run && (ends[k->run->outcome].status && k->outcome != QUEUE_RETRY))
		run_logs_write(k->worker->with.logs, k->run, ends[k->run->outcome].status);
	else if (k->run && k->finish.became_dead)
		run_logs_write(k->worker->with.logs, k->run, "dead");
}

static enum task_next finished(struct task *t)
{
	struct work *k = work_of(t);

	if (k->finish.call.err.code == ERR_OK)
		tell_end(k);
	if (k->finish.call.err.code != ERR_OK)
		log_write(LOG_WARN, "job not finished here", LOG_TEXT("job", k->lease->id),
			  LOG_FAILURE(&k->finish.call.err), LOG_END);
	else if (k->finish.became_dead)
		log_write(LOG_WARN, "job failed: no attempt is left", LOG_TEXT("job", k->lease->id),
			  LOG_END);
	return task_end(t);
}

static void work_done(struct call *c)
{
	struct work *k = container_of(c, struct work, task.call);
	struct worker *w = k->worker;

	*k->link = k->next;
	if (k->next)
		k->next->link = k->link;
	w->running--;
	metric_set(w->with.metrics, METRIC_JOBS_RUNNING, (double)w->running, NO_LABELS);
	job_free(k->job);
	lease_free(k->lease);
	claim_more(w);
}

/* Of the first run only: how long a job rests between its runs is its own wish. */
static void count_wait(struct worker *w, const struct lease *lease)
{
	static const char *const lanes[] = {"0", "1", "2"};
	uint64_t now = wall_ms();

	if (lease->attempt == 1 && lease->steps == 0 && lease->lane >= 0 && lease->lane <= 2)
		metric_add(w->with.metrics, METRIC_JOB_WAIT_SECONDS,
			   (double)(now - u64_min(now, lease->filed_ms)) / 1000,
			   LABELS(lanes[lease->lane]));
}

static void work_start(struct worker *w, struct lease *lease)
{
	struct work *k = arena_make(lease->arena, struct work);

	k->worker = w;
	k->lease = lease;
	lease->run = k;
	k->next = w->first;
	k->link = &w->first;
	if (k->next)
		k->next->link = &k->next;
	w->first = k;
	w->running++;
	metric_add(w->with.metrics, METRIC_JOBS_CLAIMED, 1, NO_LABELS);
	count_wait(w, lease);
	metric_set(w->with.metrics, METRIC_JOBS_RUNNING, (double)w->running, NO_LABELS);
	if (w->with.services->directus)
		directus_share(w->with.services->directus, queue_workers(w->queue));
	k->task.call.done = work_done;
	task_start(&k->task, w->with.loop, read_job);
}

/* ---- claiming ---- */

static void claimed(struct call *c)
{
	struct worker *w = container_of(c, struct worker, claim.call);

	w->claiming = false;
	if (c->err.code != ERR_OK && !w->draining)
		log_write(LOG_ERROR, "claim failed", LOG_FAILURE(&c->err), LOG_END);
	for (size_t i = 0; i < w->claim.count; i++)
		work_start(w, w->claim.leases[i]);
	claim_more(w);
}

static void tell_drained(struct worker *w)
{
	void (*drained)(void *arg) = w->drained;

	if (!drained || w->running || w->claiming)
		return;
	w->drained = NULL;
	timeout_stop(w->with.loop, &w->drain_over);
	drained(w->drained_arg);
}

static void claim_more(struct worker *w)
{
	size_t slots = (size_t)w->with.config->worker_concurrency - w->running;

	if (w->draining) {
		tell_drained(w);
		return;
	}
	w->claim.want = slots;
	if (w->claiming || slots == 0)
		return;
	w->claiming = true;
	w->claim.call.done = claimed;
	queue_claim_start(w->queue, &w->claim, slots);
}

struct worker *worker_new(const struct worker_options *options)
{
	struct worker *w = xmalloc(sizeof(*w));

	w->with = *options;
	return w;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	assert(w->running == 0 && !w->claiming);
	free(w);
}

void worker_start(struct worker *w, struct queue *queue)
{
	w->queue = queue;
	scripts_init(&w->scripts, queue_redis(queue), w->with.config->queue_prefix);
	w->guard = (struct loop_guard){queue_redis(queue), &w->scripts};
	claim_more(w);
}

/* ---- stopping ---- */

static uint64_t drain_ms(const struct worker *w)
{
	uint64_t longest = LONGEST_CALL_MS;

	if (w->with.config->worker_drain_timeout_ms)
		return w->with.config->worker_drain_timeout_ms;
	for (const struct work *k = w->first; k; k = k->next) {
		double ms = k->run && k->run->op.options
				    ? json_get_number(k->run->op.options, "timeout", 0)
				    : 0;

		if (ms > (double)longest && ms < 1e9)
			longest = (uint64_t)ms;
	}
	return longest + DRAIN_EXTRA_MS;
}

static void redis_time_over(struct timeout *t)
{
	struct worker *w = container_of(t, struct worker, drain_over);

	log_write(LOG_WARN, "Redis is not waited for any more", LOG_NUMBER("jobs", w->running),
		  LOG_END);
	queue_give_up(w->queue);
	for (struct work *k = w->first; k; k = k->next)
		if (k->run)
			run_abandon(k->run);
}

static void drain_time_over(struct timeout *t)
{
	struct worker *w = container_of(t, struct worker, drain_over);

	w->stopping = true;
	log_write(LOG_WARN, "drain time is over: jobs go back to the queue",
		  LOG_NUMBER("jobs", w->running), LOG_END);
	for (struct work *k = w->first; k; k = k->next)
		if (k->run)
			run_stop(k->run, ERR_SHUTDOWN);
	timeout_start(w->with.loop, t, REDIS_LAST_MS, redis_time_over);
}

void worker_drain(struct worker *w, void (*done)(void *arg), void *arg)
{
	uint64_t ms = drain_ms(w);

	w->draining = true;
	w->drained = done;
	w->drained_arg = arg;
	log_write(LOG_INFO, "stopping: no new jobs, waiting for those that run",
		  LOG_NUMBER("jobs", w->running), LOG_NUMBER("atMostMs", ms), LOG_END);
	timeout_start(w->with.loop, &w->drain_over, ms, drain_time_over);
	if (w->queue)
		queue_stop_claiming(w->queue);
	tell_drained(w);
}

/* ---- what the queue asks and tells ---- */

bool worker_describe(void *arg, struct str body, struct arena *a, struct job_description *out,
		     struct error *err)
{
	struct worker *w = arg;
	struct job *job = job_parse(body, "-", w->with.config, err);
	const char *item;

	if (!job)
		return false;
	item = job_item(job);
	out->tenant = arena_strdup(a, job_tenant(job));
	out->route = arena_strdup(a, job_route(job, w->with.config));
	out->item = item ? arena_printf(a, "%s:%s", out->tenant, item) : NULL;
	job_free(job);
	return true;
}

void worker_refused(void *arg, const char *id, const char *tenant, const struct error *err)
{
	struct worker *w = arg;
	const struct dead_job job = {.id = id,
				     .flow = tenant,
				     .code = error_name(err),
				     .message = err->text,
				     .status = err->code == ERR_STALLED ? "quarantined" : "dead"};

	on_dead_tell(w->with.on_dead, &job);
}

void worker_lost(void *arg, struct lease *lease)
{
	struct worker *w = arg;
	struct work *k = lease->run;

	metric_add(w->with.metrics, METRIC_LEASES_LOST, 1, NO_LABELS);
	if (k && k->run)
		run_abandon(k->run);
}

void worker_cancel(void *arg, struct lease *lease)
{
	struct work *k = lease->run;

	(void)arg;
	if (k && k->run)
		run_stop(k->run, ERR_CANCELLED);
}

void worker_note(void *arg, const struct error *err)
{
	const struct worker *w = arg;
	const struct dead_job route = {.id = "-",
				       .flow = "-",
				       .code = error_name(err),
				       .message = err->text,
				       .status = "paused"};

	if (err->code == ERR_QUOTA) /* no job has failed: it is for whoever pays */
		on_dead_tell(w->with.on_dead, &route);
	if (err->code == ERR_OK)
		log_write(LOG_INFO, "queue", LOG_TEXT("message", err->text), LOG_END);
	else
		log_write(LOG_WARN, "queue", LOG_FAILURE(err), LOG_END);
}

void worker_untold(void *arg, const struct queue_untold *what)
{
	bool is_loss = what->answers_lost > 0;

	(void)arg;
	log_write(is_loss ? LOG_ERROR : LOG_WARN,
		  is_loss ? "answers that were paid for are lost: Redis did not take them, and no "
			    "file in WORKER_STATE_DIRECTORY keeps them"
			  : "stopped, but Redis was not told everything",
		  LOG_NUMBER("jobs", what->jobs), LOG_NUMBER("steps", what->steps),
		  LOG_NUMBER("calls", what->calls), LOG_NUMBER("answersKept", what->answers_kept),
		  LOG_NUMBER("answersLost", what->answers_lost), LOG_END);
}
