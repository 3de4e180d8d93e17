/* Calls and tasks: what was started ends exactly once, from the loop, however it is cancelled. */
#include "common/loop.h"
#include "common/task.h"

#include "tests/unit/test.h"

struct inner {
	struct task task;
	struct sleep_call sleep;
	enum error_code fail_with;
	int cleaned;
};

struct outer {
	struct task task;
	struct inner inner;
	struct loop *loop;
	bool either;
	int cleaned, ended, steps;
};

static task_step inner_begin, inner_rested;
static task_step outer_begin, outer_done;

static enum task_next inner_begin(struct task *t)
{
	struct inner *in = container_of(t, struct inner, task);

	sleep_start(t->call.loop, &in->sleep, 100);
	return task_await(t, &in->sleep.call, inner_rested);
}

static enum task_next inner_rested(struct task *t)
{
	struct inner *in = container_of(t, struct inner, task);

	if (in->fail_with != ERR_OK)
		return task_fail(t, in->fail_with, "told to");
	return task_end(t);
}

static void inner_cleanup(struct task *t)
{
	container_of(t, struct inner, task)->cleaned++;
}

static enum task_next outer_begin(struct task *t)
{
	struct outer *o = container_of(t, struct outer, task);

	o->inner.task.cleanup = inner_cleanup;
	task_start(&o->inner.task, t->call.loop, inner_begin);
	return o->either ? task_await_either(t, &o->inner.task.call, outer_done)
			 : task_await(t, &o->inner.task.call, outer_done);
}

static enum task_next outer_done(struct task *t)
{
	container_of(t, struct outer, task)->steps++;
	return task_end(t);
}

static void outer_cleanup(struct task *t)
{
	container_of(t, struct outer, task)->cleaned++;
}

static void outer_ended(struct call *c)
{
	container_of(c, struct outer, task.call)->ended++;
}

static void start(struct outer *o, struct loop *l)
{
	o->loop = l;
	o->task.call.done = outer_ended;
	o->task.cleanup = outer_cleanup;
	task_start(&o->task, l, outer_begin);
}

static void finish(struct outer *o)
{
	loop_run(o->loop);
	assert_int_equal(o->ended, 1);
	assert_int_equal(o->cleaned, 1);
	assert_int_equal(o->inner.cleaned, 1);
	loop_free(o->loop);
}

static struct loop *fake_loop(void)
{
	struct loop *l = loop_new();

	loop_fake_clock(l);
	return l;
}

TEST(a_task_goes_on_when_what_it_waits_for_has_ended_well)
{
	struct outer o = {.either = false};

	(void)state;
	start(&o, fake_loop());
	finish(&o);
	assert_int_equal(o.steps, 1);
	assert_int_equal(o.task.call.err.code, ERR_OK);
}

TEST(a_task_fails_with_the_error_of_what_it_awaits)
{
	struct outer o = {.inner.fail_with = ERR_INVALID_RESPONSE};

	(void)state;
	start(&o, fake_loop());
	finish(&o);
	assert_int_equal(o.steps, 0);
	assert_int_equal(o.task.call.err.code, ERR_INVALID_RESPONSE);
	assert_string_equal(o.task.call.err.text, "told to");
}

TEST(await_either_lets_the_step_look_at_the_error)
{
	struct outer o = {.either = true, .inner.fail_with = ERR_INVALID_RESPONSE};

	(void)state;
	start(&o, fake_loop());
	finish(&o);
	assert_int_equal(o.steps, 1);
	assert_int_equal(o.task.call.err.code, ERR_OK);
}

TEST(a_task_cancelled_at_once_runs_no_further_step)
{
	struct outer o = {.either = true};

	(void)state;
	start(&o, fake_loop());
	call_cancel(&o.task.call, ERR_CANCELLED);
	finish(&o);
	assert_int_equal(o.steps, 0);
	assert_int_equal(o.task.call.err.code, ERR_CANCELLED);
}

static void cancel_soon(struct timeout *t);

struct canceller {
	struct timeout timeout;
	struct outer *outer;
	int times;
};

static void cancel_soon(struct timeout *t)
{
	struct canceller *c = container_of(t, struct canceller, timeout);

	for (int i = 0; i < c->times; i++)
		call_cancel(&c->outer->task.call, i ? ERR_TIMEOUT : ERR_CANCELLED);
}

static void cancelled_after(uint64_t ms, int times)
{
	struct outer o = {.either = true};
	struct canceller c = {.outer = &o, .times = times};
	struct loop *l = fake_loop();

	timeout_start(l, &c.timeout, ms, cancel_soon);
	start(&o, l);
	finish(&o);
	assert_int_equal(o.steps, 0);
	assert_int_equal(o.task.call.err.code, ERR_CANCELLED);
}

TEST(a_sleeping_task_can_be_cancelled)
{
	(void)state;
	cancelled_after(50, 1);
}

TEST(the_first_reason_to_cancel_stands)
{
	(void)state;
	cancelled_after(50, 2);
}

TEST(a_child_that_has_ended_but_is_not_told_yet_does_not_stop_a_cancel)
{
	(void)state;
	cancelled_after(100, 1); /* the same moment: started before the sleep, so it runs first */
}

TEST(a_call_that_has_ended_is_not_cancelled_any_more)
{
	struct outer o = {.either = true};

	(void)state;
	start(&o, fake_loop());
	loop_run(o.loop);
	call_cancel(&o.task.call, ERR_CANCELLED);
	assert_int_equal(o.task.call.err.code, ERR_OK);
	finish(&o);
}

static enum task_next ends_at_once(struct task *t)
{
	return task_end(t);
}

static void count_end(struct call *c)
{
	struct outer *o = container_of(c, struct outer, task.call);

	o->ended++;
}

TEST(a_task_that_ends_in_its_first_step_is_told_from_the_loop)
{
	struct outer o = {.loop = fake_loop()};

	(void)state;
	o.task.call.done = count_end;
	task_start(&o.task, o.loop, ends_at_once);
	assert_int_equal(o.ended, 0);
	loop_run(o.loop);
	assert_int_equal(o.ended, 1);
	loop_free(o.loop);
}

static enum task_next cancels_itself(struct task *t)
{
	struct outer *o = container_of(t, struct outer, task);

	call_cancel(&t->call, ERR_CANCELLED);
	sleep_start(t->call.loop, &o->inner.sleep, 1000000);
	return task_await(t, &o->inner.sleep.call, outer_done);
}

TEST(a_step_that_is_cancelled_while_it_runs_takes_its_new_call_with_it)
{
	struct outer o = {.loop = fake_loop()};

	(void)state;
	o.task.call.done = count_end;
	task_start(&o.task, o.loop, cancels_itself);
	loop_run(o.loop);
	assert_int_equal(o.ended, 1);
	assert_int_equal(o.steps, 0);
	assert_int_equal(o.task.call.err.code, ERR_CANCELLED);
	assert_true(loop_now(o.loop) < 1000);
	loop_free(o.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_task_goes_on_when_what_it_waits_for_has_ended_well),
		ENTRY(a_task_fails_with_the_error_of_what_it_awaits),
		ENTRY(await_either_lets_the_step_look_at_the_error),
		ENTRY(a_task_cancelled_at_once_runs_no_further_step),
		ENTRY(a_sleeping_task_can_be_cancelled),
		ENTRY(the_first_reason_to_cancel_stands),
		ENTRY(a_child_that_has_ended_but_is_not_told_yet_does_not_stop_a_cancel),
		ENTRY(a_call_that_has_ended_is_not_cancelled_any_more),
		ENTRY(a_task_that_ends_in_its_first_step_is_told_from_the_loop),
		ENTRY(a_step_that_is_cancelled_while_it_runs_takes_its_new_call_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
