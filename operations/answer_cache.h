/* operations/answer_cache.h: answers to exactly the same question, kept in Redis for a while.
 *
 * Only for operations that ask for it (option `cache`, in seconds). An answer that is found costs
 * nothing and calls nobody; a Redis that does not answer is no answer found. */
#ifndef OPERATIONS_ANSWER_CACHE_H
#define OPERATIONS_ANSWER_CACHE_H

#include "common/redis.h"

struct services;

/* Await &c->call with task_await_either(). */
void answer_cache_find(const struct services *use, const char *key, struct redis_call *c,
		       struct arena *a);
/* What was found; empty: nothing. */
struct str answer_cache_found(const struct redis_call *c);

/* Nobody waits for it. */
void answer_cache_store(const struct services *use, const char *key, struct str answer,
			uint64_t for_ms);

#endif
