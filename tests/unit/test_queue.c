/* The queue in C against a real Redis: claims that wait, leases, ends. */
#include "tests/unit/queue_side.h"

#include <stdio.h>

TEST(a_claim_waits_until_there_is_work_and_a_finished_job_leaves_its_result)
{
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	queue_claim_start(s.queue, &s.claim, 2);
	enqueue("a", "tenant t lane 2 batch b");
	wait_for(&s, &s.claim.call);
	assert_int_equal(s.claim.count, 1);
	struct lease *job = s.claim.leases[0];

	assert_string_equal(job->id, "a");
	assert_string_equal(job->tenant, "t");
	assert_string_equal(job->route, "openai/m");
	assert_int_equal(job->lane, 2);
	assert_int_equal(job->attempt, 1);
	assert_str(job->body, "{}");
	assert_true(lease_may_begin(job));
	assert_int_equal(queue_lease_count(s.queue), 1);
	assert_int_equal(finish(&s, job, &side_done), ERR_OK);
	assert_string_equal(redis_server_do(&side_server, "GET {t}:res:a"),
			    "{\"id\":\"a\",\"status\":\"done\"}");
	stop_side(&s);
	assert_string_equal(redis_server_do(&side_server, "ZCARD {t}:wrk"), "0");
}

TEST(an_entry_that_is_no_job_ends_dead_with_the_reason)
{
	static const struct {
		const char *entry, *reason;
	} entries[] = {
		{"body text",                  "it does not begin with '{'"                       },
		{"body {} lane 7",             "field 'lane' is '7', expected 0, 1 or 2"          },
		{"body {} run_at soon",        "field 'run_at' is 'soon', expected a whole number"},
		{"body {} dedup_mode first",
		 "field 'dedup_mode' is 'first', expected 'keep' or 'latest'"                     },
		{"body {} reply_to elsewhere", "expected a key with the hash tag of '{t}:'"       },
		{"nobody {}",                  "the entry has no field 'body'"                    },
	};
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		char command[300], id[16];

		(void)snprintf(id, sizeof(id), "bad%zu", i);
		(void)snprintf(command, sizeof(command), "XADD {t}:in * id %s %s", id,
			       entries[i].entry);
		(void)redis_server_do(&side_server, command);
	}
	enqueue("good", "");
	claim(&s, 1);
	assert_string_equal(s.jobs[0]->id, "good");
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		char command[64];
		const char *result;

		(void)snprintf(command, sizeof(command), "GET {t}:res:bad%zu", i);
		result = redis_server_do(&side_server, command);
		if (!strstr(result, entries[i].reason) || !strstr(result, "INVALID_JOB"))
			FAIL("%s: %s", entries[i].entry, result);
	}
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(what_a_run_stores_is_there_for_the_next_one)
{
	const struct stored_text texts[] = {
		{"step:one", STR("{\"x\":1}")},
                {"note:two", STR("n")        }
        };
	const struct finish park = {.outcome = QUEUE_PARK, .at_ms = wall_ms() + 50};
	struct step_call c;
	struct str text;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	queue_step_start(s.jobs[0], &c, texts, 2);
	wait_for(&s, &c.call);
	assert_int_equal(c.call.err.code, ERR_OK);
	assert_int_equal(finish(&s, s.jobs[0], &park), ERR_OK);
	claim(&s, 1);
	assert_true(wall_ms() >= park.at_ms);
	assert_int_equal(s.jobs[0]->attempt, 1);
	assert_int_equal(s.jobs[0]->steps, 1);
	assert_true(lease_stored(s.jobs[0], "step:one", &text));
	assert_str(text, "{\"x\":1}");
	assert_true(lease_stored(s.jobs[0], "note:two", &text));
	assert_false(lease_stored(s.jobs[0], "note:three", &text));
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

/* Nobody would look before the next second otherwise: ten times. */
TEST(a_parked_job_goes_on_in_time_although_a_claim_waits_already)
{
	struct finish park = {.outcome = QUEUE_PARK};
	struct finish_call c;
	struct lease *job;
	struct side s;
	uint64_t begun;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	begun = wall_ms();
	for (int i = 0; i < 10; i++) {
		job = s.jobs[0];
		queue_claim_start(s.queue, &s.claim, 1);
		park.at_ms = wall_ms() + 50;
		queue_finish_start(job, &c, &park);
		wait_for(&s, &c.call);
		lease_free(job);
		wait_for(&s, &s.claim.call);
		assert_true(wall_ms() >= park.at_ms);
		s.jobs[0] = s.claim.leases[0];
	}
	assert_true(wall_ms() - begun < 8000); /* ten seconds otherwise */
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(leases_are_renewed_as_long_as_the_worker_lives)
{
	struct sleep_call nap;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	sleep_start(s.loop, &nap, 3500);
	wait_for(&s, &nap.call);
	assert_null(s.lost);
	assert_true(lease_may_begin(s.jobs[0]));
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	assert_string_equal(redis_server_do(&side_server, "HGET {t}:n lost"), "");
	stop_side(&s);
}

TEST(who_has_lost_a_lease_is_told_once_and_may_not_write)
{
	struct step_call c;
	const struct stored_text text = {"step:x", STR("1")};
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	(void)redis_server_do(&side_server, "HINCRBY {t}:j:a fence 1"); /* another has it */
	queue_step_start(s.jobs[0], &c, &text, 1);
	wait_for(&s, &c.call);
	assert_int_equal(c.call.err.code, ERR_LEASE_LOST);
	assert_false(lease_may_begin(s.jobs[0]));
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_LEASE_LOST);
	enqueue("b", "");
	claim(&s, 1);
	(void)redis_server_do(&side_server, "HINCRBY {t}:j:b fence 1");
	run_until(&s, &s.lost);
	assert_ptr_equal(s.lost, s.jobs[0]);
	lease_free(s.jobs[0]);
	stop_side(&s);
}

TEST(a_cancelled_job_s_run_is_told_by_message_or_by_the_next_renewal)
{
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	enqueue("a", "");
	claim(&s, 1);
	(void)redis_server_do(&side_server, "HSET {t}:j:a cancel 1"); /* the message was missed */
	run_until(&s, &s.cancelled);
	assert_true(s.jobs[0]->cancelled);
	assert_int_equal(finish(&s, s.jobs[0],
				&(struct finish){.outcome = QUEUE_CANCELLED,
						 .result = STR("{\"status\":\"cancelled\"}")}),
			 ERR_OK);
	enqueue("b", "");
	claim(&s, 1);
	s.cancelled = NULL;
	(void)redis_server_do(&side_server, "PUBLISH {t}:ctl %b", "cancel b", (size_t)8);
	run_until(&s, &s.cancelled);
	assert_int_equal(finish(&s, s.jobs[0], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(a_queue_that_stops_claiming_ends_the_claim_without_a_job)
{
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	queue_claim_start(s.queue, &s.claim, 1);
	queue_stop_claiming(s.queue);
	wait_for(&s, &s.claim.call);
	assert_int_equal(s.claim.call.err.code, ERR_OK);
	assert_int_equal(s.claim.count, 0);
	stop_side(&s);
}

TEST(a_queue_that_stops_while_its_server_is_away_does_not_wait_for_it)
{
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	queue_claim_start(s.queue, &s.claim, 1);
	redis_server_kill(&side_server, 9);
	queue_stop_claiming(s.queue);
	wait_for(&s, &s.claim.call);
	assert_int_equal(s.claim.count, 0);
	stop_side(&s);
	redis_server_again(&side_server);
}

TEST(a_server_that_may_throw_keys_away_or_has_another_layout_is_refused)
{
	const char *why;
	struct side s;

	(void)state;
	(void)redis_server_do(&side_server, "CONFIG SET maxmemory-policy allkeys-lru");
	why = start_side(&s, "w1", "");
	(void)redis_server_do(&side_server, "CONFIG SET maxmemory-policy noeviction");
	assert_non_null(why);
	assert_non_null(strstr(why, "maxmemory-policy is 'allkeys-lru'"));
	stop_side(&s);
	(void)redis_server_do(&side_server, "SET {t}:v 7");
	why = start_side(&s, "w1", "");
	assert_non_null(why);
	assert_non_null(strstr(why, "has layout 7"));
	stop_side(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define Q(name) cmocka_unit_test_setup(name, fresh)
		Q(a_claim_waits_until_there_is_work_and_a_finished_job_leaves_its_result),
		Q(an_entry_that_is_no_job_ends_dead_with_the_reason),
		Q(what_a_run_stores_is_there_for_the_next_one),
		Q(a_parked_job_goes_on_in_time_although_a_claim_waits_already),
		Q(leases_are_renewed_as_long_as_the_worker_lives),
		Q(who_has_lost_a_lease_is_told_once_and_may_not_write),
		Q(a_cancelled_job_s_run_is_told_by_message_or_by_the_next_renewal),
		Q(a_queue_that_stops_claiming_ends_the_claim_without_a_job),
		Q(a_queue_that_stops_while_its_server_is_away_does_not_wait_for_it),
		Q(a_server_that_may_throw_keys_away_or_has_another_layout_is_refused),
#undef Q
	};

	return cmocka_run_group_tests(tests, server_starts, server_stops);
}
