/* What a variable is worth in a flow: `$env` holds the values with the types that Directus'
 * environment gives them (@directus/env, cast): by a prefix, else guessed. */
#include "common/config_parts.h"

#include "common/utf8.h"

#include <math.h>
#include <stdlib.h>

/* A decimal number as JavaScript's Number(text) reads it; NaN: it is none. */
static double js_number(const char *text)
{
	struct str t = utf8_trim(str_of(text));
	size_t at = 0, digits;
	char copy[64];

	if (t.len == 0)
		return 0;
	if (t.len >= sizeof(copy))
		return (double)NAN;
	memcpy(copy, t.ptr, t.len);
	copy[t.len] = '\0';
	at += copy[0] == '-' || copy[0] == '+';
	digits = strspn(copy + at, "0123456789");
	at += digits;
	if (copy[at] == '.') {
		size_t fraction = strspn(copy + at + 1, "0123456789");

		digits += fraction;
		at += 1 + fraction;
	}
	if (digits && (copy[at] == 'e' || copy[at] == 'E')) {
		size_t sign = copy[at + 1] == '-' || copy[at + 1] == '+';
		size_t exponent = strspn(copy + at + 1 + sign, "0123456789");

		at += exponent ? 1 + sign + exponent : 0;
	}
	return digits && !copy[at] ? strtod(copy, NULL) : (double)NAN;
}

static bool looks_like_number(const char *text)
{
	double number = js_number(text);

	return text[0] && text[0] != '0' && fabs(number) <= 9007199254740991.0;
}

static cJSON *cast_json(struct arena *a, const char *text)
{
	struct error err;
	cJSON *value = json_parse_rounding(a, str_of(text), &err);

	return value ? value : json_text(a, text);
}

/* Prefixes within prefixes count so deep. */
enum { CAST_DEPTH_MAX = 8 };

static cJSON *cast(struct arena *a, const char *text, int depth);

static cJSON *cast_array(struct arena *a, const char *text, int depth)
{
	cJSON *array = json_array(a);

	for (;;) {
		size_t len = strcspn(text, ",");
		const char *item = arena_strndup(a, text, len);

		if (len)
			json_push(array, depth < CAST_DEPTH_MAX ? cast(a, item, depth + 1)
								: json_text(a, item));
		if (!text[len])
			return array;
		text += len + 1;
	}
}

static const char *behind(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static cJSON *cast(struct arena *a, const char *text, int depth)
{
	const char *rest;

	if ((rest = behind(text, "string:")))
		return json_text(a, rest);
	if ((rest = behind(text, "number:")))
		return json_number(a, js_number(rest));
	if ((rest = behind(text, "boolean:")))
		return json_bool(a, strcmp(rest, "true") == 0 || strcmp(rest, "1") == 0);
	if ((rest = behind(text, "array:")))
		return cast_array(a, rest, depth);
	if ((rest = behind(text, "string-array:")))
		return cast_array(a, rest, CAST_DEPTH_MAX);
	if ((rest = behind(text, "json:")))
		return cast_json(a, rest);
	if (behind(text, "regex:"))
		return json_object(a); /* what JSON makes of a RegExp */
	if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
		return json_bool(a, text[0] == 't');
	if (looks_like_number(text))
		return json_number(a, js_number(text));
	return strchr(text, ',') ? cast_array(a, text, depth) : cast_json(a, text);
}

cJSON *config_cast(struct arena *a, const char *text)
{
	return cast(a, text, 0);
}
