/* worker/flow/run_record.h: finished steps: as they are stored for the next owner of a job, and as they
 * are logged.
 *
 * Stored with the job under "step:<key>":
 *	{"status":"resolve|reject","value":…,"failure":…,"usage":{…},"step":{…the log's…}}
 * under "note:<key>": what an operation left when it parked. */
#ifndef WORKER_FLOW_RUN_RECORD_H
#define WORKER_FLOW_RUN_RECORD_H

#include "worker/flow/run.h"

struct run_record {
	const cJSON *json;
};

/* false: this step is not finished. */
bool run_record_find(struct lease *lease, struct arena *a, const char *key,
		     struct run_record *record);
/* As if the step had just been run: chain, log, usage, the next node. */
void run_record_apply(struct run *r, const struct run_record *record);
/* Stores the step that has just been added to the chain, and forgets its note. */
void run_record_store(struct run *r, struct step_call *c);

const cJSON *run_note_find(struct lease *lease, struct arena *a, const char *key); /* or NULL */
/* "note:<key>" of the step that parks, to be stored with the park; false: it left none. */
bool run_note_text(const struct run *r, struct stored_text *note);

/* Adds the step `r->node` to the log: r->op says what happened, `left` is what it left. */
void run_log_step(struct run *r, const cJSON *left);

void run_add_usage(struct op_usage *sum, const struct op_usage *more);
/* {"inputTokens","outputTokens","reasoningTokens","cachedInputTokens","totalTokens"} and
 * {"total","currency","known"}; null where no provider was asked. */
cJSON *run_usage_json(struct arena *a, const struct op_usage *usage);
cJSON *run_cost_json(struct arena *a, const struct op_usage *usage);

#endif
