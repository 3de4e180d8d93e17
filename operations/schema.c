/* The validator: a function for each keyword, and the table of them at the end. A fault is a line of
 * text; where alternatives are tried, faults are only counted. */
#include "operations/schema.h"

#include "common/buf.h"
#include "common/utf8.h"
#include "operations/regex.h"
#include "operations/schema_keywords.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

enum { FAULTS_MAX_BYTES = 4096, STEPS_MAX = 1000000 };

enum { TEXT = 1, NUMBER = 2, OBJECT = 4, ARRAY = 8, ALL = 31 };

/* A value, the schema it is held against, and the way to it from the top. */
struct schema_place {
	const struct schema_place *up;
	const char *key; /* NULL: index */
	size_t index;
	const cJSON *schema, *value;
};

/* A pattern that was compiled, known by where its text is. */
struct compiled {
	const struct compiled *next;
	const char *pattern;
	const struct regex *regex;
};

struct schema_check {
	struct arena *arena;
	const struct compiled **compiled; /* shared with trials */
	const cJSON *root;
	struct buf *out; /* NULL: faults are only counted */
	size_t faults, steps;
	unsigned depth;
};

/* ---- faults ---- */

static void write_pointer(struct buf *out, const struct schema_place *at)
{
	if (!at->up)
		return;
	write_pointer(out, at->up);
	buf_add_char(out, '/');
	if (!at->key)
		buf_printf(out, "%zu", at->index);
	for (const char *c = at->key; c && *c; c++) {
		if (*c == '~' || *c == '/')
			buf_add_text(out, *c == '~' ? "~0" : "~1");
		else
			buf_add_char(out, *c);
	}
}

static void fault(struct schema_check *c, const struct schema_place *at, const char *format, ...)
	PRINTF(3, 4);
static void fault(struct schema_check *c, const struct schema_place *at, const char *format, ...)
{
	char text[400];
	va_list args;

	if (c->faults++ >= SCHEMA_ERRORS_MAX || !c->out)
		return;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (c->out->len)
		buf_add_char(c->out, '\n');
	if (!at->up)
		buf_add_text(c->out, "(top)");
	write_pointer(c->out, at);
	buf_printf(c->out, ": %s", text);
}

/* A value for an error text, cut. */
static const char *shown(struct schema_check *c, const cJSON *value)
{
	struct str text = json_print(c->arena, value), cut = utf8_cut(text, 60);

	return arena_printf(c->arena, "%.*s%s", STR_ARGS(cut), cut.len < text.len ? "…" : "");
}

/* "a, b, c", cut. */
static const char *listed(struct schema_check *c, const cJSON *list, bool keys)
{
	struct buf out;
	const cJSON *item;
	const char *text;

	buf_init(&out, 200);
	json_each(item, list) {
		if (out.len > 120) {
			buf_add_text(&out, ", …");
			break;
		}
		buf_printf(&out, "%s%.60s", out.len ? ", " : "",
			   keys ? item->string : shown(c, item));
	}
	text = arena_strndup(c->arena, buf_str(&out).ptr, out.len);
	buf_clear(&out);
	return text;
}

static unsigned kind_of(const cJSON *v)
{
	if (cJSON_IsString(v))
		return TEXT;
	if (cJSON_IsNumber(v))
		return NUMBER;
	if (cJSON_IsObject(v))
		return OBJECT;
	return cJSON_IsArray(v) ? ARRAY : 16;
}

static void validate(struct schema_check *c, const struct schema_place *at);

static void validate_inside(struct schema_check *c, const struct schema_place *at,
			    const cJSON *schema, const cJSON *value, size_t index)
{
	struct schema_place inside = {at, value->string, index, schema, value};

	if (cJSON_IsArray(at->value))
		inside.key = NULL;
	validate(c, &inside);
}

/* The same value against another schema. */
static void validate_same(struct schema_check *c, const struct schema_place *at,
			  const cJSON *schema)
{
	struct schema_place same = *at;

	same.schema = schema;
	validate(c, &same);
}

static bool fits(struct schema_check *c, const struct schema_place *at, const cJSON *schema)
{
	struct schema_check trial = *c;

	trial.out = NULL;
	trial.faults = 0;
	validate_same(&trial, at, schema);
	c->steps = trial.steps;
	return trial.faults == 0;
}

/* The pattern itself has been checked with the schema. */
static bool matches(struct schema_check *c, const char *text, const char *pattern)
{
	const struct compiled *known = *c->compiled;
	struct compiled *made;
	struct error ignored;

	while (known && known->pattern != pattern)
		known = known->next;
	if (!known) {
		made = arena_make(c->arena, struct compiled);
		*made = (struct compiled){*c->compiled, pattern,
					  regex_compile(c->arena, str_of(pattern), &ignored)};
		*c->compiled = known = made;
	}
	return known->regex && regex_search(known->regex, str_of(text)) == REGEX_FOUND;
}

/* ---- any value ---- */

static bool is_of_type(const cJSON *value, const char *type)
{
	if (strcmp(type, "integer") == 0)
		return cJSON_IsNumber(value) && trunc(value->valuedouble) == value->valuedouble;
	return strcmp(json_type_name(value), type) == 0;
}

static void check_type(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const char *wanted = NULL;
	const cJSON *item = cJSON_IsArray(rule) ? rule->child : rule;

	for (; item; item = cJSON_IsArray(rule) ? item->next : NULL) {
		if (is_of_type(at->value, item->valuestring))
			return;
		wanted = arena_printf(c->arena, "%s%s%s", wanted ? wanted : "",
				      wanted ? " or " : "", schema_type_text(item->valuestring));
	}
	fault(c, at, "is %s, expected %s", schema_type_text(json_type_name(at->value)),
	      wanted ? wanted : "nothing");
}

static void check_enum(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *item;

	json_each(item, rule)
		if (json_equal(item, at->value))
			return;
	fault(c, at, "is %s, expected one of %s", shown(c, at->value), listed(c, rule, false));
}

static void check_const(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (!json_equal(rule, at->value))
		fault(c, at, "is %s, expected %s", shown(c, at->value), shown(c, rule));
}

static void check_ref(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *schema = schema_resolve(c->arena, c->root, rule->valuestring);

	if (schema)
		validate_same(c, at, schema);
}

static void check_all_of(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *item;

	json_each(item, rule)
		validate_same(c, at, item);
}

static size_t count_fitting(struct schema_check *c, const struct schema_place *at,
			    const cJSON *rule)
{
	size_t count = 0;
	const cJSON *item;

	json_each(item, rule)
		count += fits(c, at, item);
	return count;
}

/* The faults against the alternative that is meant most likely: the first of the value's type. */
static void tell_alternative(struct schema_check *c, const struct schema_place *at,
			     const cJSON *rule, const char *word)
{
	const cJSON *item;

	fault(c, at, "fits none of the %zu alternatives of %s", json_count(rule), word);
	json_each(item, rule) {
		const char *type = json_get_text(item, "type");

		if (type && is_of_type(at->value, type)) {
			validate_same(c, at, item);
			return;
		}
	}
}

static void check_any_of(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (count_fitting(c, at, rule) == 0)
		tell_alternative(c, at, rule, "anyOf");
}

static void check_one_of(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	size_t count = count_fitting(c, at, rule);

	if (count == 0)
		tell_alternative(c, at, rule, "oneOf");
	else if (count > 1)
		fault(c, at, "fits %zu alternatives of oneOf, expected exactly one", count);
}

static void check_not(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (fits(c, at, rule))
		fault(c, at, "is %s, which `not` forbids", shown(c, at->value));
}

static void check_if(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *next = json_get(at->schema, fits(c, at, rule) ? "then" : "else");

	if (next)
		validate_same(c, at, next);
}

/* ---- objects ---- */

static void check_properties(struct schema_check *c, const struct schema_place *at,
			     const cJSON *rule)
{
	const cJSON *item;

	json_each(item, rule) {
		const cJSON *value = json_get(at->value, item->string);

		if (value)
			validate_inside(c, at, item, value, 0);
	}
}

static void check_pattern_properties(struct schema_check *c, const struct schema_place *at,
				     const cJSON *rule)
{
	const cJSON *pattern, *value;

	json_each(pattern, rule) {
		json_each(value, at->value) {
			if (matches(c, value->string, pattern->string))
				validate_inside(c, at, pattern, value, 0);
		}
	}
}

static bool is_described(struct schema_check *c, const cJSON *schema, const char *key)
{
	const cJSON *pattern;

	if (json_get(json_get(schema, "properties"), key))
		return true;
	json_each(pattern, json_get(schema, "patternProperties"))
		if (matches(c, key, pattern->string))
			return true;
	return false;
}

static void check_additional(struct schema_check *c, const struct schema_place *at,
			     const cJSON *rule)
{
	const cJSON *value;

	json_each(value, at->value) {
		if (is_described(c, at->schema, value->string))
			continue;
		if (cJSON_IsFalse(rule))
			fault(c, at,
			      "has the property '%.80s', which is not allowed (there are: %s)",
			      value->string, listed(c, json_get(at->schema, "properties"), true));
		else
			validate_inside(c, at, rule, value, 0);
	}
}

static void check_names(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *value;

	json_each(value, at->value) {
		struct schema_place name = *at;

		name.value = json_text(c->arena, value->string);
		name.schema = rule;
		if (!fits(c, &name, rule))
			fault(c, at, "has the property '%.80s', whose name is not allowed",
			      value->string);
	}
}

static void check_required(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *item;

	json_each(item, rule)
		if (!json_get(at->value, item->valuestring))
			fault(c, at, "lacks the property '%.80s'", item->valuestring);
}

static void check_dependent(struct schema_check *c, const struct schema_place *at,
			    const cJSON *rule)
{
	const cJSON *item;

	json_each(item, rule)
		if (json_get(at->value, item->string))
			check_required(c, at, item);
}

/* ---- sizes ---- */

static double size_of(const cJSON *v)
{
	if (cJSON_IsNumber(v))
		return v->valuedouble;
	if (cJSON_IsString(v))
		return (double)utf8_count(str_of(v->valuestring));
	return (double)json_count(v);
}

static const char *size_text(struct schema_check *c, const cJSON *v)
{
	char number[JSON_NUMBER_MAX];
	const char *unit = cJSON_IsString(v)   ? " characters"
			   : cJSON_IsArray(v)  ? " items"
			   : cJSON_IsObject(v) ? " properties"
					       : "";

	return arena_printf(c->arena, "%s %s%s", *unit ? "has" : "is",
			    json_number_text(size_of(v), number), unit);
}

static void check_at_least(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (size_of(at->value) < rule->valuedouble)
		fault(c, at, "%s, expected at least %s", size_text(c, at->value), shown(c, rule));
}

static void check_at_most(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (size_of(at->value) > rule->valuedouble)
		fault(c, at, "%s, expected at most %s", size_text(c, at->value), shown(c, rule));
}

static void check_above(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (!(size_of(at->value) > rule->valuedouble))
		fault(c, at, "%s, expected more than %s", size_text(c, at->value), shown(c, rule));
}

static void check_below(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (!(size_of(at->value) < rule->valuedouble))
		fault(c, at, "%s, expected less than %s", size_text(c, at->value), shown(c, rule));
}

static void check_multiple(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	double times = at->value->valuedouble / rule->valuedouble;

	if (fabs(times - round(times)) > 1e-9 * fmax(1, fabs(times)))
		fault(c, at, "is %s, expected a multiple of %s", shown(c, at->value),
		      shown(c, rule));
}

/* ---- arrays and texts ---- */

static void check_items(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	size_t index = 0, fixed = json_count(json_get(at->schema, "prefixItems"));
	const cJSON *item;

	json_each(item, at->value) {
		if (index >= fixed)
			validate_inside(c, at, rule, item, index);
		index++;
	}
}

static void check_prefix(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *item = at->value->child, *schema = rule->child;

	for (size_t i = 0; item && schema; i++, item = item->next, schema = schema->next)
		validate_inside(c, at, schema, item, i);
}

static void check_contains(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	const cJSON *item;

	json_each(item, at->value) {
		struct schema_place inside = {at, NULL, 0, rule, item};

		if (fits(c, &inside, rule))
			return;
	}
	fault(c, at, "has no item of the kind that `contains` asks for");
}

static void check_unique(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	size_t first = 0, second;

	if (!cJSON_IsTrue(rule))
		return;
	for (const cJSON *x = at->value->child; x; x = x->next, first++) {
		second = first + 1;
		for (const cJSON *y = x->next; y && c->steps < STEPS_MAX; y = y->next, second++) {
			c->steps++;
			if (!json_equal(x, y))
				continue;
			fault(c, at, "has the same item at %zu and %zu, expected different ones",
			      first, second);
			return;
		}
	}
}

static void check_pattern(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (!matches(c, at->value->valuestring, rule->valuestring))
		fault(c, at, "is %s, which does not match the pattern %s", shown(c, at->value),
		      rule->valuestring);
}

static void check_format(struct schema_check *c, const struct schema_place *at, const cJSON *rule)
{
	if (!schema_format_fits(rule->valuestring, at->value->valuestring))
		fault(c, at, "is %s, expected the format %.40s", shown(c, at->value),
		      rule->valuestring);
}

/* ---- the table ---- */

static const struct schema_keyword keywords[] = {
	{"$ref",		 SHAPE_REF,         ALL,    check_ref               },
	{"type",		 SHAPE_TYPE,        ALL,    check_type              },
	{"enum",		 SHAPE_VALUES,      ALL,    check_enum              },
	{"const",                SHAPE_ANY,         ALL,    check_const             },
	{"allOf",                SHAPE_SCHEMAS,     ALL,    check_all_of            },
	{"anyOf",                SHAPE_SCHEMAS,     ALL,    check_any_of            },
	{"oneOf",                SHAPE_SCHEMAS,     ALL,    check_one_of            },
	{"not",		  SHAPE_SCHEMA,      ALL,    check_not               },
	{"if",		   SHAPE_SCHEMA,      ALL,    check_if                },
	{"then",		 SHAPE_SCHEMA,      0,      NULL                    },
	{"else",		 SHAPE_SCHEMA,      0,      NULL                    },
	{"required",             SHAPE_TEXTS,       OBJECT, check_required          },
	{"properties",           SHAPE_SCHEMA_MAP,  OBJECT, check_properties        },
	{"patternProperties",    SHAPE_PATTERN_MAP, OBJECT, check_pattern_properties},
	{"additionalProperties", SHAPE_SCHEMA,      OBJECT, check_additional        },
	{"propertyNames",        SHAPE_SCHEMA,      OBJECT, check_names             },
	{"dependentRequired",    SHAPE_TEXTS_MAP,   OBJECT, check_dependent         },
	{"minProperties",        SHAPE_COUNT,       OBJECT, check_at_least          },
	{"maxProperties",        SHAPE_COUNT,       OBJECT, check_at_most           },
	{"prefixItems",          SHAPE_SCHEMAS,     ARRAY,  check_prefix            },
	{"items",                SHAPE_SCHEMA,      ARRAY,  check_items             },
	{"contains",             SHAPE_SCHEMA,      ARRAY,  check_contains          },
	{"minItems",             SHAPE_COUNT,       ARRAY,  check_at_least          },
	{"maxItems",             SHAPE_COUNT,       ARRAY,  check_at_most           },
	{"uniqueItems",          SHAPE_BOOL,        ARRAY,  check_unique            },
	{"minLength",            SHAPE_COUNT,       TEXT,   check_at_least          },
	{"maxLength",            SHAPE_COUNT,       TEXT,   check_at_most           },
	{"pattern",              SHAPE_PATTERN,     TEXT,   check_pattern           },
	{"format",               SHAPE_TEXT,        TEXT,   check_format            },
	{"minimum",              SHAPE_NUMBER,      NUMBER, check_at_least          },
	{"maximum",              SHAPE_NUMBER,      NUMBER, check_at_most           },
	{"exclusiveMinimum",     SHAPE_NUMBER,      NUMBER, check_above             },
	{"exclusiveMaximum",     SHAPE_NUMBER,      NUMBER, check_below             },
	{"multipleOf",           SHAPE_NUMBER,      NUMBER, check_multiple          },
	{"$defs",                SHAPE_SCHEMA_MAP,  0,      NULL                    },
	{"definitions",          SHAPE_SCHEMA_MAP,  0,      NULL                    },
	{"title",                SHAPE_ANY,         0,      NULL                    },
	{"description",          SHAPE_ANY,         0,      NULL                    },
	{"default",              SHAPE_ANY,         0,      NULL                    },
	{"example",              SHAPE_ANY,         0,      NULL                    },
	{"examples",             SHAPE_ANY,         0,      NULL                    },
	{"$schema",              SHAPE_ANY,         0,      NULL                    },
	{"$id",		  SHAPE_ANY,         0,      NULL                    },
	{"$comment",             SHAPE_ANY,         0,      NULL                    },
	{"deprecated",           SHAPE_ANY,         0,      NULL                    },
	{"readOnly",             SHAPE_ANY,         0,      NULL                    },
	{"writeOnly",            SHAPE_ANY,         0,      NULL                    },
};

const struct schema_keyword *schema_keyword_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		if (strcmp(keywords[i].name, name) == 0)
			return &keywords[i];
	return NULL;
}

/* In the table's order, not the schema's: what is missing is told before what is wrong in detail. */
static void validate(struct schema_check *c, const struct schema_place *at)
{
	if (cJSON_IsFalse(at->schema)) {
		fault(c, at, "is not allowed here");
		return;
	}
	if (++c->steps > STEPS_MAX || c->depth >= SCHEMA_DEPTH_MAX) {
		fault(c, at,
		      "is nested too deep, or the schema's alternatives are too many, to check it");
		return;
	}
	c->depth++;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
		const cJSON *rule = json_get(at->schema, keywords[i].name);

		if (rule && keywords[i].check && (keywords[i].types & kind_of(at->value)))
			keywords[i].check(c, at, rule);
	}
	c->depth--;
}

struct str schema_validate(struct arena *a, const cJSON *schema, const cJSON *value)
{
	struct schema_place top = {.schema = schema, .value = value};
	struct str text;
	struct buf out;
	const struct compiled *compiled = NULL;
	struct schema_check c = {.arena = a, .compiled = &compiled, .root = schema, .out = &out};

	buf_init(&out, FAULTS_MAX_BYTES);
	validate(&c, &top);
	if (c.faults > SCHEMA_ERRORS_MAX)
		buf_printf(&out, "\nand %zu more", c.faults - SCHEMA_ERRORS_MAX);
	text = arena_str(a, buf_str(&out));
	buf_clear(&out);
	return text;
}
