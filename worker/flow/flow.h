/* worker/flow/flow.h: a flow as a graph of operations, checked once.
 *
 * Three shapes are read: a list of operations (the first one starts), the flow object of the
 * Directus documentation, and what Directus exports (`operation` names the first one). Both
 * vocabularies are understood: `operation` or `type`, `resolve` and `reject` by id, then by key.
 *
 * An operation's key in the data chain is its `key`, else its `id`, else <type>_<n>, n being its
 * position from 1.
 *
 * Refused, with the place and the reason: an operation of an unknown type, one that can not run
 * here (`mail`, `exec`), a link to an operation that is not there, a cycle, two equal keys, a
 * member of a wrong type. No flow starts and dies half way because of one of these. In a flow that
 * Directus holds, an operation that nothing leads to is left alone, as Directus does. */
#ifndef WORKER_FLOW_FLOW_H
#define WORKER_FLOW_FLOW_H

#include "common/json.h"

struct operation;

enum { FLOW_OPERATIONS_MAX = 1000 };

struct flow_node {
	const char *key; /* in the data chain */
	const char *id;  /* as written; NULL: none */
	const char *type;
	const struct operation *op;         /* NULL: of an unknown type, and nothing leads here */
	const cJSON *options;               /* an object, templates not resolved; or NULL */
	struct flow_node *resolve, *reject; /* NULL: the end */
};

struct flow {
	const char *id;          /* in Directus; NULL: none */
	const char *name;        /* NULL: none */
	const char *trigger;     /* event, schedule, manual, webhook, operation; NULL: not said */
	const cJSON *options;    /* of the trigger; NULL: none */
	const char *return_path; /* what the flow's caller gets: "$last", "$all", a path; or NULL */
	struct flow_node *nodes;
	size_t count;
	struct flow_node *first; /* NULL: a flow without operations */
	const char *const *keys; /* of all nodes, for templates */
};

enum flow_source { FLOW_OF_JOB, FLOW_OF_DIRECTUS };

/* json is a flow object or a list of operations. It must live as long as the flow, which is made in
 * the arena. `where` begins the place in error texts: "flow", "operations". ERR_INVALID_JOB or
 * ERR_UNSUPPORTED_OPERATION. */
struct flow *flow_parse(struct arena *a, const cJSON *json, enum flow_source source,
			struct error *err) NODISCARD;

/* The first node on the way of good endings, from and including `node`, whose type begins with
 * `prefix`; or NULL. */
const struct flow_node *flow_find(const struct flow_node *node, const char *prefix);

#endif
