/*	check ─► (ifUnchanged, undo) look_at_rows ─► compare ─► (undo) keep ─► write ─► written ─► told
 *	  └── by query, or a list: the key's name is needed ─► write ─► written ─► told        */
#include "common/digest.h"
#include "operations/items.h"
#include "operations/undo.h"

struct state {
	struct items items;
	const cJSON *unchanged; /* {"field": "the value it must still have"}; or NULL */
	bool keeps;             /* what the fields are now is kept before the write */
	struct undo_call keep;
};

static task_step check, look_at_rows, compare, keep, write_it, written, told;
static bool read_unchanged(struct state *s, struct error *err);

static struct state *state_of(struct task *t)
{
	return op_of(t)->state;
}

/* What Directus 12.3 and later say no to, in its own words, and what it takes for nothing to do. An
 * empty key with something to write is a template that lost its value: that is no success. */
static enum task_next check(struct task *t)
{
	struct op_call *c = op_of(t);
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct error err;

	if (!items_prepare(c, it, &err) || !read_unchanged(s, &err))
		return task_fail_as(t, &err);
	if (it->key_count && it->query)
		return items_refuse(it, "Invalid payload. Cannot use both \"key\" and \"query\".");
	if (cJSON_IsArray(it->payload) && (it->key_count || it->query))
		return items_refuse(
			it,
			"Invalid payload. Cannot use \"key\" or \"query\" with a batch payload.");
	if (json_count(it->payload) == 0)
		return task_end(t);
	if (s->unchanged && it->key_count == 0)
		return items_refuse(it, "option 'ifUnchanged' needs option 'key'");
	if (cJSON_IsArray(it->payload) || it->query)
		return items_ask_key(it, write_it);
	if (it->key_count == 0 && it->key_given)
		return items_refuse(it, "option 'key' is empty, but there is something to write: "
					"expected a key, a list of keys, or no such option");
	if (it->key_count == 0)
		return task_end(t);
	return task_go(t, look_at_rows);
}

/* ---- ifUnchanged ---- */

/* The item that a batch runs for, as the batch has read it. */
static const cJSON *unchanged_of_batch(const struct state *s)
{
	const struct items *it = &s->items;
	const struct undo *u = it->op->undo;

	if (!u || it->key_count != 1 || strcmp(u->collection, it->collection) != 0 ||
	    strcmp(u->key, items_key_text(it->op->arena, it->keys->child)) != 0)
		return NULL;
	return u->unchanged;
}

static bool read_unchanged(struct state *s, struct error *err)
{
	struct op_call *c = s->items.op;
	const cJSON *value = json_get(c->options, "ifUnchanged");
	const char *text = cJSON_GetStringValue(value);
	struct error why;

	if (!value || cJSON_IsNull(value) || (text && !text[0])) {
		s->unchanged = unchanged_of_batch(s);
		return true;
	}
	if (text)
		value = json_parse(c->arena, str_of(text), &why);
	if (!cJSON_IsObject(value))
		return fail(
			err, ERR_INVALID_PAYLOAD,
			"option 'ifUnchanged': expected an object of fields and the values they "
			"must still have");
	s->unchanged = value->child ? value : NULL;
	return true;
}

static enum task_next look_at_rows(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct arena *a = it->op->arena;
	cJSON *query = json_object(a), *fields = json_array(a);
	const cJSON *member;

	s->keeps = it->op->undo && it->key_count == 1 && cJSON_IsObject(it->payload);
	if (!s->unchanged && !s->keeps)
		return task_go(t, write_it);
	json_each(member, s->unchanged)
		json_push(fields, json_text(a, member->string));
	if (s->keeps)
		json_each(member, it->payload)
			json_push(fields, json_text(a, member->string));
	json_set(a, query, "fields", fields);
	json_set_number(a, query, "limit", (double)it->key_count);
	return items_ask(it, "SEARCH", it->path, NULL, items_body(it, it->keys, query, NULL),
			 compare);
}

static const char *text_of(struct arena *a, const cJSON *value)
{
	if (cJSON_IsString(value))
		return value->valuestring;
	return json_print(a, value).ptr;
}

/* "sha256:…" is compared with the text's digest: a long text need not travel through the flow. */
static bool is_same(struct arena *a, const cJSON *now, const cJSON *before)
{
	const char *expected = text_of(a, before), *found = now ? text_of(a, now) : "";
	char hex[DIGEST_HEX_SIZE];

	if (strncmp(expected, "sha256:", 7) != 0)
		return now && strcmp(expected, found) == 0;
	sha256_hex(str_of(found), hex);
	return strcmp(expected + 7, hex) == 0;
}

static enum task_next compare(struct task *t)
{
	struct state *s = state_of(t);
	struct arena *a = s->items.op->arena;
	const cJSON *row, *member;

	if (items_failed(&s->items) && !s->unchanged)
		return task_go(t,
			       write_it); /* it may be written, but not read: nothing can be kept */
	if (items_failed(&s->items))
		return items_fail(&s->items);
	json_each(row, s->items.ask.data) {
		json_each(member, s->unchanged)
			if (!is_same(a, json_get(row, member->string), member))
				return task_fail(
					t, ERR_CONFLICT,
					"field '%.60s' of an item in '%.60s' has changed since it "
					"was read: nothing was written",
					member->string, s->items.collection);
	}
	return task_go(t, keep);
}

static enum task_next keep(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct arena *a = it->op->arena;
	const cJSON *row = json_first(it->ask.data), *member;
	cJSON *before = json_object(a);

	if (!s->keeps || !row)
		return task_go(t, write_it);
	json_each(member, it->payload)
		if (json_get(row, member->string))
			json_set(a, before, member->string,
				 json_share(a, json_get(row, member->string)));
	s->keep.collection = it->collection;
	s->keep.key = items_key_text(a, it->keys->child);
	s->keep.step = it->op->step;
	s->keep.before = before;
	s->keep.written = it->payload;
	it->op->undo->keep(it->op->undo, &s->keep, a);
	return task_await(t, &s->keep.call, write_it);
}

/* ---- the write ---- */

/* Only the key is asked for in return. Where its name is not "id" and nobody asked for it, the answer
 * is 204: the write is done, and nothing may be read back. */
static enum task_next write_it(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	const char *name = it->key.key.known ? it->key.key.name : "id", *path;
	const char *fields = arena_printf(it->op->arena, "fields=%s",
					  directus_encode(it->op->arena, str_of(name)));
	const cJSON *body = it->payload, *member;
	struct error err;

	if (it->by_extension)
		return items_delegate(it, it->payload, true, NULL);
	if (s->keep.before)
		json_each(member, it->payload)
			fields = arena_printf(
				it->op->arena, "%s,%s", fields,
				directus_encode(it->op->arena, str_of(member->string)));
	if (it->key_count == 1) {
		if (!items_key_path(it, it->keys->child, &path, &err))
			return task_fail_as(t, &err);
		return items_ask(it, "PATCH", path, fields, body, written);
	}
	if (it->key_count)
		body = items_body(it, it->keys, NULL, it->payload);
	else if (it->query)
		body = items_body(it, NULL, it->query, it->payload);
	return items_ask(it, "PATCH", it->path, fields, body, written);
}

/* What Directus has made of it (a date in its own form, a text cut short) is what is there now. */
static enum task_next written(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct arena *a = it->op->arena;
	const cJSON *row = it->ask.data, *member;
	cJSON *now = json_object(a);

	if (items_failed(it))
		return items_fail(it);
	if (!s->keep.before || !cJSON_IsObject(row))
		return task_go(t, told);
	json_each(member, it->payload)
		if (json_get(row, member->string))
			json_set(a, now, member->string,
				 json_share(a, json_get(row, member->string)));
	if (json_count(now) != json_count(it->payload) || json_equal(now, it->payload))
		return task_go(t, told);
	s->keep.written = now;
	it->op->undo->keep(it->op->undo, &s->keep, a);
	return task_await(t, &s->keep.call, told);
}

static enum task_next told(struct task *t)
{
	struct op_call *c = op_of(t);
	struct items *it = &state_of(t)->items;

	if (it->key_count == 1)
		c->result = json_share(c->arena, it->keys->child);
	else if (it->key_count)
		c->result = items_sorted(c->arena, it->keys);
	else if (!it->query)
		c->result = items_pluck(c->arena, it->payload, it->key.key.name);
	else if (cJSON_IsArray(it->ask.data))
		c->result = items_sorted(c->arena,
					 items_pluck(c->arena, it->ask.data, it->key.key.name));
	return task_end(t);
}

/* clang-format off */
static const struct option options[] = {
	ITEMS_OPTIONS,
	{.name = "key", .types = OPTION_ANY, .help = "one key or several: 15, \"a,b\", [1, 2]"},
	{.name = "query", .types = OPTION_ANY, .help = "which items, in place of 'key'"},
	{.name = "payload", .types = OPTION_ANY,
	 .help = "fields and their values; or a list of items with their keys"},
	{.name = "ifUnchanged", .types = OPTION_ANY,
	 .help = "fields and the values they must still have, or \"sha256:…\" of them; else "
		"CONFLICT"},
	{.name = NULL},
};
/* clang-format on */

const struct operation operation_item_update = {
	.type = "item-update",
	.options = options,
	.waits_out_outages = true,
	.needs_directus = true,
	.writes = true,
	.state_size = sizeof(struct state),
	.first = check,
};
