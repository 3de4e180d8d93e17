#include "common/path.h"

#include "common/buf.h"
#include "common/utf8.h"

#include <stdio.h>
#include <stdlib.h>

struct parser {
	struct arena *arena;
	struct path path;
	struct error *err;
};

static bool is_named(struct error *err, const char *name)
{
	(void)snprintf(err->name, sizeof(err->name), "%s", name);
	return false;
}

/* With the part in quotes behind the text, if there is one; a long one is cut. */
static bool syntax_error(struct error *err, const char *text_before, struct str part)
{
	(void)fail(err, ERR_TEMPLATE_SYNTAX, "%s%.*s%s", text_before, STR_ARGS(part),
		   part.ptr ? "\"" : "");
	return is_named(err, "SyntaxError");
}

static void push(struct parser *p, struct str key)
{
	p->path.keys[p->path.count++] = arena_strndup(p->arena, key.ptr, key.len);
}

static struct str from(struct str s, size_t at)
{
	return (struct str){s.ptr + at, s.len - at};
}

static bool push_each(struct parser *p, struct str rest, struct str names)
{
	for (const char *point = rest.ptr; point;) {
		struct str name = rest;

		point = memchr(rest.ptr, '.', rest.len);
		if (point) {
			name.len = (size_t)(point - rest.ptr);
			rest = from(rest, name.len + 1);
		}
		name = utf8_trim(name);
		if (name.len == 0)
			return syntax_error(p->err, "Empty prop name when parsing \"", names);
		push(p, name);
	}
	return true;
}

/* What stands outside brackets: keys with points between them. */
static bool push_names(struct parser *p, struct str names, bool behind_bracket)
{
	struct str rest = utf8_trim(names);

	if (rest.len == 0)
		return true;
	if (rest.ptr[0] == '.' && !behind_bracket)
		return syntax_error(p->err, "Unexpected . at the start of \"", names);
	if (rest.ptr[0] != '.' && behind_bracket)
		return syntax_error(p->err, "Missing . at the start of \"", names);
	if (behind_bracket)
		rest = utf8_trim(from(rest, 1));
	if (rest.len == 0)
		return true;
	if (rest.ptr[rest.len - 1] == '.')
		return syntax_error(p->err, "Unexpected \".\" at the end of \"", names);
	return push_each(p, rest, names);
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* What stands inside brackets, trimmed. */
static bool push_bracketed(struct parser *p, struct str key)
{
	char first, last;

	if (key.len == 0)
		return syntax_error(p->err, "Unexpected token ]", (struct str){0});
	first = key.ptr[0];
	last = key.ptr[key.len - 1];
	if (is_quote(first) || is_quote(last)) {
		if (key.len < 2 || first != last)
			return syntax_error(p->err, "Mismatching string quotation: \"", key);
		push(p, (struct str){key.ptr + 1, key.len - 2});
		return true;
	}
	if (memchr(key.ptr, '[', key.len))
		return syntax_error(p->err, "Missing ] in varName \"", key);
	push(p, first == '+' ? from(key, 1) : key);
	return true;
}

static bool parse(struct parser *p, struct str text)
{
	struct str rest = text;
	bool behind_bracket = false;
	const char *open, *close;

	while (rest.len > 0 && (open = memchr(rest.ptr, '[', rest.len))) {
		size_t at = (size_t)(open - rest.ptr);

		close = memchr(open, ']', rest.len - at);
		if (!close)
			return syntax_error(p->err, "Missing ] in varName \"", text);
		/* an empty bracket is noticed before what stands in front of it */
		if (utf8_trim((struct str){open + 1, (size_t)(close - open - 1)}).len == 0)
			return syntax_error(p->err, "Unexpected token ]", (struct str){0});
		if (!push_names(p, (struct str){rest.ptr, at}, behind_bracket) ||
		    !push_bracketed(p,
				    utf8_trim((struct str){open + 1, (size_t)(close - open - 1)})))
			return false;
		rest = from(rest, (size_t)(close - rest.ptr) + 1);
		behind_bracket = true;
	}
	return push_names(p, rest, behind_bracket);
}

static bool check_depth(struct parser *p)
{
	struct buf keys;

	if (p->path.count <= PATH_DEPTH_MAX)
		return true;
	buf_init(&keys, sizeof(p->err->text));
	for (size_t i = 0; i < p->path.count; i++)
		buf_printf(&keys, "%s%s", i ? " > " : "", p->path.keys[i]);
	(void)fail(p->err, ERR_TEMPLATE_SYNTAX,
		   "The path cannot be deeper than %d levels. Got \"%.*s\"", PATH_DEPTH_MAX,
		   STR_ARGS(buf_str(&keys)));
	buf_clear(&keys);
	return is_named(p->err, "ReferenceError");
}

bool path_parse(struct arena *a, struct str text, struct path *path, struct error *err)
{
	struct parser p = {.arena = a, .err = err};
	size_t most = 1;

	for (size_t i = 0; i < text.len; i++)
		most += (text.ptr[i] == '.') + 2 * (text.ptr[i] == '[');
	p.path.keys = arena_array(a, const char *, most);
	if (!parse(&p, text) || !check_depth(&p))
		return false;
	*path = p.path;
	return true;
}

/* "0", "7", "12": as JavaScript writes an index, and in the array. */
static const cJSON *item_at(const cJSON *array, const char *key)
{
	size_t len = strspn(key, "0123456789");
	const cJSON *item = array->child;

	if (len == 0 || len > 9 || key[len] || (len > 1 && key[0] == '0'))
		return NULL;
	for (long index = strtol(key, NULL, 10); item && index > 0; index--)
		item = item->next;
	return item;
}

const cJSON *path_walk(struct arena *a, const cJSON *scope, const struct path *path, size_t *depth)
{
	size_t i = 0;

	for (; scope && i < path->count; i++) {
		const cJSON *value = NULL;

		if (cJSON_IsObject(scope))
			value = json_get(scope, path->keys[i]);
		else if (cJSON_IsArray(scope) && strcmp(path->keys[i], "length") == 0)
			value = json_number(a, (double)json_count(scope));
		else if (cJSON_IsArray(scope))
			value = item_at(scope, path->keys[i]);
		scope = value;
		if (!scope)
			break;
	}
	if (depth)
		*depth = i;
	return scope;
}

bool path_get(struct arena *a, const cJSON *scope, struct str text, const cJSON **value,
	      struct error *err)
{
	struct path path;

	if (!path_parse(a, text, &path, err))
		return false;
	*value = path_walk(a, scope, &path, NULL);
	return true;
}
