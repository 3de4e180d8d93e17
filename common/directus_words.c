/* The words of a request to Directus: paths, queries, the user agent. */
#include "common/directus.h"

#include "common/buf.h"

#include <ctype.h>
#include <stdio.h>

enum { QUERY_MAX = 1024 * 1024, NAME_MAX_BYTES = 255 };

static void add_encoded(struct buf *b, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (isalnum(c) || (c && strchr("-_.!~*'()", c)))
			(void)buf_add_char(b, (char)c);
		else
			(void)buf_printf(b, "%%%02X", c);
	}
}

static const char *take_text(struct arena *a, struct buf *b)
{
	const char *text = arena_str(a, buf_str(b)).ptr;

	buf_clear(b);
	return text;
}

const char *directus_encode(struct arena *a, struct str text)
{
	struct buf b;

	buf_init(&b, text.len * 3 + 1);
	add_encoded(&b, text);
	return take_text(a, &b);
}

/* ---- paths ---- */

static bool is_plain_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if ((unsigned char)*c < ' ' || strchr("/\\?#%", *c))
			return false;
	return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strlen(name) <= NAME_MAX_BYTES;
}

bool directus_collection_path(struct arena *a, const char *collection, const char **path,
			      struct error *err)
{
	const char *system = strncmp(collection, "directus_", 9) == 0 ? collection + 9 : NULL;
	bool good = is_plain_name(collection);

	for (const char *c = system; c && *c; c++)
		good = good && (islower((unsigned char)*c) || *c == '_');
	if (!good || (system && !*system))
		return fail(
			err, ERR_INVALID_PAYLOAD,
			"'%.60s' is no name of a collection: expected one such as 'articles' or "
			"'directus_files'",
			collection);
	*path = system ? arena_printf(a, "/%s", system)
		       : arena_printf(a, "/items/%s", directus_encode(a, str_of(collection)));
	return true;
}

bool directus_item_path(struct arena *a, const char *collection, const char *key, const char **path,
			struct error *err)
{
	const char *base = NULL;

	if (!directus_collection_path(a, collection, &base, err))
		return false;
	/* Dots are a path's own: no encoding makes a key of them. */
	if (key[0] == '\0' || strcmp(key, ".") == 0 || strcmp(key, "..") == 0 ||
	    strlen(key) > NAME_MAX_BYTES)
		return fail(err, ERR_INVALID_PAYLOAD, "'%.60s' is no key of an item of '%.60s'",
			    key, collection);
	*path = arena_printf(a, "%s/%s", base, directus_encode(a, str_of(key)));
	return true;
}

/* ---- queries ---- */

static void add_scalar(struct arena *a, struct buf *b, const cJSON *value)
{
	add_encoded(b, cJSON_IsString(value) ? str_of(value->valuestring) : json_print(a, value));
}

/* Lists of words are written as a comma list, all else as JSON: Directus reads both. */
static void add_value(struct arena *a, struct buf *b, const cJSON *value)
{
	const cJSON *item;
	bool words = cJSON_IsArray(value);

	json_each(item, words ? value : NULL)
		words = words && cJSON_IsString(item) && !strchr(item->valuestring, ',');
	if (!words) {
		add_scalar(a, b, value);
		return;
	}
	json_each(item, value) {
		if (item != value->child)
			(void)buf_add_char(b, ',');
		add_scalar(a, b, item);
	}
}

const char *directus_query(struct arena *a, const cJSON *query)
{
	const cJSON *member;
	struct buf b;

	buf_init(&b, QUERY_MAX);
	json_each(member, cJSON_IsObject(query) ? query : NULL) {
		if (cJSON_IsNull(member))
			continue;
		if (b.len)
			(void)buf_add_char(&b, '&');
		add_encoded(&b, str_of(member->string));
		(void)buf_add_char(&b, '=');
		add_value(a, &b, member);
	}
	return take_text(a, &b);
}

/* ---- the user agent ---- */

/* Ids come from whoever enqueues: nothing in them may look like a part of the user agent's own. */
static const char *plain(struct arena *a, const char *id)
{
	char *copy = arena_strndup(a, id ? id : "-", id ? size_min(strlen(id), 200) : 1);

	for (char *c = copy; *c; c++)
		if (*c <= ' ' || *c == 0x7f || strchr(";()", *c))
			*c = '_';
	return copy;
}

const char *directus_user_agent(struct arena *a, const char *job_id, const char *chain_id,
				uint32_t depth)
{
	return arena_printf(a, "flow-worker/%s (job %s; chain %s; depth %u)", FLOW_WORKER_VERSION,
			    plain(a, job_id), plain(a, chain_id), depth);
}
