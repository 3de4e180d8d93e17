#include "worker/flow/flow_check.h"

#include "common/template.h"
#include "operations/operation.h"

/* Stands for a value that only the run will know, where the option's type allows no text. */
static cJSON *placeholder(struct arena *a, const struct option *o, const cJSON *raw)
{
	if (o->types & OPTION_TEXT && !o->choices)
		return json_share(a, raw);
	if (o->types & OPTION_ARRAY)
		return json_array(a);
	if (o->types & OPTION_OBJECT)
		return json_object(a);
	return NULL; /* left out: only a required one would be missed, and none is of these types */
}

static bool check_node(struct arena *a, const struct flow_node *n, struct error *err)
{
	cJSON *known = json_object(a), *value;
	struct error why;

	for (const struct option *o = n->op->options; o && o->name; o++) {
		const cJSON *raw = json_get(n->options, o->name);

		if (!raw)
			continue;
		value = template_is_in(raw) ? placeholder(a, o, raw) : json_share(a, raw);
		if (value)
			json_set(a, known, o->name, value);
	}
	if (!operation_check(n->op, known, &why))
		return fail(err, why.code, "operation '%.64s' (%s): %s", n->key, n->type, why.text);
	return true;
}

/* Operations that take their options as leniently as Directus does still need those without which
 * they have nothing to do. */
static bool check_required(const struct flow_node *n, struct error *err)
{
	for (const struct option *o = n->op->options; o && o->name; o++) {
		const cJSON *raw = json_get(n->options, o->name);
		const char *text = cJSON_GetStringValue(raw);

		if (o->required && (!raw || cJSON_IsNull(raw) || (text && !text[0])))
			return fail(err, ERR_INVALID_PAYLOAD,
				    "operation '%.64s' (%s): option '%s' is missing: %s", n->key,
				    n->type, o->name, o->help);
	}
	return true;
}

bool flow_check_options(struct arena *a, const struct flow *f, struct error *err)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct flow_node *n = &f->nodes[i];

		if (n->op && !(n->op->strict ? check_node(a, n, err) : check_required(n, err)))
			return false;
	}
	return true;
}

static bool is_known_root(const char *tag)
{
	static const char *const known[] = {"$trigger", "$accountability", "$env"};

	tag += strspn(tag, " \t\r\n");
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strncmp(tag, known[i], strlen(known[i])) == 0)
			return true;
	return false;
}

static bool has_known_roots(const char *text, const char *open)
{
	for (const char *at = strstr(text, open); at; at = strstr(at + 2, open))
		if (!is_known_root(at + 2))
			return false;
	return true;
}

/* Whether $trigger, $accountability and $env are all that a value's templates name. */
static bool is_known_at_start(const cJSON *value)
{
	const cJSON *item;

	if (cJSON_IsString(value))
		return has_known_roots(value->valuestring, "{{") &&
		       has_known_roots(value->valuestring, "<<");
	json_each(item, value)
		if (!is_known_at_start(item))
			return false;
	return true;
}

/* An empty text, an empty list, or a list of nothing but such. */
static bool is_empty_key(const cJSON *key)
{
	const cJSON *item;

	if (cJSON_IsString(key))
		return key->valuestring[0] == '\0';
	if (!cJSON_IsArray(key))
		return false;
	json_each(item, key)
		if (!is_empty_key(item))
			return false;
	return true;
}

bool flow_check_keys(struct arena *a, const struct flow *f, const cJSON *chain, struct error *err)
{
	const struct flow_node *n = flow_find(f->first, "ai-");

	if (!n)
		return true; /* nothing is paid for */
	while ((n = flow_find(n->resolve, "item-update"))) {
		const cJSON *key = json_get(n->options, "key"), *resolved;
		struct template_options with = {.chain = chain, .where = "key"};

		if (!key || cJSON_IsNull(key) || !is_known_at_start(key))
			continue;
		resolved = template_resolve(a, key, &with, err);
		if (!resolved)
			return false;
		if (is_empty_key(resolved))
			return fail(
				err, ERR_INVALID_PAYLOAD,
				"operation '%.64s' (item-update) would have an empty key: 'key' "
				"resolves to nothing, so the answer could be written nowhere",
				n->key);
	}
	return true;
}

bool flow_check_directus(const struct flow *f, struct error *err)
{
	const struct flow_node *n = flow_find(f->first, "ai-");

	while (n && !(n->op && n->op->needs_directus))
		n = n->resolve;
	return !n || fail(err, ERR_INVALID_PAYLOAD,
			  "operation '%.64s' (%s) needs Directus: set DIRECTUS_URL and "
			  "DIRECTUS_TOKEN. No model was asked, since its answer could go nowhere",
			  n->key, n->type);
}

bool flow_is_quiet(const struct flow *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->nodes[i].op && f->nodes[i].op->writes &&
		    cJSON_IsFalse(json_get(f->nodes[i].options, "emitEvents")))
			return true;
	return false;
}
