/* operations/filter.h: Directus' filter rules, held against the data chain.
 *
 * This is what `condition` does in Directus, by way of two libraries, to the letter: which rules
 * convert what, which errors are told, and which odd filter ends in which odd error. All dates are
 * UTC. Regular expressions are PCRE2's, with limits (operations/regex.h). */
#ifndef OPERATIONS_FILTER_H
#define OPERATIONS_FILTER_H

#include "common/json.h"

struct filter_input {
	const cJSON *filter; /* NULL and null: passes */
	const cJSON *data;
	const cJSON *accountability; /* for $CURRENT_USER and $CURRENT_ROLE(S); or NULL */
	uint64_t now_ms;             /* for $NOW */
};

/* NULL: the data passes. Else what the operation rejects with: an array of FAILED_VALIDATION errors
 * {name, message, code, status, extensions}, or one error {name, message, ...} where the filter itself
 * is of no use or Directus does not know what to say. */
cJSON *filter_check(struct arena *a, const struct filter_input *in);

#endif
