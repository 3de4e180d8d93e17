#include "worker/flow/job.h"

#include "common/config.h"
#include "common/digest.h"
#include "worker/batch/batch.h"

#include <math.h>
#include <stdlib.h>

enum { SIGN_LENGTH = sizeof(",\"sign\":\"\"}") - 1 + DIGEST_HEX_SIZE - 1, DEPTH_MAX = 1000000 };

struct reader {
	struct job *job;
	const cJSON *json;
	struct error *err;
};

static bool wrong_type(struct reader *r, const char *name, const cJSON *found, const char *wanted)
{
	return fail(r->err, ERR_INVALID_JOB, "'%s' is of type %s, expected %s", name,
		    json_type_name(found), wanted);
}

/* A member that is not null; NULL: there is none. */
static const cJSON *member(const cJSON *json, const char *name)
{
	const cJSON *v = json_get(json, name);

	return v && !cJSON_IsNull(v) ? v : NULL;
}

static bool read_bool(struct reader *r, const char *name, bool *value)
{
	const cJSON *v = member(r->json, name);

	if (v && !cJSON_IsBool(v))
		return wrong_type(r, name, v, "true or false");
	*value = cJSON_IsTrue(v);
	return true;
}

/* 0 where it is not given. */
static bool read_amount(struct reader *r, const cJSON *json, const char *name, double scale,
			uint64_t *value)
{
	const cJSON *v = member(json, name);

	*value = 0;
	if (!v)
		return true;
	if (!cJSON_IsNumber(v) || !(v->valuedouble > 0) || v->valuedouble * scale > 9e15)
		return fail(r->err, ERR_INVALID_JOB, "'%s' is %.40s, expected a number above 0",
			    name, json_print(r->job->arena, v).ptr);
	*value = (uint64_t)llround(v->valuedouble * scale);
	if (*value == 0)
		*value = 1;
	return true;
}

/* ---- what is to be done: a job has one of these members ---- */

static bool take_flow(struct reader *r, const cJSON *given)
{
	struct job *job = r->job;

	job->flow = flow_parse(job->arena, given, FLOW_OF_JOB, r->err);
	if (job->flow && !job->flow->first)
		return fail(r->err, ERR_INVALID_JOB, "the flow has no operations");
	return job->flow != NULL;
}

static bool read_operation(struct reader *r, const cJSON *given)
{
	cJSON *list = json_array(r->job->arena);

	(void)given; /* its type: options, key and id stand beside it */
	json_push(list, json_share(r->job->arena, r->json));
	return take_flow(r, list);
}

static bool read_operations(struct reader *r, const cJSON *given)
{
	return cJSON_IsArray(given) ? take_flow(r, given)
				    : wrong_type(r, "operations", given, "an array");
}

static bool read_flow(struct reader *r, const cJSON *given)
{
	if (cJSON_IsObject(given))
		return take_flow(r, given);
	if (!cJSON_IsString(given))
		return wrong_type(r, "flow", given, "a flow's id or name, or a flow object");
	if (!given->valuestring[0])
		return fail(r->err, ERR_INVALID_JOB, "'flow' is empty");
	r->job->flow_name = given->valuestring;
	return true;
}

static bool read_batch(struct reader *r, const cJSON *given)
{
	struct job *job = r->job;

	job->is_batch = true;
	job->rendered = true; /* templates in it are for the items */
	job->flow = batch_flow(job->arena, given, r->err);
	return job->flow != NULL;
}

static bool read_work(struct reader *r)
{
	static const struct {
		const char *name;
		bool (*read)(struct reader *r, const cJSON *given);
	} shapes[] = {
		{"operation",  read_operation },
		{"operations", read_operations},
		{"flow",       read_flow      },
		{"batch",      read_batch     }
        };
	size_t count = 0, found = 0;

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (member(r->json, shapes[i].name)) {
			found = i;
			count++;
		}
	if (count != 1)
		return fail(r->err, ERR_INVALID_JOB,
			    "a job has one of 'operation', 'operations', 'flow', 'batch'; found %s",
			    count ? "more than one" : "none");
	return shapes[found].read(r, member(r->json, shapes[found].name));
}

static bool read_data(struct reader *r)
{
	struct job *job = r->job;
	const cJSON *back = member(r->json, "return");

	job->trigger = json_get(r->json, "trigger");
	job->accountability = member(r->json, "accountability");
	job->data = member(r->json, "data");
	job->item = member(r->json, "item");
	if (job->item && !cJSON_IsObject(job->item))
		return wrong_type(r, "item", job->item, "an object");
	if (job->accountability && !cJSON_IsObject(job->accountability))
		return wrong_type(r, "accountability", job->accountability, "an object or null");
	if (job->data && !cJSON_IsObject(job->data))
		return wrong_type(r, "data", job->data, "an object");
	if (back && !cJSON_IsString(back))
		return wrong_type(r, "return", back, "'$last', '$all' or a path");
	job->return_path = back && back->valuestring[0] ? back->valuestring : NULL;
	return true;
}

/* The chain that caused this job, if the worker's own write did: the user agent says so. */
static void read_chain(struct reader *r)
{
	const char *agent = json_get_text(r->job->accountability, "userAgent");
	const char *chain =
		agent && strncmp(agent, "flow-worker/", 12) == 0 ? strstr(agent, "; chain ") : NULL;
	const char *depth = chain ? strstr(chain, "; depth ") : NULL;
	unsigned long number;

	if (!depth || r->job->chain_id)
		return;
	chain += strlen("; chain ");
	number = strtoul(depth + strlen("; depth "), NULL, 10);
	r->job->chain_id = arena_strndup(r->job->arena, chain, (size_t)(depth - chain));
	r->job->depth = (uint32_t)(number < DEPTH_MAX ? number + 1 : DEPTH_MAX);
}

static bool read_settings(struct reader *r)
{
	struct job *job = r->job;
	const cJSON *budget = member(r->json, "budget"), *chain = member(r->json, "chain");
	const cJSON *once = member(r->json, "once");
	double depth = json_get_number(chain, "depth", 0);

	if (budget && !cJSON_IsObject(budget))
		return wrong_type(r, "budget", budget, "an object with maxCostUsd, maxTokens");
	if (chain && (!cJSON_IsObject(chain) || !(depth >= 0 && depth <= DEPTH_MAX)))
		return wrong_type(r, "chain", chain, "an object with id, depth");
	if (once && (!json_get_text(once, "id") || !cJSON_IsNumber(json_get(once, "at"))))
		return wrong_type(r, "once", once, "an object with id, at (ms)");
	job->once_id = json_get_text(once, "id");
	job->once_at_ms = (uint64_t)fmax(0, fmin(9e15, json_get_number(once, "at", 0)));
	job->chain_id = json_get_text(chain, "id");
	job->depth = (uint32_t)depth;
	read_chain(r);
	return read_amount(r, r->json, "timeout", 1, &job->timeout_ms) &&
	       read_amount(r, budget, "maxCostUsd", 1e9, &job->max_cost_nano) &&
	       read_amount(r, budget, "maxTokens", 1, &job->max_tokens) &&
	       read_bool(r, "stream", &job->stream) && read_bool(r, "rendered", &job->rendered);
}

static bool check_sign(struct reader *r, struct str body, const char *secret)
{
	const cJSON *sign = member(r->json, "sign");
	char expected[DIGEST_HEX_SIZE], *text; /* as it was before it was signed */
	size_t length;

	if (!sign)
		return true;
	if (!secret)
		return fail(r->err, ERR_FORBIDDEN,
			    "the job is signed, but WORKER_JOB_SECRET is not set here");
	if (cJSON_IsString(sign) && !sign->next && body.len > SIGN_LENGTH) {
		length = body.len - SIGN_LENGTH + 1;
		text = arena_strndup(r->job->arena, body.ptr, length);
		text[length - 1] = '}';
		hmac_sha256_hex(str_of(secret), (struct str){text, length}, expected);
		r->job->is_signed = digest_equal(str_of(sign->valuestring), str_of(expected));
	}
	if (!r->job->is_signed)
		return fail(
			r->err, ERR_FORBIDDEN,
			"the job's signature is wrong: 'sign' must be the last member, made with "
			"the secret of WORKER_JOB_SECRET");
	return true;
}

struct str job_sign(struct arena *a, struct str body, const struct config *config)
{
	char hex[DIGEST_HEX_SIZE];

	hmac_sha256_hex(str_of(config->worker_job_secret), body, hex);
	return str_of(arena_printf(a, "%.*s,\"sign\":\"%s\"}", (int)body.len - 1, body.ptr, hex));
}

static bool read_job(struct reader *r, struct str body, const struct config *config)
{
	struct error err;

	if (body.len > config->job_max_bytes)
		return fail(r->err, ERR_INVALID_JOB,
			    "the job has %zu bytes, at most %llu are allowed (JOB_MAX_BYTES)",
			    body.len, (unsigned long long)config->job_max_bytes);
	r->json = json_parse(r->job->arena, body, &err);
	if (!r->json)
		return fail(r->err, ERR_INVALID_JOB, "not a job: %s", err.text);
	if (!cJSON_IsObject(r->json))
		return fail(r->err, ERR_INVALID_JOB, "a job is an object, found %s",
			    json_type_name(r->json));
	return check_sign(r, body, config->worker_job_secret) && read_data(r) && read_settings(r) &&
	       read_work(r);
}

struct job *job_parse(struct str body, const char *id, const struct config *config,
		      struct error *err)
{
	struct arena *a = arena_new();
	struct job *job = arena_make(a, struct job);
	struct reader r = {.job = job, .err = err};

	job->arena = a;
	job->id = arena_strdup(a, id);
	if (read_job(&r, body, config))
		return job;
	arena_free(a);
	return NULL;
}

void job_free(struct job *job)
{
	if (job)
		arena_free(job->arena);
}

bool job_is_first(const struct job *job, uint64_t filed_ms, const struct config *config,
		  struct error *err)
{
	if (!job->once_id)
		return true;
	if (strcmp(job->once_id, job->id) != 0)
		return fail(err, ERR_FORBIDDEN, "the job was made for the id '%.100s' only",
			    job->once_id);
	if (filed_ms > job->once_at_ms + config->result_ttl_ms)
		return fail(err, ERR_FORBIDDEN,
			    "the job came too long after it was made (RESULT_TTL): the clocks "
			    "differ, or somebody has put a copy there");
	return true;
}

const char *job_tenant(const struct job *job)
{
	const char *collection = json_get_text(job->trigger, "collection");

	if (job->flow_name)
		return job->flow_name;
	if (job->flow && job->flow->id)
		return job->flow->id;
	if (job->flow && job->flow->name)
		return job->flow->name;
	return collection && collection[0] ? collection : "-";
}

const char *job_route(const struct job *job, const struct config *config)
{
	const struct flow_node *n = job->flow ? flow_find(job->flow->first, "ai-") : NULL;
	const char *provider = n ? json_get_text(n->options, "provider") : NULL;
	const char *model = n ? json_get_text(n->options, "model") : NULL;
	const char *by_default = config->ai_default_model;
	const char *colon = by_default ? strrchr(by_default, ':') : NULL;

	if (!n || json_count(json_get(n->options, "fallback")) > 0)
		return "-"; /* with a fallback it need not wait for the first of its models */
	if (!model && colon)
		return arena_printf(job->arena, "%.*s/%s", (int)(colon - by_default), by_default,
				    colon + 1);
	if (!model || strstr(model, "{{") || strstr(model, "<<"))
		return "-";
	return provider ? arena_printf(job->arena, "%s/%s", provider, model) : "-";
}

const char *job_item(const struct job *job)
{
	const char *collection = json_get_text(job->trigger, "collection");
	const cJSON *key = member(job->trigger, "key");
	const cJSON *keys = member(job->trigger, "keys");
	char number[JSON_NUMBER_MAX];

	if (!key && cJSON_IsArray(keys) && json_count(keys) == 1)
		key = keys->child;
	if (!collection || !key)
		return NULL;
	if (cJSON_IsString(key))
		return arena_printf(job->arena, "%s:%s", collection, key->valuestring);
	if (cJSON_IsNumber(key))
		return arena_printf(job->arena, "%s:%s", collection,
				    json_number_text(key->valuedouble, number));
	return NULL;
}
