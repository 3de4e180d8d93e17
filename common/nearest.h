/* common/nearest.h: "did you mean": of some names the one that is most like a word.
 *
 *	struct nearest near = {.word = "WORKER_CONCURENCY"};
 *	for each name: nearest_try(&near, name);
 *	if (near.best) ... */
#ifndef COMMON_NEAREST_H
#define COMMON_NEAREST_H

#include "common/base.h"

struct nearest {
	const char *word;
	const char *best; /* NULL: none is like it */
	size_t distance; /* changes from word to best: a letter more, less, other, or two swapped */
};

void nearest_try(struct nearest *n, const char *name);

#endif
