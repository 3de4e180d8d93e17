/* common/json_scan.h: json.c's own: looks at the bytes of a document before cJSON sees them. */
#ifndef COMMON_JSON_SCAN_H
#define COMMON_JSON_SCAN_H

#include "common/arena.h"
#include "common/error.h"

/* Checks all that common/json.h promises. *ready becomes the text to give to cJSON: the same bytes,
 * or a copy in the arena in which lone surrogates are WTF-8 and very long numbers are short. */
bool json_scan(struct arena *a, struct str text, bool rounding, struct str *ready,
	       struct error *err) NODISCARD;

#endif
