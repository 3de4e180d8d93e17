/* worker/flow/run_item.h: what is special about a run for an item of a batch (worker/batch/batch.h).
 *
 *   onlyChanged   the first AI operation asks nothing if its question is the one that was asked about the
 *                 item the last time; the run ends there, and nothing is written
 *   unchanged     the values that the item must still have before its first write
 *   undo          what writes replace is kept with the batch, first (operations/undo.h)
 *   the record    how the item ended, for `batch export` */
#ifndef WORKER_FLOW_RUN_ITEM_H
#define WORKER_FLOW_RUN_ITEM_H

#include "common/redis.h"
#include "operations/undo.h"

struct lease;
struct loop;
struct run;
struct scripts;

struct run_item {
	struct undo undo;
	struct loop *loop;
	struct scripts *scripts;
	const struct lease *lease;
	const cJSON *item;    /* NULL: the run is for no item of a batch */
	const char *question; /* of the first AI operation, when it has run */
	bool is_unchanged;    /* nothing was asked: the run is over */
};

void run_item_init(struct run_item *i, struct run *r);

/* For the operation under way: its rendered options may get `skipIfHash`. */
void run_item_options(struct run *r, cJSON *options);
/* After it: takes note of the question. */
void run_item_note(struct run *r);
/* What is kept before writes; NULL: nothing. */
struct undo *run_item_undo(struct run *r);

/* JSON for struct finish; empty: it is no item of a batch. */
struct str run_item_record(const struct run *r);

#endif
