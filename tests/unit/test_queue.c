/* The queue in C against a real Redis: claims that wait, leases, ends, and answers that survive. */
#include "worker/queue/queue.h"

#include "common/loop.h"
#include "worker/queue/limits.h"

#include "tests/unit/redis_server.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, JOBS_MAX = 8 };

/* One worker's side: a queue that is started, and what it tells. */
struct side {
	struct loop *loop;
	struct arena *arena;
	struct redis_options redis;
	struct queue_options options;
	struct queue *queue;
	struct timeout patience;
	struct claim_call claim;
	struct lease *jobs[JOBS_MAX];
	size_t job_count;
	struct lease *lost, *cancelled;
	char spool[64];
};

static struct redis_server server;

static void out_of_patience(struct timeout *t)
{
	(void)t;
	FAIL("waited %d ms in vain", PATIENCE_MS);
}

static bool describe(void *arg, struct str body, struct arena *a, struct job_description *out,
		     struct error *err)
{
	(void)arg;
	(void)a;
	if (!str_starts(body, STR("{")))
		return fail(err, ERR_INVALID_JOB, "it does not begin with '{'");
	out->route = "openai/m";
	return true;
}

static void told_lost(void *arg, struct lease *lease)
{
	struct side *s = arg;

	assert_null(s->lost);
	s->lost = lease;
	loop_stop(s->loop);
}

static void told_cancel(void *arg, struct lease *lease)
{
	struct side *s = arg;

	assert_null(s->cancelled);
	s->cancelled = lease;
	loop_stop(s->loop);
}

static void ended(struct call *c)
{
	loop_stop(c->loop);
}

static void wait_for(struct side *s, struct call *c)
{
	timeout_start(s->loop, &s->patience, PATIENCE_MS, out_of_patience);
	c->done = ended;
	while (!c->ended || c->next_ready)
		loop_run(s->loop);
	timeout_stop(s->loop, &s->patience);
}

static void run_until(struct side *s, struct lease **what)
{
	timeout_start(s->loop, &s->patience, PATIENCE_MS, out_of_patience);
	while (!*what)
		loop_run(s->loop);
	timeout_stop(s->loop, &s->patience);
}

static const char *start_side(struct side *s, const char *name, const char *limits)
{
	struct call started = {.done = ended};
	static char text[320];
	struct error err;

	memset(s, 0, sizeof(*s));
	s->loop = loop_new();
	s->arena = arena_new();
	s->redis = (struct redis_options){.url = server.url};
	(void)snprintf(s->spool, sizeof(s->spool), "/tmp/fw-spool-%d-%s", (int)getpid(), name);
	s->options = (struct queue_options){
		.redis = &s->redis,
		.prefix = "{t}:",
		.worker = name,
		.slots = 4,
		.lease_ms = 1500,
		.ambiguous_wait_ms = 1000,
		.result_ttl_ms = 60000,
		.job_max_bytes = 1000,
		.spool_dir = s->spool,
		.limits = limits_parse(s->arena, str_of(limits), &err),
		.arg = s,
		.describe = describe,
		.lost = told_lost,
		.cancel = told_cancel,
	};
	s->queue = queue_new(s->loop, &s->options);
	queue_start(s->queue, &started);
	wait_for(s, &started);
	(void)snprintf(text, sizeof(text), "%s", started.err.text);
	return started.err.code == ERR_OK ? NULL : text;
}

static void remove_spool(const struct side *s)
{
	char path[400];
	DIR *d = opendir(s->spool);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		(void)snprintf(path, sizeof(path), "%s/%s", s->spool, entry->d_name);
		(void)unlink(path);
	}
	if (d)
		(void)closedir(d);
	(void)rmdir(s->spool);
}

static size_t spooled(const struct side *s)
{
	DIR *d = opendir(s->spool);
	struct dirent *entry;
	size_t n = 0;

	while (d && (entry = readdir(d)))
		n += entry->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return n;
}

static void stop_side(struct side *s)
{
	queue_free(s->queue);
	arena_free(s->arena);
	loop_free(s->loop);
}

/* Waits for jobs and keeps them. */
static void claim(struct side *s, size_t want)
{
	queue_claim_start(s->queue, &s->claim, want);
	wait_for(s, &s->claim.call);
	assert_int_equal(s->claim.call.err.code, ERR_OK);
	s->job_count = s->claim.count;
	for (size_t i = 0; i < s->claim.count; i++)
		s->jobs[i] = s->claim.leases[i];
}

static enum error_code finish(struct side *s, struct lease *lease, const struct finish *how)
{
	struct finish_call c;

	queue_finish_start(lease, &c, how);
	wait_for(s, &c.call);
	lease_free(lease);
	return c.call.err.code;
}

static const struct finish done = {
	.outcome = QUEUE_DONE, .result = {"{\"id\":\"a\",\"status\":\"done\"}", 26}
};

static void enqueue(const char *id, const char *more)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "XADD {t}:in * id %s body {} %s", id, more);
	(void)redis_server_do(&server, command);
}

static int fresh(void **state)
{
	(void)state;
	(void)redis_server_do(&server, "FLUSHALL");
	return 0;
}

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
	assert_int_equal(finish(&s, job, &done), ERR_OK);
	assert_string_equal(redis_server_do(&server, "GET {t}:res:a"),
			    "{\"id\":\"a\",\"status\":\"done\"}");
	stop_side(&s);
	assert_string_equal(redis_server_do(&server, "ZCARD {t}:wrk"), "0");
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
		(void)redis_server_do(&server, command);
	}
	enqueue("good", "");
	claim(&s, 1);
	assert_string_equal(s.jobs[0]->id, "good");
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		char command[64];
		const char *result;

		(void)snprintf(command, sizeof(command), "GET {t}:res:bad%zu", i);
		result = redis_server_do(&server, command);
		if (!strstr(result, entries[i].reason) || !strstr(result, "INVALID_JOB"))
			FAIL("%s: %s", entries[i].entry, result);
	}
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	assert_true(wall_ms() - begun < 5000);
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
	assert_string_equal(redis_server_do(&server, "HGET {t}:n lost"), "");
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
	(void)redis_server_do(&server, "HINCRBY {t}:j:a fence 1"); /* another has it */
	queue_step_start(s.jobs[0], &c, &text, 1);
	wait_for(&s, &c.call);
	assert_int_equal(c.call.err.code, ERR_LEASE_LOST);
	assert_false(lease_may_begin(s.jobs[0]));
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_LEASE_LOST);
	enqueue("b", "");
	claim(&s, 1);
	(void)redis_server_do(&server, "HINCRBY {t}:j:b fence 1");
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
	(void)redis_server_do(&server, "HSET {t}:j:a cancel 1"); /* the message was missed */
	run_until(&s, &s.cancelled);
	assert_true(s.jobs[0]->cancelled);
	assert_int_equal(finish(&s, s.jobs[0],
				&(struct finish){.outcome = QUEUE_CANCELLED,
						 .result = STR("{\"status\":\"cancelled\"}")}),
			 ERR_OK);
	enqueue("b", "");
	claim(&s, 1);
	s.cancelled = NULL;
	(void)redis_server_do(&server, "PUBLISH {t}:ctl %b", "cancel b", (size_t)8);
	run_until(&s, &s.cancelled);
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	redis_server_kill(&server, 9);
	queue_stop_claiming(s.queue);
	wait_for(&s, &s.claim.call);
	assert_int_equal(s.claim.count, 0);
	stop_side(&s);
	redis_server_again(&server);
}

TEST(a_server_that_may_throw_keys_away_or_has_another_layout_is_refused)
{
	const char *why;
	struct side s;

	(void)state;
	(void)redis_server_do(&server, "CONFIG SET maxmemory-policy allkeys-lru");
	why = start_side(&s, "w1", "");
	(void)redis_server_do(&server, "CONFIG SET maxmemory-policy noeviction");
	assert_non_null(why);
	assert_non_null(strstr(why, "maxmemory-policy is 'allkeys-lru'"));
	stop_side(&s);
	(void)redis_server_do(&server, "SET {t}:v 7");
	why = start_side(&s, "w1", "");
	assert_non_null(why);
	assert_non_null(strstr(why, "has layout 7"));
	stop_side(&s);
}

/* ---- the journal ---- */

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
	assert_string_equal(redis_server_do(&server, "HGET {t}:bud:openai:total s"), "50");
	assert_string_equal(redis_server_do(&server, "HGET {t}:bud:openai:total r"), "0");
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	assert_string_equal(redis_server_do(&server, "ZCARD {t}:thr"), "1"); /* its whole group */
	assert_int_equal(finish(&s, first, &done), ERR_OK);
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
	assert_non_null(strstr(p.call.err.text, "limit 'budget' of '*' is full: 0 of 50"));
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
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
	redis_server_kill(&server, 9);
	s.jobs[0]->journal.methods->settle(&s.jobs[0]->journal, &c, s.jobs[0]->arena);
	lease_free(s.jobs[0]);
	stop_side(&s);
	assert_int_equal(spooled(&s), 1);
	redis_server_again(&server); /* with its append-only file */
	assert_null(start_side(&s, "w1", ""));
	claim(&s, 1); /* as soon as the lease or the wait for the lost call is over */
	assert_string_equal(s.jobs[0]->id, "a");
	assert_true(s.jobs[0]->journal.methods->answer(&s.jobs[0]->journal, "ask", 1, &text));
	assert_int_equal(text.len, 9);
	assert_memory_equal(text.ptr, "line\n\0end", 9);
	assert_int_equal(spooled(&s), 0);
	assert_int_equal(finish(&s, s.jobs[0], &done), ERR_OK);
	stop_side(&s);
	remove_spool(&s);
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
		Q(an_answer_is_stored_and_known_to_the_next_run),
		Q(a_full_limit_says_which_one_how_full_and_until_when),
		Q(a_used_up_budget_that_is_to_fail_is_no_reason_to_wait),
		Q(an_answer_that_redis_does_not_take_is_spooled_and_brought_by_the_next_process),
#undef Q
	};
	int status;

	redis_server_start(&server, "appendonly yes\nappendfsync always\nsave \"\"\n");
	status = cmocka_run_group_tests(tests, NULL, NULL);
	redis_server_stop(&server);
	return status;
}
