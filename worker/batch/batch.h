/* worker/batch/batch.h: a flow for each item of a collection, or each row of an input.
 *
 *	{"batch":{"collection":"articles","filter":{…},"flow":"<id or name>"|{…}|[…],
 *	          "fields":["title"],"limit":1000,"budget":5,"concurrency":20,"name":"…",
 *	          "onlyChanged":true,"ifUnchanged":true,"notify":"<user>"}}
 *	{"batch":{"id":"<batch>"}}        goes on with one that is there
 *
 * GLOSSARY
 *   batch     its id is the id of the job that made it, without "batch:" in front.
 *   driver    the job that looks after it; it parks between its looks. When the batch is paused or its
 *             money is spent the driver ends, and another one is made to go on (batch_set.lua).
 *   list      what the batch runs for: all keys are listed first, once, in the order of the key, so what
 *             is created later, or falls out of the filter because it was written, changes nothing.
 *   cursor    how far the list has been given to the door; it moves in the same script, so a worker that
 *             is killed leaves nothing out and puts nothing there twice.
 *   item      one job, <batch>#<key>, on lane 2; rows of an input are numbered from 1. Its $trigger looks
 *             like an event: {"event":"<collection>.items.batch","collection","key","keys","payload":{item}}.
 *   window    how many items are at the door or running at a time: `concurrency`, or WINDOW.
 *
 * Everything is in Redis (worker/queue/lua/lib.lua names the keys); memory here is that of one page. The
 * scripts stop items that have not begun when the batch is paused, out of money, or cancelled, hold
 * every call of an item to the budget, and write down what became of each item when its job ends. */
#ifndef WORKER_BATCH_BATCH_H
#define WORKER_BATCH_BATCH_H

#include "common/json.h"
#include "operations/operation.h"

struct config;
struct flow;
struct job;

enum { BATCH_WINDOW = 500, BATCH_ITEMS_MAX = 1000000 };

struct batch {
	const char *id;         /* to go on with; NULL: a new one, and all below is set */
	const char *name;       /* for people; NULL: none */
	const char *collection; /* NULL: rows of an input only */
	const cJSON *filter;    /* NULL: all */
	const cJSON *flow;      /* an id or name, a flow object, or a list of operations */
	const cJSON *fields;    /* an array of names */
	uint64_t limit;         /* items at most */
	uint64_t budget_nano;   /* 0: none */
	size_t concurrency;
	bool only_changed, if_unchanged, is_input;
	const char *notify; /* a user of Directus; NULL: nobody */
};

/* ERR_INVALID_JOB: what is wrong with the batch. */
bool batch_read(struct arena *a, const cJSON *json, struct batch *b, struct error *err) NODISCARD;
/* The flow of a job that is a batch: the one operation `batch`. */
struct flow *batch_flow(struct arena *a, const cJSON *json, struct error *err) NODISCARD;

/* What the flow is called in lists, for fairness, and for remembered questions. */
const char *batch_flow_label(const struct batch *b);
/* The batch that a job makes. */
const char *batch_id_of(const char *job_id);

/* ---- items ---- */

struct batch_item {
	const char *key;      /* in the batch: the item's key as text, or the row's number */
	const cJSON *value;   /* the item or row */
	const cJSON *primary; /* its key as it is; NULL: the row has none */
	const char *question; /* the last one that was asked about it; NULL: unknown */
};

/* The job of one item. `source` is the job that made the batch: the item acts for the same user, in the
 * same chain of causes, and is signed if that was. */
struct str batch_item_body(struct arena *a, const struct batch *b, const struct job *source,
			   const struct batch_item *item, const struct config *config);

/* {"_and":[filter, {primary: {condition: value}}]}, or the one of them that there is. */
cJSON *batch_filter(struct arena *a, const struct batch *b, const char *primary,
		    const char *condition, const cJSON *value);

/* Of the reply of a list: the value under name; NULL: it is not there. */
struct redis_value;
const char *batch_reply(const struct redis_value *list, const char *name);

extern const struct operation operation_batch;

#endif
