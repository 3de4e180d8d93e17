#include "operations/llm_own.h"

#include "common/secrets.h"
#include "operations/services.h"

#include <stdio.h>

static task_step look_up, resume, ask_permit, permitted, settled, judge, rested, end;

static struct llm_call *llm_of(struct task *t)
{
	return container_of(t, struct llm_call, task);
}

/* ---- whom to ask, and what ---- */

static bool prepare(struct llm_call *c, struct error *err)
{
	const struct llm_choice *choice = &c->wish->choices[c->candidate];
	struct arena *a = c->op->arena;

	if (!llm_target(c->op->use, choice, a, &c->target, err))
		return false;
	c->question =
		(struct llm_question){.model = c->target.model, .model_id = c->target.model_id};
	return c->wish->ask(c->wish->arg, &c->target, &c->question, err) && llm_fit(c, err);
}

/* The next of the fallbacks, if there is one and the failure is of a kind that it may mend. */
static bool may_fall_back(const struct llm_call *c, const struct error *err)
{
	switch (err->code) {
	case ERR_MODEL_NOT_FOUND:
	case ERR_MODEL_NOT_ALLOWED:
	case ERR_NOT_CONFIGURED:
	case ERR_QUOTA:
	case ERR_API_KEY:
	case ERR_PERMISSION:
	case ERR_CONTEXT_LENGTH:
	case ERR_ATTACHMENT_UNSUPPORTED:
		return c->candidate + 1 < c->wish->choice_count;
	default:
		return error_is_retryable(err) && c->candidate + 1 < c->wish->choice_count;
	}
}

static enum task_next fall_back(struct llm_call *c, const struct error *err)
{
	llm_warn(c, "fell back from %s: %s", c->target.model_id ? c->target.model_id : "a model",
		 error_name(err));
	c->candidate++;
	c->tries = 0;
	c->broken = 0;
	c->refused = 0;
	return task_go(&c->task, llm_pick);
}

enum task_next llm_pick(struct task *t)
{
	struct llm_call *c = llm_of(t);
	struct error err;

	if (!prepare(c, &err)) {
		if (c->target.model && llm_wants_window(c))
			return llm_ask_window(c);
		return may_fall_back(c, &err) ? fall_back(c, &err) : task_fail_as(t, &err);
	}
	return llm_wants_window(c) ? llm_ask_window(c) : task_go(t, look_up);
}

/* ---- what has been answered before ---- */

static void count_usage(struct llm_call *c)
{
	struct op_usage *sum = &c->op->usage;
	const struct llm_usage *u = &c->answer.usage;

	c->cost = model_cost(c->target.model, u);
	sum->calls++;
	sum->input_tokens += u->input;
	sum->output_tokens += u->output;
	sum->reasoning_tokens += u->reasoning;
	sum->cached_tokens += u->cached;
	sum->cost_nano += c->cost.input_nano + c->cost.output_nano;
	sum->cost_unknown = sum->cost_unknown || !c->cost.known;
}

/* A stored answer may be one of a fallback. */
static bool take_stored(struct llm_call *c, struct str text)
{
	struct llm_stored stored;
	struct error err;

	if (!llm_answer_parse(text, c->op->arena, &stored) ||
	    stored.candidate >= c->wish->choice_count)
		return false;
	if (stored.candidate != c->candidate) {
		c->candidate = stored.candidate;
		if (!prepare(c, &err))
			return false;
	}
	c->answer = stored.answer;
	c->failure = (struct error){.code = ERR_OK};
	c->latency_ms = stored.latency_ms;
	c->stored = true;
	c->attempts++;
	count_usage(c);
	return true;
}

static enum task_next look_up(struct task *t)
{
	struct llm_call *c = llm_of(t);
	struct journal *j = c->op->journal;
	uint32_t started = j->methods->calls(j, c->op->step);
	bool ambiguous = false;
	struct str text;

	while (c->last_n < started) {
		c->last_n++;
		if (j->methods->answer(j, c->op->step, c->last_n, &text) && take_stored(c, text))
			return task_go(t, judge);
		if (llm_find_answer(c, c->last_n))
			return task_go(t, resume);
		ambiguous = true;
	}
	if (ambiguous && c->wish->on_ambiguous == AMBIGUOUS_HOLD)
		return task_fail(t, ERR_STALLED,
				 "an earlier call may have been carried out and paid, and its "
				 "answer never came");
	return task_go(t, ask_permit);
}

/* ---- a call ---- */

static enum task_next show(struct llm_call *c)
{
	struct dry_run *d = c->op->use->dry_run;

	d->show(d, &c->request);
	c->answer = (struct llm_answer){.text = STR(""), .finish = FINISH_STOP};
	return task_end(&c->task);
}

/* A call of an earlier run, whose answer is being made over there: it is fetched, not asked for again. */
static enum task_next resume(struct task *t)
{
	struct llm_call *c = llm_of(t);
	struct error err;

	c->last_n--; /* if it comes to nothing, its number is used again */
	if (!prepare(c, &err) || !llm_write_request(c, &err))
		return task_fail_as(t, &err);
	if (!c->wire->background)
		return task_fail(t, ERR_STALLED,
				 "an earlier call was made in the background of "
				 "a provider that is not asked any more");
	c->answer = (struct llm_answer){.finish = FINISH_STOP};
	c->permit = (struct permit_call){.entry = llm_entry(c)};
	c->asked_at_ms = wall_ms();
	c->started_ms = loop_now(t->call.loop);
	c->attempts++;
	c->tries++;
	return llm_fetch_answer(c);
}

static enum task_next ask_permit(struct task *t)
{
	struct llm_call *c = llm_of(t);
	struct journal *j = c->op->journal;
	struct error err;

	if (!llm_write_request(c, &err))
		return task_fail_as(t, &err);
	if (c->op->use->dry_run)
		return show(c);
	c->http = (struct http_call){.status = 0};
	c->answer = (struct llm_answer){.finish = FINISH_STOP};
	c->permit = (struct permit_call){.entry = llm_entry(c)};
	c->asked = true;
	c->asked_at_ms = wall_ms();
	j->methods->permit(j, &c->permit, c->op->arena);
	return task_await_either(t, &c->permit.call, permitted);
}

/* What a call that is started again needs to know; the rest is in the journal. */
static void leave_note(struct llm_call *c)
{
	struct arena *a = c->op->arena;
	cJSON *note = json_object(a);

	json_set_number(a, note, "candidate", c->candidate);
	json_set_number(a, note, "tries", c->tries);
	json_set_number(a, note, "attempts", c->attempts);
	json_set_number(a, note, "refused", c->refused);
	c->op->note = note;
}

static enum task_next park(struct llm_call *c, uint64_t until_ms, const struct error *err)
{
	leave_note(c);
	c->op->park_until_ms = until_ms;
	return task_fail(&c->task, ERR_PARKED, "%s", err->text);
}

/* A piece of a stream. */
static void take_piece(struct http_call *http, struct str piece)
{
	struct llm_call *c = container_of(http, struct llm_call, http);
	struct str text;

	stream_feed(c->stream, piece);
	text = buf_str(&c->stream->text);
	if (c->op->piece && text.len > c->told)
		c->op->piece(c->op, (struct str){text.ptr + c->told, text.len - c->told});
	c->told = text.len;
}

/* Whose list of models the answer was written for does not matter: it is of this one. */
static bool take_cached(struct llm_call *c)
{
	struct llm_stored stored;

	c->asked = false;
	c->cache_broken = !llm_answer_parse(c->permit.cached, c->op->arena, &stored);
	if (c->cache_broken)
		return false;
	c->answer = stored.answer;
	c->failure = (struct error){.code = ERR_OK};
	c->cost = (struct cost){.known = true};
	c->latency_ms = 0;
	c->cached = true;
	if (c->op->piece)
		c->op->piece(c->op, c->answer.text);
	return true;
}

/* Whoever is shut for a while need not be waited for where somebody else may answer. */
static bool goes_elsewhere(const struct llm_call *c)
{
	return c->permit.call.err.code == ERR_PARKED && c->permit.shut != ERR_OK &&
	       c->candidate + 1 < c->wish->choice_count;
}

static enum task_next permitted(struct task *t)
{
	struct llm_call *c = llm_of(t);

	if (goes_elsewhere(c))
		return fall_back(c, &(struct error){.code = c->permit.shut});
	if (c->permit.call.err.code == ERR_PARKED)
		return park(c, c->permit.retry_at_ms, &c->permit.call.err);
	if (c->permit.call.err.code != ERR_OK)
		return task_fail_as(t, &c->permit.call.err);
	if (c->permit.cached.ptr)
		return task_go(t, take_cached(c) ? judge : ask_permit);
	c->attempts++;
	c->tries++;
	c->started_ms = loop_now(t->call.loop);
	if (c->question.stream) {
		c->stream = arena_make(c->op->arena, struct llm_stream);
		stream_init(c->stream, c->wire, c->op->arena);
		c->told = 0;
		c->http.on_data = take_piece;
	}
	http_start(c->op->use->http, &c->http, &c->request, c->exchange);
	return task_await_either(t, &c->http.call, llm_replied);
}

/* ---- the reply ---- */

enum task_next llm_replied(struct task *t)
{
	struct llm_call *c = llm_of(t);
	struct journal *j = c->op->journal;
	bool good;

	if (!c->handle && llm_is_pending(c))
		return llm_await_answer(c);
	c->failure = (struct error){.code = ERR_OK};
	c->latency_ms = loop_now(t->call.loop) - c->started_ms;
	good = llm_read_reply(c, &c->failure);
	secrets_mask_error(&c->failure);
	llm_fill_settle(c, &c->settle, good, c->op->arena);
	if (c->settle.outcome != SETTLE_FAILED)
		c->last_n = c->permit.entry.n;
	c->asked = false;
	c->handle = NULL;
	j->methods->settle(j, &c->settle, c->op->arena);
	return task_await(t, &c->settle.call, settled);
}

static enum task_next settled(struct task *t)
{
	struct llm_call *c = llm_of(t);

	if (c->failure.code == ERR_OK) {
		if (c->question.background && c->op->piece)
			c->op->piece(c->op, c->answer.text);
		count_usage(c);
		models_learn(c->op->use->models, c->target.config->id, c->target.model->id,
			     c->estimate, c->answer.usage.input);
	}
	return task_go(t, judge);
}

/* ---- what now ---- */

static enum task_next rest(struct llm_call *c)
{
	uint32_t wait = c->failure.retry_after_ms;

	if (!wait)
		wait = llm_backoff(c);
	if (wait > LLM_REST_MAX_MS)
		return park(c, wall_ms() + wait, &c->failure);
	sleep_start(c->task.call.loop, &c->rest, wait);
	return task_await(&c->task, &c->rest.call, rested);
}

static enum task_next give_up(struct llm_call *c)
{
	struct error err = c->failure;

	if (c->attempts > 1)
		(void)snprintf(err.text, sizeof(err.text), "%.250s, gave up after %u attempts",
			       c->failure.text, c->attempts);
	return task_fail_as(&c->task, &err);
}

static enum task_next judge_failure(struct llm_call *c)
{
	struct error err;

	if (c->failure.code == ERR_INVALID_REQUEST && llm_can_mend(c)) {
		if (!prepare(c, &err))
			return task_fail_as(&c->task, &err);
		c->tries--; /* it is another call now */
		return task_go(&c->task, ask_permit);
	}
	if (c->settle.outcome == SETTLE_UNKNOWN && c->wish->on_ambiguous == AMBIGUOUS_HOLD)
		return task_fail(&c->task, ERR_STALLED,
				 "the call may have been carried out and paid: %s",
				 c->failure.text);
	if (llm_may_retry(c))
		return rest(c);
	if (may_fall_back(c, &c->failure))
		return fall_back(c, &c->failure);
	if (c->settle.waits_for_credit) { /* the journal says until when, as to all others */
		c->tries--;
		return task_go(&c->task, ask_permit);
	}
	return give_up(c);
}

/* An answer that the provider itself calls unusable counts as none. */
static enum task_next judge(struct task *t)
{
	struct llm_call *c = llm_of(t);

	if (c->failure.code == ERR_OK && c->answer.finish == FINISH_BROKEN) {
		(void)fail(&c->failure, ERR_INVALID_RESPONSE, "%s ended the answer with '%s'",
			   c->target.config->id, c->answer.detail ? c->answer.detail : "error");
		(void)snprintf(c->failure.detail, sizeof(c->failure.detail), "%s",
			       c->answer.detail ? c->answer.detail : "");
	}
	if (c->failure.code != ERR_OK)
		return judge_failure(c);
	llm_forget_exchange(c);
	return task_go(t, end);
}

static enum task_next rested(struct task *t)
{
	return task_go(t, look_up); /* a late answer of the attempt before may have come */
}

static enum task_next end(struct task *t)
{
	struct llm_call *c = llm_of(t);
	const struct preset *preset = c->target.endpoint.preset;
	uint64_t used = c->answer.usage.input + c->question.max_tokens;

	if (preset->cuts_silently && used >= c->target.model->context)
		llm_warn(c,
			 "the prompt has filled the window of %u tokens: the server may have cut "
			 "it",
			 c->target.model->context);
	c->op->note = NULL;
	return task_end(t);
}

/* ---- the end, however it comes ---- */

struct late_settle {
	struct settle_call settle;
	struct arena *arena;
};

static void late_settled(struct call *call)
{
	struct late_settle *late = container_of(container_of(call, struct settle_call, call),
						struct late_settle, settle);

	arena_free(late->arena);
}

/* Stopped between permit and settle: the books are closed without anybody waiting for it. */
static void close_books(struct llm_call *c)
{
	struct task *t = &c->task;
	struct journal *j = c->op->journal;
	struct arena *a;
	struct late_settle *late;

	if (c->handle && (t->call.stop == ERR_SHUTDOWN || t->call.stop == ERR_LEASE_LOST))
		return; /* whoever has the job next fetches the answer */
	if (c->handle)
		llm_stop_answer(c);
	/* Admitted, also if the task was stopped before it could use that. */
	else if (!c->asked || !c->permit.call.ended || c->permit.call.err.code != ERR_OK)
		return;
	a = arena_new();
	late = arena_make(a, struct late_settle);
	late->arena = a;
	c->failure = c->http.call.err;
	llm_fill_settle(c, &late->settle, false, a);
	if (late->settle.outcome == SETTLE_CANCELLED) {
		c->answer.usage.known = true;
		c->answer.usage.input = late->settle.input_tokens;
		count_usage(c);
	}
	late->settle.call.done = late_settled;
	j->methods->settle(j, &late->settle, a);
}

static void cleanup(struct task *t)
{
	struct llm_call *c = llm_of(t);

	close_books(c);
	llm_forget_exchange(c);
}

static void take_note(struct llm_call *c)
{
	const cJSON *note = c->op->note;
	double candidate = json_get_number(note, "candidate", 0);

	if (candidate >= 0 && candidate < (double)c->wish->choice_count)
		c->candidate = (uint32_t)candidate;
	c->tries = (uint32_t)json_get_number(note, "tries", 0);
	c->attempts = (uint32_t)json_get_number(note, "attempts", 0);
	c->refused = (unsigned)json_get_number(note, "refused", 0);
}

void llm_start(struct llm_call *c, struct op_call *op, const struct llm_wish *wish, cJSON *warnings,
	       uint32_t last_n)
{
	void (*done)(struct call *) = c->task.call.done;
	struct call *parent = c->task.call.parent;

	*c = (struct llm_call){.op = op, .wish = wish, .warnings = warnings, .last_n = last_n};
	c->task.call.done = done;
	c->task.call.parent = parent;
	c->task.cleanup = cleanup;
	take_note(c);
	task_start(&c->task, op->use->loop, llm_pick);
}

cJSON *llm_error_extra(const struct llm_call *c, struct arena *a)
{
	cJSON *extra = json_object(a);

	if (c->target.config)
		json_set_text(a, extra, "provider", c->target.config->id);
	if (c->target.model_id)
		json_set_text(a, extra, "model", c->target.model_id);
	json_set_number(a, extra, "attempts", c->attempts);
	if (c->answer.request_id)
		json_set_text(a, extra, "requestId", c->answer.request_id);
	return extra;
}
