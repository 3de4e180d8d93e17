/* The shapes of configuration that is JSON: what an entry of AI_MODELS, AI_LIMITS and the like may
 * hold. A text that says what was expected, and where, is returned for the first thing wrong. */
#include "common/config_parts.h"

#include "common/http.h"
#include "common/nearest.h"
#include "common/secrets.h"

#include <math.h>

enum kind { KIND_TEXT = 1, KIND_NUMBER = 2, KIND_BOOL = 4, KIND_OBJECT = 8 };

/* A member of an object. */
struct member {
	const char *name;
	unsigned kinds;      /* of enum kind */
	const char *choices; /* of a text; or NULL */
	bool may_be_zero;
};

static const char *kind_text(unsigned kinds)
{
	return kinds == KIND_TEXT     ? "a text"
	       : kinds == KIND_NUMBER ? "a number"
	       : kinds == KIND_BOOL   ? "true or false"
				      : "an object";
}

static unsigned kind_of(const cJSON *value)
{
	return cJSON_IsString(value)   ? KIND_TEXT
	       : cJSON_IsNumber(value) ? KIND_NUMBER
	       : cJSON_IsBool(value)   ? KIND_BOOL
	       : cJSON_IsObject(value) ? KIND_OBJECT
				       : 0;
}

static bool is_one_of(const char *text, const char *choices)
{
	size_t len = strlen(text);

	for (; *choices; choices += strcspn(choices, "|"), choices += *choices == '|')
		if (strcspn(choices, "|") == len && memcmp(choices, text, len) == 0)
			return true;
	return false;
}

static const char *check_member(struct arena *a, const struct member *m, const cJSON *value)
{
	if (cJSON_IsNull(value))
		return NULL;
	if (!(kind_of(value) & m->kinds))
		return arena_printf(a, "%s as '%s'", kind_text(m->kinds), m->name);
	if (m->choices && !is_one_of(value->valuestring, m->choices))
		return arena_printf(a, "one of %s as '%s'", m->choices, m->name);
	if (cJSON_IsNumber(value) &&
	    (value->valuedouble < 0 || (value->valuedouble <= 0 && !m->may_be_zero)))
		return arena_printf(a, "a number above 0 as '%s'", m->name);
	if (cJSON_IsString(value) && !value->valuestring[0])
		return arena_printf(a, "a text that is not empty as '%s'", m->name);
	return NULL;
}

static const struct member *find_member(const struct member *members, const char *name)
{
	for (; members->name; members++)
		if (strcmp(members->name, name) == 0)
			return members;
	return NULL;
}

static const char *unknown_member(struct arena *a, const struct member *members, const char *name)
{
	struct nearest near = {.word = name};

	for (; members->name; members++)
		nearest_try(&near, members->name);
	if (near.best)
		return arena_printf(a, "'%s' instead of '%.40s'", near.best, name);
	return arena_printf(a, "no member '%.40s'", name);
}

/* Members that are not in the table are refused if `closed`. */
static const char *check_object(struct arena *a, const struct member *members, bool closed,
				const cJSON *object)
{
	const cJSON *value;

	if (!cJSON_IsObject(object))
		return "an object";
	json_each(value, object) {
		const struct member *m = find_member(members, value->string);
		const char *wrong = m        ? check_member(a, m, value)
				    : closed ? unknown_member(a, members, value->string)
					     : NULL;

		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *check_array(struct arena *a, const cJSON *array,
			       const char *(*check)(struct arena *a, const cJSON *item))
{
	const cJSON *item;
	size_t n = 0;

	if (!cJSON_IsArray(array))
		return "a JSON array: json:[...]";
	json_each(item, array) {
		const char *wrong = check(a, item);

		n++;
		if (wrong)
			return arena_printf(a, "%s in entry %zu", wrong, n);
	}
	return NULL;
}

/* ---- AI_LIMITS ---- */

static const struct member limit_members[] = {
	{"scope",       KIND_TEXT,   NULL,                   false},
	{"rpm",         KIND_NUMBER, NULL,                   false},
	{"rpd",         KIND_NUMBER, NULL,                   false},
	{"tpm",         KIND_NUMBER, NULL,                   false},
	{"itpm",        KIND_NUMBER, NULL,                   false},
	{"otpm",        KIND_NUMBER, NULL,                   false},
	{"concurrency", KIND_NUMBER, NULL,                   false},
	{"budgetUsd",   KIND_NUMBER, NULL,                   true },
	{"softUsd",     KIND_NUMBER, NULL,                   true },
	{"period",      KIND_TEXT,   "hour|day|month|total", false},
	{"timeZone",    KIND_TEXT,   NULL,                   false},
	{"onBudget",    KIND_TEXT,   "park|fail",            false},
	{NULL,          0,           NULL,                   false},
};

/* "*", provider, provider/model, or one of the words and a colon. */
static const char *check_scope(struct arena *a, const char *scope)
{
	static const char *const providers[] = {"openai", "anthropic", "google",
						"openai-compatible"};
	static const char *const words[] = {"flow", "tenant", "collection", "user",
					    "openai-compatible"};
	size_t word = strcspn(scope, ":"), provider = strcspn(scope, "/");

	if (strcmp(scope, "*") == 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (scope[word] && scope[word + 1] && strlen(words[i]) == word &&
		    memcmp(scope, words[i], word) == 0)
			return NULL;
	for (size_t i = 0; i < ARRAY_LEN(providers); i++)
		if (strlen(providers[i]) == provider &&
		    memcmp(scope, providers[i], provider) == 0 &&
		    (!scope[provider] || scope[provider + 1]))
			return NULL;
	return arena_printf(a,
			    "a provider, provider/model, flow:ID, tenant:NAME, collection:NAME, "
			    "user:ID or * as 'scope', not '%.60s',",
			    scope);
}

static bool has_limit(const cJSON *limit)
{
	for (const struct member *m = limit_members + 1; m->kinds == KIND_NUMBER; m++)
		if (cJSON_IsNumber(json_get(limit, m->name)))
			return true;
	return false;
}

static const char *check_limit(struct arena *a, const cJSON *limit)
{
	const char *wrong = check_object(a, limit_members, true, limit);
	const char *scope = json_get_text(limit, "scope");

	if (wrong)
		return wrong;
	if (!scope)
		return "a 'scope'";
	if (!has_limit(limit))
		return "at least one limit (rpm, rpd, tpm, itpm, otpm, concurrency, budgetUsd)";
	return check_scope(a, scope);
}

const char *config_shape_limits(struct arena *a, const cJSON *value)
{
	return check_array(a, value, check_limit);
}

/* ---- models ---- */

/* Rules beyond these (efforts, tokenizer, ...) are checked where the model table is read. */
static const struct member model_members[] = {
	{"provider",        KIND_TEXT,   NULL, false},
	{"model",           KIND_TEXT,   NULL, false},
	{"id",              KIND_TEXT,   NULL, false},
	{"name",            KIND_TEXT,   NULL, false},
	{"context",         KIND_NUMBER, NULL, false},
	{"output",          KIND_NUMBER, NULL, false},
	{"limit",           KIND_OBJECT, NULL, false},
	{"cost",            KIND_OBJECT, NULL, false},
	{"attachment",      KIND_BOOL,   NULL, false},
	{"reasoning",       KIND_BOOL,   NULL, false},
	{"providerOptions", KIND_OBJECT, NULL, false},
	{NULL,              0,           NULL, false},
};
static const struct member size_members[] = {
	{"context", KIND_NUMBER, NULL, false},
	{"output",  KIND_NUMBER, NULL, false},
	{NULL,      0,           NULL, false},
};
static const struct member cost_members[] = {
	{"input",      KIND_NUMBER, NULL, true },
        {"output",     KIND_NUMBER, NULL, true },
	{"cached",     KIND_NUMBER, NULL, true },
        {"cacheRead",  KIND_NUMBER, NULL, true },
	{"cacheWrite", KIND_NUMBER, NULL, true },
        {NULL,         0,           NULL, false},
};

static const char *check_part(struct arena *a, const cJSON *model, const char *name,
			      const struct member *members)
{
	const cJSON *part = json_get(model, name);
	const char *wrong = cJSON_IsObject(part) ? check_object(a, members, false, part) : NULL;

	return wrong ? arena_printf(a, "%s of '%s'", wrong, name) : NULL;
}

static const char *check_own_model(struct arena *a, const cJSON *model)
{
	const char *wrong = check_object(a, model_members, false, model);

	if (!wrong)
		wrong = check_part(a, model, "limit", size_members);
	if (!wrong)
		wrong = check_part(a, model, "cost", cost_members);
	if (!wrong && !json_get_text(model, "id") && !json_get_text(model, "model"))
		wrong = "an 'id'";
	return wrong;
}

static const char *check_model(struct arena *a, const cJSON *model)
{
	const char *wrong = check_own_model(a, model);

	return !wrong && !json_get_text(model, "provider") ? "a 'provider'" : wrong;
}

const char *config_shape_own_models(struct arena *a, const cJSON *value)
{
	return check_array(a, value, check_own_model);
}

const char *config_shape_models(struct arena *a, const cJSON *value)
{
	return check_array(a, value, check_model);
}

/* ---- headers ---- */

static bool is_header_name(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789!#$%&'*+-.^_`|~")];
}

static bool is_header_value(const char *value)
{
	for (; *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7F)
			return false;
	return true;
}

/* Directus' form is a list of {header, value}; an object {name: value} says the same. */
const char *config_parse_headers(struct arena *a, const cJSON *value,
				 const struct http_header **headers)
{
	struct http_header *list = arena_array(a, struct http_header, json_count(value) + 1);
	const cJSON *item;
	size_t count = 0;

	if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
		return "json:[{\"header\":\"...\",\"value\":\"...\"}]";
	json_each(item, value) {
		bool is_pair = cJSON_IsObject(value);
		const char *name = is_pair ? item->string : json_get_text(item, "header");
		const char *text =
			is_pair ? cJSON_GetStringValue(item) : json_get_text(item, "value");

		if (!name || !is_header_name(name))
			return arena_printf(a, "a header's name as 'header' in entry %zu",
					    count + 1);
		if (!text || !is_header_value(text))
			return arena_printf(a, "a text in one line as the value of '%.40s'", name);
		if (strlen(text) >= SECRET_WHOLE_BELOW)
			secrets_add(str_of(text));
		list[count++] = (struct http_header){name, text};
	}
	*headers = list;
	return NULL;
}
