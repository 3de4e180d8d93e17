/* common/json_scan.h: looks at the bytes of a document before cJSON sees them: for json.c, and for who
 * wants to know where a document went wrong. */
#ifndef COMMON_JSON_SCAN_H
#define COMMON_JSON_SCAN_H

#include "common/arena.h"
#include "common/error.h"

/* Where it stopped, and what it expected there ("a value", "':'"); NULL for what JSON would allow and
 * only we can not keep. */
struct json_stop {
	size_t at;
	const char *expected;
};

/* Checks all that common/json.h promises. *ready becomes the text to give to cJSON: the same bytes,
 * or a copy in the arena in which lone surrogates are WTF-8 and very long numbers are short. stop may
 * be NULL. */
bool json_scan(struct arena *a, struct str text, bool rounding, struct str *ready,
	       struct json_stop *stop, struct error *err) NODISCARD;

#endif
