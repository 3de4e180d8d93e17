/*	look ─► ask_types ─► got_types ── "id" is there ──► keep
 *	                         └── another name ─► got_names ──► keep           */
#include "common/directus_key.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEPT_MAX = 256 };

struct directus_keys {
	struct kept {
		char *collection;
		struct directus_key key;
		uint64_t until;
	} kept[KEPT_MAX];
	size_t count;
};

static task_step look, ask_types, got_types, got_names, keep;

/* Of Directus' own collections: all have "id", and these make it a uuid. */
static const char *const uuid_collections[] = {
	"access", "comments", "dashboards",   "extensions", "files",
	"flows",  "folders",  "operations",   "panels",     "policies",
	"roles",  "shares",   "translations", "users",      "versions",
};

struct directus_keys *directus_keys_new(void)
{
	return xmalloc(sizeof(struct directus_keys));
}

void directus_keys_free(struct directus_keys *k)
{
	for (size_t i = 0; i < k->count; i++)
		free(k->kept[i].collection);
	free(k);
}

static struct directus_key_call *call_of(struct task *t)
{
	return container_of(t, struct directus_key_call, task);
}

static void set_key(struct directus_key_call *c, const char *name, bool is_uuid)
{
	(void)snprintf(c->key.name, sizeof(c->key.name), "%s", name);
	c->key.is_uuid = is_uuid;
	c->key.known = true;
}

static struct kept *find_kept(const struct directus_key_call *c)
{
	struct directus_keys *k = directus_keys(c->directus);

	for (size_t i = 0; i < k->count; i++)
		if (strcmp(k->kept[i].collection, c->collection) == 0)
			return &k->kept[i];
	return NULL;
}

static enum task_next look(struct task *t)
{
	struct directus_key_call *c = call_of(t);
	const struct kept *kept = find_kept(c);
	bool is_uuid = false;

	if (strncmp(c->collection, "directus_", 9) == 0) {
		for (size_t i = 0; i < ARRAY_LEN(uuid_collections); i++)
			is_uuid = is_uuid || strcmp(c->collection + 9, uuid_collections[i]) == 0;
		set_key(c, "id", is_uuid);
		return task_end(t);
	}
	if (kept && loop_now(t->call.loop) < kept->until) {
		c->key = kept->key;
		return task_end(t);
	}
	return task_go(t, ask_types);
}

static enum task_next ask_types(struct task *t)
{
	struct directus_key_call *c = call_of(t);
	struct directus_request req = {
		.method = "GET", .path = "/server/specs/oas", .user_agent = c->user_agent};

	directus_start(c->directus, &c->ask, &req, c->arena);
	return task_await_either(t, &c->ask.task.call, got_types);
}

/* A Directus that does not want to tell (404, 403, GraphQL switched off) leaves the key unknown. */
static bool was_refused(const struct directus_call *c)
{
	int status = c->task.call.err.status;

	return c->task.call.err.code == ERR_NAMED && status >= 400 && status < 500 &&
	       status != 401 && status != 408 && status != 429;
}

static enum task_next got_types(struct task *t)
{
	struct directus_key_call *c = call_of(t);
	const cJSON *schema, *id;
	cJSON *body, *variables;
	struct directus_request req = {.method = "POST",
				       .path = "/graphql",
				       .user_agent = c->user_agent,
				       .repeatable = true};

	if (c->ask.task.call.err.code != ERR_OK && !was_refused(&c->ask))
		return task_fail_as(t, &c->ask.task.call.err);
	json_each(schema, json_path(c->ask.data, "components", "schemas", NULL)) {
		const char *name = json_get_text(schema, "x-collection");

		if (name && strcmp(name, c->collection) == 0)
			c->fields = json_get(schema, "properties");
	}
	id = json_get(c->fields, "id");
	if (id) {
		const char *format = json_get_text(id, "format");

		set_key(c, "id", format && strcmp(format, "uuid") == 0);
		return task_go(t, keep);
	}
	if (!c->fields)
		return task_go(t, keep); /* not a collection that may be read */
	body = json_object(c->arena);
	variables = json_object(c->arena);
	json_set_text(c->arena, variables, "name", c->collection);
	json_set_text(
		c->arena, body, "query",
		"query($name:String!){__type(name:$name){fields{name type{kind ofType{name}}}}}");
	json_set(c->arena, body, "variables", variables);
	req.body = body;
	directus_start(c->directus, &c->ask, &req, c->arena);
	return task_await_either(t, &c->ask.task.call, got_names);
}

static enum task_next got_names(struct task *t)
{
	struct directus_key_call *c = call_of(t);
	const cJSON *field;

	if (c->ask.task.call.err.code != ERR_OK && !was_refused(&c->ask))
		return task_fail_as(t, &c->ask.task.call.err);
	json_each(field, json_path(c->ask.data, "__type", "fields", NULL)) {
		const char *name = json_get_text(field, "name");
		const char *kind = json_get_text(json_get(field, "type"), "kind");
		const char *type = json_get_text(json_path(field, "type", "ofType", NULL), "name");
		const char *format =
			json_get_text(name ? json_get(c->fields, name) : NULL, "format");

		if (name && kind && type && strcmp(kind, "NON_NULL") == 0 &&
		    strcmp(type, "ID") == 0)
			set_key(c, name, format && strcmp(format, "uuid") == 0);
	}
	return task_go(t, keep);
}

static enum task_next keep(struct task *t)
{
	struct directus_key_call *c = call_of(t);
	struct directus_keys *k = directus_keys(c->directus);
	struct kept *kept = find_kept(c);

	if (!kept) {
		kept = &k->kept[k->count < KEPT_MAX ? k->count++ : 0];
		free(kept->collection);
		kept->collection = xstrdup(c->collection);
	}
	kept->key = c->key;
	kept->until = loop_now(t->call.loop) + DIRECTUS_KEY_KEEP_MS;
	return task_end(t);
}

void directus_key_start(struct directus *d, struct directus_key_call *c, const char *collection,
			const char *user_agent, struct arena *a)
{
	*c = (struct directus_key_call){.task.call.done = c->task.call.done,
					.task.call.parent = c->task.call.parent,
					.key.name = "id",
					.directus = d,
					.arena = a,
					.collection = collection,
					.user_agent = user_agent};
	task_start(&c->task, directus_loop(d), look);
}
