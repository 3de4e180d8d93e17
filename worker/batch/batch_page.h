/* worker/batch/batch_page.h: some items of a batch, read: from the list in Redis to what the door is given.
 *
 *	rows ─► got_rows ─► read_items ─► got_items ─► (some are missing: once more) read_items …
 *	           └── an input: the rows are the items ──► questions ─► got_questions          */
#ifndef WORKER_BATCH_BATCH_PAGE_H
#define WORKER_BATCH_BATCH_PAGE_H

#include "common/directus.h"
#include "common/redis.h"
#include "worker/batch/batch.h"

struct batch_page {
	/* set by the caller */
	const struct batch *batch;
	const char *id;
	const char *primary; /* name of the collection's key; NULL: rows of an input */
	struct directus *directus;
	struct redis *redis;
	struct str prefix;   /* of the keys in Redis */
	struct arena *arena; /* as long as the items are needed */
	uint64_t cursor;
	size_t want;

	/* out */
	struct batch_item *items;
	size_t count;
	uint64_t after; /* the cursor behind them */
	uint64_t gone;  /* on the list, but not there any more, or not matching the filter */
	bool too_many;  /* nothing was read: ask for fewer */

	/* its own */
	struct task task; /* await &page->task.call */
	struct redis_call command;
	struct directus_call ask;
	cJSON *missing; /* keys that have not been answered */
};

void batch_page_start(struct batch_page *p, struct loop *l);

/* Whether Directus means that it gives no such number of items at once. */
bool batch_page_is_too_large(const struct error *err);

#endif
