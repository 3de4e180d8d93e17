/* worker/queue/portion.h: how many bodies to ask for at once. All of a reply is in memory twice for a
 * moment, so large bodies are fetched a few at a time: as many as make a megabyte, going by the
 * last reply, and never more than twice as many as before. */
#ifndef WORKER_QUEUE_PORTION_H
#define WORKER_QUEUE_PORTION_H

#include "common/base.h"

enum { PORTION_BYTES = 1024 * 1024, PORTION_FIRST = 8 };

struct portion {
	size_t count; /* 0: nothing has come yet */
};

/* How many to ask for; 1 to most. */
size_t portion_next(const struct portion *p, size_t most);
/* So many came, with so many bytes in all. */
void portion_came(struct portion *p, size_t count, size_t bytes);

#endif
