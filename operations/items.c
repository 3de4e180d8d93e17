#include "operations/items.h"

#include "common/config.h"
#include "common/utf8.h"
#include "operations/services.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- keys ---- */

struct key_list {
	struct arena *arena;
	cJSON *keys;
	const char *option;
};

static bool add_keys(struct key_list *l, const cJSON *value, int depth,
		     struct error *err) NODISCARD;

static bool refuse_key(const struct key_list *l, const cJSON *value, struct error *err)
{
	return fail(
		err, ERR_INVALID_PAYLOAD,
		"option '%s': found %s where a key was expected: a text, a number, or a list of "
		"these",
		l->option, json_type_name(value));
}

static bool add_list(struct key_list *l, const cJSON *list, int depth, struct error *err)
{
	const cJSON *item;

	json_each(item, list)
		if (!add_keys(l, item, depth, err))
			return false;
	return true;
}

/* A template without a value leaves the word "undefined": no key that anybody means. */
static bool add_one(struct key_list *l, struct str text, struct error *err)
{
	if (str_is(text, "undefined") || str_is(text, "null"))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option '%s' is '%.*s': its template has no value here", l->option,
			    STR_ARGS(text));
	if (text.len)
		json_push(l->keys, json_str(l->arena, text));
	return true;
}

static bool add_csv(struct key_list *l, struct str text, struct error *err)
{
	while (text.len) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t length = comma ? (size_t)(comma - text.ptr) : text.len;

		if (!add_one(l, utf8_trim((struct str){text.ptr, length}), err))
			return false;
		length += comma ? 1 : 0;
		text = (struct str){text.ptr + length, text.len - length};
	}
	return true;
}

static bool add_text(struct key_list *l, const char *value, int depth, struct error *err)
{
	struct str text = utf8_trim(str_of(value));
	struct error ignored;
	const cJSON *list = NULL;

	if (str_starts(text, STR("[")))
		list = json_parse(l->arena, text, &ignored);
	if (list)
		return add_list(l, list, depth + 1, err);
	/* Within a list a text is one key, whatever is in it. */
	return depth == 0 ? add_csv(l, text, err) : add_one(l, text, err);
}

static bool add_keys(struct key_list *l, const cJSON *value, int depth, struct error *err)
{
	if (!value)
		return true;
	if (cJSON_IsString(value))
		return add_text(l, value->valuestring, depth, err);
	if (cJSON_IsNumber(value)) {
		json_push(l->keys, json_number(l->arena, value->valuedouble));
		return true;
	}
	if (cJSON_IsArray(value) && depth < 2)
		return add_list(l, value, depth + 1, err);
	return refuse_key(l, value, err);
}

const char *items_key_text(struct arena *a, const cJSON *key)
{
	char text[JSON_NUMBER_MAX];

	if (cJSON_IsString(key))
		return key->valuestring;
	return arena_strdup(a, json_number_text(key->valuedouble, text));
}

/* ---- the other options ---- */

static bool is_unset(const cJSON *value)
{
	return !value || cJSON_IsNull(value) ||
	       (cJSON_IsString(value) && utf8_trim(str_of(value->valuestring)).len == 0);
}

/* An option that may be written as JSON text. NULL and ERR_OK: it is not set. */
static const cJSON *read_json(struct op_call *c, const char *name, struct error *err)
{
	const cJSON *value = json_get(c->options, name);
	struct error why;
	cJSON *parsed;

	*err = (struct error){.code = ERR_OK};
	if (is_unset(value))
		return NULL;
	if (!cJSON_IsString(value))
		return value;
	parsed = json_parse(c->arena, str_of(value->valuestring), &why);
	if (!parsed)
		(void)fail(err, ERR_INVALID_PAYLOAD, "option '%s' is no JSON: %.200s", name,
			   why.text);
	return parsed;
}

static bool read_query(struct items *it, struct error *err)
{
	const cJSON *query = read_json(it->op, "query", err);

	if (err->code != ERR_OK)
		return false;
	if (query && !cJSON_IsObject(query))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'query': found %s, expected an object", json_type_name(query));
	it->query = json_count(query) ? query : NULL;
	return true;
}

static bool read_payload(struct items *it, struct error *err)
{
	const cJSON *payload = read_json(it->op, "payload", err), *item;

	if (err->code != ERR_OK)
		return false;
	if (payload && !cJSON_IsObject(payload) && !cJSON_IsArray(payload))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'payload': found %s, expected an object or a list of objects",
			    json_type_name(payload));
	json_each(item, cJSON_IsArray(payload) ? payload : NULL)
		if (!cJSON_IsObject(item))
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'payload': found %s in the list, expected objects",
				    json_type_name(item));
	it->payload = payload;
	return true;
}

static bool is_falsy(const cJSON *value)
{
	return is_unset(value) || cJSON_IsFalse(value) ||
	       (cJSON_IsNumber(value) && fpclassify(value->valuedouble) == FP_ZERO);
}

/* As whom: the worker's own user, or whom the stored operation says, through the extension. */
static bool check_permissions(struct items *it, struct error *err)
{
	const struct op_call *c = it->op;
	const cJSON *value = json_get(c->options, "permissions");
	const char *text = cJSON_GetStringValue(value);
	bool can_delegate =
		c->origin && c->origin->by_extension && strncmp(c->op->type, "item-", 5) == 0;

	if (is_unset(value) || (text && strcmp(text, "$trigger") == 0)) {
		it->as_worker = can_delegate && !c->origin->is_signed;
		it->by_extension =
			can_delegate &&
			(c->origin->is_signed ||
			 (c->op->writes && is_falsy(json_get(c->options, "emitEvents"))));
		return true;
	}
	it->by_extension = can_delegate;
	if (can_delegate)
		return true;
	if (c->use->config && c->use->config->worker_trust_permissions)
		return true;
	(void)fail(err, ERR_FORBIDDEN,
		   "option 'permissions' is '%.60s', but the worker acts with the rights of its "
		   "own user: give that user the rights and set the option to $trigger, or install "
		   "the extension in Directus and run a flow that is stored there, or set "
		   "WORKER_TRUST_PERMISSIONS=true",
		   text ? text : json_type_name(value));
	err->status = 403;
	return false;
}

bool items_prepare(struct op_call *c, struct items *it, struct error *err)
{
	const char *collection = json_get_text(c->options, "collection");
	struct key_list list = {c->arena, json_array(c->arena),
				it->key_option ? it->key_option : "key"};
	const cJSON *key = json_get(c->options, list.option);

	it->op = c;
	if (!it->collection)
		it->collection = collection ? collection : "";
	it->user_agent =
		directus_user_agent(c->arena, c->job_id, c->origin ? c->origin->chain_id : NULL,
				    c->origin ? c->origin->depth : 0);
	it->may_be_new = json_get_text(json_get(c->chain, "$trigger"), "event") != NULL;
	it->key_given = key && !cJSON_IsNull(key);
	if (!c->use->directus)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "operation '%s' needs Directus: set DIRECTUS_URL and DIRECTUS_TOKEN",
			    c->op->type);
	if (!directus_collection_path(c->arena, it->collection, &it->path, err) ||
	    !check_permissions(it, err) || (it->key_given && !add_keys(&list, key, 0, err)) ||
	    !read_query(it, err) || !read_payload(it, err))
		return false;
	it->keys = list.keys;
	it->key_count = json_count(list.keys);
	return true;
}

/* ---- asking Directus ---- */

enum task_next items_ask(struct items *it, const char *method, const char *path, const char *query,
			 const cJSON *body, task_step *then)
{
	struct op_call *c = it->op;
	struct directus_request req = {.method = method,
				       .path = path,
				       .query = query,
				       .body = body,
				       .user_agent = it->user_agent,
				       .is_bulk = c->origin && c->origin->is_bulk,
				       .goes_on = it->ask.tries > 0,
				       .may_be_new = it->may_be_new && it->key_count > 0};

	directus_start(c->use->directus, &it->ask, &req, c->arena);
	return task_await_either(&c->task, &it->ask.task.call, then);
}

/* Who acts: the worker itself, or who caused the job: a user, nobody (null), or, in a job that a schedule made, nobody to ask for
 * permission ("$none"). */
static cJSON *acting_user(const struct items *it)
{
	const struct op_call *c = it->op;
	const char *user = json_get_text(c->origin->accountability, "user");

	if (it->as_worker)
		return json_text(c->arena, "$worker");
	if (user)
		return json_text(c->arena, user);
	return c->origin->accountability ? json_null(c->arena) : json_text(c->arena, "$none");
}

static enum task_next delegated(struct task *t)
{
	struct op_call *c = op_of(t);
	struct items *it = c->state; /* the first member of each operation's state */

	if (items_failed(it))
		return items_fail(it);
	c->result = it->ask.data ? json_share(c->arena, it->ask.data) : NULL;
	return task_end(t);
}

enum task_next items_delegate(struct items *it, const cJSON *payload, bool repeatable,
			      task_step *then)
{
	struct op_call *c = it->op;
	struct arena *a = c->arena;
	cJSON *body = json_object(a);
	struct directus_request req = {.method = "POST",
				       .path = "/flow-worker/items",
				       .body = body,
				       .user_agent = it->user_agent,
				       .may_be_new = it->may_be_new && it->key_count > 0,
				       .is_bulk = c->origin->is_bulk,
				       .repeatable = repeatable};

	json_set_text(a, body, "flow", c->origin->flow_id);
	json_set_text(a, body, "operation", c->step);
	json_set_text(a, body, "job", c->job_id);
	json_set_bool(a, body, "signed", c->origin->is_signed);
	json_set(a, body, "user", acting_user(it));
	json_set_text(a, body, "collection", it->collection);
	if (it->key_count)
		json_set(a, body, "key", json_share(a, it->keys));
	if (it->query)
		json_set(a, body, "query", json_share(a, it->query));
	if (payload)
		json_set(a, body, "payload", json_share(a, payload));
	directus_start(c->use->directus, &it->ask, &req, a);
	return task_await_either(&c->task, &it->ask.task.call, then ? then : delegated);
}

enum task_next items_ask_key(struct items *it, task_step *then)
{
	struct op_call *c = it->op;

	directus_key_start(c->use->directus, &it->key, it->collection, it->user_agent, c->arena);
	return task_await(&c->task, &it->key.task.call, then);
}

enum task_next items_fail(struct items *it)
{
	it->op->error_extra = directus_error_extra(&it->ask, it->op->arena);
	return task_fail_as(&it->op->task, &it->ask.task.call.err);
}

enum task_next items_refuse(struct items *it, const char *why)
{
	struct error err;

	(void)fail(&err, ERR_NAMED, "%s", why);
	(void)snprintf(err.name, sizeof(err.name), "%s",
		       error_code_name(ERR_INVALID_PAYLOAD)); /* a DirectusError, as there */
	err.status = 400;
	return task_fail_as(&it->op->task, &err);
}

cJSON *items_body(const struct items *it, const cJSON *keys, const cJSON *query, const cJSON *data)
{
	struct arena *a = it->op->arena;
	cJSON *body = json_object(a);

	if (keys)
		json_set(a, body, "keys", json_share(a, keys));
	if (query)
		json_set(a, body, "query", json_share(a, query));
	if (data)
		json_set(a, body, "data", json_share(a, data));
	return body;
}

bool items_key_path(struct items *it, const cJSON *key, const char **path, struct error *err)
{
	struct arena *a = it->op->arena;

	return directus_item_path(a, it->collection, items_key_text(a, key), path, err);
}

/* ---- lists of keys ---- */

cJSON *items_pluck(struct arena *a, const cJSON *rows, const char *name)
{
	cJSON *keys = json_array(a);
	const cJSON *row;

	json_each(row, rows) {
		const cJSON *key = json_get(row, name);

		json_push(keys, key ? json_share(a, key) : json_null(a));
	}
	return keys;
}

struct sortable {
	const char *text;
	const cJSON *key;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(((const struct sortable *)a)->text, ((const struct sortable *)b)->text);
}

cJSON *items_sorted(struct arena *a, const cJSON *keys)
{
	size_t count = json_count(keys), i = 0;
	struct sortable *list = arena_array(a, struct sortable, count + 1);
	cJSON *sorted = json_array(a);
	const cJSON *key;

	json_each(key, keys)
		list[i++] = (struct sortable){items_key_text(a, key), key};
	qsort(list, count, sizeof(*list), by_text);
	for (i = 0; i < count; i++)
		json_push(sorted, json_share(a, list[i].key));
	return sorted;
}
