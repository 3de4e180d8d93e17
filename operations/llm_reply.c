/* operations/llm_reply.c: what came back: the answer or the failure in it, what the books say of the
 * call, and whether another try may help. */
#include "operations/llm_own.h"

#include <stdio.h>
#include <sys/random.h>

enum {
	BACKOFF_FIRST_MS = 500,
	BACKOFF_MAX_MS = 8000,
	GOOGLE_FIRST_MS = 1000,
	GOOGLE_MAX_MS = 60000
};

static struct llm_reply reply_of(const struct llm_call *c)
{
	return (struct llm_reply){.status = c->http.status,
				  .headers = c->http.headers,
				  .header_count = c->http.header_count,
				  .body = c->http.body,
				  .now_ms = wall_ms()};
}

static bool is_stream(struct str body)
{
	size_t i = 0;

	while (i < body.len && strchr(" \r\n\t", body.ptr[i]))
		i++;
	return i < body.len && !strchr("{[<", body.ptr[i]);
}

/* What the connection's failure is to a flow. */
static bool transport_failure(const struct error *from, const char *provider, struct error *err)
{
	bool fatal = strcmp(from->detail, "curl 60") == 0 || strcmp(from->detail, "curl 3") == 0 ||
		     strcmp(from->detail, "curl 1") == 0;

	*err = *from;
	if (from->code == ERR_CONNECTION) {
		(void)fail(err, fatal ? ERR_NOT_CONFIGURED : ERR_UNAVAILABLE, "%s: %s", provider,
			   from->text);
		(void)snprintf(err->detail, sizeof(err->detail), "NETWORK_ERROR");
	} else if (from->code == ERR_INVALID_PAYLOAD) {
		err->code = ERR_NOT_CONFIGURED; /* the address is of the configuration */
	}
	return false;
}

bool llm_read_reply(struct llm_call *c, struct error *err)
{
	struct llm_reply reply = reply_of(c);
	bool good = reply.status >= 200 && reply.status < 300;

	if (c->http.call.err.code != ERR_OK) {
		if (c->question.stream) { /* what came before the cut is worth knowing */
			struct error cut;

			(void)!stream_end(c->stream, &c->answer, &cut);
		}
		return transport_failure(&c->http.call.err, c->target.config->id, err);
	}
	if (!c->question.stream || !good || !is_stream(reply.body))
		return provider_read(c->wire, &reply, c->op->arena, &c->answer, err);
	if (!c->stream->answer.request_id)
		c->stream->answer.request_id = reply_request_id(&reply, c->op->arena);
	return stream_end(c->stream, &c->answer, err);
}

static enum settle_outcome outcome_of(const struct llm_call *c, bool good)
{
	bool cut = strcmp(c->failure.detail, "STREAM_INTERRUPTED") == 0;
	bool error_reply = c->http.call.err.code == ERR_OK &&
			   (c->http.status >= 300 || (c->answer.text.len == 0 && !cut));

	if (good)
		return SETTLE_ANSWER;
	/* Made over there, whatever became of the way to it; only a "failed" of its own is one. */
	if (c->handle && c->task.call.stop == ERR_OK && (c->http.status != 200 || !error_reply))
		return SETTLE_UNKNOWN;
	if (c->handle && c->task.call.stop != ERR_OK)
		return SETTLE_CANCELLED;
	if (!c->http.sent)
		return SETTLE_FAILED;
	/* Stopped with its job. Where the job goes on elsewhere, it asks again: that is ambiguous. */
	if (c->task.call.stop == ERR_CANCELLED || c->task.call.stop == ERR_TIMEOUT)
		return SETTLE_CANCELLED;
	if (c->task.call.stop != ERR_OK)
		return SETTLE_UNKNOWN;
	/* Something came with status 200 that is no answer: it may have been one, and billed. */
	if (error_reply && c->failure.code != ERR_INVALID_RESPONSE)
		return SETTLE_FAILED;
	return SETTLE_UNKNOWN;
}

/* Of our own account: what somebody brought along says nothing about the others' calls. */
static const char *no_credit(const struct llm_call *c, struct arena *a)
{
	const struct llm_choice *choice = &c->wish->choices[c->candidate];

	if (c->failure.code != ERR_QUOTA || choice->credential || choice->key)
		return NULL;
	return arena_strdup(a, c->failure.detail[0] ? c->failure.detail : "no credit");
}

void llm_fill_settle(struct llm_call *c, struct settle_call *s, bool good, struct arena *a)
{
	struct llm_reply reply = reply_of(c);
	struct llm_limits limits;
	struct cost cost = model_cost(c->target.model, &c->answer.usage);
	struct llm_stored stored = {c->answer, c->candidate, c->latency_ms};

	provider_limits(&reply, &limits);
	*s = (struct settle_call){
		.entry = c->permit.entry,
		.outcome = outcome_of(c, good),
		.input_tokens = c->answer.usage.input,
		.cached_tokens = c->answer.usage.cached,
		.output_tokens = c->answer.usage.output,
		.cost_nano = cost.input_nano + cost.output_nano,
		.ms = c->latency_ms,
		.sent_after_ms = c->http.sent_at_ms > c->asked_at_ms
					 ? c->http.sent_at_ms - c->asked_at_ms
					 : 0,
		.out_of_order =
			c->failure.code == ERR_UNAVAILABLE || c->failure.code == ERR_TIMEOUT,
		.rate_limited = c->failure.code == ERR_RATE_LIMIT,
		.retry_after_ms = c->failure.retry_after_ms,
		.no_credit = no_credit(c, a),
		.limit_requests = limits.limit_requests,
		.remaining_requests = limits.remaining_requests,
		.limit_tokens = limits.limit_tokens,
		.remaining_tokens = limits.remaining_tokens,
	};
	if (s->outcome == SETTLE_ANSWER)
		s->answer = llm_answer_print(&stored, a);
	s->for_cache = s->outcome == SETTLE_ANSWER && c->answer.finish == FINISH_STOP;
	s->counted = s->outcome == SETTLE_ANSWER && c->answer.usage.known;
	if (s->outcome == SETTLE_CANCELLED && !c->answer.usage.known) {
		const struct llm_usage sent = {.known = true, .input = c->estimate};

		cost = model_cost(c->target.model, &sent);
		s->input_tokens = sent.input;
		s->cost_nano = cost.input_nano;
	}
	if (s->outcome == SETTLE_ANSWER && !c->answer.usage.known) {
		/* A server that counts nothing: what was expected is booked. */
		s->input_tokens = c->estimate;
		s->output_tokens = c->answer.text.len / 4 + 1;
	}
}

/* ---- whether to try again ---- */

uint32_t llm_backoff(const struct llm_call *c)
{
	bool google = c->wire == &provider_google;
	uint64_t ms = (google ? GOOGLE_FIRST_MS : BACKOFF_FIRST_MS);
	uint32_t random = 0;

	ms <<= c->tries > 10 ? 10 : c->tries - (c->tries > 0);
	ms = u64_min(ms, google ? GOOGLE_MAX_MS : BACKOFF_MAX_MS);
	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	return (uint32_t)(ms - ms / 4 * (random % 1000) / 1000);
}

bool llm_may_retry(struct llm_call *c)
{
	struct llm_reply reply = reply_of(c);
	const char *told = reply_header(&reply, "x-should-retry");
	bool useful = error_is_retryable(&c->failure);

	if (told && strcmp(told, "false") == 0)
		useful = false;
	if (told && strcmp(told, "true") == 0 && c->failure.code != ERR_QUOTA)
		useful = true;
	/* An answer that can not be read was paid for: one more, not five. */
	if (c->failure.code == ERR_INVALID_RESPONSE && c->broken++ > 0)
		useful = false;
	return useful && c->tries <= c->wish->max_retries;
}
