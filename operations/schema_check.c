/* Whether a schema is one; and what schema.c's keywords need to know about types, references, formats. */
#include "operations/regex.h"
#include "operations/schema.h"
#include "operations/schema_keywords.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- types ---- */

static const struct {
	const char *name, *text;
} types[] = {
	{"string",  "a string"  },
        {"number",  "a number"  },
        {"integer", "an integer"},
	{"boolean", "a boolean" },
        {"array",   "an array"  },
        {"object",  "an object" },
	{"null",    "null"      },
};

const char *schema_type_text(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return types[i].text;
	return NULL;
}

/* ---- references ---- */

/* "a~1b" is a/b. */
static char *unescaped(struct arena *a, const char *part, size_t len)
{
	char *key = arena_strndup(a, part, len), *to = key;

	for (const char *c = key; *c; c++) {
		bool is_escape = *c == '~' && (c[1] == '0' || c[1] == '1');

		*to++ = is_escape && c[1] == '1' ? '/' : *c;
		c += is_escape;
	}
	*to = '\0';
	return key;
}

static const cJSON *step_into(const cJSON *value, const char *key)
{
	const cJSON *item = NULL;
	char *end;

	if (cJSON_IsObject(value))
		return json_get(value, key);
	if (cJSON_IsArray(value) && *key >= '0' && *key <= '9') {
		unsigned long index = strtoul(key, &end, 10);

		for (item = value->child; item && index > 0 && !*end; item = item->next)
			index--;
	}
	return item;
}

const cJSON *schema_resolve(struct arena *a, const cJSON *root, const char *reference)
{
	const char *at = reference + 1;

	if (reference[0] != '#' || (*at && *at != '/'))
		return NULL;
	while (root && *at == '/') {
		size_t len = strcspn(++at, "/");

		root = step_into(root, unescaped(a, at, len));
		at += len;
	}
	return root && (cJSON_IsObject(root) || cJSON_IsBool(root)) ? root : NULL;
}

/* ---- formats ---- */

static bool has_shape(const char *text, const char *shape)
{
	for (; *shape; shape++, text++)
		if (*shape == '9' ? *text < '0' || *text > '9' : *text != *shape)
			return false;
	return true;
}

static int number_at(const char *text)
{
	return (text[0] - '0') * 10 + text[1] - '0';
}

static bool is_date(const char *text)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day, leap;

	if (!has_shape(text, "9999-99-99"))
		return false;
	year = number_at(text) * 100 + number_at(text + 2);
	month = number_at(text + 5);
	day = number_at(text + 8);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= days[month - 1] + (month == 2 && leap);
}

/* "10:20:30", "10:20:30.5Z", "10:20:30+01:00" */
static bool is_time(const char *text, bool needs_zone)
{
	if (!has_shape(text, "99:99:99") || number_at(text) > 23 || number_at(text + 3) > 59 ||
	    number_at(text + 6) > 60)
		return false;
	text += 8;
	if (*text == '.') {
		size_t digits = strspn(text + 1, "0123456789");

		if (digits == 0)
			return false;
		text += 1 + digits;
	}
	if (*text == '\0')
		return !needs_zone;
	if (*text == 'Z' || *text == 'z')
		return text[1] == '\0';
	return (*text == '+' || *text == '-') && has_shape(text + 1, "99:99") && text[6] == '\0' &&
	       number_at(text + 1) < 24 && number_at(text + 4) < 60;
}

static bool format_date(const char *text)
{
	return strlen(text) == 10 && is_date(text);
}

static bool format_time(const char *text)
{
	return is_time(text, true);
}

static bool format_date_time(const char *text)
{
	return is_date(text) && text[10] && strchr("Tt ", text[10]) && is_time(text + 11, true);
}

static bool format_email(const char *text)
{
	const char *at = strrchr(text, '@'), *dot = at ? strchr(at + 1, '.') : NULL;

	return at && at > text && dot && dot > at + 1 && dot[1] && !strpbrk(text, " \t\r\n<>,;") &&
	       strlen(text) <= 320 && !strstr(at, "..") && at[strlen(at) - 1] != '.';
}

static bool format_uri(const char *text)
{
	size_t scheme =
		strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	return scheme > 0 && text[scheme] == ':' && text[scheme + 1] && (*text | 0x20) >= 'a' &&
	       (*text | 0x20) <= 'z' && !strpbrk(text, " \t\r\n<>\"{}|\\^`");
}

static bool format_uuid(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
			return false;
	return true;
}

static const struct {
	const char *name;
	bool (*fits)(const char *text);
} formats[] = {
	{"date",      format_date     },
        {"time",      format_time     },
        {"date-time", format_date_time},
	{"email",     format_email    },
        {"uri",       format_uri      },
        {"uuid",      format_uuid     },
};

bool schema_format_fits(const char *format, const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++)
		if (strcmp(formats[i].name, format) == 0)
			return formats[i].fits(text);
	return true;
}

/* ---- checking a schema ---- */

struct checker {
	struct arena *arena;
	const cJSON *root;
	cJSON *unsupported; /* or NULL */
	struct error *err;
	unsigned depth;
};

static bool check_schema(struct checker *c, const cJSON *schema, const char *pointer);

static bool wrong(struct checker *c, const char *pointer, const cJSON *found, const char *expected)
{
	return fail(c->err, ERR_INVALID_PAYLOAD, "the schema at '%.80s' is %.60s, expected %s",
		    *pointer ? pointer : "(top)", json_print(c->arena, found).ptr, expected);
}

static const char *const expected[] = {
	[SHAPE_TYPE] = "string, number, integer, boolean, array, object, null, or an array of such",
	[SHAPE_VALUES] = "an array of values",
	[SHAPE_TEXTS] = "an array of property names",
	[SHAPE_TEXT] = "a string",
	[SHAPE_COUNT] = "a whole number from 0",
	[SHAPE_NUMBER] = "a number",
	[SHAPE_BOOL] = "true or false",
	[SHAPE_REF] = "a reference to a schema within the document, as '#/$defs/name'",
};

static bool is_type_name(const cJSON *value)
{
	return cJSON_IsString(value) && schema_type_text(value->valuestring);
}

static bool is_type(const cJSON *value)
{
	const cJSON *item;

	if (!cJSON_IsArray(value))
		return is_type_name(value);
	json_each(item, value)
		if (!is_type_name(item))
			return false;
	return value->child != NULL;
}

static bool is_texts(const cJSON *value)
{
	const cJSON *item;

	json_each(item, value)
		if (!cJSON_IsString(item))
			return false;
	return cJSON_IsArray(value);
}

static bool check_pattern(struct checker *c, const char *pointer, const char *pattern)
{
	struct error reason;

	if (regex_compile(c->arena, str_of(pattern), &reason))
		return true;
	return fail(c->err, ERR_INVALID_PAYLOAD, "the schema at '%.80s': %.200s", pointer,
		    reason.text);
}

/* The schemas in an object or an array. */
static bool check_all(struct checker *c, const cJSON *schemas, const char *pointer, bool patterns)
{
	size_t index = 0;
	const cJSON *item;

	json_each(item, schemas) {
		const char *inside =
			item->string ? arena_printf(c->arena, "%s/%s", pointer, item->string)
				     : arena_printf(c->arena, "%s/%zu", pointer, index);

		if (patterns && !check_pattern(c, inside, item->string))
			return false;
		if (!check_schema(c, item, inside))
			return false;
		index++;
	}
	return true;
}

static bool check_texts_map(struct checker *c, const cJSON *map, const char *pointer)
{
	const cJSON *item;

	json_each(item, map)
		if (!is_texts(item))
			return wrong(c, pointer, item, "an array of property names");
	return cJSON_IsObject(map) ||
	       wrong(c, pointer, map, "an object of arrays of property names");
}

static bool is_count(const cJSON *value)
{
	return cJSON_IsNumber(value) && value->valuedouble >= 0 &&
	       value->valuedouble == (double)(uint64_t)value->valuedouble;
}

/* A keyword whose value holds schemas. */
static bool check_schemas(struct checker *c, enum schema_shape shape, const cJSON *v,
			  const char *at)
{
	if (shape == SHAPE_SCHEMA)
		return check_schema(c, v, at);
	if (shape == SHAPE_SCHEMAS && !(cJSON_IsArray(v) && v->child))
		return wrong(c, at, v, "an array of schemas");
	if (shape != SHAPE_SCHEMAS && !cJSON_IsObject(v))
		return wrong(c, at, v, "an object of schemas");
	return check_all(c, v, at, shape == SHAPE_PATTERN_MAP);
}

static bool check_regex(struct checker *c, const cJSON *v, const char *at)
{
	return cJSON_IsString(v) ? check_pattern(c, at, v->valuestring)
				 : wrong(c, at, v, "a regular expression");
}

static bool is_reference(const struct checker *c, const cJSON *v)
{
	return cJSON_IsString(v) && schema_resolve(c->arena, c->root, v->valuestring);
}

static bool check_keyword(struct checker *c, enum schema_shape shape, const cJSON *v,
			  const char *at)
{
	bool good = true;

	switch (shape) {
	case SHAPE_SCHEMA:
	case SHAPE_SCHEMAS:
	case SHAPE_SCHEMA_MAP:
	case SHAPE_PATTERN_MAP:
		return check_schemas(c, shape, v, at);
	case SHAPE_TEXTS_MAP:
		return check_texts_map(c, v, at);
	case SHAPE_PATTERN:
		return check_regex(c, v, at);
	case SHAPE_ANY:
		break;
	case SHAPE_TYPE:
		good = is_type(v);
		break;
	case SHAPE_VALUES:
		good = cJSON_IsArray(v) && v->child;
		break;
	case SHAPE_TEXTS:
		good = is_texts(v);
		break;
	case SHAPE_TEXT:
		good = cJSON_IsString(v);
		break;
	case SHAPE_COUNT:
		good = is_count(v);
		break;
	case SHAPE_NUMBER:
		good = cJSON_IsNumber(v);
		break;
	case SHAPE_BOOL:
		good = cJSON_IsBool(v);
		break;
	case SHAPE_REF:
		good = is_reference(c, v);
		break;
	}
	return good || wrong(c, at, v, expected[shape]);
}

static bool check_keywords(struct checker *c, const cJSON *schema, const char *pointer)
{
	const cJSON *item;

	json_each(item, schema) {
		const struct schema_keyword *keyword = schema_keyword_find(item->string);
		const char *at = arena_printf(c->arena, "%s/%s", pointer, item->string);

		if (keyword && !check_keyword(c, keyword->shape, item, at))
			return false;
		if (!keyword && c->unsupported)
			json_push(c->unsupported, json_text(c->arena, at));
	}
	return true;
}

static bool check_schema(struct checker *c, const cJSON *schema, const char *pointer)
{
	bool good;

	if (cJSON_IsBool(schema))
		return true;
	if (!cJSON_IsObject(schema))
		return wrong(c, pointer, schema, "an object, true or false");
	if (c->depth >= SCHEMA_DEPTH_MAX)
		return fail(c->err, ERR_INVALID_PAYLOAD,
			    "the schema is nested deeper than %d at '%.80s'", SCHEMA_DEPTH_MAX,
			    pointer);
	c->depth++;
	good = check_keywords(c, schema, pointer);
	c->depth--;
	return good;
}

bool schema_check(struct arena *a, const cJSON *schema, cJSON **unsupported, struct error *err)
{
	struct checker c = {.arena = a, .root = schema, .err = err};

	if (unsupported)
		c.unsupported = *unsupported = json_array(a);
	return check_schema(&c, schema, "");
}
