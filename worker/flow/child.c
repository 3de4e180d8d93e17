#include "worker/flow/child.h"

const char *child_id(struct arena *a, const char *job_id, const char *step, size_t index)
{
	return arena_printf(a, "%s#%s#%zu", job_id, step, index);
}

struct str child_body(struct arena *a, const struct job *parent, const struct spawn_call *spawn,
		      const cJSON *payload, const struct config *config)
{
	cJSON *body = json_object(a), *chain = json_object(a);

	json_set_text(a, body, "flow", spawn->flow);
	json_set(a, body, "trigger", json_share(a, payload));
	if (parent->accountability)
		json_set(a, body, "accountability", json_share(a, parent->accountability));
	json_set_text(a, chain, "id", parent->chain_id ? parent->chain_id : parent->id);
	json_set_number(a, chain, "depth", parent->depth + 1);
	json_set(a, body, "chain", chain);
	return parent->is_signed ? job_sign(a, json_print(a, body), config) : json_print(a, body);
}
