/* operations/spawner.h: how an operation starts other flows, and waits for them (`trigger`).
 *
 * In the worker each child is a job of its own, so a crash loses none and starts none twice; in
 * `exec` children run at once, in the same process. The caller parks when it is told ERR_PARKED. */
#ifndef OPERATIONS_SPAWNER_H
#define OPERATIONS_SPAWNER_H

#include "common/json.h"
#include "common/task.h"

struct spawner;

/* A group of runs of one flow, one for each payload. Start it again with the same step after a
 * park: children that exist already are found by their names, <job>#<step>#<index>. */
struct spawn_call {
	struct call call; /* ERR_PARKED: children are still running, look again at retry_at_ms */
	const char *step;
	const char *flow;             /* id or exact name */
	const cJSON *const *payloads; /* what becomes $trigger of each */
	size_t count;
	size_t concurrency; /* how many at a time; 0: all */
	bool stop_on_error; /* start no more when one has failed */
	/* out, in the order of the payloads: a child's return value, null where it failed or was not
	 * started; and how many went wrong */
	cJSON *results;
	size_t failed;
	uint64_t retry_at_ms;
};

struct spawner {
	void (*start)(struct spawner *s, struct spawn_call *c, struct arena *a);
};

#endif
