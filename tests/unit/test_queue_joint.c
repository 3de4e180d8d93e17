/* What is sent in one turn of the loop goes to Redis as one command, and each gets its own answer. */
#include "tests/unit/queue_side.h"

#include <stdio.h>
#include <stdlib.h>

enum { JOBS = 8, STEPS = 40, LARGE = 300 * 1024 };

static const struct stored_text text = {
	"step:x", {"1", 1}
};

static long commands(const char *name)
{
	const char *stats = redis_server_do(&side_server, "INFO commandstats");
	char line[64];
	const char *found;

	(void)snprintf(line, sizeof(line), "cmdstat_%s:calls=", name);
	found = strstr(stats, line);
	return found ? strtol(found + strlen(line), NULL, 10) : 0;
}

static void claim_jobs(struct side *s, size_t count)
{
	char id[32];

	for (size_t i = 0; i < count; i++) {
		(void)snprintf(id, sizeof(id), "j%zu", i);
		enqueue(id, "");
	}
	claim(s, count);
	assert_int_equal(s->job_count, count);
}

/* None is waited for yet. */
static void ends(struct call *c)
{
	(void)c;
}

static void start_step(struct lease *job, struct step_call *c, const struct stored_text *what)
{
	c->call.done = ends;
	queue_step_start(job, c, what, 1);
}

static void finish_all(struct side *s)
{
	for (size_t i = 0; i < s->job_count; i++)
		assert_int_equal(finish(s, s->jobs[i], &side_done), ERR_OK);
}

TEST(steps_of_one_turn_are_told_by_fewer_commands_than_there_are_steps)
{
	struct step_call calls[JOBS];
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, JOBS);
	(void)redis_server_do(&side_server, "CONFIG RESETSTAT");
	for (size_t i = 0; i < JOBS; i++)
		start_step(s.jobs[i], &calls[i], &text);
	for (size_t i = 0; i < JOBS; i++) {
		wait_for(&s, &calls[i].call);
		assert_int_equal(calls[i].call.err.code, ERR_OK);
	}
	assert_in_range(commands("evalsha") + commands("eval"), 1,
			JOBS - 1); /* and a tick, perhaps */
	finish_all(&s);
	stop_side(&s);
}

TEST(more_than_go_into_one_command_are_all_told)
{
	struct step_call calls[STEPS];
	char names[STEPS][32];
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, 1);
	for (size_t i = 0; i < STEPS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "step:%zu", i);
		start_step(s.jobs[0], &calls[i], &(struct stored_text){names[i], STR("1")});
	}
	for (size_t i = 0; i < STEPS; i++)
		wait_for(&s, &calls[i].call);
	assert_string_equal(redis_server_do(&side_server, "HLEN {t}:s:%s", s.jobs[0]->id), "40");
	finish_all(&s);
	stop_side(&s);
}

TEST(each_gets_its_own_answer)
{
	struct step_call ours, lost;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, 2);
	(void)redis_server_do(&side_server, "HINCRBY {t}:j:%s fence 1", s.jobs[0]->id);
	start_step(s.jobs[0], &lost, &text);
	start_step(s.jobs[1], &ours, &text);
	wait_for(&s, &lost.call);
	wait_for(&s, &ours.call);
	assert_int_equal(lost.call.err.code, ERR_LEASE_LOST);
	assert_int_equal(ours.call.err.code, ERR_OK);
	lease_free(s.jobs[0]);
	assert_int_equal(finish(&s, s.jobs[1], &side_done), ERR_OK);
	stop_side(&s);
}

TEST(what_is_wrong_with_one_is_not_the_error_of_the_others)
{
	struct step_call bad, good;
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, 2);
	(void)redis_server_do(&side_server, "SET {t}:s:%s text",
			      s.jobs[0]->id); /* should be a hash */
	start_step(s.jobs[0], &bad, &text);
	start_step(s.jobs[1], &good, &text);
	wait_for(&s, &good.call);
	wait_for(&s, &bad.call);
	assert_int_equal(good.call.err.code, ERR_OK);
	assert_string_equal(redis_server_do(&side_server, "HGET {t}:s:%s step:x", s.jobs[1]->id),
			    "1");
	assert_int_equal(bad.call.err.code, ERR_REDIS);
	finish_all(&s);
	stop_side(&s);
}

TEST(a_step_goes_before_the_end_of_its_job_also_if_that_fills_a_command)
{
	struct step_call step;
	struct finish_call end;
	struct side s;
	struct finish large = side_done;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, 1);
	large.log = (struct str){arena_alloc(s.arena, LARGE), LARGE};
	end.call.done = ends;
	start_step(s.jobs[0], &step, &text);
	queue_finish_start(s.jobs[0], &end, &large);
	wait_for(&s, &end.call);
	wait_for(&s, &step.call);
	assert_int_equal(step.call.err.code, ERR_OK);
	assert_int_equal(end.call.err.code, ERR_OK);
	lease_free(s.jobs[0]);
	stop_side(&s);
}

TEST(what_waits_for_the_end_of_the_turn_is_given_up_with_the_queue)
{
	struct step_call calls[2];
	struct side s;

	(void)state;
	assert_null(start_side(&s, "w1", ""));
	claim_jobs(&s, 2);
	for (size_t i = 0; i < 2; i++)
		start_step(s.jobs[i], &calls[i], &text);
	queue_give_up(s.queue);
	for (size_t i = 0; i < 2; i++) {
		wait_for(&s, &calls[i].call);
		assert_int_equal(calls[i].call.err.code, ERR_SHUTDOWN);
		lease_free(s.jobs[i]);
	}
	stop_side(&s);
	assert_int_equal(s.untold.steps, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define Q(name) cmocka_unit_test_setup(name, fresh)
		Q(steps_of_one_turn_are_told_by_fewer_commands_than_there_are_steps),
		Q(more_than_go_into_one_command_are_all_told),
		Q(each_gets_its_own_answer),
		Q(what_is_wrong_with_one_is_not_the_error_of_the_others),
		Q(a_step_goes_before_the_end_of_its_job_also_if_that_fills_a_command),
		Q(what_waits_for_the_end_of_the_turn_is_given_up_with_the_queue),
#undef Q
	};

	return cmocka_run_group_tests(tests, server_starts, server_stops);
}
