/* The task that asks, with a journal that is a list: what is stored, what is called, what is told. */
#include "tests/unit/test.h"

#include "operations/llm.h"
#include "operations/services.h"

#include <stdio.h>
#include <stdlib.h>

static const struct provider_config providers[] = {
	{.id = "openai",
	 .kind = PROVIDER_OPENAI,
	 .enabled = true,
	 .api_key = "test-key",
	 .base_url = "http://127.0.0.1:1"}, /* nobody is there */
	{.id = "anthropic",
	 .kind = PROVIDER_ANTHROPIC,
	 .enabled = true,
	 .api_key = "test-key",
	 .base_url = "http://127.0.0.1:1"},
};

enum { CALLS_MAX = 16 };

struct fake {
	struct journal journal;
	struct loop *loop;
	const char *stored[CALLS_MAX]; /* by number, from 1 */
	uint32_t started;              /* what calls() says */
	enum error_code refuse;        /* the permits */
	uint64_t retry_at_ms;
	uint32_t permits, settles;
	uint32_t last_n;
	enum settle_outcome outcome;
	struct journal_entry entry;
	bool never; /* a permit never ends by itself */
	struct calibration known;
	const char *cached; /* what the cache has */
};

struct test {
	struct arena *arena;
	struct config config;
	struct services use;
	struct fake fake;
	struct op_call op;
	struct llm_choice choices[2];
	struct llm_wish wish;
	struct llm_call llm;
	bool done;
};

static struct fake *fake_of(struct journal *j)
{
	return container_of(j, struct fake, journal);
}

static void cancel_permit(struct call *c)
{
	call_end(c);
}

static void permit(struct journal *j, struct permit_call *c, struct arena *a)
{
	struct fake *f = fake_of(j);

	(void)a;
	f->permits++;
	f->entry = c->entry;
	call_begin(&c->call, f->loop, cancel_permit);
	if (f->never)
		return;
	if (f->refuse != ERR_OK)
		c->call.err.code = f->refuse;
	c->retry_at_ms = f->retry_at_ms;
	c->cached = str_of(f->cached);
	call_end(&c->call);
}

static void settle(struct journal *j, struct settle_call *c, struct arena *a)
{
	struct fake *f = fake_of(j);

	(void)a;
	f->settles++;
	f->outcome = c->outcome;
	f->last_n = c->entry.n;
	if (c->outcome != SETTLE_FAILED)
		f->started = c->entry.n;
	call_begin(&c->call, f->loop, cancel_permit);
	call_end(&c->call);
}

static bool answer(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	struct fake *f = fake_of(j);

	assert_string_equal(step, "write");
	if (n >= CALLS_MAX || !f->stored[n])
		return false;
	*text = str_of(f->stored[n]);
	return true;
}

static uint32_t calls(struct journal *j, const char *step)
{
	(void)step;
	return fake_of(j)->started;
}

static struct calibration calibration(struct journal *j, const struct journal_entry *e)
{
	(void)e;
	return fake_of(j)->known;
}

static bool kept(struct journal *j, const char *step, uint32_t n, struct str *text)
{
	(void)j, (void)step, (void)n, (void)text;
	return false;
}

static const struct journal_methods methods = {permit, settle, answer,     calls,
					       NULL,   kept,   calibration};

static bool ask(void *arg, const struct llm_target *target, struct llm_question *q,
		struct error *err)
{
	static const struct llm_part part = {.kind = PART_TEXT, .text = "Say hello."};
	static const struct llm_message message = {ROLE_USER, &part, 1};

	(void)arg, (void)target, (void)err;
	q->messages = &message;
	q->count = 1;
	return true;
}

static int setup(void **state)
{
	struct test *t = xmalloc(sizeof(*t));
	struct error err;

	*state = t;
	t->arena = arena_new();
	t->config.ai_enabled = true;
	t->config.providers = providers;
	t->config.provider_count = ARRAY_LEN(providers);
	t->use.config = &t->config;
	t->use.loop = loop_new();
	t->use.http = http_new(t->use.loop, &(struct http_options){.user_agent = "test"});
	t->use.models = models_new(&t->config, &err);
	t->fake = (struct fake){.journal.methods = &methods, .loop = t->use.loop};
	t->op = (struct op_call){.use = &t->use,
				 .journal = &t->fake.journal,
				 .arena = t->arena,
				 .job_id = "job1",
				 .step = "write",
				 .attempt = 1};
	t->choices[0] = (struct llm_choice){.provider = "openai", .model = "gpt-4.1"};
	t->choices[1] = (struct llm_choice){.provider = "anthropic", .model = "claude-sonnet-4-6"};
	t->wish = (struct llm_wish){
		.choices = t->choices, .choice_count = 1, .ask = ask, .max_retries = 0};
	return t->use.models ? 0 : -1;
}

static int teardown(void **state)
{
	struct test *t = *state;

	http_free(t->use.http);
	models_free(t->use.models);
	loop_free(t->use.loop);
	arena_free(t->arena);
	free(t);
	return 0;
}

static void ended(struct call *c)
{
	struct llm_call *llm =
		container_of(container_of(c, struct task, call), struct llm_call, task);

	container_of(llm, struct test, llm)->done = true;
	loop_stop(c->loop);
}

static void start(struct test *t)
{
	t->llm.task.call.done = ended;
	llm_start(&t->llm, &t->op, &t->wish, json_array(t->arena), 0);
}

static const struct error *run(struct test *t)
{
	start(t);
	loop_run(t->use.loop);
	assert_true(t->done);
	return &t->llm.task.call.err;
}

TEST(a_stored_answer_is_taken_and_nobody_asked)
{
	struct test *t = *state;

	t->fake.started = 1;
	t->fake.stored[1] =
		"{\"text\":\"Hallo!\",\"finish\":0,\"usage\":{\"input\":100,\"output\":10}}";
	assert_int_equal(run(t)->code, ERR_OK);
	assert_true(str_is(t->llm.answer.text, "Hallo!") && t->llm.stored);
	assert_int_equal(t->fake.permits, 0);
	assert_int_equal(t->op.usage.cost_nano, 100 * 2000 + 10 * 8000);
}

TEST(an_answer_of_a_fallback_is_priced_as_such)
{
	struct test *t = *state;

	t->wish.choice_count = 2;
	t->fake.started = 1;
	t->fake.stored[1] = "{\"text\":\"Hallo!\",\"finish\":0,\"candidate\":1,"
			    "\"usage\":{\"input\":100,\"output\":10}}";
	assert_int_equal(run(t)->code, ERR_OK);
	assert_string_equal(t->llm.target.config->id, "anthropic");
	assert_int_equal(t->op.usage.cost_nano, 100 * 3000 + 10 * 15000);
}

TEST(after_a_call_that_may_have_been_paid_the_next_number_is_used)
{
	struct test *t = *state;

	t->fake.started = 1; /* no answer is stored */
	assert_int_equal(run(t)->code, ERR_UNAVAILABLE);
	assert_int_equal(t->fake.entry.n, 2);
}

TEST(or_it_is_held_if_that_is_wanted)
{
	struct test *t = *state;

	t->fake.started = 1;
	t->wish.on_ambiguous = AMBIGUOUS_HOLD;
	assert_int_equal(run(t)->code, ERR_STALLED);
	assert_int_equal(t->fake.permits, 0);
}

TEST(a_call_that_never_left_is_settled_as_free_and_keeps_its_number)
{
	struct test *t = *state;

	t->wish.max_retries = 1;
	assert_int_equal(run(t)->code, ERR_UNAVAILABLE);
	assert_string_equal(t->llm.task.call.err.detail, "NETWORK_ERROR");
	assert_int_equal(t->fake.permits, 2);
	assert_int_equal(t->fake.settles, 2);
	assert_int_equal(t->fake.outcome, SETTLE_FAILED);
	assert_int_equal(t->fake.last_n, 1);
	assert_int_equal(t->llm.attempts, 2);
}

TEST(a_refused_permit_parks_and_leaves_a_note)
{
	struct test *t = *state;

	t->fake.refuse = ERR_PARKED;
	t->fake.retry_at_ms = 12345;
	assert_int_equal(run(t)->code, ERR_PARKED);
	assert_int_equal(t->op.park_until_ms, 12345);
	assert_non_null(t->op.note);
	assert_int_equal(t->fake.settles, 0);
}

TEST(a_note_remembers_the_attempts_that_were_made)
{
	struct test *t = *state;
	struct error err;

	t->wish.max_retries = 2;
	t->op.note =
		json_parse(t->arena, STR("{\"candidate\":0,\"tries\":2,\"attempts\":2}"), &err);
	assert_int_equal(run(t)->code, ERR_UNAVAILABLE);
	assert_int_equal(t->fake.permits, 1);
	assert_int_equal(t->llm.attempts, 3);
}

TEST(a_budget_that_is_used_up_ends_it)
{
	struct test *t = *state;

	t->fake.refuse = ERR_BUDGET;
	assert_int_equal(run(t)->code, ERR_BUDGET);
	assert_int_equal(t->fake.settles, 0);
}

TEST(fallbacks_are_tried_in_their_order)
{
	struct test *t = *state;

	t->wish.choice_count = 2;
	t->choices[0].model = "no-such-model";
	assert_int_equal(run(t)->code, ERR_UNAVAILABLE);
	assert_string_equal(t->fake.entry.provider, "anthropic");
}

static void cancel(struct timeout *timeout);
static struct test *cancelled;

static void cancel(struct timeout *timeout)
{
	(void)timeout;
	call_cancel(&cancelled->llm.task.call, ERR_CANCELLED);
}

TEST(a_cancelled_wait_for_a_permit_settles_nothing)
{
	struct test *t = *state;
	struct timeout timeout = {.fn = NULL};

	cancelled = t;
	t->fake.never = true;
	start(t);
	timeout_start(t->use.loop, &timeout, 1, cancel);
	loop_run(t->use.loop);
	assert_int_equal(t->llm.task.call.err.code, ERR_CANCELLED);
	assert_int_equal(t->fake.settles, 0);
}

/* Cancelled after the permit was given, before anything was sent: the room is given back. */
TEST(a_permit_that_is_not_used_is_given_back)
{
	struct test *t = *state;

	start(t);
	call_cancel(&t->llm.task.call, ERR_CANCELLED);
	loop_run(t->use.loop);
	assert_true(t->done);
	assert_int_equal(t->fake.permits, 1);
	assert_int_equal(t->fake.settles, 1);
	assert_int_equal(t->fake.outcome, SETTLE_FAILED);
}

TEST(the_quota_of_openai_is_what_its_door_charges)
{
	struct test *t = *state;

	(void)run(t);
	assert_int_equal(t->fake.entry.quota_tokens, 1024);
	assert_int_equal(t->fake.entry.output_tokens, 1024);
	assert_true(t->fake.entry.input_tokens > 0 && t->fake.entry.cost_known);
	t->choices[0] = t->choices[1];
	(void)run(t);
	assert_int_equal(t->fake.entry.quota_tokens, 0);
}

TEST(what_is_stored_is_what_was_answered)
{
	struct test *t = *state;
	struct llm_stored stored = {.candidate = 1, .latency_ms = 77};
	struct llm_stored again;

	stored.answer = (struct llm_answer){.text = STR("Grüße \"x\"\n"), .reasoning = STR("Hm.")};
	stored.answer.finish = FINISH_LENGTH;
	stored.answer.request_id = "req_1";
	stored.answer.usage = (struct llm_usage){.known = true, .input = 1, .output = 2};
	stored.answer.usage.cached = 4;
	assert_true(llm_answer_parse(llm_answer_print(&stored, t->arena), t->arena, &again));
	assert_true(str_equal(stored.answer.text, again.answer.text));
	assert_true(str_equal(stored.answer.reasoning, again.answer.reasoning));
	assert_int_equal(again.answer.finish, FINISH_LENGTH);
	assert_string_equal(again.answer.request_id, "req_1");
	assert_memory_equal(&again.answer.usage.input, &stored.answer.usage.input,
			    5 * sizeof(uint64_t));
	assert_int_equal(again.candidate, 1);
	assert_int_equal(again.latency_ms, 77);
	assert_false(llm_answer_parse(STR("{\"hello\":1}"), t->arena, &again));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_stored_answer_is_taken_and_nobody_asked),
		CASE(an_answer_of_a_fallback_is_priced_as_such),
		CASE(after_a_call_that_may_have_been_paid_the_next_number_is_used),
		CASE(or_it_is_held_if_that_is_wanted),
		CASE(a_call_that_never_left_is_settled_as_free_and_keeps_its_number),
		CASE(a_refused_permit_parks_and_leaves_a_note),
		CASE(a_note_remembers_the_attempts_that_were_made),
		CASE(a_budget_that_is_used_up_ends_it),
		CASE(fallbacks_are_tried_in_their_order),
		CASE(a_cancelled_wait_for_a_permit_settles_nothing),
		CASE(a_permit_that_is_not_used_is_given_back),
		CASE(the_quota_of_openai_is_what_its_door_charges),
		CASE(what_is_stored_is_what_was_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
