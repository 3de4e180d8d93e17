/* worker/door/metrics.h: what the process counts: one table, and Prometheus' text of it.
 *
 *	metric_add(m, METRIC_JOBS_ENDED, 1, LABELS("done"));
 *	metric_set(m, METRIC_JOBS_RUNNING, running, NO_LABELS);
 *	metric_add(m, METRIC_JOB_SECONDS, seconds, LABELS("done"));       a histogram: one observation
 *
 * A new metric is a line of METRICS. Labels are given in the order of the table; a metric with labels
 * keeps METRIC_SERIES_MAX combinations, all further ones are counted under "other", so that no
 * input from outside can fill the memory. */
#ifndef WORKER_DOOR_METRICS_H
#define WORKER_DOOR_METRICS_H

#include "common/base.h"

struct buf;
struct metrics;

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* X(constant, type, name, labels, help) */
#define METRICS(X)                                                                                 \
	X(JOBS_RUNNING, GAUGE, "flow_worker_jobs_running", "", "Jobs that run in this process")    \
	X(JOBS_CLAIMED, COUNTER, "flow_worker_jobs_claimed_total", "", "Jobs claimed")             \
	X(JOBS_ENDED, COUNTER, "flow_worker_jobs_ended_total", "status",                           \
	  "Runs that came to their end: done, dead, cancelled, quarantined, parked, released")     \
	X(JOB_SECONDS, HISTOGRAM, "flow_worker_job_duration_seconds", "status",                    \
	  "From claim to end of a run")                                                            \
	X(JOB_WAIT_SECONDS, HISTOGRAM, "flow_worker_job_wait_seconds", "lane",                     \
	  "From the time a job came in to its first run; with delayed jobs the delay is in it")    \
	X(LEASES_LOST, COUNTER, "flow_worker_leases_lost_total", "",                               \
	  "Jobs that another worker took over while they ran here")                                \
	X(CALLS, COUNTER, "flow_worker_provider_calls_total", "provider,model,outcome",            \
	  "Calls to providers: answer, failed, unknown (may have been billed), cancelled")         \
	X(CALL_SECONDS, HISTOGRAM, "flow_worker_provider_call_duration_seconds", "provider,model", \
	  "From the request to the whole answer, of calls that were answered")                     \
	X(CALLS_REFUSED, COUNTER, "flow_worker_provider_calls_refused_total", "provider,reason",   \
	  "Calls that a limit held back (limit) or a budget stopped (budget)")                     \
	X(RATE_LIMITED, COUNTER, "flow_worker_provider_rate_limited_total", "provider,model",      \
	  "Calls that the provider refused with 429")                                              \
	X(TOKENS, COUNTER, "flow_worker_provider_tokens_total", "provider,model,kind",             \
	  "Tokens used: input, cached (part of input), output")                                    \
	X(COST, COUNTER, "flow_worker_provider_cost_usd_total", "provider,model",                  \
	  "What the answers cost, in USD, where the price is known")                               \
	X(CACHE, COUNTER, "flow_worker_cache_lookups_total", "provider,model,result",              \
	  "Questions with the option cache: hit, miss")                                            \
	X(CACHE_SAVED, COUNTER, "flow_worker_cache_saved_usd_total", "provider,model",             \
	  "What the answers from the cache had cost, in USD, where the price is known")            \
	X(REDIS_CONNECTED, GAUGE, "flow_worker_redis_connected", "",                               \
	  "Whether the connection to Redis is there")                                              \
	X(QUEUE_JOBS, GAUGE, "flow_worker_queue_jobs", "state",                                    \
	  "Jobs in the queue of all workers, as of the last look: door, ready, limited (waiting "  \
	  "for room), paused, later, active, dead, quarantined")                                   \
	X(QUEUE_DEAD_BYTES, GAUGE, "flow_worker_queue_dead_bytes", "",                             \
	  "What dead and quarantined jobs take in Redis; see QUEUE_DEAD_MAX_BYTES")                \
	X(ROUTES_RESTING, GAUGE, "flow_worker_routes_resting", "cause",                            \
	  "Routes (provider/model) that are not asked as usual: credit (none is left), "           \
	  "circuit (it does not work), limit (it said 429)")                                       \
	X(QUEUE_CALLS, GAUGE, "flow_worker_queue_provider_calls", "",                              \
	  "Calls to providers under way in all workers, as of the last look")                      \
	X(QUEUE_DOOR_AGE, GAUGE, "flow_worker_queue_door_age_seconds", "",                         \
	  "How long the oldest job at the door waits to be filed, as of the last look")

enum metric {
#define X(constant, type, name, labels, help) METRIC_##constant,
	METRICS(X)
#undef X
};

enum { METRIC_SERIES_MAX = 200, METRIC_LABELS_MAX = 3 };

#define LABELS(...) ((const char *const[METRIC_LABELS_MAX]){__VA_ARGS__})
#define NO_LABELS   NULL

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* takes NULL */

/* m may be NULL: nothing is counted. */
void metric_add(struct metrics *m, enum metric which, double amount, const char *const *labels);
void metric_set(struct metrics *m, enum metric which, double value, const char *const *labels);

/* All of it, and what the system says of the process. */
void metrics_print(const struct metrics *m, struct buf *out);

#endif
