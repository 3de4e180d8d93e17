#include "worker/flow/loop_guard.h"

#include "common/digest.h"
#include "worker/flow/job.h"
#include "worker/queue/scripts.h"

/* What a flow is: its id or name, or what it does if it came with the job. */
static const char *identity(struct arena *a, const struct job *job, const struct flow *flow)
{
	cJSON *nodes = json_array(a);

	if (flow->id || flow->name)
		return flow->id ? flow->id : flow->name;
	if (job->flow_name)
		return job->flow_name;
	for (size_t i = 0; i < flow->count; i++) {
		json_push(nodes, json_text(a, flow->nodes[i].type));
		json_push(nodes, flow->nodes[i].options ? json_share(a, flow->nodes[i].options)
							: json_null(a));
	}
	return json_print(a, nodes).ptr;
}

bool loop_guard_start(struct loop_guard *g, struct redis_call *c, const struct job *job,
		      const struct flow *flow)
{
	const char *item = job_item(job);
	struct arena *a = job->arena;
	char what[DIGEST_HEX_SIZE];
	struct str words[3];

	if (!item)
		return false;
	sha256_hex(str_of(arena_printf(a, "%s\n%s", identity(a, job, flow), item)), what);
	words[0] = str_of(job->chain_id ? job->chain_id : job->id);
	words[1] = str_of(arena_printf(a, "%.32s", what));
	words[2] = str_of(job->id);
	script_start(g->scripts, c, a, SCRIPT_CHAIN, ARRAY_LEN(words), words);
	return true;
}

bool loop_guard_passed(const struct redis_call *c, const struct job *job, struct error *err)
{
	if (c->call.err.code != ERR_OK) {
		*err = c->call.err;
		return false;
	}
	if (str_is(c->reply->text, job->id))
		return true;
	return fail(
		err, ERR_LOOP_DETECTED,
		"this flow has run for this item within the same chain of causes already, as job "
		"'%.*s': what it writes starts it again; let the flow ignore the worker's own "
		"writes, or turn its events off",
		(int)size_min(c->reply->text.len, 64), c->reply->text.ptr);
}
