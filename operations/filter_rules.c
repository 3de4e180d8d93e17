/* The operators. Each first makes what it compares with, which may be impossible (thrown), and then
 * looks at the value: a filter that is of no use is so whatever the data are. */
#include "common/utf8.h"
#include "operations/date.h"
#include "operations/filter_parts.h"
#include "operations/options.h"
#include "operations/regex.h"

#include <math.h>
#include <stdlib.h>

struct rule {
	const char *name;
	void (*apply)(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare);
	const char *type;      /* of the fault */
	bool inverted, folded; /* _n…; _i… */
};

/* ---- faults ---- */

static void add(struct filter_leaf *leaf, const char *type, const char *name, const cJSON *value)
{
	filter_add_fault(leaf->run, leaf->path, type, name, value);
}

static void add_required(struct filter_leaf *leaf)
{
	add(leaf, "required", NULL, NULL);
}

/* ---- equal to one of some ---- */

static bool is_same(const cJSON *a, const cJSON *b)
{
	if (cJSON_IsNumber(a) && isnan(a->valuedouble)) /* the month of what is no date */
		return false;
	return filter_is_date(a) == filter_is_date(b) && !isnan(b->valuedouble) && json_equal(a, b);
}

static bool is_in(const cJSON *list, const cJSON *value)
{
	const cJSON *item;

	json_each(item, list)
		if (is_same(item, value))
			return true;
	return false;
}

static void add_inequality(struct filter_leaf *leaf, const struct rule *rule, const cJSON *list)
{
	const char *member = rule->inverted ? "invalid" : "valid";
	const cJSON *only = list->child;

	if (only->next)
		add(leaf, rule->inverted ? "nin" : "in", member, list);
	else if (cJSON_IsNull(only))
		add(leaf, rule->inverted ? "nnull" : "null", NULL, NULL);
	else if (cJSON_IsString(only) && only->valuestring[0] == '\0')
		add(leaf, rule->inverted ? "nempty" : "empty", NULL, NULL);
	else
		add(leaf, rule->inverted ? "neq" : "eq", member, only);
}

/* It must be one of these, or none of these. An empty list asks for nothing. */
static void hold_against(struct filter_leaf *leaf, const struct rule *rule, const cJSON *list)
{
	if (!leaf->value)
		add_required(leaf);
	else if (list->child && is_in(list, leaf->value) == rule->inverted)
		add_inequality(leaf, rule, list);
}

static void add_to(struct filter_leaf *leaf, cJSON *list, const cJSON *value)
{
	if (!is_in(list, value))
		json_push(list, json_share(leaf->run->arena, value));
}

static bool refuse_array(struct filter_leaf *leaf, const struct rule *rule, const cJSON *value)
{
	return !cJSON_IsArray(value) || filter_throw(leaf->run, "AssertError",
						     "Method no longer accepts array arguments: %s",
						     rule->inverted ? "invalid" : "valid");
}

/* A number also matches the text of it, and a text the number in it. */
static void apply_equal(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	struct arena *a = leaf->run->arena;
	cJSON *list = json_array(a);
	double number;

	if (!refuse_array(leaf, rule, compare))
		return;
	json_push(list, json_share(a, compare));
	if (cJSON_IsNumber(compare)) {
		add_to(leaf, list, json_str(a, option_to_text(a, compare)));
	} else if (filter_is_date(compare)) {
		add_to(leaf, list, json_number(a, compare->valuedouble));
	} else if (cJSON_IsString(compare) && compare->valuestring[0]) {
		number = option_to_number(compare);
		if (!isnan(number))
			add_to(leaf, list, json_number(a, number));
	}
	hold_against(leaf, rule, list);
}

static void apply_in(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	cJSON *list = json_array(leaf->run->arena);
	const cJSON *item;

	json_each(item, compare) {
		if (!refuse_array(leaf, rule, item))
			return;
		add_to(leaf, list, item);
	}
	hold_against(leaf, rule, list);
}

/* _null and _empty: what they are compared with does not matter. */
static void apply_null(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	cJSON *list = json_array(leaf->run->arena);

	(void)compare;
	json_push(list, json_null(leaf->run->arena));
	hold_against(leaf, rule, list);
}

static void apply_empty(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	cJSON *list = json_array(leaf->run->arena);

	(void)compare;
	json_push(list, json_text(leaf->run->arena, ""));
	hold_against(leaf, rule, list);
}

/* ---- numbers and dates ---- */

static size_t skip_sign(struct str text, size_t at)
{
	return at + (at < text.len && (text.ptr[at] == '+' || text.ptr[at] == '-'));
}

static size_t skip_digits(struct str text, size_t at)
{
	while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
		at++;
	return at;
}

/* "+1.50e3": digits, one point, an exponent. */
static bool looks_like_number(struct str text)
{
	size_t start = skip_sign(text, 0), at = skip_digits(text, start), digits = at - start;

	if (at < text.len && text.ptr[at] == '.') {
		start = at + 1;
		at = skip_digits(text, start);
		digits += at - start;
	}
	if (digits > 0 && at < text.len && (text.ptr[at] | 0x20) == 'e') {
		start = skip_sign(text, at + 1);
		at = skip_digits(text, start);
		digits = at - start;
	}
	return digits > 0 && at == text.len;
}

/* The digits of a number without zeros at either end, without point and exponent. */
static struct str significant(struct arena *a, struct str text)
{
	char *digits = arena_alloc(a, text.len + 1);
	size_t count = 0;

	for (size_t i = 0; i < text.len && (text.ptr[i] | 0x20) != 'e'; i++)
		if (text.ptr[i] >= '0' && text.ptr[i] <= '9' && (count > 0 || text.ptr[i] != '0'))
			digits[count++] = text.ptr[i];
	while (count > 0 && digits[count - 1] == '0')
		count--;
	return (struct str){digits, count};
}

enum conversion { CONVERTED, NO_SUCH, UNSAFE, ENDLESS };

/* As Joi does it: texts are numbers, too, if no digit gets lost. */
static enum conversion to_number(struct arena *a, const cJSON *value, double *number)
{
	enum conversion result = CONVERTED;
	char text[JSON_NUMBER_MAX];
	struct str s;

	if (cJSON_IsNumber(value)) {
		*number = value->valuedouble;
	} else if (cJSON_IsString(value)) {
		s = utf8_trim(str_of(value->valuestring));
		if (!looks_like_number(s))
			return NO_SUCH;
		*number = strtod(arena_strndup(a, s.ptr, s.len), NULL);
		if (!isinf(*number) &&
		    !str_equal(significant(a, s),
			       significant(a, str_of(json_number_text(*number, text)))))
			result = UNSAFE;
	} else {
		return NO_SUCH;
	}
	if (isnan(*number))
		return NO_SUCH;
	if (isinf(*number))
		return ENDLESS;
	return fabs(*number) > 9007199254740991.0 ? UNSAFE : result;
}

/* A number in a text counts milliseconds. */
static bool to_date(const cJSON *value, double *ms)
{
	const char *text = value->valuestring;
	bool good;

	if (cJSON_IsNumber(value) || filter_is_date(value)) {
		*ms = value->valuedouble;
		good = true;
	} else if (!cJSON_IsString(value)) {
		return false;
	} else if (strspn(text, "+-0123456789.") == strlen(text) &&
		   looks_like_number(str_of(text)) && text[strlen(text) - 1] != '.') {
		*ms = strtod(text, NULL);
		good = true;
	} else {
		good = date_parse(text, ms);
	}
	return good && fabs(*ms) <= 8.64e15;
}

static bool is_numeric(const cJSON *compare)
{
	return !filter_is_date(compare) && !isnan(option_to_number(compare));
}

static bool breaks(const char *type, double value, double limit)
{
	if (strcmp(type, "gt") == 0)
		return !(value > limit);
	if (strcmp(type, "gte") == 0)
		return !(value >= limit);
	return strcmp(type, "lt") == 0 ? !(value < limit) : !(value <= limit);
}

/* The value as a number, or a date; false: it is not, which has been told. */
static bool read_value(struct filter_leaf *leaf, bool as_date, double *value)
{
	enum conversion result;

	if (!leaf->value) {
		add_required(leaf);
		return false;
	}
	if (as_date) {
		if (!to_date(leaf->value, value))
			add_required(leaf);
		return to_date(leaf->value, value);
	}
	result = to_number(leaf->run->arena, leaf->value, value);
	if (result == NO_SUCH)
		add_required(leaf);
	else if (result == UNSAFE)
		add(leaf, "unsafe", NULL, NULL);
	else if (result == ENDLESS)
		filter_add_unknown(leaf->run);
	return result == CONVERTED;
}

struct limit {
	const char *type;
	const cJSON *compare; /* NULL: missing */
};

static bool read_limit(struct filter_leaf *leaf, bool as_date, const cJSON *compare, double *bound)
{
	if (!as_date && compare) {
		*bound = option_to_number(compare);
		return true;
	}
	return (as_date && compare && to_date(compare, bound)) ||
	       filter_throw(leaf->run, "AssertError",
			    as_date ? "date must have a valid date format or reference"
				    : "limit must be a number or reference");
}

/* One or two limits, of which each is told that does not hold. */
static void hold_within(struct filter_leaf *leaf, bool as_date, const struct limit *limits,
			size_t count)
{
	struct arena *a = leaf->run->arena;
	double bounds[2] = {0, 0}, value;

	for (size_t i = 0; i < count; i++)
		if (!read_limit(leaf, as_date, limits[i].compare, &bounds[i]))
			return;
	if (!read_value(leaf, as_date, &value))
		return;
	for (size_t i = 0; i < count; i++)
		if (breaks(limits[i].type, value, bounds[i]))
			add(leaf, limits[i].type, "valid",
			    as_date ? filter_date(a, bounds[i]) : json_number(a, bounds[i]));
}

static void apply_compare(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	struct limit limit = {rule->type, compare};

	hold_within(leaf, !is_numeric(compare), &limit, 1);
}

/* Directus asks of _nbetween to be below the one and above the other, which nothing is. */
static void apply_between(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	const cJSON *first = compare->child, *item;
	struct limit limits[] = {
		{rule->inverted ? "lt" : "gte", first                     },
		{rule->inverted ? "gt" : "lte", first ? first->next : NULL},
	};
	bool as_date = false;

	json_each(item, compare)
		as_date |= !is_numeric(item) || fabs(option_to_number(item)) > 9007199254740991.0;
	hold_within(leaf, as_date, limits, ARRAY_LEN(limits));
}

/* ---- texts ---- */

/* A text to compare with is needed; where it is none, Directus wants the value to be true. */
static bool is_text(struct filter_leaf *leaf, const cJSON *compare)
{
	static const struct rule equal = {.name = "_eq"};
	cJSON *list;

	if (cJSON_IsString(compare))
		return true;
	list = json_array(leaf->run->arena);
	json_push(list, json_bool(leaf->run->arena, true));
	hold_against(leaf, &equal, list);
	return false;
}

static struct str prepared(struct filter_leaf *leaf, const struct rule *rule, const char *text,
			   bool lower)
{
	struct str s = str_of(text);

	if (!rule->folded)
		return s;
	return lower ? utf8_lower(leaf->run->arena, s) : utf8_upper(leaf->run->arena, s);
}

static bool has(struct str text, struct str part)
{
	return part.len == 0 || memmem(text.ptr, text.len, part.ptr, part.len) != NULL;
}

static bool contains(struct filter_leaf *leaf, const struct rule *rule, const cJSON *value,
		     const cJSON *compare)
{
	return cJSON_IsString(value) && value->valuestring[0] &&
	       has(prepared(leaf, rule, value->valuestring, true),
		   prepared(leaf, rule, compare->valuestring, true));
}

/* Of a text, or of an item of an array. For the latter Directus has no words. */
static void apply_contains(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	bool found = false;
	const cJSON *item;

	if (!is_text(leaf, compare))
		return;
	if (!leaf->value) {
		add_required(leaf);
	} else if (cJSON_IsString(leaf->value) && leaf->value->valuestring[0]) {
		if (contains(leaf, rule, leaf->value, compare) == rule->inverted)
			add(leaf, rule->type, "substring", compare);
	} else if (cJSON_IsArray(leaf->value)) {
		json_each(item, leaf->value)
			found |= contains(leaf, rule, item, compare);
		if (found == rule->inverted)
			filter_add_unknown(leaf->run);
	} else {
		filter_add_unknown(leaf->run);
	}
}

/* A value that is a text; false: it is not, which has been told. */
static bool read_text(struct filter_leaf *leaf, bool may_be_empty)
{
	if (!cJSON_IsString(leaf->value)) {
		add_required(leaf);
		return false;
	}
	if (leaf->value->valuestring[0] == '\0' && !may_be_empty) {
		filter_add_unknown(leaf->run);
		return false;
	}
	return true;
}

/* The text as it stands in the regular expression that Directus makes of it. */
static const char *as_pattern(struct arena *a, const char *text)
{
	char *pattern = arena_alloc(a, 2 * strlen(text) + 1), *to = pattern;

	for (; *text; text++) {
		bool is_line = *text == '\n' || *text == '\r';

		if (is_line || strchr("^$\\.*+?()[]{}|/", *text))
			*to++ = '\\';
		*to++ = *text == '\n' ? 'n' : *text == '\r' ? 'r' : *text;
	}
	return pattern;
}

static void hold_end(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare,
		     bool at_end)
{
	struct str text, part;
	const char *tail;

	if (!is_text(leaf, compare) || !read_text(leaf, false))
		return;
	text = prepared(leaf, rule, leaf->value->valuestring, false);
	part = prepared(leaf, rule, compare->valuestring, false);
	tail = text.ptr + (at_end && part.len <= text.len ? text.len - part.len : 0);
	if ((part.len <= text.len && memcmp(tail, part.ptr, part.len) == 0) == rule->inverted)
		add(leaf, rule->type, "substring",
		    json_text(leaf->run->arena,
			      as_pattern(leaf->run->arena, compare->valuestring)));
}

static void apply_starts(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	hold_end(leaf, rule, compare, false);
}

static void apply_ends(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	hold_end(leaf, rule, compare, true);
}

static void apply_regex(struct filter_leaf *leaf, const struct rule *rule, const cJSON *compare)
{
	struct arena *a = leaf->run->arena;
	struct str pattern = option_to_text(a, compare);
	struct regex *regex;
	struct error err;

	if (cJSON_IsNull(compare)) {
		(void)is_text(leaf, compare);
		return;
	}
	if (pattern.len > 0 && pattern.ptr[0] == '/' && pattern.ptr[pattern.len - 1] == '/')
		pattern =
			pattern.len > 1 ? (struct str){pattern.ptr + 1, pattern.len - 2} : STR("");
	regex = regex_compile(a, pattern, &err);
	if (!regex) {
		(void)filter_throw(leaf->run, "SyntaxError", "%s", err.text);
		return;
	}
	if (!read_text(leaf, true))
		return;
	switch (regex_search(regex, str_of(leaf->value->valuestring))) {
	case REGEX_FOUND:
		return;
	case REGEX_NOT_FOUND:
		add(leaf, rule->type, "invalid", leaf->value);
		return;
	case REGEX_TOO_MUCH_WORK:
		(void)filter_throw(leaf->run, "Error",
				   "the regular expression takes too much work on this value; make "
				   "it simpler");
		return;
	}
}

/* ---- the table ---- */

static const struct rule rules[] = {
	{"_eq",            apply_equal,    "eq",            false, false},
	{"_neq",           apply_equal,    "neq",           true,  false},
	{"_in",            apply_in,       "in",            false, false},
	{"_nin",           apply_in,       "nin",           true,  false},
	{"_null",          apply_null,     "null",          false, false},
	{"_nnull",         apply_null,     "nnull",         true,  false},
	{"_empty",         apply_empty,    "empty",         false, false},
	{"_nempty",        apply_empty,    "nempty",        true,  false},
	{"_gt",            apply_compare,  "gt",            false, false},
	{"_gte",           apply_compare,  "gte",           false, false},
	{"_lt",            apply_compare,  "lt",            false, false},
	{"_lte",           apply_compare,  "lte",           false, false},
	{"_between",       apply_between,  "between",       false, false},
	{"_nbetween",      apply_between,  "nbetween",      true,  false},
	{"_contains",      apply_contains, "contains",      false, false},
	{"_icontains",     apply_contains, "contains",      false, true },
	{"_ncontains",     apply_contains, "ncontains",     true,  false},
	{"_starts_with",   apply_starts,   "starts_with",   false, false},
	{"_nstarts_with",  apply_starts,   "nstarts_with",  true,  false},
	{"_istarts_with",  apply_starts,   "istarts_with",  false, true },
	{"_nistarts_with", apply_starts,   "nistarts_with", true,  true },
	{"_ends_with",     apply_ends,     "ends_with",     false, false},
	{"_nends_with",    apply_ends,     "nends_with",    true,  false},
	{"_iends_with",    apply_ends,     "iends_with",    false, true },
	{"_niends_with",   apply_ends,     "niends_with",   true,  true },
	{"_regex",         apply_regex,    "regex",         false, false},
};

void filter_apply_rule(struct filter_leaf *leaf, const char *operator, const cJSON * compare)
{
	for (size_t i = 0; compare && i < ARRAY_LEN(rules); i++) {
		if (strcmp(rules[i].name, operator) != 0)
			continue;
		rules[i].apply(leaf, &rules[i], compare);
		return;
	}
	if (!leaf->value)
		add_required(leaf);
}
