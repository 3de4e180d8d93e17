/* worker/cli/cli_batch.h: what the files of `flow-worker batch` share.
 *
 *   cli_batch.c         the command; list, show, pause, resume, cancel, retry-failed
 *   cli_batch_create.c  the batch as the command line describes it, its price, its way into the queue
 *   cli_batch_try.c     a few items here and now, with nothing written; rendered prompts
 *   cli_batch_input.c   rows of a file
 *   cli_batch_watch.c   progress
 *   cli_batch_export.c  what became of each item
 *   cli_batch_revert.c  the old values are put back */
#ifndef WORKER_CLI_CLI_BATCH_H
#define WORKER_CLI_CLI_BATCH_H

#include "worker/batch/batch.h"
#include "worker/batch/batch_state.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_queue.h"

enum cli_batch_option {
	BATCH_COLLECTION,
	BATCH_INPUT,
	BATCH_FILTER,
	BATCH_FLOW,
	BATCH_FIELDS,
	BATCH_LIMIT,
	BATCH_BUDGET,
	BATCH_CONCURRENCY,
	BATCH_NAME,
	BATCH_ONLY_CHANGED,
	BATCH_IF_UNCHANGED,
	BATCH_NOTIFY,
	BATCH_TRY,
	BATCH_DRY_RUN,
	BATCH_YES,
	BATCH_DETACH,
	BATCH_FRESH,
	BATCH_FORMAT,
	BATCH_OUTPUT
};

/* ---- for all ---- */

/* false: there is no such batch, or Redis does not answer; it has been told. */
bool cli_batch_look(struct cli_queue *q, const char *id, struct batch_state *s) NODISCARD;
int cli_batch_print(struct cli_queue *q, const struct batch_state *s);
/* "12.50", into nano-dollars; a bad one has been told. Not given: *nano stays. */
bool cli_batch_budget(struct cli *cli, uint64_t *nano) NODISCARD;

/* Calls fn for each field of a hash of the batch, some at a time; the arena of `q` is a short-lived one
 * meanwhile. false: told. */
bool cli_batch_scan(struct cli_queue *q, const char *kind, const char *id,
		    bool (*fn)(void *arg, struct str field, struct str value), void *arg) NODISCARD;

/* Until the batch is over; 0 if all is well. */
int cli_batch_watch(struct cli_queue *q, const char *id);

int cli_batch_create(struct cli_queue *q);
int cli_batch_export(struct cli_queue *q, const char *id);
int cli_batch_revert(struct cli_queue *q, const char *id);

/* ---- what is to be created ---- */

struct cli_batch_plan {
	const char *id;
	struct str body;    /* of the job */
	struct job *source; /* the same, parsed */
	struct batch batch;
	const cJSON *rows;   /* of the input: an array of objects; NULL: a collection */
	const char *primary; /* name of the collection's key */
	double total;        /* items */
};

/* The rows of a CSV or JSON lines file. */
cJSON *cli_batch_rows(struct arena *a, const char *path, struct error *err);
/* Sends them to Redis; what is there already is left. false: told. */
bool cli_batch_upload(struct cli_queue *q, const struct cli_batch_plan *plan) NODISCARD;

/* Up to `count` items of the plan. false: told. */
bool cli_batch_sample(struct cli_queue *q, const struct cli_batch_plan *plan, size_t count,
		      struct batch_item **items, size_t *found) NODISCARD;

/* Runs some items with nothing written, shows what would be, and what the whole will cost. */
int cli_batch_try(struct cli_queue *q, const struct cli_batch_plan *plan, size_t count);
int cli_batch_dry_run(struct cli_queue *q, const struct cli_batch_plan *plan);

#endif
