/*	check ─► remove ─► removed
 *	  └── by query: ask for the key's name ─► find ─► found ─► remove ─► removed    */
#include "operations/items.h"

static task_step check, find, found, remove_them, removed;

static struct items *items_of(struct task *t)
{
	return op_of(t)->state;
}

static enum task_next check(struct task *t)
{
	struct items *it = items_of(t);
	struct error err;

	if (!items_prepare(op_of(t), it, &err))
		return task_fail_as(t, &err);
	if (it->key_count && it->query)
		return items_refuse(it, "Invalid payload. Cannot use both \"key\" and \"query\".");
	if (it->by_extension && (it->query || it->key_count))
		return items_delegate(it, NULL, true, removed);
	if (it->query)
		return items_ask_key(it, find);
	return it->key_count ? task_go(t, remove_them) : task_end(t);
}

/* Directus does not tell what it has deleted by a query: look first, then delete those. */
static enum task_next find(struct task *t)
{
	struct items *it = items_of(t);
	struct arena *a = it->op->arena;
	cJSON *query = json_object(a), *fields = json_array(a);
	const cJSON *member;

	json_each(member, it->query)
		json_set(a, query, member->string, json_share(a, member));
	json_push(fields, json_text(a, it->key.key.name));
	json_set(a, query, "fields", fields);
	return items_ask(it, "SEARCH", it->path, NULL, items_body(it, NULL, query, NULL), found);
}

static enum task_next found(struct task *t)
{
	struct items *it = items_of(t);

	if (items_failed(it))
		return items_fail(it);
	it->keys = items_pluck(it->op->arena, it->ask.data, it->key.key.name);
	it->key_count = json_count(it->keys);
	if (it->key_count)
		return task_go(t, remove_them);
	it->op->result = json_array(it->op->arena);
	return task_end(t);
}

static enum task_next remove_them(struct task *t)
{
	struct items *it = items_of(t);
	const char *path;
	struct error err;

	if (it->key_count != 1)
		return items_ask(it, "DELETE", it->path, NULL, it->keys, removed);
	if (!items_key_path(it, it->keys->child, &path, &err))
		return task_fail_as(t, &err);
	return items_ask(it, "DELETE", path, NULL, NULL, removed);
}

static enum task_next removed(struct task *t)
{
	struct op_call *c = op_of(t);
	struct items *it = items_of(t);
	bool gone_before = it->ask.may_have_happened && !it->query &&
			   strcmp(error_name(&it->ask.task.call.err), "FORBIDDEN") == 0;

	if (items_failed(it) && !gone_before)
		return items_fail(it);
	if (it->by_extension && it->query) {
		c->result = it->ask.data ? json_share(c->arena, it->ask.data) : NULL;
		return task_end(t);
	}
	c->result = it->key_count == 1 && !it->query ? json_share(c->arena, it->keys->child)
						     : items_sorted(c->arena, it->keys);
	return task_end(t);
}

/* clang-format off */
static const struct option options[] = {
	ITEMS_OPTIONS,
	{.name = "key", .types = OPTION_ANY, .help = "one key or several: 15, \"a,b\", [1, 2]"},
	{.name = "query", .types = OPTION_ANY, .help = "which items, in place of 'key'"},
	{.name = NULL},
};
/* clang-format on */

const struct operation operation_item_delete = {
	.type = "item-delete",
	.options = options,
	.waits_out_outages = true,
	.needs_directus = true,
	.writes = true,
	.state_size = sizeof(struct items),
	.first = check,
};
