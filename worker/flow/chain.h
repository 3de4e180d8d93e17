/* worker/flow/chain.h: the data chain: what templates can name.
 *
 *	$trigger $accountability $env   given at the start; $env is an allow-list
 *	$last                           $trigger at first, then what the newest operation has left,
 *	                                whether it went well or not
 *	<key>                           what each operation has left
 *	$now $job                       ours: the time of this step, {id, attempt}
 *
 * All but the last line are Directus' own. The chain holds second nodes over values that the arena
 * owns; the values are not changed any more. */
#ifndef WORKER_FLOW_CHAIN_H
#define WORKER_FLOW_CHAIN_H

#include "common/json.h"

struct chain_start {
	const cJSON *trigger, *accountability, *env; /* NULL is null, or {} for env */
	const cJSON *data;                           /* an object with further keys; or NULL */
	const char *job_id;
	uint32_t attempt;
};

struct chain {
	struct arena *arena;
	cJSON *values; /* with $now and $job */
};

void chain_init(struct chain *c, struct arena *a, const struct chain_start *start);
void chain_add(struct chain *c, const char *key, const cJSON *value); /* also $last; NULL is null */
void chain_set_now(struct chain *c);                                  /* before each step */
const cJSON *chain_last(const struct chain *c);

/* As Directus would show it: without $now and $job. */
cJSON *chain_shown(const struct chain *c);

#endif
