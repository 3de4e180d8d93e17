/* Who may call Directus when, against a Directus that is nothing but the time that its answers take. */
#include "common/directus_turns.h"

#include "common/arena.h"

#include "tests/unit/test.h"

#include <stdlib.h>

enum { CALLERS = 200 };

struct world;

/* Calls again and again; each call takes world.takes_ms. */
struct caller {
	struct world *world;
	struct directus_turn turn;
	struct timeout answer;
	bool is_bulk;
};

struct world {
	struct loop *loop;
	struct directus_turns turns;
	struct timeout over;
	struct caller callers[CALLERS];
	uint64_t takes_ms;
	unsigned under_way[2], most[2], calls[2]; /* of others, of bulk jobs */
	char order[32];                           /* of the first calls: o, b */
	bool is_over;
};

static void stop(struct timeout *t)
{
	loop_stop(container_of(t, struct world, over)->loop);
}

static void run_for(struct world *w, uint64_t ms)
{
	timeout_start(w->loop, &w->over, ms, stop);
	loop_run(w->loop);
}

static void call_again(struct caller *c)
{
	directus_turn_start(&c->world->turns, &c->turn, c->is_bulk, false);
}

static void answered(struct timeout *t)
{
	struct caller *c = container_of(t, struct caller, answer);

	c->world->under_way[c->is_bulk]--;
	directus_turn_give_back(&c->turn);
	directus_turns_good(&c->world->turns, &c->turn, (double)c->world->takes_ms);
	if (!c->world->is_over)
		call_again(c);
}

static void has_turn(struct call *call)
{
	struct caller *c = container_of(call, struct caller, turn.call);
	struct world *w = c->world;
	unsigned now;

	if (call->stop != ERR_OK) { /* was cancelled */
		directus_turn_give_back(&c->turn);
		return;
	}
	w->calls[c->is_bulk]++;
	now = ++w->under_way[c->is_bulk];
	if (now > w->most[c->is_bulk])
		w->most[c->is_bulk] = now;
	if (w->calls[0] + w->calls[1] < sizeof(w->order))
		w->order[w->calls[0] + w->calls[1] - 1] = c->is_bulk ? 'b' : 'o';
	timeout_start(w->loop, &c->answer, w->takes_ms, answered);
}

static void begin(struct world *w, unsigned most, unsigned share_percent)
{
	directus_turns_init(&w->turns, w->loop, most, share_percent);
	w->takes_ms = 20;
}

static void add(struct world *w, unsigned count, bool is_bulk)
{
	unsigned place = 0;

	while (place < CALLERS && w->callers[place].world)
		place++;
	assert_true(place + count <= CALLERS);
	for (unsigned end = place + count; place < end; place++) {
		w->callers[place] =
			(struct caller){.world = w, .is_bulk = is_bulk, .turn.call.done = has_turn};
		call_again(&w->callers[place]);
	}
}

static unsigned bulk_calls_in(struct world *w, uint64_t ms)
{
	unsigned before = w->calls[1];

	run_for(w, ms);
	return w->calls[1] - before;
}

static int set_up(void **state)
{
	struct world *w = xmalloc(sizeof(*w));

	w->loop = loop_new();
	loop_fake_clock(w->loop);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	w->is_over = true;
	for (size_t i = 0; i < CALLERS && w->callers[i].world; i++)
		if (!w->callers[i].turn.call.ended)
			call_cancel(&w->callers[i].turn.call, ERR_CANCELLED);
	run_for(w, 60000);
	directus_turns_clear(&w->turns);
	loop_free(w->loop);
	free(w);
	return 0;
}

TEST(calls_of_bulk_jobs_take_their_share_of_the_time_and_come_one_by_one)
{
	struct world *w = *state;

	begin(w, 8, 20);
	add(w, 50, true);
	run_for(w, 10000);
	assert_int_equal(w->most[1], 1);
	assert_in_range(w->calls[1], 99, 101); /* of 20 ms: a fifth of 10 s */
}

TEST(the_slower_directus_is_the_fewer_calls_of_bulk_jobs_there_are)
{
	struct world *w = *state;

	begin(w, 8, 20);
	add(w, 50, true);
	w->takes_ms = 200;
	run_for(w, 10000);
	assert_in_range(w->calls[1], 9, 11);
}

TEST(others_do_not_wait_while_bulk_jobs_rest)
{
	struct world *w = *state;

	begin(w, 8, 1);
	add(w, 50, true);
	run_for(w, 100);
	add(w, 8, false);
	run_for(w, 1000);
	assert_int_equal(w->most[0], 8);
	assert_in_range(w->calls[0], 8 * 49, 8 * 51);
	assert_int_equal(w->calls[1], 1);
}

TEST(where_both_kinds_wait_they_take_turns)
{
	struct world *w = *state;

	begin(w, 1, 25600);
	add(w, 5, true);
	add(w, 5, false);
	run_for(w, 10 * 20 + 10);
	assert_int_equal(w->most[0] + w->most[1], 2);
	assert_memory_equal(w->order, "bobobobobo", 10);
}

TEST(a_share_above_all_of_the_time_is_several_calls_at_once)
{
	struct world *w = *state;

	begin(w, 8, 300);
	add(w, 50, true);
	run_for(w, 10000);
	assert_int_equal(w->most[1], 3);
	assert_in_range(w->calls[1], 1480, 1510);
	assert_int_equal(w->most[0], 0);
}

TEST(all_workers_together_have_one_share)
{
	struct world *w = *state;

	begin(w, 8, 20);
	directus_turns_share(&w->turns, 4);
	add(w, 50, true);
	run_for(w, 10000);
	assert_in_range(w->calls[1], 24, 26);
	directus_turns_share(&w->turns, 0); /* nobody knows yet: as if it was alone */
	assert_in_range(bulk_calls_in(w, 10000), 97, 101);
}

TEST(each_sign_of_overload_halves_the_share_and_good_answers_bring_it_back)
{
	struct world *w = *state;
	unsigned before;

	begin(w, 8, 20);
	add(w, 50, true);
	run_for(w, 1000);
	for (unsigned n = 0; n < 10; n++) {
		directus_turns_overload(&w->turns, 0);
		directus_turns_overload(&w->turns, 0); /* the same one: it was under way */
		before = w->calls[1];
		run_for(w, 1001);
		/* 10 calls a second at the full share; what comes back meanwhile is a 64th for each. */
		assert_true(w->calls[1] - before <= (n == 0 ? 6U : n == 1 ? 4U : 3U));
	}
	assert_true(w->turns.limit < 2);
	assert_true(bulk_calls_in(w, 5000) >= 2); /* a 32nd of the share is one call in 3.2 s */
	run_for(w, 60000);
	assert_in_range(bulk_calls_in(w, 10000), 99, 101);
	assert_int_equal((unsigned)w->turns.limit, 8);
}

TEST(answers_that_become_slow_are_a_sign_of_overload)
{
	struct world *w = *state;
	unsigned before;

	begin(w, 8, 20);
	add(w, 16, false);
	run_for(w, 1010);
	assert_int_equal(w->under_way[0], 8);
	w->takes_ms = 2000;
	run_for(w, 20000);
	assert_int_equal(w->under_way[0], 1);
	w->takes_ms = 20;
	before = w->calls[0];
	run_for(w, 10000);
	assert_int_equal(w->under_way[0], 8);
	assert_true(w->calls[0] - before > 1000);
}

TEST(a_single_slow_answer_is_no_sign_of_overload)
{
	struct world *w = *state;

	begin(w, 8, 20);
	add(w, 16, false);
	run_for(w, 1010);
	for (int i = 0; i < 5; i++) {
		directus_turns_good(&w->turns, &w->callers[0].turn, 20000);
		run_for(w, 1020);
		assert_int_equal(w->under_way[0], 8);
	}
}

TEST(a_batch_goes_on_at_the_slowest_site)
{
	struct world *w = *state;

	begin(w, 8, 1);
	add(w, 5, true);
	w->takes_ms = 10000;
	run_for(w, 10 * (10000 + BULK_REST_MAX_MS) + 1000);
	assert_in_range(w->calls[1], 10, 11);
}

TEST(nobody_calls_before_the_time_that_directus_has_named)
{
	struct world *w = *state;

	begin(w, 8, 100);
	directus_turns_overload(&w->turns, 5000);
	add(w, 5, true);
	add(w, 5, false);
	run_for(w, 4990);
	assert_int_equal(w->calls[0] + w->calls[1], 0);
	run_for(w, 20);
	assert_int_equal(w->calls[0] + w->calls[1], 4); /* half of eight */
	assert_int_equal(w->calls[1], 1);
}

TEST(who_no_longer_waits_is_left_out)
{
	struct world *w = *state;

	begin(w, 8, 20);
	add(w, 3, true);
	call_cancel(&w->callers[1].turn.call, ERR_CANCELLED);
	call_cancel(&w->callers[2].turn.call, ERR_CANCELLED);
	run_for(w, 1000);
	assert_int_equal(w->calls[1], 10);
	add(w, 1, true); /* the list is whole */
	run_for(w, 1000);
	assert_in_range(w->calls[1], 19, 21);
}

TEST(who_goes_on_comes_before_those_who_begin)
{
	struct world *w = *state;
	struct caller *late = &w->callers[3];

	begin(w, 1, 100);
	add(w, 3, true);
	*late = (struct caller){.world = w, .is_bulk = true, .turn.call.done = has_turn};
	directus_turn_start(&w->turns, &late->turn, true, true);
	run_for(w, 30);
	assert_int_equal(w->calls[1], 2);
	assert_true(late->turn.is_taken);
	run_for(w, 100); /* and the list is whole */
	assert_int_equal(w->calls[1], 7);
}

#define ENTRY_IN_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY_IN_WORLD(calls_of_bulk_jobs_take_their_share_of_the_time_and_come_one_by_one),
		ENTRY_IN_WORLD(the_slower_directus_is_the_fewer_calls_of_bulk_jobs_there_are),
		ENTRY_IN_WORLD(others_do_not_wait_while_bulk_jobs_rest),
		ENTRY_IN_WORLD(where_both_kinds_wait_they_take_turns),
		ENTRY_IN_WORLD(a_share_above_all_of_the_time_is_several_calls_at_once),
		ENTRY_IN_WORLD(all_workers_together_have_one_share),
		ENTRY_IN_WORLD(
			each_sign_of_overload_halves_the_share_and_good_answers_bring_it_back),
		ENTRY_IN_WORLD(answers_that_become_slow_are_a_sign_of_overload),
		ENTRY_IN_WORLD(a_single_slow_answer_is_no_sign_of_overload),
		ENTRY_IN_WORLD(a_batch_goes_on_at_the_slowest_site),
		ENTRY_IN_WORLD(nobody_calls_before_the_time_that_directus_has_named),
		ENTRY_IN_WORLD(who_no_longer_waits_is_left_out),
		ENTRY_IN_WORLD(who_goes_on_comes_before_those_who_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
