/* operations/options.h: Directus' functions for option values, with its errors. */
#ifndef OPERATIONS_OPTIONS_H
#define OPERATIONS_OPTIONS_H

#include "common/json.h"

/* A text is JSON and becomes its value, without members called __proto__; anything else stays. NULL
 * and ERR_NAMED "SyntaxError", with the text of JavaScript's JSON.parse(). A missing option (NULL) is
 * null. */
const cJSON *option_to_object(struct arena *a, const cJSON *option, struct error *err) NODISCARD;

/* A text as it is, an object or null its JSON, a number or true as JavaScript writes it; a missing
 * option is "undefined". */
struct str option_to_text(struct arena *a, const cJSON *option);

/* "a,b" is split at commas and not trimmed; an array stays; anything else becomes the one item. */
cJSON *option_to_array(struct arena *a, const cJSON *option);

/* JavaScript's Number(): a text with spaces around it, hexadecimal, "" is 0; NaN where it is none. */
double option_to_number(const cJSON *option);

/* An error as Directus has it in the data chain: {name, message, code, status, extensions}; code NULL
 * and status 0 are null. */
cJSON *error_object(struct arena *a, const char *name, const char *message, const char *code,
		    int status);

#endif
