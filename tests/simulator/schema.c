/* A minimal value for a JSON Schema: required members, as few elements as allowed, the text of the
 * answer wherever a free string stands. Knows what structured outputs of the providers allow. */
#include "simulator.h"

enum { DEPTH_MAX = 32 };

struct making {
	struct arena *arena;
	const cJSON *root;
	struct str text;
	struct buf *out;
	int depth;
};

static void make(struct making *m, const cJSON *schema);

static void add_json(struct buf *out, const cJSON *value)
{
	char *text = cJSON_PrintUnformatted(value);

	buf_add_text(out, text ? text : "null");
	cJSON_free(text);
}

/* "#/$defs/name" inside the root. */
static const cJSON *follow(const struct making *m, const char *ref)
{
	const cJSON *at = m->root;
	char name[128];

	if (*ref++ != '#')
		return NULL;
	while (at && *ref == '/') {
		size_t len = strcspn(++ref, "/");
		if (len >= sizeof name)
			return NULL;
		memcpy(name, ref, len);
		name[len] = '\0';
		at = cJSON_GetObjectItemCaseSensitive(at, name);
		ref += len;
	}
	return at;
}

static bool is_required(const cJSON *schema, const char *name)
{
	const cJSON *required = cJSON_GetObjectItemCaseSensitive(schema, "required"), *item;

	cJSON_ArrayForEach(item, required)
		if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
			return true;
	return false;
}

static void make_object(struct making *m, const cJSON *schema)
{
	const cJSON *properties = cJSON_GetObjectItemCaseSensitive(schema, "properties"), *p;
	const char *comma = "";

	buf_add_char(m->out, '{');
	cJSON_ArrayForEach(p, properties) {
		if (!is_required(schema, p->string))
			continue;
		buf_add_text(m->out, comma);
		add_quoted(m->out, str_of(p->string));
		buf_add_char(m->out, ':');
		make(m, p);
		comma = ",";
	}
	buf_add_char(m->out, '}');
}

static void make_array(struct making *m, const cJSON *schema)
{
	long count = (long)field_number(schema, "minItems", 0);
	const cJSON *items = cJSON_GetObjectItemCaseSensitive(schema, "items");

	buf_add_char(m->out, '[');
	for (long i = 0; i < count && i < 1000; i++) {
		if (i > 0)
			buf_add_char(m->out, ',');
		make(m, items);
	}
	buf_add_char(m->out, ']');
}

static void make_string(struct making *m, const cJSON *schema)
{
	static const struct {
		const char *format, *value;
	} formats[] = {
		{"date-time", "2026-11-20T10:00:00Z"                },
		{"date",      "2026-11-20"                          },
		{"time",      "10:00:00Z"                           },
		{"email",     "simulated@example.org"               },
		{"uri",       "https://example.org/simulated"       },
		{"uuid",      "00000000-0000-4000-8000-000000000000"},
	};
	const char *format = field_text(schema, "format");
	size_t max = (size_t)field_number(schema, "maxLength", 1e6);
	size_t min = (size_t)field_number(schema, "minLength", 0);
	struct buf *text = buf_in(m->arena);
	size_t len = size_min(m->text.len, max);

	for (size_t i = 0; format && i < ARRAY_LEN(formats); i++) {
		if (strcmp(format, formats[i].format) != 0)
			continue;
		add_quoted(m->out, str_of(formats[i].value));
		return;
	}
	while (len > 0 && len < m->text.len && ((unsigned char)m->text.ptr[len] & 0xC0) == 0x80)
		len--;
	buf_add(text, m->text.ptr, len);
	while (text->len < min && text->len < max)
		buf_add_char(text, '.');
	add_quoted(m->out, buf_str(text));
}

static void make_number(struct making *m, const cJSON *schema)
{
	double least = field_number(schema, "minimum", 0);
	double above = field_number(schema, "exclusiveMinimum", least - 1);
	double most = field_number(schema, "maximum", 1e300);
	double step = field_number(schema, "multipleOf", 0);
	double number = above >= least ? above + 1 : least;

	if (number > most)
		number = most;
	if (step > 0 && number > 0)
		number = step;
	buf_printf(m->out, "%.15g", number);
}

static void make_type(struct making *m, const cJSON *schema, const char *type)
{
	if (strcmp(type, "object") == 0)
		make_object(m, schema);
	else if (strcmp(type, "array") == 0)
		make_array(m, schema);
	else if (strcmp(type, "string") == 0)
		make_string(m, schema);
	else if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
		make_number(m, schema);
	else
		buf_add_text(m->out, strcmp(type, "boolean") == 0 ? "true" : "null");
}

/* The type that is named, the first of several, or what the keywords tell. */
static const char *type_of(const cJSON *schema)
{
	const cJSON *type = cJSON_GetObjectItemCaseSensitive(schema, "type");

	if (cJSON_IsArray(type))
		type = type->child;
	if (cJSON_IsString(type))
		return type->valuestring;
	if (cJSON_GetObjectItemCaseSensitive(schema, "properties"))
		return "object";
	return cJSON_GetObjectItemCaseSensitive(schema, "items") ? "array" : "string";
}

/* A schema that stands for another one, or a fixed value. */
static bool make_special(struct making *m, const cJSON *schema)
{
	static const char *const choices[] = {"anyOf", "oneOf", "allOf"};
	const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(schema, "const");
	const cJSON *values = cJSON_GetObjectItemCaseSensitive(schema, "enum");
	const char *ref = field_text(schema, "$ref");

	if (ref) {
		make(m, follow(m, ref));
		return true;
	}
	if (fixed || (values && values->child)) {
		add_json(m->out, fixed ? fixed : values->child);
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(schema, choices[i]);
		if (list && list->child) {
			make(m, list->child);
			return true;
		}
	}
	return false;
}

static void make(struct making *m, const cJSON *schema)
{
	if (m->depth >= DEPTH_MAX || !cJSON_IsObject(schema)) {
		buf_add_text(m->out, "null");
		return;
	}
	m->depth++;
	if (!make_special(m, schema))
		make_type(m, schema, type_of(schema));
	m->depth--;
}

struct str schema_value(struct arena *a, const cJSON *schema, struct str text)
{
	struct making m = {a, schema, text, buf_in(a), 0};

	make(&m, schema);
	return buf_str(m.out);
}
