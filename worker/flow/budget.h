/* worker/flow/budget.h: a job's own budget: {"budget":{"maxCostUsd":0.5,"maxTokens":20000}}.
 *
 * It stands before the journal of the queue: a call whose expected cost or tokens, with what the job
 * has spent already (earlier attempts included), would be over the budget is refused with
 * BUDGET_EXCEEDED, and costs nothing. A model without a known price is held to the tokens only. */
#ifndef WORKER_FLOW_BUDGET_H
#define WORKER_FLOW_BUDGET_H

#include "operations/journal.h"

struct run;

struct budget {
	struct journal journal;
	struct journal *behind; /* where admitted calls go on */
	const struct run *run;
};

/* The journal for the operations of a run. */
void budget_init(struct budget *b, struct journal *behind, const struct run *run);

#endif
