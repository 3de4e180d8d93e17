/* The journal of a job against a real Redis: permits within limits, and answers that survive. */
#include "tests/unit/queue_side.h"

#include <stdio.h>
#include <unistd.h>

static const struct journal_entry question = {.step = "ask",
					      .n = 1,
					      .provider = "openai",
					      .model = "m",
					      .input_tokens = 10,
					      .output_tokens = 10,
					      .cost_nano = 100,
					      .cost_known = true,
					      .deadline_ms = 5000};

static enum error_code ask(struct side *s, struct lease *lease, struct permit_call *c)
{
	*c = (struct permit_call){.entry = question};
	lease->journal.methods->permit(&lease->journal, c, lease->arena);
	wait_for(s, &c->call);
	return c->call.err.code;
}

TEST(an_answer_is_stored_and_known_to_the_next_run)
{
	struct permit_call p;
	struct settle_call c = {.entry = question,
				.outcome = SETTLE_ANSWER,
				.answer = STR("42"),
				.input_tokens = 9,
				.output_tokens = 3,
				.cost_nano = 50};
	struct str text;
	struct side s;

	(void)state;
	assert_null(start_side(
		&s, "w1",
		"[{\"scope\":\"openai\",\"rpm\":5,\"budgetUsd\":1,\"period\":\"total\"}]"));
	enqueue("a", "");
	claim(&s, 1);
	assert_int_equal(s.jobs[0]->journal.methods->calls(&s.jobs[0]->journal, "ask"), 0);
	assert_int_equal(ask(&s, s.jobs[0], &p), ERR_OK);
	assert_int_equal(s.jobs[0]->journal.methods->calls(&s.jobs[0]->journal, "ask"), 1);
	s.jobs[0]->journal.methods->settle(&s.jobs[0]->journal, &c, s.jobs[0]->arena);
	wait_for(&s, &c.call);
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_str(c.stored, "42");
	assert_int_equal(finish(&s, s.jobs[0], &(struct finish){.outcome = QUEUE_RETURN}), ERR_OK);
	claim(&s, 1);
	assert_true(s.jobs[0]->journal.methods->answer(&s.jobs[0]->journal, "ask", 1, &text));
	assert_str(text, "42");
	assert_string_equal(redis_server_do(&side_server, "HGET {t}:bud:openai:total s"), "50");
	assert_string_equal(redis_server_do(&side_server, "HGET {t}:bud:openai:total r"), "0");
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(a_full_limit_says_which_one_how_full_and_until_when)
{
	struct permit_call p;
	struct lease *first, *second;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", "[{\"scope\":\"openai\",\"rpm\":1}]"));
	enqueue("a", "");
	claim(&s, 1);
	first = s.jobs[0];
	assert_int_equal(ask(&s, first, &p), ERR_OK);
	enqueue("b", "");
	claim(&s, 1);
	second = s.jobs[0];
	assert_int_equal(ask(&s, second, &p), ERR_PARKED);
	assert_non_null(
		strstr(p.call.err.text, "limit 'rpm' of 'openai' is full: 1 of 1, room from 20"));
	assert_true(p.retry_at_ms > wall_ms() + 50000 && p.retry_at_ms < wall_ms() + 61000);
	assert_int_equal(
		finish(&s, second, &(struct finish){.outcome = QUEUE_PARK, .at_ms = p.retry_at_ms}),
		ERR_OK);
	assert_string_equal(redis_server_do(&side_server, "ZCARD {t}:thr"),
			    "1"); /* its whole group */
	assert_int_equal(finish(&s, first, &side_done), ERR_OK);
	stop_side(&s);
}

TEST(a_used_up_budget_that_is_to_fail_is_no_reason_to_wait)
{
	struct permit_call p;
	struct side s;

	(void)state;
	assert_null(start_side(
		&s, "w1", "[{\"scope\":\"*\",\"budgetUsd\":0.00000005,\"onBudget\":\"fail\"}]"));
	enqueue("a", "");
	claim(&s, 1);
	assert_int_equal(ask(&s, s.jobs[0], &p), ERR_BUDGET);
	assert_non_null(strstr(p.call.err.text, "limit 'budget' of '*' is full: $0.00 of "
						"$0.00000005 and about $0.0000001 for this call"));
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(an_answer_that_redis_does_not_take_is_spooled_and_brought_by_the_next_process)
{
	struct permit_call p;
	struct settle_call c = {
		.entry = question,
		.outcome = SETTLE_ANSWER,
		.forget = true,
		.answer = {"line\n\0end", 9},
		.cost_nano = 50
        };
	struct str text;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	assert_int_equal(ask(&s, s.jobs[0], &p), ERR_OK);
	redis_server_kill(&side_server, 9);
	s.jobs[0]->journal.methods->settle(&s.jobs[0]->journal, &c, s.jobs[0]->arena);
	lease_free(s.jobs[0]);
	stop_side(&s);
	assert_int_equal(spooled(&s), 1);
	assert_int_equal(s.untold.answers_kept, 1);
	redis_server_again(&side_server); /* with its append-only file */
	assert_null(start_side(&s, "w1", ""));
	claim(&s, 1); /* as soon as the lease or the wait for the lost call is over */
	assert_string_equal(s.jobs[0]->id, "a");
	assert_true(s.jobs[0]->journal.methods->answer(&s.jobs[0]->journal, "ask", 1, &text));
	assert_int_equal(text.len, 9);
	assert_memory_equal(text.ptr, "line\n\0end", 9);
	assert_int_equal(spooled(&s), 0);
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
	assert_int_equal(s.untold.jobs + s.untold.answers_kept, 0);
	remove_spool(&s);
}

/* A job with an answer and a step that Redis does not take, and a queue that is given up; its end. */
static void give_up(struct side *s, bool has_spool)
{
	const struct stored_text text = {"step:ask", STR("{}")};
	struct settle_call c = {
		.entry = question, .outcome = SETTLE_ANSWER, .answer = STR("42"), .cost_nano = 50};
	struct permit_call p;
	struct step_call step = {.call.done = NULL};

	assert_null(start_side(s, "w1", ""));
	s->options.spool_dir = has_spool ? s->spool : NULL;
	enqueue("a", "");
	claim(s, 1);
	assert_int_equal(ask(s, s->jobs[0], &p), ERR_OK);
	redis_server_kill(&side_server, 9);
	s->jobs[0]->journal.methods->settle(&s->jobs[0]->journal, &c, s->jobs[0]->arena);
	queue_step_start(s->jobs[0], &step, &text, 1);
	queue_stop_claiming(s->queue);
	queue_give_up(s->queue);
	wait_for(s, &c.call);
	wait_for(s, &step.call);
	assert_int_equal(c.call.err.code, ERR_SHUTDOWN);
	assert_int_equal(step.call.err.code, ERR_SHUTDOWN);
	assert_int_equal(finish(s, s->jobs[0], &side_done), ERR_SHUTDOWN); /* begun after it */
	stop_side(s);
	redis_server_again(&side_server);
}

TEST(a_queue_that_is_given_up_ends_what_waits_for_redis_and_keeps_answers)
{
	struct side s;

	(void)state;
	give_up(&s, true);
	assert_int_equal(spooled(&s), 1);
	assert_int_equal(s.untold.jobs, 1);
	assert_int_equal(s.untold.steps, 1);
	assert_int_equal(s.untold.calls, 0);
	assert_int_equal(s.untold.answers_kept, 1);
	assert_int_equal(s.untold.answers_lost, 0);
	remove_spool(&s);
}

TEST(an_answer_that_no_folder_keeps_counts_as_lost)
{
	struct side s;

	(void)state;
	give_up(&s, false);
	assert_int_equal(spooled(&s), 0);
	assert_int_equal(s.untold.answers_kept, 0);
	assert_int_equal(s.untold.answers_lost, 1);
}

static bool is_in_spool(const struct side *s)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/w1.1.answer", s->spool);
	return access(path, F_OK) == 0;
}

TEST(an_answer_leaves_the_spool_when_redis_has_taken_it_after_all)
{
	struct permit_call p;
	struct settle_call c = {
		.entry = question, .outcome = SETTLE_ANSWER, .answer = STR("42"), .cost_nano = 50};
	struct sleep_call nap = {.timeout = {.place = 0}};
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	assert_int_equal(ask(&s, s.jobs[0], &p), ERR_OK);
	redis_server_kill(&side_server, 9);
	s.jobs[0]->journal.methods->settle(&s.jobs[0]->journal, &c, s.jobs[0]->arena);
	for (int i = 0; i < 1000 && !is_in_spool(&s); i++) {
		sleep_start(s.loop, &nap, 20);
		wait_for(&s, &nap.call);
	}
	assert_true(is_in_spool(&s));
	redis_server_again(&side_server);
	wait_for(&s, &c.call);
	assert_int_equal(spooled(&s), 0);
	lease_free(s.jobs[0]);
	stop_side(&s);
	remove_spool(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define Q(name) cmocka_unit_test_setup(name, fresh)
		Q(an_answer_is_stored_and_known_to_the_next_run),
		Q(a_full_limit_says_which_one_how_full_and_until_when),
		Q(a_used_up_budget_that_is_to_fail_is_no_reason_to_wait),
		Q(an_answer_that_redis_does_not_take_is_spooled_and_brought_by_the_next_process),
		Q(an_answer_leaves_the_spool_when_redis_has_taken_it_after_all),
		Q(a_queue_that_is_given_up_ends_what_waits_for_redis_and_keeps_answers),
		Q(an_answer_that_no_folder_keeps_counts_as_lost),
#undef Q
	};

	return cmocka_run_group_tests(tests, server_starts, server_stops);
}
