#include "worker/batch/batch.h"

#include "common/config.h"
#include "common/digest.h"
#include "common/redis.h"
#include "worker/flow/flow.h"
#include "worker/flow/job.h"

#include <math.h>

enum { NAME_MAX_BYTES = 200 };

/* ---- reading ---- */

static const cJSON *member(const cJSON *json, const char *name)
{
	const cJSON *v = json_get(json, name);

	return v && !cJSON_IsNull(v) && !(cJSON_IsString(v) && !v->valuestring[0]) ? v : NULL;
}

static bool wrong(const char *name, const cJSON *found, const char *expected, struct error *err)
{
	return fail(err, ERR_INVALID_JOB, "batch: '%s' is %s, expected %s", name,
		    found ? json_type_name(found) : "missing", expected);
}

static bool read_text(const cJSON *json, const char *name, const char **text, struct error *err)
{
	const cJSON *v = member(json, name);

	if (v && !cJSON_IsString(v))
		return wrong(name, v, "a text", err);
	if (v && strlen(v->valuestring) > NAME_MAX_BYTES)
		return fail(err, ERR_INVALID_JOB, "batch: '%s' is longer than %d bytes", name,
			    NAME_MAX_BYTES);
	*text = v ? v->valuestring : NULL;
	return true;
}

static bool read_number(const cJSON *v, const char *name, double most, double *number,
			struct error *err)
{
	if (!v)
		return true;
	if (!cJSON_IsNumber(v) || !(v->valuedouble > 0) || v->valuedouble > most)
		return fail(err, ERR_INVALID_JOB,
			    "batch: '%s' must be a number above 0, at most %.0f", name, most);
	*number = v->valuedouble;
	return true;
}

static bool read_numbers(const cJSON *json, struct batch *b, struct error *err)
{
	const cJSON *budget = member(json, "budget");
	double limit = BATCH_ITEMS_MAX, concurrency = BATCH_WINDOW, dollars = 0;

	if (cJSON_IsObject(budget))
		budget = json_get(budget, "maxCostUsd");
	if (!read_number(member(json, "limit"), "limit", BATCH_ITEMS_MAX, &limit, err) ||
	    !read_number(member(json, "concurrency"), "concurrency", 100000, &concurrency, err) ||
	    !read_number(budget, "budget", 1e6, &dollars, err))
		return false;
	b->limit = (uint64_t)ceil(limit);
	b->concurrency = size_min((size_t)ceil(concurrency), BATCH_WINDOW);
	b->budget_nano = (uint64_t)llround(dollars * 1e9);
	return true;
}

static bool read_fields(struct arena *a, const cJSON *json, struct batch *b, struct error *err)
{
	const cJSON *fields = member(json, "fields"), *name;
	cJSON *all;

	if (fields && !cJSON_IsArray(fields))
		return wrong("fields", fields, "an array of names", err);
	json_each(name, fields)
		if (!cJSON_IsString(name))
			return wrong("fields", name, "names of fields", err);
	b->fields = fields;
	if (json_count(fields) == 0) {
		all = json_array(a);
		json_push(all, json_text(a, "*"));
		b->fields = all;
	}
	return true;
}

static bool read_flow(struct arena *a, const cJSON *json, struct batch *b, struct error *err)
{
	const cJSON *given = member(json, "flow");
	struct error why;
	struct flow *flow;

	b->flow = given;
	if (!cJSON_IsString(given) && !cJSON_IsObject(given) && !cJSON_IsArray(given))
		return wrong("flow", given,
			     "a flow's id or name, a flow object, or a list of operations", err);
	if (cJSON_IsString(given))
		return true;
	flow = flow_parse(a, given, FLOW_OF_JOB, &why);
	if (!flow)
		return fail(err, why.code, "batch: the flow: %s", why.text);
	return flow->first || fail(err, ERR_INVALID_JOB, "batch: the flow has no operations");
}

static bool read_switches(const cJSON *json, struct batch *b, struct error *err)
{
	static const char *const names[] = {"onlyChanged", "ifUnchanged", "input"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (member(json, names[i]) && !cJSON_IsBool(member(json, names[i])))
			return wrong(names[i], member(json, names[i]), "true or false", err);
	b->only_changed = json_get_bool(json, "onlyChanged", false);
	b->if_unchanged = json_get_bool(json, "ifUnchanged", false);
	b->is_input = json_get_bool(json, "input", false);
	return true;
}

bool batch_read(struct arena *a, const cJSON *json, struct batch *b, struct error *err)
{
	struct batch made = {.id = NULL};
	const cJSON *filter = member(json, "filter");

	if (!cJSON_IsObject(json))
		return fail(err, ERR_INVALID_JOB, "'batch' is of type %s, expected an object",
			    json_type_name(json));
	if (!read_text(json, "id", &made.id, err))
		return false;
	if (made.id) {
		*b = made;
		return true;
	}
	if (!read_text(json, "collection", &made.collection, err) ||
	    !read_text(json, "name", &made.name, err) ||
	    !read_text(json, "notify", &made.notify, err) || !read_switches(json, &made, err) ||
	    !read_numbers(json, &made, err) || !read_fields(a, json, &made, err) ||
	    !read_flow(a, json, &made, err))
		return false;
	if (!made.collection && !made.is_input)
		return wrong("collection", NULL, "the name of a collection", err);
	if (filter && !cJSON_IsObject(filter))
		return wrong("filter", filter, "a filter object", err);
	made.filter = json_count(filter) ? filter : NULL;
	*b = made;
	return true;
}

const char *batch_flow_label(const struct batch *b)
{
	const char *id = json_get_text(b->flow, "id"), *name = json_get_text(b->flow, "name");

	if (cJSON_GetStringValue(b->flow))
		return cJSON_GetStringValue(b->flow);
	if (id && id[0])
		return id;
	return name && name[0] ? name : "batch";
}

const char *batch_id_of(const char *job_id)
{
	return strncmp(job_id, "batch:", 6) == 0 && job_id[6] ? job_id + 6 : job_id;
}

struct flow *batch_flow(struct arena *a, const cJSON *json, struct error *err)
{
	struct flow *flow = arena_make(a, struct flow);
	struct flow_node *node = arena_make(a, struct flow_node);
	const char **keys = arena_array(a, const char *, 1);
	struct batch batch;

	if (!batch_read(a, json, &batch, err))
		return NULL;
	*node = (struct flow_node){
		.key = "batch", .type = "batch", .op = &operation_batch, .options = json};
	keys[0] = node->key;
	*flow = (struct flow){.name = batch.id ? "batch" : batch_flow_label(&batch),
			      .nodes = node,
			      .count = 1,
			      .first = node,
			      .keys = keys};
	return flow;
}

/* ---- items ---- */

cJSON *batch_filter(struct arena *a, const struct batch *b, const char *primary,
		    const char *condition, const cJSON *value)
{
	cJSON *both, *list, *by_key, *test;

	if (!value)
		return b->filter ? json_share(a, b->filter) : json_object(a);
	by_key = json_object(a);
	test = json_object(a);
	json_set(a, test, condition, json_share(a, value));
	json_set(a, by_key, primary, test);
	if (!b->filter)
		return by_key;
	both = json_object(a);
	list = json_array(a);
	json_push(list, json_share(a, b->filter));
	json_push(list, by_key);
	json_set(a, both, "_and", list);
	return both;
}

/* The values that the item must still have when it is written: when it was changed last, or else all
 * that was read of it; long ones as their digests. */
static cJSON *unchanged_values(struct arena *a, const cJSON *item, const cJSON *primary)
{
	cJSON *values = json_object(a);
	const cJSON *updated = json_get(item, "date_updated"), *member_of;
	char hex[DIGEST_HEX_SIZE];

	if (updated) {
		json_set(a, values, "date_updated", json_share(a, updated));
		return values;
	}
	json_each(member_of, item) {
		if (cJSON_IsArray(member_of) || cJSON_IsObject(member_of) || member_of == primary)
			continue;
		if (!cJSON_IsString(member_of) ||
		    strlen(member_of->valuestring) < DIGEST_HEX_SIZE) {
			json_set(a, values, member_of->string, json_share(a, member_of));
			continue;
		}
		sha256_hex(str_of(member_of->valuestring), hex);
		json_set_text(a, values, member_of->string, arena_printf(a, "sha256:%s", hex));
	}
	return values;
}

static cJSON *trigger_of(struct arena *a, const struct batch *b, const struct batch_item *item)
{
	cJSON *trigger = json_object(a), *keys = json_array(a);
	const char *from = b->collection ? b->collection : "input";

	json_set_text(a, trigger, "event", arena_printf(a, "%s.items.batch", from));
	if (b->collection)
		json_set_text(a, trigger, "collection", b->collection);
	json_set(a, trigger, "key",
		 item->primary ? json_share(a, item->primary) : json_text(a, item->key));
	json_push(keys, json_share(a, json_get(trigger, "key")));
	json_set(a, trigger, "keys", keys);
	json_set(a, trigger, "payload", json_share(a, item->value));
	return trigger;
}

static cJSON *item_of(struct arena *a, const struct batch *b, const struct batch_item *item)
{
	cJSON *json = json_object(a);

	json_set_text(a, json, "collection", b->collection ? b->collection : "input");
	json_set_text(a, json, "key", item->key);
	if (b->only_changed) {
		json_set_bool(a, json, "onlyChanged", true);
		json_set_text(a, json, "flow", batch_flow_label(b));
		if (item->question)
			json_set_text(a, json, "question", item->question);
	}
	if (b->if_unchanged && !b->is_input)
		json_set(a, json, "unchanged", unchanged_values(a, item->value, item->primary));
	return json;
}

struct str batch_item_body(struct arena *a, const struct batch *b, const struct job *source,
			   const struct batch_item *item, const struct config *config)
{
	cJSON *body = json_object(a), *chain = json_object(a);
	struct str text;

	json_set(a, body, cJSON_IsArray(b->flow) ? "operations" : "flow", json_share(a, b->flow));
	json_set(a, body, "trigger", trigger_of(a, b, item));
	if (source->accountability)
		json_set(a, body, "accountability", json_share(a, source->accountability));
	json_set_text(a, chain, "id", source->chain_id ? source->chain_id : source->id);
	json_set_number(a, chain, "depth", source->depth + 1);
	json_set(a, body, "chain", chain);
	json_set(a, body, "item", item_of(a, b, item));
	text = json_print(a, body);
	return source->is_signed ? job_sign(a, text, config) : text;
}

const char *batch_reply(const struct redis_value *list, const char *name)
{
	for (size_t i = 0; i + 1 < list->count; i += 2)
		if (str_is(list->items[i].text, name))
			return list->items[i + 1].text.ptr;
	return NULL;
}
