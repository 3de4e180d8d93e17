/* worker/queue/calibrations.h: what this process knows of the last calls of each step (operations/calibration.h).
 *
 * Redis has the calls of all workers: it tells them with the first permit of a step, and again now and then with a
 * settle; what this process settles itself it adds at once. Here they are in a table of fixed size, where
 * another step may take the place: what is missing is told again. */
#ifndef WORKER_QUEUE_CALIBRATIONS_H
#define WORKER_QUEUE_CALIBRATIONS_H

#include "common/redis.h"
#include "operations/calibration.h"

struct calibrations;

struct calibrations *calibrations_new(struct arena *a);

bool calibrations_know(const struct calibrations *c, const char *name);

struct calibration calibrations_find(const struct calibrations *c, const char *name,
				     const struct token_count *question);

/* All rows of that name, as the scripts tell them, the newest first; no array, or an empty one: says nothing. */
void calibrations_told(struct calibrations *c, const char *name, const struct redis_value *rows);

/* One more, of a name that is known; of others all will be told. */
void calibrations_add(struct calibrations *c, const char *name, struct str row);

/* "openai/gpt-5|<flow>#<step>|<method>"; without a flow only the step. */
struct journal_entry;
const char *calibration_name(struct arena *a, const struct journal_entry *e, const char *flow);

#endif
