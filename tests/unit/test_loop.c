/* The loop: timeouts in order, the real and the fake clock, descriptors, names. */
#include "common/loop.h"

#include "common/arena.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

enum { MANY = 1000 };

struct tick {
	struct timeout timeout;
	struct loop *loop;
	uint64_t wanted;
	size_t *count;
	uint64_t *last;
};

static void ticked(struct timeout *t)
{
	struct tick *k = container_of(t, struct tick, timeout);

	assert_true(loop_now(k->loop) >= k->wanted);
	assert_true(k->wanted >= *k->last);
	*k->last = k->wanted;
	(*k->count)++;
}

TEST(a_thousand_timeouts_run_in_order_and_a_stopped_one_does_not)
{
	struct tick *ticks = xmalloc(MANY * sizeof(*ticks));
	struct loop *l = loop_new();
	size_t count = 0, stopped = 0;
	uint64_t last = 0, start;

	(void)state;
	srandom(7);
	loop_fake_clock(l);
	start = loop_now(l);
	for (size_t i = 0; i < MANY; i++) {
		uint64_t ms = (uint64_t)random() % 5000;

		ticks[i] = (struct tick){{.place = 0}, l, start + ms, &count, &last};
		timeout_start(l, &ticks[i].timeout, ms, ticked);
	}
	for (size_t i = 0; i < MANY; i += 3, stopped++)
		timeout_stop(l, &ticks[i].timeout);
	loop_run(l);
	assert_int_equal(count, MANY - stopped);
	loop_free(l);
	free(ticks);
}

TEST(a_timeout_that_is_started_again_moves)
{
	struct loop *l = loop_new();
	size_t count = 0;
	uint64_t last = 0;
	struct tick k = {.loop = l, .count = &count, .last = &last};

	(void)state;
	loop_fake_clock(l);
	k.wanted = loop_now(l) + 500;
	timeout_start(l, &k.timeout, 10, ticked);
	timeout_start(l, &k.timeout, 500, ticked);
	loop_run(l);
	assert_int_equal(count, 1);
	loop_free(l);
}

static void restart(struct timeout *t)
{
	struct tick *k = container_of(t, struct tick, timeout);

	if (++*k->count < 5)
		timeout_start(k->loop, t, 0, restart);
}

TEST(a_timeout_may_start_itself_again_on_the_real_clock)
{
	struct loop *l = loop_new();
	size_t count = 0;
	struct tick k = {.loop = l, .count = &count};

	(void)state;
	timeout_start(l, &k.timeout, 1, restart);
	loop_run(l);
	assert_int_equal(count, 5);
	loop_free(l);
}

struct pipe_end {
	struct watch *watch;
	int fd;
	char got;
};

static void readable(void *arg, int events)
{
	struct pipe_end *p = arg;

	assert_int_equal(events & WATCH_READ, WATCH_READ);
	assert_int_equal(read(p->fd, &p->got, 1), 1);
	watch_free(p->watch);
}

TEST(a_watched_descriptor_tells_when_it_can_be_read)
{
	struct loop *l = loop_new();
	struct pipe_end p = {0};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	p.fd = fds[0];
	p.watch = watch_new(l, fds[0], WATCH_READ, readable, &p);
	assert_int_equal(write(fds[1], "x", 1), 1);
	loop_run(l);
	assert_int_equal(p.got, 'x');
	loop_free(l);
	close(fds[0]);
	close(fds[1]);
}

static void nothing(struct call *c)
{
	(void)c;
}

TEST(a_host_name_is_resolved)
{
	struct loop *l = loop_new();
	struct resolve_call r = {.call.done = nothing};

	(void)state;
	resolve_start(l, &r, "127.0.0.1", 6379);
	loop_run(l);
	assert_int_equal(r.call.err.code, ERR_OK);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.addresses[0].ss_family, AF_INET);
	loop_free(l);
}

TEST(a_name_that_does_not_exist_is_an_error_that_names_it)
{
	struct loop *l = loop_new();
	struct resolve_call r = {.call.done = nothing};

	(void)state;
	resolve_start(l, &r, "no-such-host.invalid", 80);
	loop_run(l);
	assert_int_equal(r.call.err.code, ERR_CONNECTION);
	assert_non_null(strstr(r.call.err.text, "no-such-host.invalid"));
	loop_free(l);
}

TEST(a_look_up_that_is_cancelled_ends_once_and_leaks_nothing)
{
	struct loop *l = loop_new();
	struct resolve_call r = {.call.done = nothing};

	(void)state;
	resolve_start(l, &r, "localhost", 80);
	call_cancel(&r.call, ERR_CANCELLED);
	assert_true(loop_is_looking_up(l));
	loop_run(l);
	assert_int_equal(r.call.err.code, ERR_CANCELLED);
	assert_false(loop_is_looking_up(l));
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_thousand_timeouts_run_in_order_and_a_stopped_one_does_not),
		ENTRY(a_timeout_that_is_started_again_moves),
		ENTRY(a_timeout_may_start_itself_again_on_the_real_clock),
		ENTRY(a_watched_descriptor_tells_when_it_can_be_read),
		ENTRY(a_host_name_is_resolved),
		ENTRY(a_name_that_does_not_exist_is_an_error_that_names_it),
		ENTRY(a_look_up_that_is_cancelled_ends_once_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
