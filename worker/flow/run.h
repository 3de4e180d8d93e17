/* worker/flow/run.h: one job's way through its flow.
 *
 *	                 ┌────────────────────────────────────────────┐
 *	load ─► prepare ─► guard ─► pick ─► operate ─► operated ─► recorded
 *	                     └── no more operations ─► end ─► (a flow of Directus) reported
 *
 * A run carries operations out one after another, keeps the data chain, and says how it ended; it
 * neither claims nor finishes (worker.c does). With a lease every finished step
 * is stored before the next one starts, and a job that is run again goes on behind the last stored
 * step. Without a lease (`exec`) nothing is stored, and a step that parks is waited for.
 *
 * What becomes of a failed operation:
 *   - ERR_PARKED: the run ends RUN_PARKED; its note is stored, and the step is run again then
 *   - a failure that an outage has caused, of an operation that waits outages out: RUN_OUTAGE, as
 *     long as there is an attempt left
 *   - the lease is lost: RUN_LOST; we are stopping: RUN_RETURNED; stopped from outside: RUN_CANCELLED;
 *     the job's own timeout: RUN_DEAD
 *   - anything else goes into the chain as an error object; `reject` is next. A condition without
 *     `reject` ends the job well, as in Directus; any other operation without it makes it dead. */
#ifndef WORKER_FLOW_RUN_H
#define WORKER_FLOW_RUN_H

#include "common/directus_extension.h"
#include "common/loop.h"
#include "common/task.h"
#include "operations/operation.h"
#include "worker/flow/budget.h"
#include "worker/flow/chain.h"
#include "worker/flow/job.h"
#include "worker/flow/run_item.h"
#include "worker/queue/queue.h"

struct flows;
struct loop_guard;

enum run_outcome {
	RUN_DONE,
	RUN_DEAD,
	RUN_CANCELLED,
	RUN_HELD,     /* an answer may have been paid for, and WORKER_ON_AMBIGUOUS says hold */
	RUN_PARKED,   /* until again_ms */
	RUN_OUTAGE,   /* again at again_ms, which counts as an attempt */
	RUN_RETURNED, /* at once, by anybody: we are stopping */
	RUN_LOST      /* write nothing */
};

struct run_options {
	const struct services *use;
	struct job *job; /* the run lives in its arena */
	struct journal *journal;
	struct spawner
		*spawner;    /* or NULL: `trigger` is refused; with a lease it is a queue_spawner */
	struct flows *flows; /* or NULL: flows by name are refused */
	struct lease *lease; /* or NULL: nothing is stored */
	struct loop_guard *guard; /* or NULL: loops are found by their depth only */
	uint32_t attempt;
	const cJSON *env;  /* $env */
	bool leave_writes; /* operations that write are left out, and resolve with null */
};

struct run {
	struct task task; /* never fails: `outcome` says how it ended */
	struct run_options with;
	struct arena *arena;
	struct chain chain;
	struct op_origin origin;
	const struct flow *flow;
	const struct flow_node *node; /* the operation under way, or the next one */

	/* how it ended */
	enum run_outcome outcome;
	struct error err;              /* DEAD, CANCELLED, OUTAGE: why; PARKED: what it waits for */
	const cJSON *failure;          /* the error object of the result, or NULL */
	uint64_t again_ms;             /* time of day */
	bool directus_is_away;         /* OUTAGE: it is what the job waits for */
	const cJSON *note;             /* PARKED: for the step `node` */
	const cJSON *returned;         /* what `return` names; NULL: nothing */
	cJSON *steps;                  /* the log: an array, in the order in which they ran */
	struct op_usage usage;         /* of all steps, also earlier attempts' */
	uint64_t started_ms, ended_ms; /* time of day */

	void *owner; /* of whoever started it */

	/* its own */
	struct run_item item;
	struct budget budget; /* before the journal */
	uint64_t pieces;      /* of streamed answers, told so far */
	struct op_call op;
	struct redis_call guarding;
	struct step_call store;
	struct sleep_call nap;
	struct flows_call *loading;
	struct directus_extension_call extension;
	struct directus_call report;
	struct timeout report_over;
	struct timeout deadline;
	uint64_t step_started;
	uint64_t begun_ms;       /* loop time; of the run, then of the operation */
	enum error_code stopped; /* why it has been told to stop */
	bool failed;             /* the operation that has just ended */
};

struct run *run_new(const struct run_options *options);
/* Then wait for run->task.call. */
void run_start(struct run *run, struct loop *l);

/* No more operations; the one under way is cancelled: ERR_CANCELLED, ERR_SHUTDOWN, ERR_TIMEOUT. */
void run_stop(struct run *run, enum error_code why);
/* The lease is lost: nothing is written any more. */
void run_abandon(struct run *run);

/* The result as the contract has it: {"id","status","last","return","error","usage","cost",
 * "attempts","ms"}; secrets are masked. status: "done", "dead", "cancelled", "quarantined". */
cJSON *run_result(const struct run *run, const char *status);
/* The same for a job that could not even be read. */
cJSON *run_refused(struct arena *a, const char *id, const struct error *err, uint32_t attempts);

/* What the extension writes into the log of a flow that Directus holds: {"flow","job","user","steps",
 * "data"}; masked and cut like the log. */
cJSON *run_report(const struct run *run, size_t max_bytes);

/* The steps as they are logged, secrets masked, long texts cut so that it is not over max_bytes. */
struct str run_log(const struct run *run, size_t max_bytes);

#endif
