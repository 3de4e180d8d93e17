/* tests/unit/vectors.h: data files of tests. */
#ifndef TESTS_UNIT_VECTORS_H
#define TESTS_UNIT_VECTORS_H

#include "common/buf.h"
#include "common/json.h"

#include <stdio.h>
#include <stdlib.h>

/* The JSON of tests/vectors/<name>; ends the program if it is not there or no JSON. */
static inline const cJSON *vectors_read(struct arena *a, const char *name)
{
	FILE *file = fopen(arena_printf(a, TESTS_DIR "/vectors/%s", name), "rb");
	struct error err = {.text = "can not be read"};
	const cJSON *json = NULL;
	char piece[4096];
	struct buf b;
	size_t got;

	buf_init(&b, 64 * 1024 * 1024);
	while (file && (got = fread(piece, 1, sizeof(piece), file)) > 0)
		(void)buf_add(&b, piece, got);
	if (file)
		(void)fclose(file);
	json = json_parse_rounding(a, buf_str(&b), &err);
	buf_clear(&b);
	if (!json) {
		fprintf(stderr, "%s: %s\n", name, err.text);
		abort();
	}
	return json;
}

#endif
