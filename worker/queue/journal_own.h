/* worker/queue/journal_own.h: what the journal*.c files share.
 *
 * THE SPOOL: an answer that Redis does not take within a few seconds, or has not taken when the queue
 * is given up, is written to a file of its own in spool_dir, synced, and removed when Redis has it. A
 * process that starts sends what it finds there: settle.lua may be told twice. A file holds the words
 * of settle.lua: a line "flow-worker spool 1 <prefix> <count>", and for each word a line with its
 * length, the bytes, and a line feed. */
#ifndef WORKER_QUEUE_JOURNAL_OWN_H
#define WORKER_QUEUE_JOURNAL_OWN_H

#include "worker/queue/queue_own.h"

/* How settle.lua wants it. */
enum settle_word {
	PERMIT,
	JOB,
	FENCE,
	STEP,
	N,
	QUESTION,
	ROUTE,
	FLOW,
	OUTCOME,
	ANSWER,
	INPUT,
	CACHED,
	OUTPUT,
	COST,
	RATE_LIMITED,
	RETRY_AFTER,
	OUT_OF_ORDER,
	REQUESTS_LEFT,
	TOKENS_LEFT,
	CACHE,
	CACHE_MS,
	LEARNER,
	LESSON,
	SENT_AFTER,
	NO_CREDIT,
	SETTLE_WORDS
};

/* What a permit was refused for becomes the error of its call, which says when to come back. */
void journal_refused(struct permit_call *c, struct send *s);

/* A settle is over: answered, or never will be. */
void journal_settled(struct send *s);

/* Spools the answer if it is still under way after a while. */
void journal_spool_watch(struct send *s);

/* Spools the answer now: this process will not bring it to Redis. Counts what becomes of it in the
 * queue's `untold`. */
void journal_spool_keep(struct send *s);

/* Redis has it. */
void journal_spool_forget(struct send *s);

#endif
