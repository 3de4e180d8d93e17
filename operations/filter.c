/* Three parts: filter_parse.c brings the filter into a form, this walks through it and the data, and
 * filter_rules.c holds a value against one rule. */
#include "operations/filter.h"

#include "common/buf.h"
#include "operations/date.h"
#include "operations/filter_parts.h"
#include "operations/options.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- errors ---- */

bool filter_throw(struct filter_run *r, const char *name, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!r->thrown)
		r->thrown = error_object(r->arena, name, text, NULL, 0);
	return false;
}

static void add_fault(struct filter_run *r, cJSON *extensions)
{
	struct filter_fault *fault = arena_make(r->arena, struct filter_fault);

	fault->extensions = extensions;
	*r->last = fault;
	r->last = &fault->next;
}

void filter_add_unknown(struct filter_run *r)
{
	add_fault(r, NULL);
}

void filter_add_fault(struct filter_run *r, const cJSON *path, const char *type, const char *name,
		      const cJSON *value)
{
	struct arena *a = r->arena;
	cJSON *extensions = json_object(a), *rest = json_array(a);
	const cJSON *key = path->child;

	json_append(a, extensions, "field", json_share(a, key));
	for (key = key->next; key; key = key->next)
		json_push(rest, json_share(a, key));
	json_append(a, extensions, "path", rest);
	json_append(a, extensions, "type", json_text(a, type));
	if (name)
		json_append(a, extensions, name, json_share(a, value));
	add_fault(r, extensions);
}

/* ---- what the errors say ---- */

/* String(value) */
static const char *shown(struct arena *a, const cJSON *value)
{
	char date[DATE_TEXT_MAX];

	if (filter_is_date(value))
		return arena_strdup(a, date_string(value->valuedouble, date));
	if (cJSON_IsObject(value))
		return "[object Object]";
	return option_to_text(a, value).ptr;
}

static const char *shown_list(struct arena *a, const cJSON *list)
{
	const char *text = "";
	const cJSON *item;

	json_each(item, list)
		text = arena_printf(a, "%s%s\"%s\"", text, *text ? ", " : "", shown(a, item));
	return text;
}

/* The sentences: with a member of the fault in quotes, or without. */
static const struct {
	const char *type, *member, *sentence;
} sentences[] = {
	{"eq",        "valid",     "Value has to be "                         },
	{"lt",        "valid",     "Value has to be less than "               },
	{"lte",       "valid",     "Value has to be less than or equal to "   },
	{"gt",        "valid",     "Value has to be greater than "            },
	{"gte",       "valid",     "Value has to be greater than or equal to "},
	{"in",        "valid",     "Value has to be one of "                  },
	{"neq",       "invalid",   "Value can't be "                          },
	{"nin",       "invalid",   "Value can't be one of "                   },
	{"contains",  "substring", "Value has to contain "                    },
	{"ncontains", "substring", "Value can't contain "                     },
	{"null",      NULL,        "Value has to be null"                     },
	{"nnull",     NULL,        "Value can't be null"                      },
	{"empty",     NULL,        "Value has to be empty"                    },
	{"nempty",    NULL,        "Value can't be empty"                     },
	{"required",  NULL,        "Value is required"                        },
	{"regex",     NULL,        "Value doesn't have the correct format"    },
	{"unsafe",    NULL,        "Value is not a safe number"               },
};

static const char *sentence_of(struct arena *a, const cJSON *extensions)
{
	const char *type = json_get_text(extensions, "type");

	for (size_t i = 0; i < ARRAY_LEN(sentences); i++) {
		const cJSON *value;

		if (strcmp(sentences[i].type, type) != 0)
			continue;
		if (!sentences[i].member)
			return arena_printf(a, " %s.", sentences[i].sentence);
		value = json_get(extensions, sentences[i].member);
		if (cJSON_IsArray(value))
			return arena_printf(a, " %s%s.", sentences[i].sentence,
					    shown_list(a, value));
		return arena_printf(a, " %s\"%s\".", sentences[i].sentence, shown(a, value));
	}
	return "";
}

static const char *joined_path(struct arena *a, const cJSON *path)
{
	const char *text = "";
	const cJSON *item;

	json_each(item, path)
		text = arena_printf(a, "%s%s%s", text, item == path->child ? "" : ".",
				    item->valuestring);
	return *text || path->child ? arena_printf(a, " at \"%s\"", text) : "";
}

/* Dates leave as the texts that JSON makes of them. */
static void write_dates(struct arena *a, cJSON *value)
{
	char text[DATE_TEXT_MAX];
	cJSON *item;

	if (filter_is_date(value)) {
		value->type = cJSON_String;
		value->valuestring = arena_strdup(a, date_iso(value->valuedouble, text));
	}
	json_each(item, value)
		write_dates(a, item);
}

static cJSON *error_of(struct arena *a, const cJSON *extensions)
{
	const char *message = arena_printf(
		a, "Validation failed for field \"%s\"%s.%s", json_get_text(extensions, "field"),
		joined_path(a, json_get(extensions, "path")), sentence_of(a, extensions));
	cJSON *error = error_object(a, "DirectusError", message, "FAILED_VALIDATION", 400);
	cJSON *copy = json_copy(a, extensions);

	write_dates(a, copy);
	json_set(a, error, "extensions", copy);
	return error;
}

static cJSON *errors_of(struct filter_run *r)
{
	cJSON *errors = json_array(r->arena);

	for (const struct filter_fault *f = r->faults; f; f = f->next) {
		if (!f->extensions) {
			(void)filter_throw(r, "Error",
					   "Couldn't extract validation error type from Joi "
					   "validation error item");
			return r->thrown;
		}
		json_push(errors, error_of(r->arena, f->extensions));
	}
	return errors;
}

/* ---- functions: "year(date)" ---- */

static double week_of(const struct tm *tm)
{
	/* weeks begin on Sundays; the first is that of 1 January */
	int first = ((tm->tm_wday - tm->tm_yday) % 7 + 7) % 7;
	struct tm next = {.tm_year = tm->tm_year + 1, .tm_mon = 0, .tm_mday = 1};
	int days_left;

	(void)timegm(&next);
	days_left =
		(tm->tm_year % 4 == 0 && (tm->tm_year % 100 != 0 || (tm->tm_year + 1900) % 400 == 0)
			 ? 366
			 : 365) -
		tm->tm_yday;
	if (days_left <= next.tm_wday && tm->tm_wday < next.tm_wday)
		return 1;
	return (tm->tm_yday + first) / 7 + 1; /* NOLINT(bugprone-integer-division): whole weeks */
}

static double date_part(const char *name, double ms)
{
	struct tm tm;

	date_fields(ms, &tm);
	const struct {
		const char *name;
		double part;
	} parts[] = {
		{"year",    tm.tm_year + 1900},
                {"month",   tm.tm_mon + 1    },
                {"week",    week_of(&tm)     },
		{"day",     tm.tm_mday       },
                {"weekday", tm.tm_wday       },
                {"hour",    tm.tm_hour       },
		{"minute",  tm.tm_min        },
                {"second",  tm.tm_sec        },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (strcmp(parts[i].name, name) == 0)
			return parts[i].part;
	return (double)NAN;
}

static bool is_date_function(const char *name)
{
	return !isnan(date_part(name, 0));
}

/* The value of "name(field)" in an object; NULL: thrown. */
static const cJSON *call_function(struct filter_run *r, const cJSON *object, const char *key)
{
	const char *open = strchr(key, '('), *close = strchr(open, ')');
	const char *name = arena_strndup(r->arena, key, (size_t)(open - key));
	const char *field = arena_strndup(r->arena, open + 1, (size_t)(close - open) - 1);
	const cJSON *value = json_get(object, field);
	cJSON *made = json_number(r->arena, 0);

	if (strcmp(name, "count") == 0)
		return cJSON_IsArray(value) ? json_number(r->arena, (double)json_count(value))
					    : json_null(r->arena);
	if (!is_date_function(name))
		(void)filter_throw(r, "TypeError", "functions[functionName] is not a function");
	else if (!value || cJSON_IsNull(value))
		(void)filter_throw(r, "TypeError", "Cannot read properties of %s (reading 'split')",
				   value ? "null" : "undefined");
	else if (!cJSON_IsString(value))
		(void)filter_throw(r, "TypeError", "dateString.split is not a function");
	if (r->thrown || !value)
		return NULL;
	made->valuedouble = date_parse_iso(value->valuestring, &made->valuedouble)
				    ? date_part(name, made->valuedouble)
				    : (double)NAN;
	return made;
}

static bool is_function(const char *key)
{
	const char *open = strchr(key, '('), *close = open ? strchr(open, ')') : NULL;

	return close && open > key && close > open + 1;
}

/* ---- walking ---- */

static void check(struct filter_run *r, const cJSON *filter);

static bool is_falsy(const cJSON *value)
{
	return cJSON_IsNull(value) || cJSON_IsFalse(value) ||
	       (cJSON_IsString(value) && value->valuestring[0] == '\0') ||
	       (cJSON_IsNumber(value) && value->valuedouble == 0);
}

/* Directus' own checks of the rule, before it sees any data. */
static bool is_usable(struct filter_run *r, const cJSON *filter)
{
	const cJSON *value = filter->child;

	if (!value)
		return filter_throw(r, "Error",
				    "[generateJoi] Filter doesn't contain field key. Passed "
				    "filter: {}");
	if (is_falsy(value))
		return filter_throw(
			r, "Error",
			"[generateJoi] Filter doesn't contain filter rule. Passed filter: %s",
			json_print(r->arena, filter).ptr);
	if (cJSON_IsString(value)) /* it walks into the letters of the text without end */
		return filter_throw(r, "RangeError", "Maximum call stack size exceeded");
	return true;
}

static const cJSON *value_at(struct filter_run *r, const cJSON *object, const char *key)
{
	return is_function(key) ? call_function(r, object, key) : json_get(object, key);
}

/* A place in filter and data. */
struct descent {
	cJSON *path;       /* the keys so far, as far as the data go */
	const cJSON *data; /* NULL: nothing is there */
};

static void go_down(struct filter_run *r, struct descent *d, const char *key)
{
	bool is_object = cJSON_IsObject(d->data) || (d->data && is_function(key));

	if (is_object) {
		json_push(d->path, json_text(r->arena, key));
		d->data = value_at(r, d->data, key);
	} else {
		d->data = NULL;
	}
}

static const char *operator_in(const cJSON *rule)
{
	return cJSON_IsObject(rule) && rule->child ? rule->child->string : "_";
}

/* One rule: down the filter and the data at the same time. */
static void check_rule(struct filter_run *r, const cJSON *filter)
{
	struct descent d = {json_array(r->arena), r->data};
	struct filter_leaf leaf;

	for (const char *inner = ""; inner[0] != '_'; filter = filter->child) {
		if (!is_usable(r, filter) || !filter->child)
			return;
		go_down(r, &d, filter->child->string);
		if (r->thrown)
			return;
		inner = operator_in(filter->child);
	}
	leaf = (struct filter_leaf){r, d.path, d.data};
	filter_apply_rule(&leaf, operator_in(filter),
			  cJSON_IsObject(filter) ? filter->child : NULL);
}

static void check_any(struct filter_run *r, const cJSON *branches)
{
	struct filter_fault **before = r->last;
	const cJSON *item;

	json_each(item, branches) {
		struct filter_fault **start = r->last;

		check(r, item);
		if (r->thrown || r->last == start) {
			r->last = before;
			*before = NULL;
			return;
		}
	}
}

static void check(struct filter_run *r, const cJSON *filter)
{
	const cJSON *first = filter->child, *item;

	if (first && strcmp(first->string, "_or") == 0) {
		check_any(r, first);
	} else if (first && strcmp(first->string, "_and") == 0) {
		json_each(item, first) {
			check(r, item);
			if (r->thrown)
				return;
		}
	} else {
		check_rule(r, filter);
	}
}

cJSON *filter_check(struct arena *a, const struct filter_input *in)
{
	const cJSON *data = cJSON_IsObject(in->data) ? in->data : json_object(a);
	struct filter_run r = {.arena = a, .in = in, .data = data};
	const cJSON *prepared;

	r.last = &r.faults;
	prepared = filter_prepare(&r, in->filter);
	if (prepared && !r.thrown)
		check(&r, prepared);
	if (r.thrown)
		return r.thrown;
	return r.faults ? errors_of(&r) : NULL;
}
