/* operations/schema_keywords.h: schema.c's and schema_check.c's own: the table of keywords. */
#ifndef OPERATIONS_SCHEMA_KEYWORDS_H
#define OPERATIONS_SCHEMA_KEYWORDS_H

#include "common/json.h"

enum { SCHEMA_DEPTH_MAX = 64 };

/* What a keyword's own value has to look like. */
enum schema_shape {
	SHAPE_ANY,
	SHAPE_TYPE, /* "string", or an array of such */
	SHAPE_SCHEMA,
	SHAPE_SCHEMAS,    /* an array of schemas, not empty */
	SHAPE_SCHEMA_MAP, /* an object of schemas */
	SHAPE_PATTERN_MAP,
	SHAPE_VALUES, /* an array */
	SHAPE_TEXTS,  /* an array of texts */
	SHAPE_TEXTS_MAP,
	SHAPE_TEXT,
	SHAPE_COUNT,
	SHAPE_NUMBER,
	SHAPE_BOOL,
	SHAPE_PATTERN,
	SHAPE_REF
};

struct schema_check;
struct schema_place;

struct schema_keyword {
	const char *name;
	enum schema_shape shape;
	unsigned types; /* of values that it says something about */
	void (*check)(struct schema_check *c, const struct schema_place *at, const cJSON *rule);
};

const struct schema_keyword *schema_keyword_find(const char *name); /* NULL: unknown */

/* The type's name in a schema, with `a` before it: "a string"; NULL: there is no such type. */
const char *schema_type_text(const char *name);

/* The schema that "#/$defs/x" names; NULL: there is none. */
const cJSON *schema_resolve(struct arena *a, const cJSON *root, const char *reference);

/* "date", "email", …: whether the text is one. Unknown formats take any text. */
bool schema_format_fits(const char *format, const char *text);

#endif
