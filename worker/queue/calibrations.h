/* worker/queue/calibrations.h: what this process has been told of calibrations (operations/calibration.h).
 *
 * Redis has them all; with each settle, and with the first permit of a step, it tells the one in
 * question. Here they are kept in a table of fixed size, where a newer one may take the place of another:
 * what is missing is told again. */
#ifndef WORKER_QUEUE_CALIBRATIONS_H
#define WORKER_QUEUE_CALIBRATIONS_H

#include "common/arena.h"
#include "operations/calibration.h"

struct calibrations;

struct calibrations *calibrations_new(struct arena *a);

struct calibration calibrations_find(const struct calibrations *c, const char *name);

/* A line as the scripts write it; an empty one says nothing. */
void calibrations_learn(struct calibrations *c, const char *name, struct str line);

/* "openai/gpt-5|<flow>#<step>|<kind>"; without a flow only the step. */
struct journal_entry;
const char *calibration_name(struct arena *a, const struct journal_entry *e, const char *flow);

#endif
