/* common/json.h: JSON values in an arena; the one place where cJSON is set up and called to allocate.
 *
 * Every tree lives in an arena and is never freed by hand: cJSON's allocator is set so that a node
 * comes from the arena named in the call, and deleting one frees nothing. Reading is done with
 * cJSON's own macros and fields (cJSON_IsString(v), v->valuestring, v->child, v->next) and with the
 * look-ups below; making and changing only with the functions below (tests/layers.sh sees to it).
 *
 * A node is in one container at most. To put a value that is already somewhere into a second
 * place, put json_share() of it there: a new node over the same content. Content that is shared is
 * not changed any more.
 *
 * Fidelity (the seven ways in which cJSON 1.7.15 loses data without a word are in tests/unit):
 * json_parse() scans the bytes first. It refuses, with the place: invalid UTF-8, U+0000 in a
 * string, a number that a double can not hold without becoming another number (9007199254740993,
 * 1e400), control characters in strings, anything behind the value, nesting deeper than
 * JSON_DEPTH_MAX. A lone surrogate (\ud83d), legal in JSON, is kept as its three bytes (WTF-8) and
 * printed as \ud83d again. Of duplicate keys the last value stands at the place of the first, as in
 * JavaScript. Numbers are printed as JavaScript prints them. */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include "common/arena.h"
#include "common/error.h"

#include <cjson/cJSON.h>

enum { JSON_DEPTH_MAX = 512 };

/* NULL and ERR_INVALID_PAYLOAD on bad input: "line 3, column 14: found 'x', expected ',' or '}'". */
cJSON *json_parse(struct arena *a, struct str text, struct error *err) NODISCARD;

/* The same, but a number that would change is rounded as JavaScript rounds it, not refused: for
 * answers of other servers. */
cJSON *json_parse_rounding(struct arena *a, struct str text, struct error *err) NODISCARD;

/* As JSON.stringify() prints it: compact, integer-like keys of an object first and ascending. Ended
 * by NUL. */
struct str json_print(struct arena *a, const cJSON *value);
struct str json_print_pretty(struct arena *a, const cJSON *value); /* two spaces; for people */

/* A number as JavaScript's String(n) gives it: "1e+21", "0.1", "-0" is "0". */
enum { JSON_NUMBER_MAX = 64 };
const char *json_number_text(double number, char text[JSON_NUMBER_MAX]);

/* ---- making ---- */

cJSON *json_null(struct arena *a);
cJSON *json_bool(struct arena *a, bool value);
cJSON *json_number(struct arena *a, double value);   /* NaN and infinity become null */
cJSON *json_text(struct arena *a, const char *text); /* NULL becomes null */
cJSON *json_str(struct arena *a, struct str text);   /* cut at a NUL */
cJSON *json_object(struct arena *a);
cJSON *json_array(struct arena *a);

/* A second node over the same content; a copy in depth. */
cJSON *json_share(struct arena *a, const cJSON *value);
cJSON *json_copy(struct arena *a, const cJSON *value);

/* Puts value (in no container yet) under key; replaces what was there. Keys are copied. */
void json_set(struct arena *a, cJSON *object, const char *key, cJSON *value);
/* The same for a key that is certainly not there yet, without looking: for objects with many. */
void json_append(struct arena *a, cJSON *object, const char *key, cJSON *value);
void json_remove(cJSON *object, const char *key);
void json_push(cJSON *array, cJSON *value);

/* Short forms of json_set(). */
void json_set_text(struct arena *a, cJSON *object, const char *key, const char *text);
void json_set_str(struct arena *a, cJSON *object, const char *key, struct str text);
void json_set_number(struct arena *a, cJSON *object, const char *key, double number);
void json_set_bool(struct arena *a, cJSON *object, const char *key, bool value);

/* ---- reading ---- */

static inline cJSON *json_first(const cJSON *container) /* NULL has no members */
{
	return container ? container->child : NULL;
}

#define json_each(item, container) \
	for ((item) = json_first(container); (item); (item) = (item)->next)

/* An own member, names compared to the letter; NULL if object is NULL, no object, or has none. */
const cJSON *json_get(const cJSON *object, const char *key);
const cJSON *json_get_str(const cJSON *object, struct str key);
/* Down several names: json_path(v, "usage", "details", NULL). */
const cJSON *json_path(const cJSON *object, ...) SENTINEL;

/* The member if it has that type, else NULL or the default. */
const char *json_get_text(const cJSON *object, const char *key);
double json_get_number(const cJSON *object, const char *key, double otherwise);
bool json_get_bool(const cJSON *object, const char *key, bool otherwise);

size_t json_count(const cJSON *container);       /* members; 0 for anything else */
bool json_equal(const cJSON *a, const cJSON *b); /* in depth; the order of keys does not count */
/* "null", "boolean", "number", "string", "array", "object": for error texts. */
const char *json_type_name(const cJSON *value);

#endif
