/* A text goes through three steps: its {{ tags }} are found, all of them, before anything is looked up
 * (so an error is the one that Directus would give); each tag is evaluated; and what stands between
 * them is searched for << tags >> and copied. */
#include "common/template.h"

#include "common/buf.h"
#include "common/path.h"
#include "common/template_filter.h"
#include "common/utf8.h"

#include <stdio.h>

/* Where in the value we are, for error texts: the outermost is last. */
struct place {
	const struct place *up;
	const char *key; /* NULL: index */
	size_t index;
};

struct render {
	struct arena *arena;
	const struct template_options *options;
	size_t bytes_left;
	struct error *err;
};

/* A tag as it is written. */
struct tag {
	struct str text, name; /* with the braces; what stands between them, trimmed */
};

/* What a tag leads to. */
struct found {
	const cJSON *value; /* NULL: nothing */
	bool is_filtered;
	struct path path;
	char reason[120]; /* why a | was not taken for a filter; or "" */
};

static struct str from(struct str s, size_t at)
{
	return (struct str){s.ptr + at, s.len - at};
}

static size_t find(struct str in, const char *what)
{
	const char *at = in.len ? memmem(in.ptr, in.len, what, strlen(what)) : NULL;

	return at ? (size_t)(at - in.ptr) : SIZE_MAX;
}

/* ---- looking up ---- */

/* Directus' events carry the item in `payload`, and its key beside it. */
static const cJSON *look_up_alias(struct render *r, const struct path *path)
{
	const cJSON *trigger = json_get(r->options->chain, "$trigger"), *value = NULL;
	struct path rest = {path->keys + 1, path->count - 1};

	if (path->count < 2 || strcmp(path->keys[0], "$trigger") != 0 ||
	    !json_get_text(trigger, "event"))
		return NULL;
	if (path->count == 2 && strcmp(path->keys[1], "id") == 0) {
		const cJSON *keys = json_get(trigger, "keys");

		value = json_get(trigger, "key");
		if (!value && cJSON_IsArray(keys))
			value = keys->child;
	}
	return value ? value : path_walk(r->arena, json_get(trigger, "payload"), &rest, NULL);
}

static const cJSON *look_up(struct render *r, const struct path *path)
{
	const cJSON *value = path_walk(r->arena, r->options->chain, path, NULL);

	return value ? value : look_up_alias(r, path);
}

/* A path first, since a key may contain a |; then a path with filters. */
static bool evaluate(struct render *r, struct str name, struct found *found)
{
	struct filter_chain filters;
	struct error path_err, filter_err;
	bool is_path = path_parse(r->arena, name, &found->path, &path_err);

	found->is_filtered = false;
	found->reason[0] = '\0';
	found->value = is_path ? look_up(r, &found->path) : NULL;
	if (found->value)
		return true;
	if (memchr(name.ptr, '|', name.len)) {
		struct path path;

		if (filter_parse(r->arena, name, &filters, &filter_err) &&
		    path_parse(r->arena, filters.path, &path, &filter_err)) {
			found->path = path;
			found->is_filtered = true;
			found->value = filter_apply(r->arena, &filters, look_up(r, &path));
			return true;
		}
		(void)snprintf(found->reason, sizeof(found->reason), "%.119s", filter_err.text);
	}
	if (!is_path)
		*r->err = path_err;
	return is_path;
}

/* ---- nothing there ---- */

static void write_place(struct buf *b, const struct render *r, const struct place *place)
{
	if (!place) {
		buf_add_text(b, r->options->where ? r->options->where : "");
		return;
	}
	write_place(b, r, place->up);
	if (!place->key)
		buf_printf(b, "[%zu]", place->index);
	else
		buf_printf(b, "%s%s", b->len ? "." : "", place->key);
}

/* What is known about the first key that is not there. */
static void write_what_is_there(struct buf *b, struct render *r, const struct path *path)
{
	struct path known = *path;
	const cJSON *container, *item;
	size_t listed = 0;

	(void)path_walk(r->arena, r->options->chain, path, &known.count);
	container = path_walk(r->arena, r->options->chain, &known, NULL);
	if (known.count == 0)
		buf_add_text(b, "the data");
	for (size_t i = 0; i < known.count; i++)
		buf_printf(b, "%s%.40s", i ? "." : "", known.keys[i]);
	if (known.count == path->count) {
		buf_add_text(b, " has nothing left behind its filters");
		return;
	}
	buf_printf(b, " (%s) has no '%.40s'", json_type_name(container), path->keys[known.count]);
	if (!cJSON_IsObject(container))
		return;
	json_each(item, container) {
		buf_printf(b, "%s%.24s", listed ? ", " : ", it has ", item->string);
		if (++listed == 6)
			break;
	}
}

static bool fail_unresolved(struct render *r, const struct tag *tag, const struct found *found,
			    const struct place *place)
{
	struct buf where, why;

	buf_init(&where, 4096);
	buf_init(&why, 4096);
	write_place(&where, r, place);
	if (found->reason[0])
		buf_add_text(&why, found->reason);
	else
		write_what_is_there(&why, r, &found->path);
	(void)fail(r->err, ERR_TEMPLATE_UNRESOLVED, "'%.*s'%s%.*s leads to nothing: %.*s",
		   (int)utf8_cut(tag->text, 80).len, tag->text.ptr, where.len ? " in " : "",
		   STR_ARGS(buf_str(&where)), STR_ARGS(buf_str(&why)));
	buf_clear(&where);
	buf_clear(&why);
	return false;
}

/* The value to write for a tag that leads to nothing; NULL: that is an error. */
static const cJSON *stand_in(struct render *r, const struct tag *tag, const struct found *found,
			     const struct place *place)
{
	switch (r->options->on_missing) {
	case ON_MISSING_LITERAL:
		return json_text(r->arena, "undefined");
	case ON_MISSING_EMPTY:
		return json_text(r->arena, "");
	case ON_MISSING_ERROR:
		break;
	}
	(void)fail_unresolved(r, tag, found, place);
	return NULL;
}

/* ---- how much ---- */

/* About the bytes of its JSON; stops counting once it is more than max. */
static size_t measure(const cJSON *value, size_t max)
{
	size_t bytes = value->valuestring ? strlen(value->valuestring) + 2 : 8;
	const cJSON *item;

	json_each(item, value) {
		if (bytes > max)
			break;
		bytes += (item->string ? strlen(item->string) + 3 : 0) + measure(item, max - bytes);
	}
	return bytes;
}

static bool take_bytes(struct render *r, size_t bytes, const struct place *place)
{
	struct buf where;

	if (bytes <= r->bytes_left) {
		r->bytes_left -= bytes;
		return true;
	}
	buf_init(&where, 200);
	write_place(&where, r, place);
	(void)fail(r->err, ERR_INVALID_PAYLOAD,
		   "'%.*s' is longer than %zu bytes once its templates are filled in; shorten what "
		   "it takes in, with truncate(n) for example",
		   STR_ARGS(buf_str(&where)), r->options->max_bytes);
	buf_clear(&where);
	return false;
}

/* ---- tags ---- */

static bool syntax_error(struct render *r, const char *name)
{
	(void)snprintf(r->err->name, sizeof(r->err->name), "%s", name);
	return false;
}

/* The first {{ tag }} of the rest of a text; tag->text.ptr NULL: there is none. The position in the error
 * texts counts from the beginning of the text, in UTF-16 units. */
static bool next_tag(struct render *r, struct str text, struct str rest, struct tag *tag)
{
	size_t open = find(rest, "{{"), close, position;
	struct str name;

	*tag = (struct tag){0};
	if (open == SIZE_MAX)
		return true;
	name = from(rest, open + 2);
	close = find(name, "}}");
	position = (size_t)(rest.ptr - text.ptr) + open;
	if (close == SIZE_MAX || utf8_units((struct str){name.ptr, close}) > PATH_LENGTH_MAX) {
		(void)fail(r->err, ERR_TEMPLATE_SYNTAX,
			   "Missing \"}}\" in the template for the \"{{\" at position %zu within "
			   "%d characters",
			   utf8_units((struct str){text.ptr, position}), PATH_LENGTH_MAX);
		return syntax_error(r, "SyntaxError");
	}
	tag->text = (struct str){rest.ptr + open, close + 4};
	tag->name = utf8_trim((struct str){name.ptr, close});
	if (tag->name.len > 0 && find(tag->name, "{{") == SIZE_MAX)
		return true;
	position = utf8_units((struct str){text.ptr, position});
	if (tag->name.len == 0)
		(void)fail(r->err, ERR_TEMPLATE_SYNTAX,
			   "Unexpected \"}}\" tag found at position %zu", position);
	else
		(void)fail(r->err, ERR_TEMPLATE_SYNTAX,
			   "Variable names cannot have \"{{\". But at position %zu. Got \"%.*s\"",
			   position, STR_ARGS(tag->name));
	return syntax_error(r, "SyntaxError");
}

/* All tags have to be good before the first is looked up. */
static bool check_tags(struct render *r, struct str text)
{
	struct str rest = text;
	struct tag tag;

	for (;;) {
		if (!next_tag(r, text, rest, &tag))
			return false;
		if (!tag.text.ptr)
			return true;
		rest = from(text, (size_t)(tag.text.ptr - text.ptr) + tag.text.len);
	}
}

static bool is_known_root(const struct render *r, const char *key)
{
	if (key[0] == '$' && (key[1] == '_' || ((key[1] | 0x20) >= 'a' && (key[1] | 0x20) <= 'z')))
		return true;
	for (size_t i = 0; i < r->options->key_count; i++)
		if (strcmp(r->options->operation_keys[i], key) == 0)
			return true;
	return json_get(r->options->chain, key) != NULL;
}

static bool is_path_of_ours(struct render *r, struct str text)
{
	struct error ignored;
	struct path path;

	return path_parse(r->arena, text, &path, &ignored) && path.count > 0 &&
	       is_known_root(r, path.keys[0]);
}

/* Where the >> is that ends a << in front of the text; SIZE_MAX: none in this line and near. */
static size_t find_angle_end(struct str text)
{
	size_t end = size_min(text.len, 4 * PATH_LENGTH_MAX);

	for (size_t i = 0; i + 1 < end && text.ptr[i] != '\n'; i++) {
		if (text.ptr[i] == '>' && text.ptr[i + 1] == '>')
			return i;
		if (text.ptr[i] == '<' && text.ptr[i + 1] == '<')
			break;
	}
	return SIZE_MAX;
}

/* Whether << at the front of the text begins a tag of ours, and no shift or here-document. */
static bool take_angle_tag(struct render *r, struct str text, struct tag *tag)
{
	struct str inside = from(text, 2);
	size_t close = find_angle_end(inside);
	struct filter_chain filters;
	struct error ignored;

	if (close == SIZE_MAX)
		return false;
	*tag = (struct tag){
		{text.ptr,   close + 4},
                utf8_trim((struct str){inside.ptr, close    }
                )
        };
	if (tag->name.len == 0 || utf8_units(tag->name) > PATH_LENGTH_MAX)
		return false;
	return is_path_of_ours(r, tag->name) ||
	       (memchr(tag->name.ptr, '|', tag->name.len) &&
		filter_parse(r->arena, tag->name, &filters, &ignored) &&
		is_path_of_ours(r, filters.path));
}

/* ---- texts ---- */

static bool add_tag(struct render *r, struct buf *out, const struct tag *tag,
		    const struct place *place)
{
	struct found found;
	const cJSON *value;

	if (!evaluate(r, tag->name, &found))
		return false;
	value = found.value ? found.value : stand_in(r, tag, &found, place);
	if (!value)
		return false;
	buf_add_str(out, value_text(r->arena, value));
	return true;
}

/* What stands outside {{ }}. */
static bool add_literal(struct render *r, struct buf *out, struct str text,
			const struct place *place)
{
	size_t at;

	while ((at = find(text, "<<")) != SIZE_MAX) {
		struct tag tag;
		bool is_tag = take_angle_tag(r, from(text, at), &tag);
		size_t taken = is_tag ? tag.text.len : 1;

		buf_add(out, text.ptr, at + (is_tag ? 0 : 1));
		if (is_tag && !add_tag(r, out, &tag, place))
			return false;
		text = from(text, at + taken);
	}
	buf_add_str(out, text);
	return true;
}

static bool add_text(struct render *r, struct buf *out, struct str text, const struct place *place)
{
	struct str rest = text;
	struct tag tag;

	while (next_tag(r, text, rest, &tag) && tag.text.ptr) {
		struct str before = {rest.ptr, (size_t)(tag.text.ptr - rest.ptr)};

		if (!add_literal(r, out, before, place) || !add_tag(r, out, &tag, place))
			return false;
		rest = from(rest, before.len + tag.text.len);
	}
	return add_literal(r, out, rest, place);
}

static cJSON *interpolate(struct render *r, struct str text, const struct place *place)
{
	struct buf out;
	cJSON *made = NULL;

	if (!check_tags(r, text))
		return NULL;
	buf_init(&out, r->bytes_left ? r->bytes_left : 1);
	if (add_text(r, &out, text, place) &&
	    take_bytes(r, buf_overflowed(&out) ? SIZE_MAX : out.len, place))
		made = json_str(r->arena, buf_str(&out));
	buf_clear(&out);
	return made;
}

/* ---- lone tags ---- */

/* Directus' own rule for a text that becomes the value itself: no space and no } in the name. What
 * it leads to nothing for goes on as any text, with that text's errors. */
static bool is_plain_lone_tag(struct str text, struct str *name)
{
	if (text.len < 5 || !str_starts(text, STR("{{")) ||
	    memcmp(text.ptr + text.len - 2, "}}", 2) != 0)
		return false;
	*name = utf8_trim((struct str){text.ptr + 2, text.len - 4});
	for (size_t at = 0; at < name->len;) {
		uint32_t c = utf8_next(*name, &at);

		if (c == '}' || utf8_is_space(c))
			return false;
	}
	return name->len > 0;
}

/* A text that is one tag of whatever form. */
static bool is_lone_tag(struct render *r, struct str text, struct tag *tag)
{
	struct error ignored, *err = r->err;
	bool is_tag;

	if (str_starts(text, STR("<<")))
		return take_angle_tag(r, text, tag) && tag->text.len == text.len;
	r->err = &ignored; /* cppcheck-suppress autoVariables ; put back below */
	is_tag = str_starts(text, STR("{{")) && next_tag(r, text, text, tag) &&
		 tag->text.len == text.len;
	r->err = err;
	return is_tag;
}

static bool has_space(struct str name)
{
	for (size_t at = 0; at < name.len;)
		if (utf8_is_space(utf8_next(name, &at)))
			return true;
	return false;
}

/* *value becomes the value that the whole text stands for; NULL: it is to be written as a text. */
static bool resolve_lone(struct render *r, struct str text, const cJSON **value)
{
	struct found found;
	struct str name;
	struct tag tag;

	*value = NULL;
	if (is_plain_lone_tag(text, &name)) {
		if (!evaluate(r, name, &found))
			return false;
		*value = found.value;
		if (*value)
			return true;
	}
	if (!is_lone_tag(r, text, &tag))
		return true;
	if (!evaluate(r, tag.name, &found))
		return false;
	if (found.is_filtered || !has_space(tag.name))
		*value = found.value;
	return true;
}

static cJSON *resolve_text(struct render *r, const cJSON *value, const struct place *place)
{
	struct str text = str_of(value->valuestring);
	const cJSON *whole;

	if (find(text, "{{") == SIZE_MAX && find(text, "<<") == SIZE_MAX)
		return take_bytes(r, text.len, place) ? json_share(r->arena, value) : NULL;
	if (!resolve_lone(r, text, &whole))
		return NULL;
	if (whole)
		return take_bytes(r, measure(whole, r->bytes_left), place)
			       ? json_share(r->arena, whole)
			       : NULL;
	return interpolate(r, text, place);
}

/* ---- values ---- */

static cJSON *resolve(struct render *r, const cJSON *value, const struct place *place)
{
	struct place inside = {.up = place};
	cJSON *made, *item;

	if (cJSON_IsString(value))
		return resolve_text(r, value, place);
	if (!cJSON_IsArray(value) && !cJSON_IsObject(value))
		return json_share(r->arena, value);
	made = cJSON_IsArray(value) ? json_array(r->arena) : json_object(r->arena);
	json_each(item, value) {
		cJSON *resolved;

		inside.key = item->string;
		resolved = resolve(r, item, &inside);
		if (!resolved)
			return NULL;
		if (cJSON_IsArray(value))
			json_push(made, resolved);
		else
			json_append(r->arena, made, item->string, resolved);
		inside.index++;
	}
	return made;
}

cJSON *template_resolve(struct arena *a, const cJSON *value, const struct template_options *o,
			struct error *err)
{
	struct template_options options = *o;
	struct render r = {.arena = a, .options = &options, .err = err};

	if (!options.max_bytes)
		options.max_bytes = TEMPLATE_MAX_BYTES;
	r.bytes_left = options.max_bytes;
	return resolve(&r, value, NULL);
}

bool template_is_in(const cJSON *value)
{
	const cJSON *item;

	if (cJSON_IsString(value))
		return strstr(value->valuestring, "{{") || strstr(value->valuestring, "<<");
	json_each(item, value)
		if (template_is_in(item))
			return true;
	return false;
}
