#include "operations/ai_schema.h"

enum { DEPTH_MAX = 64 };

/* What a wire does not know, as a list with | at both ends. */
/* clang-format off */
static const struct wire {
	const struct provider *provider;
	const char *unknown;
	bool no_refs;       /* no $ref */
	bool closes;        /* every object must say additionalProperties: false */
	bool needs_object;  /* at the root */
	bool knows_strict;  /* has a mode in which all properties are required */
	bool one_of_is_any; /* knows anyOf in place of oneOf */
} wires[] = {
	{.provider = &provider_openai,
	 .unknown = "|minLength|maxLength|minProperties|maxProperties|uniqueItems|contains|"
		"minContains|maxContains|propertyNames|unevaluatedItems|unevaluatedProperties|default|"
		"examples|$schema|$id|$comment|",
	 .needs_object = true, .knows_strict = true, .one_of_is_any = true},
	{.provider = &provider_anthropic,
	 .unknown = "|minimum|maximum|exclusiveMinimum|exclusiveMaximum|multipleOf|minLength|"
		"maxLength|pattern|minItems|maxItems|uniqueItems|contains|minContains|maxContains|"
		"minProperties|maxProperties|propertyNames|patternProperties|not|if|then|else|"
		"dependentRequired|default|examples|$schema|$id|$comment|",
	 .no_refs = true, .closes = true, .needs_object = true, .one_of_is_any = true},
	{.provider = &provider_google,
	 .unknown = "|exclusiveMinimum|exclusiveMaximum|multipleOf|minLength|maxLength|pattern|"
		"uniqueItems|contains|minContains|maxContains|minProperties|maxProperties|"
		"propertyNames|patternProperties|not|if|then|else|dependentRequired|allOf|default|"
		"examples|$schema|$comment|"},
	{.provider = &provider_compatible, .unknown = "|$schema|$id|$comment|"},
};
/* clang-format on */

/* Those whose absence changes nothing that a value must be. */
static const char harmless[] = "|default|examples|$schema|$id|$comment|";

static bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
		if (at[-1] == '|' && at[len] == '|')
			return true;
	return false;
}

struct fitting {
	const struct wire *wire;
	struct arena *arena;
	bool is_part, impossible, strict;
	unsigned depth;
};

static cJSON *fit(struct fitting *f, const cJSON *schema);

/* Members of `properties` and `$defs` are names, not keywords. */
static cJSON *fit_named(struct fitting *f, const cJSON *map)
{
	cJSON *fitted = json_object(f->arena);
	const cJSON *member;

	json_each(member, map) {
		json_set(f->arena, fitted, member->string, fit(f, member));
	}
	return fitted;
}

static cJSON *fit_list(struct fitting *f, const cJSON *list)
{
	cJSON *fitted = json_array(f->arena);
	const cJSON *item;

	json_each(item, list) {
		json_push(fitted, fit(f, item));
	}
	return fitted;
}

static cJSON *fit_keyword(struct fitting *f, const cJSON *member)
{
	const char *name = member->string;

	if (in_list("|properties|$defs|definitions|patternProperties|", name))
		return fit_named(f, member);
	if (in_list("|anyOf|oneOf|allOf|prefixItems|", name) ||
	    (strcmp(name, "items") == 0 && cJSON_IsArray(member)))
		return fit_list(f, member);
	if (in_list("|items|additionalProperties|contains|not|if|then|else|", name) &&
	    cJSON_IsObject(member))
		return fit(f, member);
	return json_share(f->arena, member);
}

static bool is_object_schema(const cJSON *schema)
{
	const char *type = json_get_text(schema, "type");

	return (type && strcmp(type, "object") == 0) || json_get(schema, "properties");
}

static bool requires_all(const cJSON *schema)
{
	const cJSON *property, *name;

	json_each(property, json_get(schema, "properties")) {
		bool found = false;

		json_each(name, json_get(schema, "required")) {
			found = found || (cJSON_IsString(name) &&
					  strcmp(name->valuestring, property->string) == 0);
		}
		if (!found)
			return false;
	}
	return true;
}

static void look_at_object(struct fitting *f, const cJSON *schema, cJSON *fitted)
{
	const cJSON *more = json_get(schema, "additionalProperties");

	if (!cJSON_IsFalse(more) || !requires_all(schema) || json_get(schema, "patternProperties"))
		f->strict = false;
	if (!f->wire->closes)
		return;
	/* A map of any names can not be said there. */
	if (cJSON_IsTrue(more) || cJSON_IsObject(more) || json_get(schema, "patternProperties") ||
	    !json_get(schema, "properties"))
		f->impossible = true;
	if (!cJSON_IsFalse(more))
		f->is_part = true;
	json_set_bool(f->arena, fitted, "additionalProperties", false);
}

static cJSON *fit_object(struct fitting *f, const cJSON *schema)
{
	cJSON *fitted = json_object(f->arena);
	const cJSON *member;

	json_each(member, schema) {
		const char *name = member->string;

		if (in_list(f->wire->unknown, name)) {
			f->is_part = f->is_part || !in_list(harmless, name);
			continue;
		}
		if (f->wire->no_refs && strcmp(name, "$ref") == 0)
			f->impossible = true;
		if (in_list("|allOf|not|if|then|else|dependentRequired|patternProperties|", name))
			f->strict = false;
		if (f->wire->one_of_is_any && strcmp(name, "oneOf") == 0) {
			f->is_part = true;
			name = "anyOf";
		}
		json_set(f->arena, fitted, name, fit_keyword(f, member));
	}
	if (is_object_schema(schema))
		look_at_object(f, schema, fitted);
	return fitted;
}

static cJSON *fit(struct fitting *f, const cJSON *schema)
{
	cJSON *fitted;

	if (!cJSON_IsObject(schema) || f->depth >= DEPTH_MAX) {
		f->impossible = f->impossible || !cJSON_IsObject(schema) || f->depth >= DEPTH_MAX;
		return json_share(f->arena, schema);
	}
	f->depth++;
	fitted = fit_object(f, schema);
	f->depth--;
	return fitted;
}

static const struct wire *wire_of(const struct provider *p)
{
	for (size_t i = 0; i < ARRAY_LEN(wires); i++)
		if (wires[i].provider == p)
			return &wires[i];
	return NULL;
}

struct ai_schema ai_schema_fit(const cJSON *schema, const struct llm_target *t, struct arena *a)
{
	struct fitting f = {.wire = wire_of(t->provider), .arena = a, .strict = true};
	struct ai_schema fitted = {.schema = NULL};
	cJSON *part;

	if (!f.wire || !t->model->schema || !t->endpoint.preset->schema)
		return fitted;
	part = fit(&f, schema);
	if (f.impossible || (f.wire->needs_object && !is_object_schema(schema)))
		return fitted;
	fitted.strict = f.wire->knows_strict && f.strict;
	/* Without the strict mode nothing needs to be left out there. */
	fitted.schema = f.wire->knows_strict && !fitted.strict ? schema : part;
	fitted.is_part = fitted.schema == part && f.is_part;
	return fitted;
}
