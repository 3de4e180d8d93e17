/* The queue's journal: permits before a call, answers after it, by two scripts.
 *
 * What is known of a job's calls is in its lease, as it is in Redis: call:<step>#<n>, and
 * answer:<step>#<n>. A call that asks what an earlier one asked whose answer never came belongs to
 * the same question, named by the first of them; of several answers the first that is stored
 * counts. */
#include "common/crashpoint.h"
#include "worker/door/queue_metrics.h"
#include "worker/queue/calibrations.h"
#include "worker/queue/journal_own.h"
#include "worker/queue/limits.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { RULE_WORDS = 7, PERMIT_WORDS = 15, WEEK_MS = 7 * 24 * 3600 * 1000 };

static struct lease_own *lease_of(struct journal *j)
{
	return container_of(j, struct lease_own, lease.journal);
}

/* ---- what is known of calls ---- */

/* "call:<step>#<n>": n, or 0 if the text is of another step or of something else. */
static uint32_t call_number(const char *name, const char *step)
{
	size_t len = strlen(step);

	if (strncmp(name, "call:", 5) != 0 || strncmp(name + 5, step, len) != 0 ||
	    name[5 + len] != '#')
		return 0;
	return (uint32_t)strtoul(name + 6 + len, NULL, 10);
}

static uint32_t known_calls(struct journal *j, const char *step)
{
	uint32_t most = 0;

	for (const struct stored *s = lease_of(j)->stored; s; s = s->next) {
		uint32_t n = s->text.ptr ? call_number(s->name, step) : 0;

		most = n > most ? n : most;
	}
	return most;
}

static bool known_answer(struct journal *j, const char *step, uint32_t n, struct str *answer)
{
	struct lease *lease = &lease_of(j)->lease;

	return lease_stored(lease, arena_printf(lease->arena, "answer:%s#%u", step, n), answer);
}

static const char *call_name(struct lease_own *o, const char *step, uint32_t n)
{
	return arena_printf(o->lease.arena, "call:%s#%u", step, n);
}

/* The second word of "<state> <question> <end> <permit>". */
static uint32_t question_of_call(struct lease_own *o, const char *step, uint32_t n)
{
	struct str text;
	const char *space;

	if (!lease_stored(&o->lease, call_name(o, step, n), &text))
		return 0;
	space = memchr(text.ptr, ' ', text.len);
	return space ? (uint32_t)strtoul(space + 1, NULL, 10) : 0;
}

/* Which call first asked what the n-th is going to ask: the one before, if it has no answer. */
static uint32_t question_for(struct lease_own *o, const char *step, uint32_t n)
{
	uint32_t question = n > 1 ? question_of_call(o, step, n - 1) : 0;

	if (question == 0)
		return n;
	for (uint32_t i = question; i < n; i++) {
		struct str ignored;

		if (question_of_call(o, step, i) == question &&
		    known_answer(&o->lease.journal, step, i, &ignored))
			return n;
	}
	return question;
}

static const char *permit_of_call(struct lease_own *o, const char *step, uint32_t n)
{
	struct str text;
	const char *permit = NULL;

	if (lease_stored(&o->lease, call_name(o, step, n), &text))
		permit = memrchr(text.ptr, ' ', text.len);
	return permit ? permit + 1 : "none";
}

/* ---- what past calls show ---- */

/* Whose calls are alike: those of a step of a flow to a model. */
static const char *learner_of(const struct lease_own *o, const struct journal_entry *e,
			      struct arena *a)
{
	return calibration_name(a, e, o->lease.flow);
}

static struct calibration known_calibration(struct journal *j, const struct journal_entry *e)
{
	struct lease_own *o = lease_of(j);

	return calibrations_find(o->queue->calibrations, learner_of(o, e, o->lease.arena),
				 &e->count);
}

/* ---- permit ---- */

/* How much of a rule the call needs. */
static uint64_t amount_of(const struct limit_rule *rule, const struct journal_entry *e)
{
	switch (rule->kind) {
	case LIMIT_TPM:
		return e->quota_tokens > 0 ? e->quota_tokens : e->input_tokens + e->output_tokens;
	case LIMIT_ITPM:
		return e->input_tokens;
	case LIMIT_OTPM:
		return e->most_output_tokens; /* so providers do */
	case LIMIT_BUDGET:
	case LIMIT_SOFT:
		return e->cost_nano;
	default:
		return 1;
	}
}

static void add_rule(struct send *s, const struct limit_rule *rule, const struct journal_entry *e)
{
	bool at_arrival = rule->kind == LIMIT_TPM && e->quota_tokens > 0;
	bool by_tokens =
		rule->kind == LIMIT_TPM || rule->kind == LIMIT_ITPM || rule->kind == LIMIT_OTPM;

	send_add_text(s, rule->scope);
	send_add_text(s, limit_kind_word(rule->kind));
	send_add_number(s, rule->limit);
	if (rule->kind == LIMIT_CONCURRENCY)
		return;
	send_add_number(s, amount_of(rule, e));
	send_add_text(s, *rule->period              ? rule->period
			 : by_tokens && !at_arrival ? "usage"
						    : "arrival");
	if (rule->kind != LIMIT_BUDGET && rule->kind != LIMIT_SOFT)
		return;
	send_add_number(s, rule->ends_ms);
	send_add_text(s, rule->or_fail ? "fail" : "park");
}

static void permit_given_back(struct send *s)
{
	if (s->owner)
		call_end(s->owner);
}

/* The permit was given, but nobody will use it: the run has ended, or the lease is nearly over. */
static struct send *give_permit_back(struct send *permit)
{
	static const char *const rest[] = {"",  "failed", "",   "0", "0", "0", "0", "0", "0",
					   "0", "-1",     "-1", "",  "0", "",  "",  "0", ""};
	struct send *s = send_new(permit->queue, SCRIPT_SETTLE, SETTLE_WORDS);

	for (size_t i = PERMIT; i <= ROUTE; i++)
		send_add(s, permit->words[i]);
	for (size_t i = 0; i < ARRAY_LEN(rest); i++)
		send_add_text(s, rest[i]);
	send_start(s, permit_given_back);
	return s;
}

enum { PERMIT_LOST = -1, PERMIT_GIVEN = 1, PERMIT_ANSWERED = 3, PERMIT_CACHED = 4 };

static void learn(const struct send *s, const struct journal_entry *e, size_t item)
{
	calibrations_told(s->queue->calibrations, learner_of(s->lease, e, s->arena),
			  send_item(s, item));
}

/* true: it can be used. false: the call ends when it has been given back, not before: else the job
 * could be somewhere else already, where its call would look like one that is under way. */
static bool admitted(struct permit_call *c, struct send *s)
{
	struct lease_own *o = s->lease;
	uint64_t end = s->begun_ms + o->queue->with->lease_ms;

	o->end_ms = u64_max(o->end_ms, end);
	learn(s, &c->entry, 1);
	if (c->entry.cache)
		count_cache(o->queue->with->metrics, &c->entry, NULL);
	if (!lease_may_begin(&o->lease)) {
		c->retry_at_ms = wall_ms(); /* if the job is still ours, it begins anew */
		c->send = give_permit_back(s);
		c->send->owner = &c->call;
		c->send->lease = o;
		return fail(&c->call.err, ERR_PARKED, "the permit came when the lease was over");
	}
	o->calls++;
	lease_set(o, call_name(o, c->entry.step, c->entry.n),
		  str_of(arena_printf(s->arena, "sent %.*s 0 %.*s", STR_ARGS(s->words[QUESTION]),
				      STR_ARGS(s->words[PERMIT]))));
	return true;
}

static void permit_answered(struct send *s)
{
	bool is_answered = s->task.call.err.code == ERR_OK;
	int64_t verdict = is_answered ? s->redis.reply->items[0].integer : 0;
	struct permit_call *c;

	if (verdict == PERMIT_GIVEN)
		CRASH_POINT("after_permit");
	if (!s->owner) {
		if (verdict == PERMIT_GIVEN)
			(void)give_permit_back(s);
		return;
	}
	c = container_of(s->owner, struct permit_call, call);
	if (!is_answered) {
		c->call.err = s->task.call.err;
	} else if (verdict == PERMIT_GIVEN) {
		if (!admitted(c, s))
			return;
	} else if (verdict == PERMIT_CACHED) {
		c->cached = arena_str(s->for_owner, s->redis.reply->items[1].text);
		count_cache(s->queue->with->metrics, &c->entry, &s->redis.reply->items[2]);
	} else if (verdict == PERMIT_LOST) {
		s->lease->lease.lost = true;
		(void)fail(&c->call.err, ERR_LEASE_LOST, "job '%s' is not ours any more",
			   s->lease->lease.id);
	} else if (verdict == PERMIT_ANSWERED) {
		c->retry_at_ms = wall_ms();
		(void)fail(&c->call.err, ERR_PARKED, "the answer to this call has just come");
	} else {
		journal_refused(c, s);
	}
	call_end(&c->call);
}

static void cancel_permit(struct call *c)
{
	send_detach(container_of(c, struct permit_call, call)->send);
}

static void permit(struct journal *j, struct permit_call *c, struct arena *a)
{
	struct lease_own *o = lease_of(j);
	struct queue *q = o->queue;
	const struct journal_entry *e = &c->entry;
	struct limit_subject subject = {e->provider,         e->model,
					o->lease.flow,       o->lease.tenant,
					o->lease.collection, o->lease.user};
	struct limit_rule *rules;
	size_t count = limits_find(q->limits, &subject, wall_ms(), a, &rules);
	const char *learner = learner_of(o, e, a);
	struct send *s = send_new(q, SCRIPT_PERMIT, PERMIT_WORDS + RULE_WORDS * count);

	call_begin(&c->call, q->loop, cancel_permit);
	c->send = s;
	s->owner = &c->call;
	c->cached = (struct str){NULL, 0};
	c->shut = ERR_OK;
	s->lease = o;
	s->for_owner = a;
	s->begun_ms = loop_now(q->loop);
	send_add_text(s, arena_printf(a, "%s.%" PRIu64, q->with->worker, ++q->permits));
	send_add_text(s, o->lease.id);
	send_add_number(s, o->lease.fence);
	send_add_text(s, e->step);
	send_add_number(s, e->n);
	send_add_number(s, question_for(o, e->step, e->n));
	send_add_text(s, arena_printf(a, "%s/%s", e->provider, e->model));
	send_add_number(s, e->deadline_ms);
	send_add_number(s, q->with->lease_ms);
	send_add_number(s, e->cost_nano);
	send_add_number(s, e->is_retry);
	send_add_number(s, e->most_cost_nano);
	send_add_text(s, e->cache ? e->cache : "");
	send_add_number(s, e->cache_renew ? 0 : e->cache_ms);
	send_add_text(s, calibrations_know(q->calibrations, learner) ? "" : learner);
	for (size_t i = 0; i < count; i++)
		add_rule(s, &rules[i], e);
	CRASH_POINT("before_permit");
	send_start(s, permit_answered);
}

/* ---- settle ---- */

static const char *const outcomes[] = {
	[SETTLE_ANSWER] = "answer",
	[SETTLE_FAILED] = "failed",
	[SETTLE_UNKNOWN] = "unknown",
	[SETTLE_CANCELLED] = "cancelled",
};

/* The same in the lease as in Redis. */
static void note_outcome(struct lease_own *o, const struct settle_call *c, const struct send *s)
{
	const char *name = call_name(o, c->entry.step, c->entry.n);
	const char *state = c->outcome == SETTLE_ANSWER ? "answered" : "lost";
	struct str text =
		str_of(arena_printf(o->lease.arena, "%s %.*s 0 %.*s", state,
				    STR_ARGS(s->words[QUESTION]), STR_ARGS(s->words[PERMIT])));

	if (c->outcome == SETTLE_FAILED || c->outcome == SETTLE_CANCELLED)
		text = (struct str){NULL, 0};
	lease_set(o, name, text);
}

static void take_winner(struct settle_call *c, struct send *s)
{
	const struct redis_value *winner = send_item(s, 1), *text = send_item(s, 2);
	int64_t n = winner ? winner->integer : 0;

	c->stored = c->answer;
	if (n != 0 && text && text->text.len)
		c->stored = arena_str(s->for_owner, text->text);
	if (n != 0)
		lease_set(s->lease,
			  arena_printf(s->lease->lease.arena, "answer:%s#%lld", c->entry.step,
				       (long long)n),
			  c->stored);
}

/* Whoever was the first to be told. */
static void tell_no_credit(struct send *s)
{
	const struct redis_value *reply = s->redis.reply;
	struct error err;

	if (s->task.call.err.code != ERR_OK || reply->count < 5)
		return;
	(void)fail(
		&err, ERR_QUOTA,
		"no credit is left for '%.*s' (%.*s): its jobs wait until somebody has paid; it is "
		"tried again now and then, or at once after `flow-worker jobs resume --route %.*s`",
		STR_ARGS(s->words[ROUTE]), STR_ARGS(s->words[NO_CREDIT]),
		STR_ARGS(s->words[ROUTE]));
	queue_note(s->queue, &err);
}

bool journal_is_answer(const struct send *s)
{
	return str_is(s->words[OUTCOME], outcomes[SETTLE_ANSWER]);
}

void journal_settled(struct send *s)
{
	struct settle_call *c;

	CRASH_POINT("after_settle");
	if (s->lease && s->lease->calls > 0)
		s->lease->calls--;
	timeout_stop(s->queue->loop, &s->watch);
	tell_no_credit(s);
	if (s->task.call.err.code == ERR_OK)
		journal_spool_forget(s);
	else if (journal_is_answer(s))
		journal_spool_keep(s);
	if (!s->owner)
		return;
	c = container_of(s->owner, struct settle_call, call);
	if (s->task.call.err.code != ERR_OK) {
		c->call.err = s->task.call.err;
	} else {
		note_outcome(s->lease, c, s);
		calibrations_add(s->queue->calibrations, learner_of(s->lease, &c->entry, s->arena),
				 s->words[LESSON]);
		learn(s, &c->entry, 3);
		take_winner(c, s);
		c->waits_for_credit = c->no_credit != NULL;
		if (send_item(s, 0)->integer != 1) {
			s->lease->lease.lost = true;
			(void)fail(&c->call.err, ERR_LEASE_LOST, "job '%s' is not ours any more",
				   s->lease->lease.id);
		}
	}
	call_end(&c->call);
}

static void cancel_settle(struct call *c)
{
	send_detach(container_of(c, struct settle_call, call)->send);
}

static void add_left(struct send *s, int64_t left)
{
	send_add_text(s, left < 0 ? "-1" : arena_printf(s->arena, "%" PRId64, left));
}

/* For the cache, and for the next calls of the step. */
static void add_lessons(struct send *s, const struct settle_call *c)
{
	const struct journal_entry *e = &c->entry;
	bool is_lesson = c->counted && c->input_tokens > 0 && e->count.tokens > 0;
	const struct past_call lesson = {.count = e->count,
					 .estimate = e->input_tokens,
					 .input = c->input_tokens,
					 .expected = e->output_tokens,
					 .output = c->output_tokens};

	send_add_text(s, e->cache ? e->cache : "");
	send_add_number(s, c->for_cache ? e->cache_ms : 0);
	send_add_text(s, is_lesson ? learner_of(s->lease, e, s->arena) : "");
	send_add_text(s, is_lesson ? past_call_print(s->arena, &lesson) : "");
}

static void settle(struct journal *j, struct settle_call *c, struct arena *a)
{
	struct lease_own *o = lease_of(j);
	const struct journal_entry *e = &c->entry;
	struct send *s = send_new(o->queue, SCRIPT_SETTLE, SETTLE_WORDS);
	uint32_t question = question_of_call(o, e->step, e->n);

	if (!c->forget) {
		call_begin(&c->call, o->queue->loop, cancel_settle);
		c->send = s;
		s->owner = &c->call;
	}
	s->lease = o;
	s->for_owner = a;
	count_settled(o->queue->with->metrics, c);
	send_add_text(s, permit_of_call(o, e->step, e->n));
	send_add_text(s, o->lease.id);
	send_add_number(s, o->lease.fence);
	send_add_text(s, e->step);
	send_add_number(s, e->n);
	send_add_number(s, question ? question : e->n);
	send_add_text(s, arena_printf(a, "%s/%s", e->provider, e->model));
	send_add_text(s, o->lease.flow);
	send_add_text(s, outcomes[c->outcome]);
	send_add(s, c->outcome == SETTLE_ANSWER ? c->answer : STR(""));
	send_add_number(s, c->input_tokens);
	send_add_number(s, c->cached_tokens);
	send_add_number(s, c->output_tokens);
	send_add_number(s, c->cost_nano);
	send_add_number(s, c->rate_limited);
	send_add_number(s, u64_min(c->retry_after_ms, WEEK_MS));
	send_add_number(s, c->out_of_order);
	add_left(s, c->remaining_requests);
	add_left(s, c->remaining_tokens);
	add_lessons(s, c);
	send_add_number(s, u64_min(c->sent_after_ms, WEEK_MS));
	send_add_text(s, c->no_credit ? c->no_credit : "");
	assert(s->count == s->max);
	if (c->outcome == SETTLE_ANSWER)
		CRASH_POINT("before_settle");
	send_start(s, journal_settled);
	if (c->outcome == SETTLE_ANSWER)
		journal_spool_watch(s);
}

/* ---- answers that a provider makes by itself ---- */

static const char *handle_name(struct journal *j, const char *step, uint32_t n)
{
	return arena_printf(lease_of(j)->lease.arena, "handle:%s#%u", step, n);
}

static bool known_handle(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	return lease_stored(&lease_of(j)->lease, handle_name(j, step, n), text);
}

static void cancel_keep(struct call *c)
{
	send_detach(container_of(c, struct keep_call, call)->send);
}

static void was_kept(struct send *s)
{
	if (!s->owner)
		return;
	if (s->task.call.err.code != ERR_OK)
		s->owner->err = s->task.call.err;
	call_end(s->owner);
}

static void keep(struct journal *j, struct keep_call *c)
{
	struct lease_own *o = lease_of(j);
	const char *name = handle_name(j, c->step, c->n);
	struct send *s = send_new(o->queue, SCRIPT_STORE, 5);

	call_begin(&c->call, o->queue->loop, cancel_keep);
	c->send = s;
	s->owner = &c->call;
	s->lease = o;
	send_add_text(s, o->lease.id);
	send_add_number(s, o->lease.fence);
	send_add_text(s, name);
	send_add_number(s, 1);
	send_add(s, c->text);
	lease_set(o, name, c->text);
	send_start(s, was_kept);
}

const struct journal_methods queue_journal = {
	.permit = permit,
	.settle = settle,
	.answer = known_answer,
	.calls = known_calls,
	.keep = keep,
	.kept = known_handle,
	.calibration = known_calibration,
};
