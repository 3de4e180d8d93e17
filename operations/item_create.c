/*	check ─► (the key's name and kind) ─► write ─► written
 *
 * A row whose key is a uuid gets one that follows from job, step and place in the list. So a repeat,
 * after a crash or an answer that was lost, finds its rows there and is no duplicate. */
#include "common/digest.h"
#include "operations/items.h"
#include "operations/services.h"

struct state {
	struct items items;
	cJSON *rows;       /* the payload, with keys */
	bool all_have_key; /* ... each of them */
	bool some_are_ours;
};

static task_step check, write_it, written;

static struct state *state_of(struct task *t)
{
	return op_of(t)->state;
}

static enum task_next check(struct task *t)
{
	struct items *it = &state_of(t)->items;
	struct error err;

	if (!items_prepare(op_of(t), it, &err))
		return task_fail_as(t, &err);
	return it->payload ? items_ask_key(it, write_it) : task_end(t);
}

static cJSON *with_key(struct state *s, const cJSON *row, size_t place)
{
	struct op_call *c = s->items.op;
	const struct directus_key *key = &s->items.key.key;
	const cJSON *own = json_get(row, key->name), *member;
	bool has_own = own && !cJSON_IsNull(own);
	cJSON *made = json_object(c->arena);
	char uuid[UUID_SIZE];

	json_each(member, row)
		json_set(c->arena, made, member->string, json_share(c->arena, member));
	if (!has_own && key->is_uuid) {
		uuid_of(str_of(arena_printf(c->arena, "%s#%s#%zu", c->job_id, c->step, place)),
			uuid);
		json_set_text(c->arena, made, key->name, uuid);
		s->some_are_ours = true;
	}
	s->all_have_key = s->all_have_key && (has_own || key->is_uuid);
	return made;
}

static enum task_next write_it(struct task *t)
{
	struct op_call *c = op_of(t);
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct directus_request req = {.method = "POST",
				       .path = it->path,
				       .user_agent = it->user_agent,
				       .is_bulk = c->origin && c->origin->is_bulk};
	const cJSON *row;
	size_t place = 0;

	s->rows = json_array(c->arena);
	s->all_have_key = true;
	if (cJSON_IsObject(it->payload))
		json_push(s->rows, with_key(s, it->payload, 0));
	json_each(row, cJSON_IsArray(it->payload) ? it->payload : NULL)
		json_push(s->rows, with_key(s, row, place++));
	if (json_count(s->rows) == 0) {
		c->result = s->rows;
		return task_end(t);
	}
	if (it->by_extension)
		return items_delegate(it, s->rows, s->all_have_key, written);
	req.query = arena_printf(c->arena, "fields=%s",
				 directus_encode(c->arena, str_of(it->key.key.name)));
	req.body = s->rows;
	req.repeatable = s->all_have_key;
	directus_start(c->use->directus, &it->ask, &req, c->arena);
	return task_await_either(t, &it->ask.task.call, written);
}

/* A key that only we can have given is taken: these rows were written before. */
static bool was_written_before(const struct state *s)
{
	const struct items *it = &s->items;
	const char *field = json_get_text(it->ask.extensions, "field");
	const char *value = json_get_text(it->ask.extensions, "value");
	const cJSON *row;

	if (strcmp(error_name(&it->ask.task.call.err), "RECORD_NOT_UNIQUE") != 0 ||
	    !s->all_have_key || !(s->some_are_ours || it->ask.may_have_happened) ||
	    (field && strcmp(field, it->key.key.name) != 0))
		return false;
	json_each(row, s->rows) {
		const char *key = json_get_text(row, it->key.key.name);

		if (!value || (key && strcmp(key, value) == 0))
			return true;
	}
	return false;
}

static enum task_next written(struct task *t)
{
	struct op_call *c = op_of(t);
	struct state *s = state_of(t);
	const struct items *it = &s->items;

	if (items_failed(it) && !was_written_before(s))
		return items_fail(&s->items);
	if (it->by_extension && !s->all_have_key) {
		c->result = it->ask.data ? json_share(c->arena, it->ask.data) : NULL;
		return task_end(t);
	}
	/* The answer is in the order of the keys: ours is that of the payload. */
	c->result = items_pluck(
		c->arena, !s->all_have_key && cJSON_IsArray(it->ask.data) ? it->ask.data : s->rows,
		it->key.key.name);
	return task_end(t);
}

static const struct option options[] = {
	ITEMS_OPTIONS,
	{.name = "payload",                      .types = OPTION_ANY, .help = "one item or a list of items"},
	{.name = NULL},
};

const struct operation operation_item_create = {
	.type = "item-create",
	.options = options,
	.waits_out_outages = true,
	.needs_directus = true,
	.writes = true,
	.state_size = sizeof(struct state),
	.first = check,
};
