/* worker/flow/loop_guard.h: a flow whose own writes start it again must not run for ever.
 *
 * Directus tells event flows of every write over REST, the worker's too. Each write carries the chain
 * of causes in its user agent ("flow-worker/… (job …; chain …; depth …)"), an event flow has that in
 * $accountability, and the job that it makes belongs to the same chain. Within a chain the same flow
 * runs for the same item once: the second time is LOOP_DETECTED. Chains are remembered for an hour
 * after their last job. */
#ifndef WORKER_FLOW_LOOP_GUARD_H
#define WORKER_FLOW_LOOP_GUARD_H

#include "common/redis.h"

struct flow;
struct job;
struct scripts;

struct loop_guard {
	struct redis *redis;
	struct scripts *scripts;
};

/* Then look with loop_guard_passed(). false: there is nothing to ask, the job is about no item. */
bool loop_guard_start(struct loop_guard *g, struct redis_call *c, const struct job *job,
		      const struct flow *flow);
bool loop_guard_passed(const struct redis_call *c, const struct job *job,
		       struct error *err) NODISCARD;

#endif
