/* tests/unit/vectors.h: reads tests/vectors/<name>: what a real Directus was seen to do. */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include "common/json.h"

#include <stdio.h>
#include <stdlib.h>

static inline cJSON *read_vectors(struct arena *a, const char *name)
{
	enum { LARGEST = 1 << 20 };
	char *text = arena_alloc(a, LARGEST);
	FILE *file = fopen(arena_printf(a, TESTS_DIR "/vectors/%s", name), "rb");
	struct error err;
	cJSON *value;

	if (!file)
		abort();
	value = json_parse_rounding(a, (struct str){text, fread(text, 1, LARGEST, file)}, &err);
	(void)fclose(file);
	if (!value)
		abort();
	return value;
}

#endif
