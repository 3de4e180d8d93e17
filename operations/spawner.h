/* operations/spawner.h: how an operation starts other flows, and waits for them (`trigger`).
 *
 * In the worker each child is a job of its own, named <job>#<step>#<index>, so a crash loses none and
 * starts none twice; the caller gives its slot back while it waits (ERR_PARKED), and asks again later
 * with what `state` held. In `exec` children run at once, in the same process. */
#ifndef OPERATIONS_SPAWNER_H
#define OPERATIONS_SPAWNER_H

#include "common/json.h"
#include "common/task.h"

struct spawner;

/* Runs of one flow, one for each payload. */
struct spawn_call {
	struct call call; /* ERR_PARKED: children are under way, look again at retry_at_ms */
	const char *step;
	const char *flow;      /* id or exact name */
	const cJSON *payloads; /* an array: what becomes $trigger of each */
	size_t concurrency;    /* how many at a time; 0: all */
	bool stop_on_error;    /* start no more when one has failed */
	uint64_t
		max_cost_nano; /* start no more when those that are over have cost that; 0: no such */
	const cJSON *state;    /* in: what it left when it was parked, or NULL; out: the same */
	cJSON *results; /* out: an array in the order of the payloads: what a child returned, null where
	                   it failed, returned nothing, or was not started */
	uint64_t cost_nano;   /* out: what those that are over have cost */
	size_t left;          /* out: how many were not started since that was the budget */
	uint64_t retry_at_ms; /* out: time of day */
	void *group;          /* the spawner's own */
};

struct spawner {
	void (*start)(struct spawner *s, struct spawn_call *c, struct arena *a);
};

#endif
