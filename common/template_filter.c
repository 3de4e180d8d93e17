/* The grammar of filters, and the table of them at the end. */
#include "common/template_filter.h"

#include "common/buf.h"
#include "common/html_text.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>

enum argument { ARGUMENT_NONE, ARGUMENT_COUNT, ARGUMENT_TEXT, ARGUMENT_ANY };

struct filter {
	const char *name;
	enum argument argument;
	bool is_optional;
	/* value is NULL only for a filter that takes_nothing */
	const cJSON *(*apply)(struct arena *a, const cJSON *value, const cJSON *argument);
	bool takes_nothing;
};

static const struct filter *find_filter(struct str name);

/* ---- values as texts ---- */

struct str value_text(struct arena *a, const cJSON *value)
{
	return cJSON_IsString(value) ? str_of(value->valuestring) : json_print(a, value);
}

static struct str filter_text(struct arena *a, const cJSON *value)
{
	return cJSON_IsNull(value) ? (struct str){"", 0} : value_text(a, value);
}

/* ---- filters of texts ---- */

static const cJSON *truncate_text(struct arena *a, const cJSON *value, const cJSON *argument)
{
	return json_str(a, utf8_first(filter_text(a, value), (size_t)argument->valuedouble));
}

static const cJSON *strip_html(struct arena *a, const cJSON *value, const cJSON *argument)
{
	(void)argument;
	return json_str(a, html_text(a, filter_text(a, value)));
}

static const cJSON *trim(struct arena *a, const cJSON *value, const cJSON *argument)
{
	(void)argument;
	return json_str(a, utf8_trim(filter_text(a, value)));
}

static const cJSON *lower(struct arena *a, const cJSON *value, const cJSON *argument)
{
	(void)argument;
	return json_str(a, utf8_lower(a, filter_text(a, value)));
}

/* ß is the one common letter that becomes two. */
static const cJSON *upper(struct arena *a, const cJSON *value, const cJSON *argument)
{
	cJSON *made = json_str(a, utf8_upper(a, filter_text(a, value)));
	char *letter = made->valuestring;

	(void)argument;
	while ((letter = strstr(letter, "\xC3\x9F"))) /* as long as what it becomes */
		letter[0] = letter[1] = 'S';
	return made;
}

/* ---- slugify ---- */

/* U+00C0 to U+017F in ASCII, lower case, one word each; "-" is no letter. */
static const char latin[] =
	"a a a a a a ae c e e e e i i i i d n o o o o o - o u u u u y th ss "
	"a a a a a a ae c e e e e i i i i d n o o o o o - o u u u u y th y "
	"a a a a a a c c c c c c c c d d d d e e e e e e e e e e g g g g g g g g h h h h "
	"i i i i i i i i i i ij ij j j k k k l l l l l l l l l l n n n n n n n ng ng "
	"o o o o o o oe oe r r r r r r s s s s s s s s t t t t t t u u u u u u u u u u u u "
	"w w y y y z z z z z z s";

static struct str latin_letters(uint32_t c)
{
	const char *word = latin;

	for (uint32_t i = 0xC0; i < c; i++)
		word = strchr(word, ' ') + 1;
	return (struct str){word, strcspn(word, " ")};
}

/* The character in a slug; nothing for one that is to be left out, "-" for what separates words. */
static struct str slug_of(uint32_t c, char bytes[UTF8_MAX])
{
	if (c == '\'' || c == 0x2019 || (c >= 0x300 && c < 0x370)) /* accents on their own, too */
		return (struct str){bytes, 0};
	if (c >= 0xC0 && c <= 0x17F)
		return latin_letters(c);
	if (!utf8_is_alnum(c))
		return STR("-");
	return (struct str){bytes, utf8_write(utf8_to_lower(c), bytes)};
}

static const cJSON *slugify(struct arena *a, const cJSON *value, const cJSON *argument)
{
	struct str text = filter_text(a, value);
	bool separate = false;
	struct buf out;
	cJSON *made;

	(void)argument;
	buf_init(&out, SIZE_MAX / 4);
	for (size_t at = 0; at < text.len;) {
		char bytes[UTF8_MAX];
		struct str piece = slug_of(utf8_next(text, &at), bytes);

		if (str_is(piece, "-")) {
			separate = out.len > 0;
		} else if (piece.len > 0) {
			if (separate)
				buf_add_char(&out, '-');
			separate = false;
			buf_add_str(&out, piece);
		}
	}
	made = json_str(a, buf_str(&out));
	buf_clear(&out);
	return made;
}

/* ---- the others ---- */

static const cJSON *json(struct arena *a, const cJSON *value, const cJSON *argument)
{
	(void)argument;
	return json_str(a, json_print(a, value));
}

static const cJSON *join(struct arena *a, const cJSON *value, const cJSON *argument)
{
	struct buf out;
	const cJSON *item;
	cJSON *made;

	if (!cJSON_IsArray(value))
		return json_str(a, filter_text(a, value));
	buf_init(&out, SIZE_MAX / 4);
	json_each(item, value) {
		if (item != value->child)
			buf_add_text(&out, argument ? argument->valuestring : ", ");
		buf_add_str(&out, filter_text(a, item));
	}
	made = json_str(a, buf_str(&out));
	buf_clear(&out);
	return made;
}

static const cJSON *otherwise(struct arena *a, const cJSON *value, const cJSON *argument)
{
	bool is_there = value && !cJSON_IsNull(value) &&
			!(cJSON_IsString(value) && value->valuestring[0] == '\0');

	(void)a;
	return is_there ? value : argument;
}

static const cJSON *first(struct arena *a, const cJSON *value, const cJSON *argument)
{
	(void)argument;
	if (cJSON_IsArray(value))
		return value->child;
	if (!cJSON_IsString(value))
		return value;
	return value->valuestring[0] ? json_str(a, utf8_first(str_of(value->valuestring), 1))
				     : NULL;
}

static const cJSON *last(struct arena *a, const cJSON *value, const cJSON *argument)
{
	struct str text;
	size_t start = 0;

	(void)argument;
	if (cJSON_IsArray(value))
		return value->child ? value->child->prev : NULL;
	if (!cJSON_IsString(value))
		return value;
	text = str_of(value->valuestring);
	for (size_t at = 0; at < text.len;) {
		start = at;
		(void)utf8_next(text, &at);
	}
	return text.len ? json_text(a, text.ptr + start) : NULL;
}

static const cJSON *length(struct arena *a, const cJSON *value, const cJSON *argument)
{
	size_t count = cJSON_IsArray(value) || cJSON_IsObject(value)
			       ? json_count(value)
			       : utf8_count(filter_text(a, value));

	(void)argument;
	return json_number(a, (double)count);
}

/* ---- reading them ---- */

/* Where the next | is that stands in no brackets; the end if there is none. Quotes mean something
 * inside brackets only: elsewhere ' may be part of a key. */
static size_t skip_quoted(struct str text, size_t at)
{
	char quote = text.ptr[at++];

	for (; at < text.len && text.ptr[at] != quote; at++)
		at += text.ptr[at] == '\\';
	return at;
}

static size_t next_bar(struct str text, size_t at)
{
	unsigned depth = 0;

	for (; at < text.len; at++) {
		char c = text.ptr[at];

		if (c == '|' && depth == 0)
			break;
		if (depth > 0 && strchr("\"'`", c))
			at = skip_quoted(text, at);
		else if (c == '(' || c == '[')
			depth++;
		else if (depth > 0 && (c == ')' || c == ']'))
			depth--;
	}
	return size_min(at, text.len);
}

/* 'it\'s "x"' as JSON has it. */
static struct str double_quoted(struct arena *a, struct str text)
{
	struct buf out;
	struct str made;

	buf_init(&out, SIZE_MAX / 4);
	buf_add_char(&out, '"');
	for (size_t i = 1; i + 1 < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_add_char(&out, '\\');
		else if (text.ptr[i] == '\\' && i + 2 < text.len && strchr("'`", text.ptr[i + 1]))
			i++;
		else if (text.ptr[i] == '\\' && i + 2 < text.len)
			buf_add_char(&out, text.ptr[i++]);
		buf_add_char(&out, text.ptr[i]);
	}
	buf_add_char(&out, '"');
	made = arena_str(a, buf_str(&out));
	buf_clear(&out);
	return made;
}

static bool is_count(const cJSON *value)
{
	return cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= 1e15 &&
	       trunc(value->valuedouble) == value->valuedouble;
}

static bool check_argument(const struct filter *filter, const cJSON *value, struct error *err)
{
	const char *expected = NULL;

	if (filter->argument == ARGUMENT_TEXT && !cJSON_IsString(value))
		expected = "a text in quotes";
	else if (filter->argument == ARGUMENT_COUNT && !is_count(value))
		expected = "a whole number from 0";
	return !expected ||
	       fail(err, ERR_TEMPLATE_SYNTAX, "filter '%s' takes %s", filter->name, expected);
}

static bool parse_argument(struct arena *a, struct str text, struct filter_use *use,
			   struct error *err)
{
	const struct filter *filter = use->filter;
	struct error ignored;
	cJSON *value;

	if (filter->argument == ARGUMENT_NONE && text.len > 0)
		return fail(err, ERR_TEMPLATE_SYNTAX, "filter '%s' takes no argument",
			    filter->name);
	if (text.len == 0 && (filter->argument == ARGUMENT_NONE || filter->is_optional))
		return true;
	if (text.len >= 2 && strchr("'`", text.ptr[0]) && text.ptr[text.len - 1] == text.ptr[0])
		text = double_quoted(a, text);
	value = json_parse(a, text, &ignored);
	if (!value || (!cJSON_IsNumber(value) && !cJSON_IsString(value)))
		return fail(err, ERR_TEMPLATE_SYNTAX,
			    "filter '%s' takes a number or a text in quotes, found '%.*s'",
			    filter->name, STR_ARGS(utf8_cut(text, 40)));
	use->argument = value;
	return check_argument(filter, value, err);
}

/* "name" or "name(argument)" */
static bool parse_use(struct arena *a, struct str text, struct filter_use *use, struct error *err)
{
	const char *open = text.len ? memchr(text.ptr, '(', text.len) : NULL;
	struct str name =
		utf8_trim((struct str){text.ptr, open ? (size_t)(open - text.ptr) : text.len});
	struct str argument = {"", 0};

	use->filter = find_filter(name);
	if (!use->filter)
		return fail(err, ERR_TEMPLATE_SYNTAX, "there is no filter '%.*s'",
			    STR_ARGS(utf8_cut(name, 40)));
	if (open && text.ptr[text.len - 1] != ')')
		return fail(err, ERR_TEMPLATE_SYNTAX, "filter '%s' lacks its ')'",
			    use->filter->name);
	if (open)
		argument =
			utf8_trim((struct str){open + 1, (size_t)(text.ptr + text.len - open) - 2});
	return parse_argument(a, argument, use, err);
}

bool filter_parse(struct arena *a, struct str text, struct filter_chain *chain, struct error *err)
{
	struct filter_chain made = {.count = 0};
	size_t bar = next_bar(text, 0);

	made.path = utf8_trim((struct str){text.ptr, bar});
	if (bar == text.len || made.path.len == 0)
		return fail(err, ERR_TEMPLATE_SYNTAX, "expected 'path | filter', found '%.*s'",
			    STR_ARGS(utf8_cut(text, 80)));
	while (bar < text.len) {
		size_t next = next_bar(text, bar + 1);
		struct str use = {text.ptr + bar + 1, next - bar - 1};

		if (made.count == FILTERS_MAX)
			return fail(err, ERR_TEMPLATE_SYNTAX, "more than %d filters in a row",
				    FILTERS_MAX);
		if (!parse_use(a, utf8_trim(use), &made.uses[made.count++], err))
			return false;
		bar = next;
	}
	*chain = made;
	return true;
}

const cJSON *filter_apply(struct arena *a, const struct filter_chain *chain, const cJSON *value)
{
	for (size_t i = 0; i < chain->count; i++)
		if (value || chain->uses[i].filter->takes_nothing)
			value = chain->uses[i].filter->apply(a, value, chain->uses[i].argument);
	return value;
}

/* ---- the table ---- */

static const struct filter filters[] = {
	{"truncate",   ARGUMENT_COUNT, false, truncate_text, false},
	{"strip_html", ARGUMENT_NONE,  false, strip_html,    false},
	{"json",       ARGUMENT_NONE,  false, json,          false},
	{"join",       ARGUMENT_TEXT,  true,  join,          false},
	{"default",    ARGUMENT_ANY,   false, otherwise,     true },
	{"lower",      ARGUMENT_NONE,  false, lower,         false},
	{"upper",      ARGUMENT_NONE,  false, upper,         false},
	{"trim",       ARGUMENT_NONE,  false, trim,          false},
	{"slugify",    ARGUMENT_NONE,  false, slugify,       false},
	{"first",      ARGUMENT_NONE,  false, first,         false},
	{"last",       ARGUMENT_NONE,  false, last,          false},
	{"length",     ARGUMENT_NONE,  false, length,        false},
};

static const struct filter *find_filter(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++)
		if (str_is(name, filters[i].name))
			return &filters[i];
	return NULL;
}
