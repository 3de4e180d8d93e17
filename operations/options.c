#include "operations/options.h"

#include "common/json_scan.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- JSON.parse()'s errors ---- */

/* What V8 says where our scan expected something. */
static const struct {
	const char *expected, *said;
} sayings[] = {
	{"a key in double quotes",                        "Expected double-quoted property name in JSON"    },
	{"':'",					   "Expected ':' after property name in JSON"        },
	{"',' or '}'",				    "Expected ',' or '}' after property value in JSON"},
	{"',' or ']'",				    "Expected ',' or ']' after array element in JSON" },
	{"nothing behind the value",                      "Unexpected non-whitespace character after JSON"  },
	{"'\"'",					  "Unterminated string in JSON"                     },
	{"its escape in a string",                        "Bad control character in string literal in JSON" },
	{"one of \" \\ / b f n r t u behind a backslash", "Bad escaped character in JSON"                   },
	{"a hexadecimal digit",                           "Bad Unicode escape in JSON"                      },
};

/* The last byte before a place that is no white space; 0 at the front. */
static char byte_before(struct str text, size_t at)
{
	while (at > 0 && strchr(" \t\n\r", text.ptr[at - 1]))
		at--;
	return at > 0 ? text.ptr[at - 1] : '\0';
}

/* A number ended too soon: behind a point, an e, or the sign. */
static const char *number_saying(struct str text, size_t at)
{
	char before = text.ptr[at - 1], earlier = at > 1 ? text.ptr[at - 2] : ' ';

	if (before == '.')
		return "Unterminated fractional number in JSON";
	return strchr("eE", before) || strchr("eE", earlier)
		       ? "Exponent part is missing a number in JSON"
		       : "No number after minus sign in JSON";
}

static const char *saying(struct str text, const struct json_stop *stop)
{
	char here = stop->at < text.len ? text.ptr[stop->at] : '\0';

	if (strcmp(stop->expected, "a digit") == 0)
		return number_saying(text, stop->at);
	if (here >= '0' && here <= '9' && stop->at > 0 && text.ptr[stop->at - 1] == '0')
		return "Unexpected number in JSON";
	if (strcmp(stop->expected, "a key in double quotes") == 0 &&
	    byte_before(text, stop->at) == '{')
		return "Expected property name or '}' in JSON";
	for (size_t i = 0; i < ARRAY_LEN(sayings); i++)
		if (strcmp(stop->expected, sayings[i].expected) == 0)
			return sayings[i].said;
	return NULL;
}

/* Moves *at on by characters, until they have so many UTF-16 units or more, or the text ends. */
static void skip_units(struct str text, size_t *at, size_t units)
{
	for (size_t passed = 0; passed < units && *at < text.len;)
		passed += utf8_next(text, at) > 0xFFFF ? 2 : 1;
}

/* The bytes of so many units around a place, as V8 shows a long text; of a character that is half in it all or nothing. */
static struct str around(struct str text, size_t at, const char **before, const char **behind)
{
	enum { CONTEXT = 10, LONG = 2 * CONTEXT + 1 };
	size_t units = utf8_units(text), place = utf8_units((struct str){text.ptr, at});
	size_t start = 0, end = at;

	*before = *behind = "";
	if (units < LONG)
		return text;
	skip_units(text, &start, place > CONTEXT ? place - CONTEXT : 0);
	if (start > 0)
		*before = "...";
	if (place >= units - CONTEXT)
		return (struct str){text.ptr + start, text.len - start};
	*behind = "...";
	skip_units(text, &end, CONTEXT);
	return (struct str){text.ptr + start, end - start};
}

static bool is_well_known(struct str text)
{
	static const char *const words[] = {"undefined", "NaN", "Infinity", "[object Object]"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (str_is(text, words[i]))
			return true;
	return false;
}

static void fail_at_character(struct str text, size_t at, struct error *err)
{
	const char *before, *behind;
	struct str context = around(text, at, &before, &behind);
	struct str character = utf8_first((struct str){text.ptr + at, text.len - at}, 1);

	(void)fail(err, ERR_NAMED, "Unexpected token '%.*s', %s\"%.*s\"%s is not valid JSON",
		   STR_ARGS(character), before, STR_ARGS(context), behind);
}

static void fail_as_javascript(struct str text, const struct json_stop *stop, struct error *err)
{
	const char *said = stop->expected ? saying(text, stop) : NULL;
	struct error ours = *err;

	if (!stop->expected)
		(void)fail(err, ERR_NAMED, "%s", ours.text);
	else if (is_well_known(text))
		(void)fail(err, ERR_NAMED, "\"%s\" is not valid JSON", text.ptr);
	else if (said)
		(void)fail(err, ERR_NAMED, "%s at position %zu", said,
			   utf8_units((struct str){text.ptr, stop->at}));
	else if (stop->at == text.len)
		(void)fail(err, ERR_NAMED, "Unexpected end of JSON input");
	else
		fail_at_character(text, stop->at, err);
	(void)snprintf(err->name, sizeof(err->name), "SyntaxError");
}

/* ---- values ---- */

static void remove_proto(cJSON *value)
{
	cJSON *item;

	if (cJSON_IsObject(value))
		json_remove(value, "__proto__");
	json_each(item, value)
		remove_proto(item);
}

const cJSON *option_to_object(struct arena *a, const cJSON *option, struct error *err)
{
	struct json_stop stop;
	struct str text, ready;
	cJSON *value;

	if (!cJSON_IsString(option))
		return option ? option : json_null(a);
	text = str_of(option->valuestring);
	value = json_parse_rounding(a, text, err);
	if (value) {
		if (strstr(text.ptr, "__proto__"))
			remove_proto(value);
		return value;
	}
	if (!json_scan(a, text, true, &ready, &stop, err))
		fail_as_javascript(text, &stop, err);
	return NULL;
}

struct str option_to_text(struct arena *a, const cJSON *option)
{
	if (!option)
		return STR("undefined");
	return cJSON_IsString(option) ? str_of(option->valuestring) : json_print(a, option);
}

cJSON *option_to_array(struct arena *a, const cJSON *option)
{
	cJSON *array;

	if (cJSON_IsArray(option))
		return json_share(a, option);
	array = json_array(a);
	if (!cJSON_IsString(option)) {
		json_push(array, option ? json_share(a, option) : json_null(a));
		return array;
	}
	for (const char *at = option->valuestring; at;) {
		size_t len = strcspn(at, ",");

		json_push(array, json_str(a, (struct str){at, len}));
		at = at[len] ? at + len + 1 : NULL;
	}
	return array;
}

/* [] is "", [5] is "5": what JavaScript makes of an array on its way to a number. */
static double number_of_array(const cJSON *array)
{
	if (!array->child)
		return 0;
	if (array->child->next || cJSON_IsBool(array->child))
		return (double)NAN;
	return cJSON_IsNull(array->child) ? 0 : option_to_number(array->child);
}

static double number_of_text(const char *text)
{
	struct str s = utf8_trim(str_of(text));
	char copy[400], *end;
	bool is_hex = s.len > 2 && s.ptr[0] == '0' && (s.ptr[1] | 0x20) == 'x';
	size_t plain = 0;
	double number;

	if (s.len == 0)
		return 0;
	if (s.len >= sizeof(copy))
		return (double)NAN;
	memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	if (strcmp(copy + strspn(copy, "+-"), "Infinity") == 0 && strspn(copy, "+-") < 2)
		return copy[0] == '-' ? (double)-INFINITY : (double)INFINITY;
	plain = strspn(copy, is_hex ? "0123456789abcdefABCDEFxX" : "0123456789.eE+-");
	number = strtod(copy, &end); /* knows hexadecimal and would take "inf" and "nan" */
	return plain < s.len || *end ? (double)NAN : number;
}

double option_to_number(const cJSON *option)
{
	if (!option || cJSON_IsObject(option))
		return (double)NAN;
	if (cJSON_IsNumber(option))
		return option->valuedouble;
	if (cJSON_IsArray(option))
		return number_of_array(option);
	if (cJSON_IsString(option))
		return number_of_text(option->valuestring);
	return cJSON_IsTrue(option) ? 1 : 0;
}

cJSON *error_object(struct arena *a, const char *name, const char *message, const char *code,
		    int status)
{
	cJSON *object = json_object(a);

	json_set_text(a, object, "name", name);
	json_set_text(a, object, "message", message);
	json_set_text(a, object, "code", code);
	json_set(a, object, "status", status ? json_number(a, status) : json_null(a));
	json_set(a, object, "extensions", json_object(a));
	return object;
}
