#include "worker/flow/flow.h"

#include "operations/operation.h"

/* Operations of Directus that can not run outside of it. */
static const struct {
	const char *type, *why;
} unsupported[] = {
	{"exec", "scripts do not run outside Directus; use 'transform', templates with filters, or "
		 "'request'"            },
	{"mail", "mail leaves through Directus only; use 'notification', or a 'request' to a flow "
		 "with a mail operation"},
};

struct reader {
	struct arena *arena;
	struct flow *flow;
	const cJSON *operations; /* the array */
	enum flow_source source;
	struct error *err;
};

static bool wrong(struct reader *r, size_t i, const char *what)
{
	return fail(r->err, ERR_INVALID_JOB, "operations[%zu]: %s", i, what);
}

/* A member that is a text, or is not there. */
static bool read_text(struct reader *r, size_t i, const cJSON *json, const char *name,
		      const char **text)
{
	const cJSON *v = json_get(json, name);

	if (v && !cJSON_IsNull(v) && !cJSON_IsString(v))
		return fail(r->err, ERR_INVALID_JOB,
			    "operations[%zu].%s is of type %s, expected a string", i, name,
			    json_type_name(v));
	*text = v && cJSON_IsString(v) && v->valuestring[0] ? v->valuestring : NULL;
	return true;
}

static bool read_node(struct reader *r, size_t i, const cJSON *json)
{
	struct flow_node *n = &r->flow->nodes[i];
	const char *type, *key, *operation;
	const cJSON *options = json_get(json, "options");

	if (!cJSON_IsObject(json))
		return fail(r->err, ERR_INVALID_JOB,
			    "operations[%zu] is of type %s, expected an object", i,
			    json_type_name(json));
	if (!read_text(r, i, json, "operation", &operation) ||
	    !read_text(r, i, json, "type", &type) || !read_text(r, i, json, "id", &n->id) ||
	    !read_text(r, i, json, "key", &key))
		return false;
	n->type = operation ? operation : type;
	if (!n->type)
		return wrong(r, i, "has neither 'operation' nor 'type': which operation is it?");
	if (options && !cJSON_IsNull(options) && !cJSON_IsObject(options))
		return fail(r->err, ERR_INVALID_JOB,
			    "operations[%zu].options is of type %s, expected an object", i,
			    json_type_name(options));
	n->options = cJSON_IsObject(options) ? options : NULL;
	n->key = key ? key : n->id ? n->id : arena_printf(r->arena, "%s_%zu", n->type, i + 1);
	n->op = operation_find(n->type);
	return true;
}

static bool check_keys(struct reader *r)
{
	const struct flow *f = r->flow;
	cJSON *seen = json_object(r->arena);
	const char **keys = arena_array(r->arena, const char *, f->count + 1);

	for (size_t i = 0; i < f->count; i++) {
		if (json_get(seen, f->nodes[i].key))
			return fail(r->err, ERR_INVALID_JOB,
				    "operations[%zu]: the key '%.64s' is used twice; keys name the "
				    "results in the data chain, so each must be its own",
				    i, f->nodes[i].key);
		json_set_bool(r->arena, seen, f->nodes[i].key, true);
		keys[i] = f->nodes[i].key;
	}
	r->flow->keys = keys;
	return true;
}

static struct flow_node *node_find(const struct flow *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->nodes[i].id && strcmp(f->nodes[i].id, name) == 0)
			return &f->nodes[i];
	for (size_t i = 0; i < f->count; i++)
		if (strcmp(f->nodes[i].key, name) == 0)
			return &f->nodes[i];
	return NULL;
}

static bool read_link(struct reader *r, size_t i, const cJSON *json, const char *which,
		      struct flow_node **to)
{
	const char *name;

	if (!read_text(r, i, json, which, &name))
		return false;
	if (!name)
		return true;
	*to = node_find(r->flow, name);
	if (!*to)
		return fail(
			r->err, ERR_INVALID_JOB,
			"operations[%zu] ('%.64s').%s is '%.64s', which is neither the id nor the "
			"key of an operation of this flow",
			i, r->flow->nodes[i].key, which, name);
	return true;
}

static bool read_links(struct reader *r)
{
	const cJSON *json;
	size_t i = 0;

	json_each(json, r->operations) {
		struct flow_node *n = &r->flow->nodes[i];

		if (!read_link(r, i, json, "resolve", &n->resolve) ||
		    !read_link(r, i, json, "reject", &n->reject))
			return false;
		i++;
	}
	return true;
}

static bool read_first(struct reader *r, const cJSON *json)
{
	const cJSON *first = cJSON_IsObject(json) ? json_get(json, "operation") : NULL;
	struct flow *f = r->flow;

	f->first = f->count ? &f->nodes[0] : NULL;
	if (!first || cJSON_IsNull(first)) {
		/* Directus says null where nothing is connected to the trigger. */
		if (first && r->source == FLOW_OF_DIRECTUS)
			f->first = NULL;
		return true;
	}
	f->first = cJSON_IsString(first) ? node_find(f, first->valuestring) : NULL;
	if (!f->first)
		return fail(r->err, ERR_INVALID_JOB,
			    "flow.operation names the first operation, but '%.64s' is none of this "
			    "flow",
			    cJSON_IsString(first) ? first->valuestring : json_type_name(first));
	return true;
}

enum colour { NOT_SEEN, ON_THE_WAY, DONE };

static bool check_way(struct reader *r, const struct flow_node *n, enum colour *colours);

static bool check_next(struct reader *r, const struct flow_node *from, const struct flow_node *to,
		       enum colour *colours)
{
	if (!to)
		return true;
	if (colours[to - r->flow->nodes] == ON_THE_WAY)
		return fail(
			r->err, ERR_INVALID_JOB,
			"operations[%zu] ('%.64s') leads back to '%.64s': a cycle would never end",
			(size_t)(from - r->flow->nodes), from->key, to->key);
	return colours[to - r->flow->nodes] == DONE || check_way(r, to, colours);
}

static bool check_way(struct reader *r, const struct flow_node *n, enum colour *colours)
{
	colours[n - r->flow->nodes] = ON_THE_WAY;
	if (!check_next(r, n, n->resolve, colours) || !check_next(r, n, n->reject, colours))
		return false;
	colours[n - r->flow->nodes] = DONE;
	return true;
}

static bool check_type(struct reader *r, const struct flow_node *n)
{
	size_t i = (size_t)(n - r->flow->nodes);

	if (n->op)
		return true;
	for (size_t k = 0; k < ARRAY_LEN(unsupported); k++)
		if (strcmp(n->type, unsupported[k].type) == 0)
			return fail(r->err, ERR_UNSUPPORTED_OPERATION,
				    "operations[%zu] ('%.64s') of type '%s' can not run here: %s",
				    i, n->key, n->type, unsupported[k].why);
	return fail(r->err, ERR_INVALID_JOB,
		    "operations[%zu] ('%.64s'): there is no operation '%.64s' here", i, n->key,
		    n->type);
}

static bool check_graph(struct reader *r)
{
	const struct flow *f = r->flow;
	enum colour *colours = arena_array(r->arena, enum colour, f->count + 1);

	if (f->first && !check_way(r, f->first, colours))
		return false;
	for (size_t i = 0; i < f->count; i++) {
		bool reachable = colours[i] == DONE;

		if (!reachable && r->source == FLOW_OF_DIRECTUS)
			continue;
		if (!check_type(r, &f->nodes[i]))
			return false;
		if (!reachable && colours[i] == NOT_SEEN && !check_way(r, &f->nodes[i], colours))
			return false;
	}
	return true;
}

static bool read_operations(struct reader *r)
{
	const cJSON *json;
	size_t i = 0;

	if (!r->operations)
		return fail(r->err, ERR_INVALID_JOB,
			    "a flow has 'operations', and this one has none");
	if (!cJSON_IsArray(r->operations))
		return fail(r->err, ERR_INVALID_JOB, "operations is of type %s, expected an array",
			    json_type_name(r->operations));
	r->flow->count = json_count(r->operations);
	if (r->flow->count > FLOW_OPERATIONS_MAX)
		return fail(r->err, ERR_INVALID_JOB,
			    "%zu operations in a flow, at most %d are allowed", r->flow->count,
			    FLOW_OPERATIONS_MAX);
	r->flow->nodes = arena_array(r->arena, struct flow_node, r->flow->count + 1);
	json_each(json, r->operations) {
		if (!read_node(r, i, json))
			return false;
		i++;
	}
	return check_keys(r) && read_links(r);
}

static bool read_head(struct reader *r, const cJSON *json)
{
	struct flow *f = r->flow;
	const cJSON *options = json_get(json, "options");

	if (options && !cJSON_IsNull(options) && !cJSON_IsObject(options))
		return fail(r->err, ERR_INVALID_JOB,
			    "flow.options is of type %s, expected an object",
			    json_type_name(options));
	f->id = json_get_text(json, "id");
	f->name = json_get_text(json, "name");
	f->trigger = json_get_text(json, "trigger");
	f->options = cJSON_IsObject(options) ? options : NULL;
	f->return_path = json_get_text(f->options, "return");
	/* Directus: a manual trigger always answers with $last, a webhook unless told otherwise. */
	if (f->trigger && (strcmp(f->trigger, "manual") == 0 ||
			   (strcmp(f->trigger, "webhook") == 0 && !f->return_path)))
		f->return_path = "$last";
	return true;
}

struct flow *flow_parse(struct arena *a, const cJSON *json, enum flow_source source,
			struct error *err)
{
	struct flow *f = arena_make(a, struct flow);
	struct reader r = {.arena = a, .flow = f, .source = source, .err = err};

	r.operations = cJSON_IsObject(json) ? json_get(json, "operations") : json;
	if (cJSON_IsObject(json) && !read_head(&r, json))
		return NULL;
	if (!read_operations(&r) || !read_first(&r, json) || !check_graph(&r))
		return NULL;
	return f;
}

const struct flow_node *flow_find(const struct flow_node *node, const char *prefix)
{
	while (node && strncmp(node->type, prefix, strlen(prefix)) != 0)
		node = node->resolve;
	return node;
}
