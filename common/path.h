/* common/path.h: paths into JSON values, as Directus' templates and `return` have them.
 *
 *	a.b.0.c   a[0].b   a["x.y"]['z']   a[word]   a . b
 *
 * These are the rules of micromustache 8.0.3, which Directus uses: parts are trimmed, a bracket holds an index,
 * a bare word (a literal key, no variable) or a quoted key, and nearly any other character is part of
 * a key. At most PATH_DEPTH_MAX keys. A walk goes through objects and arrays only, to their own
 * members; an array has a `length`. */
#ifndef COMMON_PATH_H
#define COMMON_PATH_H

#include "common/json.h"

enum { PATH_DEPTH_MAX = 10, PATH_LENGTH_MAX = 1000 };

struct path {
	const char **keys; /* in the arena */
	size_t count;
};

/* ERR_TEMPLATE_SYNTAX with the text that Directus' error has, and err->name "SyntaxError", or
 * "ReferenceError" for a path that is too deep. */
bool path_parse(struct arena *a, struct str text, struct path *path, struct error *err) NODISCARD;

/* The value there; NULL: nothing. *depth (or NULL) becomes the number of keys that were found. The
 * arena is for the `length` of an array. */
const cJSON *path_walk(struct arena *a, const cJSON *scope, const struct path *path, size_t *depth);

/* Both in one: *value becomes NULL where nothing is. */
bool path_get(struct arena *a, const cJSON *scope, struct str text, const cJSON **value,
	      struct error *err) NODISCARD;

#endif
