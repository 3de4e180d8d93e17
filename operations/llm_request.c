/* operations/llm_request.c: a question becomes a request to its provider, and an entry for the books. */
#include "operations/llm_own.h"

#include "common/config.h"
#include "common/digest.h"
#include "operations/providers/wire.h"

enum {
	TIMEOUT_MS = 120000,           /* of one call */
	REASONING_TIMEOUT_MS = 600000, /* nothing comes while a model thinks */
	STREAM_TOTAL_MS = 1800000,     /* no answer takes longer */
	MARGIN_MS = 1000 /* from the permit to the first byte, and the time to notice */
};

static const char *call_id(const struct llm_call *c, uint32_t n)
{
	char *id = arena_printf(c->op->arena, "%s#%s#%u", c->op->job_id, c->op->step, n);

	for (char *p = id; *p; p++) /* it travels in a header */
		if (*p <= ' ' || *p > '~')
			*p = '_';
	return id;
}

static void set_timeouts(struct llm_call *c)
{
	struct http_request *r = &c->request;
	uint32_t patience = c->target.endpoint.preset->patience_ms;
	uint32_t wait = c->wish->timeout_ms;

	if (!wait)
		wait = c->wish->reason && (c->question.stream || c->question.background)
			       ? REASONING_TIMEOUT_MS
			       : TIMEOUT_MS;
	if (!c->wish->timeout_ms && patience > wait)
		wait = patience;
	r->timeout_ms = wait;
	c->patience_ms = wait;
	if (!c->question.stream)
		return;
	r->first_byte_timeout_ms = wait;
	r->idle_timeout_ms = wait;
	if (!c->wish->timeout_ms)
		c->patience_ms = r->timeout_ms = STREAM_TOTAL_MS;
}

void llm_forget_exchange(struct llm_call *c)
{
	arena_free(c->exchange);
	c->exchange = NULL;
	c->request = (struct http_request){.method = NULL};
	c->http = (struct http_call){.status = 0};
}

/* The tree that a body is printed from holds all texts once more: it does not stay with the job. */
bool llm_write_request(struct llm_call *c, struct error *err)
{
	struct arena *draft = arena_new();
	struct http_request request = {.method = "POST"};
	bool well;

	c->question.call_id = call_id(c, c->last_n + 1);
	well = c->wire->write(&c->question, &c->target.endpoint, draft, &request, err);
	llm_forget_exchange(c);
	if (well) {
		c->exchange = arena_new();
		wire_keep_request(&request, c->exchange, &c->request);
	}
	arena_free(draft);
	if (well)
		set_timeouts(c);
	return well;
}

/* All that decides about the answer is in the request. The key may stand for other data or terms. */
static const char *cache_name(const struct llm_call *c)
{
	const struct llm_choice *choice = &c->wish->choices[c->candidate];
	struct arena *a = c->op->arena;
	char hex[DIGEST_HEX_SIZE];
	cJSON *all;

	if (!c->wish->cache_ms)
		return NULL;
	all = json_array(a);
	json_push(all, json_text(a, c->target.config->id));
	json_push(all, json_text(a, choice->credential));
	json_push(all, json_text(a, choice->key));
	json_push(all, json_text(a, c->request.url));
	sha256_hex(c->request.body, hex);
	json_push(all, json_text(a, hex));
	sha256_hex(json_print(a, all), hex);
	return arena_strdup(a, hex);
}

struct journal_entry llm_entry(const struct llm_call *c)
{
	uint64_t output = calibration_output(&c->known, c->question.max_tokens);
	const struct llm_usage usage = {.known = true, .input = c->estimate, .output = output};
	const struct llm_usage most = {
		.known = true, .input = c->estimate, .output = c->question.max_tokens};
	struct cost cost = model_cost(c->target.model, &usage);
	struct cost most_cost = model_cost(c->target.model, &most);

	return (struct journal_entry){
		.step = c->op->step,
		.n = c->last_n + 1,
		.provider = c->target.config->id,
		.model = c->target.model_id,
		.input_tokens = c->estimate,
		.output_tokens = output,
		.most_output_tokens = c->question.max_tokens,
		.quota_tokens = c->wire->quota == QUOTA_ARRIVAL
					? u64_max(c->estimate, c->question.max_tokens)
					: 0,
		.cost_nano = cost.input_nano + cost.output_nano,
		.most_cost_nano = most_cost.input_nano + most_cost.output_nano,
		.cost_known = cost.known,
		.deadline_ms = c->patience_ms + MARGIN_MS,
		.is_retry = c->tries > 0,
		.count = c->count,
		.cache = cache_name(c),
		.cache_ms = c->wish->cache_ms,
		.cache_renew = c->wish->cache_renew || c->cache_broken,
	};
}
