#include "operations/operation.h"

#include "common/buf.h"
#include "common/secrets.h"
#include "operations/services.h"

static const struct operation *const table[] = {
#define X(name) &operation_##name,
	OPERATIONS(X)
#undef X
		NULL,
};

const struct operation *operation_find(const char *type)
{
	for (size_t i = 0; table[i]; i++)
		if (strcmp(table[i]->type, type) == 0)
			return table[i];
	return NULL;
}

/* ---- options ---- */

static const struct {
	unsigned type;
	const char *name;
} type_names[] = {
	{OPTION_TEXT,   "a string"     },
        {OPTION_NUMBER, "a number"     },
        {OPTION_BOOL,   "true or false"},
	{OPTION_OBJECT, "an object"    },
        {OPTION_ARRAY,  "an array"     },
};

static unsigned type_of(const cJSON *v)
{
	if (cJSON_IsString(v))
		return OPTION_TEXT;
	if (cJSON_IsNumber(v))
		return OPTION_NUMBER;
	if (cJSON_IsBool(v))
		return OPTION_BOOL;
	return cJSON_IsObject(v) ? OPTION_OBJECT : OPTION_ARRAY;
}

static bool wrong_type(const struct option *o, const cJSON *v, struct error *err)
{
	struct buf wanted;

	buf_init(&wanted, 128);
	for (size_t i = 0; i < ARRAY_LEN(type_names); i++)
		if (o->types & type_names[i].type)
			(void)buf_printf(&wanted, "%s%s", wanted.len ? " or " : "",
					 type_names[i].name);
	(void)fail(err, ERR_INVALID_PAYLOAD, "option '%s' is of type %s, expected %s", o->name,
		   json_type_name(v), buf_str(&wanted).ptr);
	buf_clear(&wanted);
	return false;
}

/* choices is "a|b|c" */
static bool is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
		if (strncmp(at, text, length) == 0 && (at[length] == '|' || at[length] == '\0'))
			return true;
	return false;
}

struct str option_choices(const struct option *o)
{
	struct str all = str_of(o->choices);

	if (all.len && all.ptr[all.len - 1] == '|')
		all.len--;
	return all;
}

static bool check_option(const struct option *o, const cJSON *v, struct error *err)
{
	char number[JSON_NUMBER_MAX], min[JSON_NUMBER_MAX], max[JSON_NUMBER_MAX];

	if (!v || cJSON_IsNull(v))
		return !o->required || fail(err, ERR_INVALID_PAYLOAD, "option '%s' is missing: %s",
					    o->name, o->help);
	if (!(o->types & type_of(v)))
		return wrong_type(o, v, err);
	if (cJSON_IsNumber(v) && o->max > o->min &&
	    (v->valuedouble < o->min || v->valuedouble > o->max))
		return fail(err, ERR_INVALID_PAYLOAD, "option '%s' is %s, expected %s to %s",
			    o->name, json_number_text(v->valuedouble, number),
			    json_number_text(o->min, min), json_number_text(o->max, max));
	if (cJSON_IsString(v) && o->choices && !is_choice(o->choices, v->valuestring))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option '%s' is '%.64s', expected one of %.*s", o->name, v->valuestring,
			    STR_ARGS(option_choices(o)));
	return true;
}

bool operation_check(const struct operation *op, const cJSON *options, struct error *err)
{
	for (const struct option *o = op->options; op->strict && o && o->name; o++)
		if (!check_option(o, json_get(options, o->name), err))
			return false;
	return true;
}

const cJSON *operation_shown_options(struct arena *a, const struct operation *op,
				     const cJSON *options)
{
	cJSON *shown = NULL;

	for (const struct option *o = op->options; o && o->name; o++) {
		if (!o->is_secret || !json_get(options, o->name))
			continue;
		if (!shown)
			shown = json_copy(a, options);
		json_set_text(a, shown, o->name, SECRET_MASK);
	}
	return shown ? shown : options;
}

void operation_start(struct op_call *c)
{
	c->state = c->op->state_size ? arena_alloc(c->arena, c->op->state_size) : NULL;
	task_start(&c->task, c->use->loop, c->op->first);
}
