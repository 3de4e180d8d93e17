/* common/template.h: values with templates in them, resolved against the data chain.
 *
 *	{{ path }}      as Directus resolves it, including its errors (tests/vectors/template-vectors.json)
 *	<< path >>      the same, where the inside is a well-formed path, with filters or not, whose first
 *	                key begins with `$`, is in the chain or is an operation's; else it stays text
 *	... | filter    common/template_filter.h; only where the whole text is no path to a value
 *
 * A text that is one tag and nothing else becomes the value itself, with its type; a tag within a
 * text becomes text (an object or null its JSON). Members of objects and arrays are resolved, keys
 * are not. What comes out is never resolved again.
 *
 * Where `$trigger` has a text `event` and the path as it is written leads nowhere, `$trigger.X` is
 * `$trigger.payload.X`, and `$trigger.id` is `$trigger.key`, else `$trigger.keys[0]`, first. */
#ifndef COMMON_TEMPLATE_H
#define COMMON_TEMPLATE_H

#include "common/json.h"

/* What becomes of a tag that leads to nothing. */
enum on_missing {
	ON_MISSING_LITERAL, /* the text "undefined", as in Directus */
	ON_MISSING_EMPTY,   /* the empty text */
	ON_MISSING_ERROR    /* ERR_TEMPLATE_UNRESOLVED, which names the tag and its place */
};

struct template_options {
	const cJSON *chain;                /* an object */
	const char *const *operation_keys; /* of this job, for << >>; or NULL */
	size_t key_count;
	enum on_missing on_missing;
	size_t max_bytes;  /* of all that is put in, as JSON; 0: TEMPLATE_MAX_BYTES */
	const char *where; /* what the value is called in error texts: "prompt"; or NULL */
};

enum { TEMPLATE_MAX_BYTES = 16 * 1024 * 1024 };

/* The value with its templates resolved: new nodes, over the content of the value and the chain.
 * NULL and
 *   ERR_TEMPLATE_SYNTAX      err->name is "SyntaxError" or "ReferenceError", the text Directus'
 *   ERR_TEMPLATE_UNRESOLVED  with ON_MISSING_ERROR
 *   ERR_INVALID_PAYLOAD      it would be longer than max_bytes */
cJSON *template_resolve(struct arena *a, const cJSON *value, const struct template_options *o,
			struct error *err) NODISCARD;

/* Whether there may be a tag anywhere in it, so that its value is known only in a run. */
bool template_is_in(const cJSON *value);

#endif
