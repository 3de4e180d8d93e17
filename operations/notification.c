/* notification: one row in directus_notifications for each recipient; resolves with their keys. */
#include "operations/items.h"
#include "operations/options.h"

static task_step check, written;

static struct items *items_of(struct task *t)
{
	return op_of(t)->state;
}

static void set_text(struct op_call *c, cJSON *row, const char *name)
{
	const cJSON *value = json_get(c->options, name);

	if (value && !cJSON_IsNull(value))
		json_set_str(c->arena, row, name, option_to_text(c->arena, value));
}

static enum task_next check(struct task *t)
{
	struct op_call *c = op_of(t);
	struct items *it = items_of(t);
	const cJSON *key;
	cJSON *rows = json_array(c->arena);
	struct error err;

	it->collection = "directus_notifications";
	it->key_option = "recipient"; /* which has the forms of a key */
	if (!items_prepare(c, it, &err))
		return task_fail_as(t, &err);
	if (it->key_count == 0)
		return items_refuse(it, "option 'recipient' is empty: expected the keys of users");
	json_each(key, it->keys) {
		cJSON *row = json_object(c->arena);

		json_set(c->arena, row, "recipient", json_share(c->arena, key));
		set_text(c, row, "subject");
		set_text(c, row, "message");
		set_text(c, row, "collection");
		set_text(c, row, "item");
		json_push(rows, row);
	}
	it->may_be_new = false;
	return items_ask(it, "POST", it->path, "fields=id", rows, written);
}

static enum task_next written(struct task *t)
{
	struct items *it = items_of(t);

	if (items_failed(it))
		return items_fail(it);
	it->op->result = items_pluck(it->op->arena, it->ask.data, "id");
	return task_end(t);
}

static const struct option options[] = {
	{.name = "recipient",
	 .types = OPTION_ANY,
	 .required = true,
	 .help = "users: \"a,b\" or a list"},
	{.name = "permissions",      .types = OPTION_TEXT, .help = "as for items"},
	{.name = "subject",                     .types = OPTION_ANY, .help = "a line"},
	{.name = "message",.types = OPTION_ANY, .help = "Markdown"},
	{.name = "collection",                     .types = OPTION_TEXT, .help = "what it is about"},
	{.name = "item",.types = OPTION_ANY, .help = "what it is about"},
	{.name = NULL                    },
};

const struct operation operation_notification = {
	.type = "notification",
	.options = options,
	.waits_out_outages = true,
	.needs_directus = true,
	.writes = true,
	.state_size = sizeof(struct items),
	.first = check,
};
