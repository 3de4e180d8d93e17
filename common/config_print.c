/* The same tables for people: what is in force, and what the README says. */
#include "common/config_parts.h"

#include "common/buf.h"
#include "common/secrets.h"
#include "common/utf8.h"

enum { VALUE_WIDTH = 34 };

/* ---- what is in force ---- */

static const char *shown_value(struct arena *a, const struct config_shown *s)
{
	if (!s->value)
		return s->variable->unset ? arena_printf(a, "(%s)", s->variable->unset) : "";
	if (strcmp(s->source, "default") == 0)
		return s->value;
	if (s->variable->secret && s->variable->type != CONFIG_REDIS)
		return SECRET_MASK;
	return secrets_mask_text(a, s->value);
}

/* Without line breaks, and cut. */
static const char *cell(struct arena *a, const char *text, size_t width)
{
	char *copy = arena_strdup(a, text);
	struct str cut = utf8_first(str_of(copy), width);

	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = ' ';
	if (cut.len == strlen(copy))
		return copy;
	return arena_printf(a, "%.*s…", STR_ARGS(utf8_first(cut, width - 1)));
}

/* Padded by characters, not by bytes. */
static void add_cell(struct buf *out, const char *text, size_t width)
{
	size_t count = utf8_count(str_of(text));

	(void)buf_add_text(out, text);
	for (; count < width; count++)
		(void)buf_add_char(out, ' ');
}

/* A variable of a named provider or credential: only what was given of it is worth a line. */
static bool is_named(const struct config_shown *s)
{
	static const char *const prefixes[] = {"", "AI_OPENAI_", "AI_ANTHROPIC_", "AI_GOOGLE_",
					       "AI_OPENAI_COMPATIBLE_"};
	size_t len = strlen(s->name) - strlen(s->variable->name);

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (str_is((struct str){s->name, len}, prefixes[i]))
			return false;
	return true;
}

static void print_row(struct buf *out, struct arena *a, const struct config_shown *s)
{
	add_cell(out, s->name, 34);
	(void)buf_add_char(out, ' ');
	add_cell(out, cell(a, shown_value(a, s), VALUE_WIDTH), VALUE_WIDTH);
	(void)buf_add_char(out, ' ');
	add_cell(out, cell(a, s->source, 24), 14);
	(void)buf_printf(out, " %s\n", s->variable->help);
}

void config_print_table(const struct config *c, struct buf *out)
{
	struct arena *a = arena_new();

	for (size_t i = 0; i < c->sources->count; i++)
		if (!is_named(&c->sources->items[i]) || c->sources->items[i].value)
			print_row(out, a, &c->sources->items[i]);
	arena_free(a);
}

cJSON *config_print_json(const struct config *c, struct arena *a)
{
	cJSON *list = json_array(a);

	for (size_t i = 0; i < c->sources->count; i++) {
		const struct config_shown *s = &c->sources->items[i];
		cJSON *item = json_object(a);

		json_set_text(a, item, "name", s->name);
		json_set_text(a, item, "value", s->value ? shown_value(a, s) : NULL);
		json_set_text(a, item, "default", s->variable->by_default);
		json_set_text(a, item, "unset", s->variable->unset);
		json_set_text(a, item, "source", s->source);
		json_set_bool(a, item, "secret", s->variable->secret);
		json_set_text(a, item, "help", s->variable->help);
		json_push(list, item);
	}
	return list;
}

/* ---- the README's table ---- */

/* A bar would end the cell. */
static void add_markdown(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			(void)buf_add_char(out, '\\');
		(void)buf_add_char(out, *text);
	}
}

/* "Only openai, anthropic", where not all providers have the variable. */
static void add_kinds(struct buf *out, unsigned kinds)
{
	static const char *const names[] = {"openai", "anthropic", "google", "openai-compatible"};
	const char *before = "Only ";

	if (kinds == 0 || kinds == (1U << ARRAY_LEN(names)) - 1)
		return;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (kinds & 1U << i) {
			(void)buf_printf(out, "%s%s", before, names[i]);
			before = ", ";
		}
	(void)buf_add_text(out, ". ");
}

static void add_markdown_row(struct buf *out, const char *prefix, const struct config_variable *v)
{
	(void)buf_printf(out, "| `%s%s`%s | ", prefix, v->name, v->secret ? " 🔒" : "");
	if (v->by_default)
		(void)buf_printf(out, "`%s`", v->by_default);
	else if (v->unset)
		add_markdown(out, v->unset);
	(void)buf_add_text(out, " | ");
	add_kinds(out, v->kinds);
	add_markdown(out, v->help);
	if (v->type == CONFIG_CHOICE) {
		(void)buf_add_text(out, ". One of ");
		add_markdown(out, v->choices);
	}
	(void)buf_add_text(out, " |\n");
}

static void add_markdown_table(struct buf *out, const char *prefix,
			       const struct config_variable *table)
{
	(void)buf_add_text(out, "\n| variable | default | meaning |\n| --- | --- | --- |\n");
	for (const struct config_variable *v = table; v->name; v++)
		add_markdown_row(out, prefix, v);
}

void config_print_markdown(struct buf *out)
{
	(void)buf_add_text(out,
			   "A 🔒 marks secrets: `<NAME>_FILE` names a file that holds the value.\n");
	for (const struct config_section *s = config_sections; s->title; s++) {
		(void)buf_printf(out, "\n**%s**\n", s->title);
		add_markdown_table(out, "", s->variables);
	}
	(void)buf_add_text(
		out, "\n**Providers**: `…` is `AI_OPENAI_`, `AI_ANTHROPIC_`, `AI_GOOGLE_`, "
		     "`AI_OPENAI_COMPATIBLE_`, or\n`AI_OPENAI_COMPATIBLE_<NAME>_` for the provider "
		     "`openai-compatible:<name>`\n");
	add_markdown_table(out, "…", provider_variables);
	(void)buf_add_text(out, "\n**Named keys**, for the option `credential`\n");
	add_markdown_table(out, "AI_CREDENTIAL_<NAME>_", credential_variables);
}
