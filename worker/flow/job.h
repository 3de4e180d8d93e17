/* worker/flow/job.h: a job as it lies in the queue, checked.
 *
 *	{"operation":"ai-generate","options":{…},"trigger":…,"accountability":…,"data":{…}}
 *	{"operations":[…],"trigger":…}          a chain; the first one starts
 *	{"flow":"<uuid or exact name>","trigger":…}   an active flow, read from Directus
 *	{"flow":{…flow object…},"trigger":…}    a flow given in full
 *	{"batch":{"collection","flow",…}}       a flow for each item: see worker/batch/batch.h
 *
 * Optional: timeout (ms), budget {maxCostUsd, maxTokens}, return ("$last", "$all", a path), stream,
 * rendered (options are used as they are), once, chain {id, depth} (what caused it), sign.
 *
 * Signing: a job may say for whom it acts (`accountability`), but that is data, not a right. One that
 * must be believed carries `sign`, the lower-case hex HMAC-SHA256 with WORKER_JOB_SECRET over the
 * body without it: `sign` is the last member, and what is signed is the text of the body with
 * `,"sign":"<64 hex digits>"` cut out. In JavaScript:
 *
 *	const text = JSON.stringify(job);
 *	const body = text.slice(0, -1) + ',"sign":"' + hmac(text) + '"}';
 *
 * Whoever reads Redis could put such a body there once more. So its signer says what it was made for:
 * `once` {id, at}: it counts under this id, and came to the door within RESULT_TTL of that time of day.
 * Under the same id it does not run again while its result is there. */
#ifndef WORKER_FLOW_JOB_H
#define WORKER_FLOW_JOB_H

#include "worker/flow/flow.h"

struct config;

struct job {
	struct arena *arena; /* the job's own; job_free() */
	const char *id;
	struct flow *flow; /* NULL: flow_name says which */
	const char *
		flow_name; /* id or exact name of a flow in Directus; NULL: the job brought its own */
	const cJSON *trigger, *accountability, *data; /* NULL: not given */
	const char *return_path;                      /* NULL: the flow's own */
	uint64_t timeout_ms;                          /* 0: none */
	uint64_t max_cost_nano, max_tokens;           /* 0: no budget of its own */
	bool stream, rendered, is_signed;
	const char *once_id;  /* the only id under which it counts; NULL: any */
	uint64_t once_at_ms;  /* ... and when it was made */
	const char *chain_id; /* NULL: this job starts a chain */
	uint32_t depth;
	bool is_batch;
	const cJSON *
		item; /* of a batch: {"collection","key","question","onlyChanged","unchanged"}; or NULL */
};

/* The body is copied. ERR_INVALID_JOB says where and why; ERR_FORBIDDEN: a wrong signature. */
struct job *job_parse(struct str body, const char *id, const struct config *config,
		      struct error *err) NODISCARD;
void job_free(struct job *job); /* takes NULL */
/* false: it was made for another id, or long before it was filed: somebody has put a copy there. */
bool job_is_first(const struct job *job, uint64_t filed_ms, const struct config *config,
		  struct error *err) NODISCARD;
/* The body, an object with members, with `sign` behind them; WORKER_JOB_SECRET must be set. A job that
 * a signed one makes is signed, too: what it says of its user is believed as that of its parent is. */
struct str job_sign(struct arena *a, struct str body, const struct config *config);

/* The name under which the queue is fair: the flow, then the trigger's collection, then "-". */
const char *job_tenant(const struct job *job);
/* provider/model of the first AI step, "-" where there is none, it is not known yet, or has a fallback. */
const char *job_route(const struct job *job, const struct config *config);
/* <collection>:<key> of the item the job is about, from the trigger; NULL: of none. */
const char *job_item(const struct job *job);

#endif
