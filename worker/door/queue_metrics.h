/* worker/door/queue_metrics.h: what the queue has to say to the metrics: each call to a provider, and how many
 * jobs wait.
 *
 * How many wait is in Redis. A look at the metrics must not wait for Redis, least of all when Redis
 * is away: it shows what was last known, and asks for the next time. */
#ifndef WORKER_DOOR_QUEUE_METRICS_H
#define WORKER_DOOR_QUEUE_METRICS_H

#include "worker/queue/scripts.h"

struct metrics;
struct permit_call;
struct settle_call;
struct journal_entry;

/* metrics may be NULL in all of them. */
void count_refused(struct metrics *m, const struct permit_call *c);
void count_settled(struct metrics *m, const struct settle_call *c);
/* saved: nano-dollars of an answer that was in the cache; NULL: there was none. */
void count_cache(struct metrics *m, const struct journal_entry *e, const struct redis_value *saved);

struct queue_metrics {
	struct metrics *metrics;
	struct redis *redis;
	struct scripts scripts;
	struct redis_call report;
	struct arena *arena; /* of the report under way; NULL: none is */
};

void queue_metrics_init(struct queue_metrics *q, struct metrics *m, struct redis *redis,
			const char *prefix); /* prefix must stay */
/* Asks Redis how the queue is, unless it has been asked already. */
void queue_metrics_refresh(struct queue_metrics *q);
void queue_metrics_clear(struct queue_metrics *q); /* after the connection was freed */

#endif
