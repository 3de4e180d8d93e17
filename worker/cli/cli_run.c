/* flow-worker run: the worker itself.
 *
 * The first SIGTERM or SIGINT drains: no new jobs, those that run come to their end, and the process
 * ends whether Redis answers or not (worker.h). A second one ends it at once: leases run out and other
 * workers take the jobs; an answer that neither Redis nor the spool has yet is lost. */
#include "common/config.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/loop.h"
#include "operations/models.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/door/door.h"
#include "worker/door/door_jobs.h"
#include "worker/door/metrics.h"
#include "worker/door/queue_metrics.h"
#include "worker/notice/bus.h"
#include "worker/notice/offer.h"
#include "worker/notice/on_dead.h"
#include "worker/notice/outbox.h"
#include "worker/notice/run_logs.h"
#include "worker/queue/limits.h"
#include "worker/queue/queue.h"
#include "worker/schedule/schedules.h"
#include "worker/setup.h"
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct process {
	struct setup setup;
	struct worker *worker;
	struct queue *queue;
	struct queue_options queue_options;
	struct schedules *schedules;
	const cJSON *schedule_file; /* NULL: none */
	struct metrics *metrics;
	struct queue_metrics queue_metrics;
	struct door *door; /* NULL: closed */
	struct door_handlers door_handlers;
	struct door_jobs door_jobs;
	struct call starting; /* the queue */
	struct offer offer;
	struct bus bus;
	const char *name; /* of this worker */
	struct outbox *outbox;
	struct on_dead *on_dead;
	struct run_logs *logs;
	bool started, stopping, stopped;
	int status;
};

static void drained(void *arg)
{
	struct process *p = arg;

	p->stopped = true;
	log_write(LOG_INFO, "stopped", LOG_END);
	loop_stop(p->setup.services.loop);
}

static void told_to_stop(void *arg)
{
	struct process *p = arg;

	if (p->stopped)
		return;
	if (p->stopping) {
		log_write(LOG_WARN, "told to stop twice: ending at once", LOG_END);
		_exit(1);
	}
	p->stopping = true;
	schedules_stop(p->schedules);
	if (p->started)
		worker_drain(p->worker, drained, p);
	else
		call_cancel(&p->starting, ERR_SHUTDOWN);
}

static void tell_offer(struct process *p)
{
	struct arena *a = p->setup.arena;

	offer_tell(&p->offer, queue_redis(p->queue), queue_key(p->queue, a, "offer"),
		   offer_json(p->setup.config, p->setup.services.models, a), a);
}

static void started(struct call *c)
{
	struct process *p = container_of(c, struct process, starting);

	if (c->err.code == ERR_OK) {
		p->started = true;
		log_write(LOG_INFO, "ready", LOG_TEXT("version", FLOW_WORKER_VERSION),
			  LOG_TEXT("prefix", p->setup.config->queue_prefix),
			  LOG_NUMBER("concurrency", p->setup.config->worker_concurrency), LOG_END);
		tell_offer(p);
		worker_start(p->worker, p->queue);
		schedules_start(p->schedules, p->schedule_file);
		return;
	}
	if (!p->stopping) {
		log_write(LOG_FATAL, "can not start", LOG_FAILURE(&c->err), LOG_END);
		p->status = CLI_FAILED;
	}
	loop_stop(c->loop);
}

/* Unique among all processes, and readable: host, pid, a random part. */
static const char *worker_name(struct arena *a)
{
	char host[65] = "", uuid[UUID_SIZE];

	(void)gethostname(host, sizeof(host) - 1);
	uuid_random(uuid);
	return arena_printf(a, "%s-%d-%.8s", host, (int)getpid(), uuid);
}

/* Where answers go that Redis does not take. */
static const char *spool_dir(const struct config *config, struct arena *a)
{
	const char *state = config->worker_state_directory;

	return state ? arena_printf(a, "%s/spool", state) : NULL;
}

/* That it can not be written is found out now, and not when Redis is away and an answer is to be kept.
 * It is made if nothing above it is missing. */
static bool check_state_directory(const struct config *config, struct arena *a)
{
	const char *state = config->worker_state_directory;
	struct error err;

	if (!state)
		return true;
	(void)mkdir(state, 0700);
	if (access(arena_printf(a, "%s/.", state), W_OK | X_OK) == 0)
		return true;
	(void)fail(&err, ERR_CONFIG,
		   "WORKER_STATE_DIRECTORY is '%.100s', expected a folder that can be written: %s",
		   state, strerror(errno));
	log_write(LOG_FATAL, "can not start", LOG_FAILURE(&err), LOG_END);
	return false;
}

static bool make_queue(struct process *p)
{
	const struct config *c = p->setup.config;
	struct arena *a = p->setup.arena;
	struct str limits = json_print(a, models_limits(c, a));
	struct error err;

	p->queue_options = (struct queue_options){
		.redis = &p->setup.redis,
		.prefix = c->queue_prefix,
		.worker = p->name,
		.version = FLOW_WORKER_VERSION,
		.slots = (uint32_t)c->worker_concurrency,
		.lease_ms = (uint32_t)c->worker_lease_ms,
		.ambiguous_wait_ms = (uint32_t)c->worker_ambiguous_wait_ms,
		.result_ttl_ms = c->result_ttl_ms,
		.dead_max_bytes = c->queue_dead_max_bytes,
		.log_ttl_ms = c->run_log_ttl_ms,
		.metrics = p->metrics,
		.job_max_bytes = c->job_max_bytes,
		.spool_dir = spool_dir(c, a),
		.allow_eviction = c->queue_allow_eviction,
		.arg = p->worker,
		.describe = worker_describe,
		.refused = worker_refused,
		.lost = worker_lost,
		.cancel = worker_cancel,
		.note = worker_note,
		.untold = worker_untold,
	};
	if (!redis_check_options(&p->setup.redis, &err)) {
		log_write(LOG_FATAL, "can not start", LOG_FAILURE(&err), LOG_END);
		return false;
	}
	p->queue_options.limits = limits_parse(a, limits, &err);
	if (!p->queue_options.limits) {
		log_write(LOG_FATAL, "can not start", LOG_FAILURE(&err), LOG_END);
		return false;
	}
	p->queue = queue_new(p->setup.services.loop, &p->queue_options);
	return true;
}

/* ---- the HTTP door ---- */

/* Three of the timers by which the queue claims even when nobody wakes it. */
enum { CLAIM_OLD_MS = 3000 };

static const char *ready(void *arg)
{
	const struct process *p = arg;

	if (!p->started)
		return "starting: Redis has not answered yet";
	if (p->stopping)
		return "stopping";
	return queue_last_claim_age_ms(p->queue) > CLAIM_OLD_MS
		       ? "no claim was answered by Redis for three seconds"
		       : NULL;
}

static void enqueue(void *arg, struct door_call *c)
{
	door_jobs_enqueue(&((struct process *)arg)->door_jobs, c);
}

static void find(void *arg, struct door_call *c)
{
	door_jobs_find(&((struct process *)arg)->door_jobs, c);
}

static void print_metrics(void *arg, struct buf *out)
{
	struct process *p = arg;

	queue_metrics_refresh(&p->queue_metrics);
	metric_set(p->metrics, METRIC_REDIS_CONNECTED, queue_is_connected(p->queue), NO_LABELS);
	metrics_print(p->metrics, out);
}

static bool open_door(struct process *p)
{
	const struct config *c = p->setup.config;
	struct door_options options = {
		.address = c->worker_http_address,
		.token = c->worker_http_token,
		.job_max_bytes = c->job_max_bytes,
		.handlers = &p->door_handlers,
	};
	struct error err;

	if (!c->worker_http_address)
		return true;
	p->door_handlers = (struct door_handlers){p, ready, print_metrics, enqueue, find};
	queue_metrics_init(&p->queue_metrics, p->metrics, queue_redis(p->queue), c->queue_prefix);
	p->door_jobs = (struct door_jobs){p->setup.services.loop, queue_redis(p->queue), c};
	p->door = door_new(p->setup.services.loop, &options, &err);
	if (!p->door)
		log_write(LOG_FATAL, "can not start", LOG_FAILURE(&err), LOG_END);
	else
		log_write(LOG_INFO, "listening", LOG_NUMBER("port", door_port(p->door)), LOG_END);
	return p->door != NULL;
}

/* ---- */

static bool read_schedules(struct process *p)
{
	const char *path = p->setup.config->worker_schedules;
	struct error err;

	if (!path)
		return true;
	p->schedule_file = cli_file_json(p->setup.arena, path, &err);
	if (p->schedule_file && schedules_check_file(p->schedule_file, &err))
		return true;
	log_write(LOG_FATAL, "can not start: WORKER_SCHEDULES", LOG_TEXT("file", path),
		  LOG_FAILURE(&err), LOG_END);
	return false;
}

static void run_process(struct process *p)
{
	struct loop *l = p->setup.services.loop;
	struct signal_watch *term = signal_watch_new(l, SIGTERM, told_to_stop, p);
	struct signal_watch *interrupt = signal_watch_new(l, SIGINT, told_to_stop, p);

	p->schedules = schedules_new(l, queue_redis(p->queue), p->setup.config->queue_prefix);
	if (read_schedules(p) && open_door(p)) {
		bus_open(&p->bus, l, p->setup.flows, p->setup.config, &p->setup.redis,
			 p->setup.arena);
		p->starting.done = started;
		queue_start(p->queue, &p->starting);
		loop_run(l);
	} else {
		p->status = CLI_FAILED;
	}
	bus_close(&p->bus);
	door_free(p->door);
	schedules_free(p->schedules);
	queue_free(p->queue);
	signal_watch_free(term);
	signal_watch_free(interrupt);
	queue_metrics_clear(&p->queue_metrics);
}

static void open_outbox(struct process *p)
{
	const struct config *c = p->setup.config;
	struct on_dead_options options = {
		.loop = p->setup.services.loop,
		.whom = c->worker_on_dead,
		.worker = p->name,
	};

	options.outbox = p->outbox = outbox_new(&p->setup.services);
	p->on_dead = on_dead_new(&options);
	p->logs = run_logs_new(c, p->outbox);
}

static void close_outbox(struct process *p)
{
	on_dead_flush(p->on_dead);
	outbox_free(p->outbox);
	on_dead_free(p->on_dead);
	run_logs_free(p->logs);
}

/* All is told. A resolver that does not answer is no reason to stay: the thread that asks it can not be
 * stopped, and an ordinary end would wait for it. */
static void end_without_names(const struct process *p)
{
	if (loop_is_looking_up(p->setup.services.loop))
		_exit(p->status);
}

static int run(struct cli *cli)
{
	struct process p = {.status = CLI_OK};
	struct worker_options options;

	signal_hold(SIGTERM);
	signal_hold(SIGINT);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!setup_open(&p.setup, cli))
		return CLI_FAILED;
	setup_import(&p.setup);
	p.metrics = metrics_new();
	p.name = worker_name(p.setup.arena);
	open_outbox(&p);
	options = (struct worker_options){
		.config = p.setup.config,
		.services = &p.setup.services,
		.loop = p.setup.services.loop,
		.flows = p.setup.flows,
		.metrics = p.metrics,
		.on_dead = p.on_dead,
		.logs = p.logs,
	};
	p.worker = worker_new(&options);
	if (setup_count(&p.setup, cli) && check_state_directory(p.setup.config, p.setup.arena) &&
	    make_queue(&p))
		run_process(&p);
	else
		p.status = CLI_FAILED;
	close_outbox(&p);
	end_without_names(&p);
	worker_free(p.worker);
	metrics_free(p.metrics);
	setup_close(&p.setup);
	return p.status;
}

const struct cli_command cli_run = {
	.name = "run",
	.help = "run jobs until told to stop",
	.arguments = "",
	.more = "SIGTERM or SIGINT: no new jobs, those that run come to their end. Twice: at once.",
	.run = run,
};
