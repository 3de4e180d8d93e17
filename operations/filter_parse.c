/* From the filter as it was written to one in which each object has one member. */
#include "operations/date.h"
#include "operations/filter_parts.h"
#include "operations/options.h"

static const cJSON *parse_rule(struct filter_run *r, const cJSON *filter);

cJSON *filter_date(struct arena *a, double ms)
{
	cJSON *date = json_number(a, ms);

	date->type = cJSON_Raw;
	return date;
}

bool filter_is_date(const cJSON *value)
{
	return cJSON_IsRaw(value);
}

static cJSON *single(struct arena *a, const char *key, const cJSON *value)
{
	cJSON *object = json_object(a);

	json_append(a, object, key, json_share(a, value));
	return object;
}

static bool count_step(struct filter_run *r)
{
	return ++r->steps < FILTER_STEPS_MAX ||
	       filter_throw(r, "RangeError", "the filter has too many rules");
}

/* ---- dynamic values ---- */

/* "$NOW", "$NOW(-1 day)"; without a unit: days. What is no duration is left out. */
static cJSON *parse_now(struct filter_run *r, const char *text)
{
	const char *open = strchr(text, '('), *close = open ? strchr(open, ')') : NULL;
	double now = (double)r->in->now_ms;
	struct duration d;

	if (close && duration_parse((struct str){open + 1, (size_t)(close - open) - 1}, &d)) {
		if (d.unit == DURATION_NO_UNIT)
			d.unit = DURATION_DAY;
		now = date_add(now, d);
	}
	return filter_date(r->arena, now);
}

static bool starts(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const cJSON *dynamic(struct filter_run *r, const cJSON *value)
{
	static const struct {
		const char *variable, *member;
	} variables[] = {
		{"$CURRENT_USER",     "user" },
		{"$CURRENT_ROLES",    "roles"},
		{"$CURRENT_ROLE",     "role" },
		{"$CURRENT_POLICIES", ""     },
	};
	const cJSON *found;

	if (!cJSON_IsString(value))
		return value;
	if (starts(value->valuestring, "$NOW"))
		return parse_now(r, value->valuestring);
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		if (!starts(value->valuestring, variables[i].variable))
			continue;
		found = strcmp(value->valuestring, variables[i].variable) == 0
				? json_get(r->in->accountability, variables[i].member)
				: NULL;
		return found ? found : json_null(r->arena);
	}
	return value;
}

/* The values of _in and such: an array, a text with commas, the values of an object; what is an array
 * within becomes items. */
static const cJSON *parse_list(struct filter_run *r, const cJSON *value)
{
	cJSON *list = json_array(r->arena);
	const cJSON *items = cJSON_IsObject(value) ? value : option_to_array(r->arena, value),
		    *item, *inner;

	json_each(item, items) {
		const cJSON *resolved = dynamic(r, item);

		if (!cJSON_IsArray(resolved)) {
			json_push(list, json_share(r->arena, resolved));
			continue;
		}
		json_each(inner, resolved)
			json_push(list, json_share(r->arena, inner));
	}
	return list;
}

/* ---- rules ---- */

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static bool is_logical(const char *key)
{
	return strcmp(key, "_and") == 0 || strcmp(key, "_or") == 0;
}

static const cJSON *parse_branches(struct filter_run *r, const cJSON *value)
{
	cJSON *branches = json_array(r->arena);
	const cJSON *item;

	if (cJSON_IsNull(value))
		(void)filter_throw(r, "TypeError",
				   "Cannot read properties of null (reading 'map')");
	else if (!cJSON_IsArray(value))
		(void)filter_throw(r, "TypeError", "value.map is not a function");
	json_each(item, value) {
		const cJSON *branch = r->thrown ? NULL : parse_rule(r, item);

		if (!branch)
			break;
		json_push(branches, json_share(r->arena, branch));
	}
	return branches;
}

static const cJSON *parse_geometry(struct filter_run *r, const cJSON *value)
{
	struct error err;
	const cJSON *parsed = option_to_object(r->arena, value, &err);

	if (!parsed)
		(void)filter_throw(r, "SyntaxError", "%s", err.text);
	return parsed ? dynamic(r, parsed) : value;
}

static const cJSON *parse_member(struct filter_run *r, const char *key, const cJSON *value)
{
	static const char *const lists[] = {"_in", "_nin", "_between", "_nbetween"};
	static const char *const bypassed[] = {"_none", "_some"};
	static const char *const geometry[] = {"_intersects", "_nintersects", "_intersects_bbox",
					       "_nintersects_bbox"};

	if (is_logical(key))
		return parse_branches(r, value);
	if (is_one_of(key, lists, ARRAY_LEN(lists)))
		return parse_list(r, value);
	if (is_one_of(key, geometry, ARRAY_LEN(geometry)))
		return parse_geometry(r, value);
	if (key[0] == '_' && !is_one_of(key, bypassed, ARRAY_LEN(bypassed)))
		return dynamic(r, value);
	return parse_rule(r, value);
}

/* An array's items are members called 0, 1, …, as in JavaScript. */
static const cJSON *parse_rule(struct filter_run *r, const cJSON *filter)
{
	cJSON *members = json_array(r->arena);
	const cJSON *item;
	size_t index = 0;

	if (!count_step(r))
		return NULL;
	if (cJSON_IsNull(filter))
		return filter;
	if (!cJSON_IsObject(filter) && !cJSON_IsArray(filter))
		return single(r->arena, "_eq", dynamic(r, filter));
	json_each(item, filter) {
		const char *key =
			item->string ? item->string : arena_printf(r->arena, "%zu", index);
		const cJSON *value = parse_member(r, key, item);

		if (r->thrown)
			return NULL;
		json_push(members, single(r->arena, key, value));
		index++;
	}
	if (!members->child)
		return json_object(r->arena);
	return members->child->next ? single(r->arena, "_and", members) : members->child;
}

/* ---- _and and _or come to the top ---- */

static const cJSON *lift(struct filter_run *r, const cJSON *filter);

static const cJSON *lift_all(struct filter_run *r, const char *key, const cJSON *branches)
{
	cJSON *lifted = json_array(r->arena);
	const cJSON *item;

	json_each(item, branches) {
		const cJSON *one = lift(r, item);

		if (!one)
			return NULL;
		json_push(lifted, json_share(r->arena, one));
	}
	return single(r->arena, key, lifted);
}

static const cJSON *lift(struct filter_run *r, const cJSON *filter)
{
	const cJSON *first = filter->child, *child, *item;
	cJSON *branches;

	if (!count_step(r))
		return NULL;
	if (cJSON_IsNull(filter)) {
		(void)filter_throw(r, "TypeError", "Cannot convert undefined or null to object");
		return NULL;
	}
	if (!first || (first->string[0] == '_' && !is_logical(first->string)))
		return filter;
	if (is_logical(first->string))
		return lift_all(r, first->string, first);
	child = lift(r, first);
	if (!child || !child->child || !is_logical(child->child->string))
		return child ? single(r->arena, first->string, child) : NULL;
	branches = json_array(r->arena);
	json_each(item, child->child)
		json_push(branches, single(r->arena, first->string, item));
	return lift_all(r, child->child->string, branches);
}

const cJSON *filter_prepare(struct filter_run *r, const cJSON *filter)
{
	const cJSON *parsed = !filter || cJSON_IsNull(filter) ? NULL : parse_rule(r, filter);

	return parsed && !r->thrown ? lift(r, parsed) : NULL;
}
