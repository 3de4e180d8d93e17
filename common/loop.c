/* The loop's turn: timers, then the sockets, then the calls that have ended. While ended calls wait
 * to be told, an idle handle is active, which keeps libuv from sleeping in the poll. A turn tells at
 * most ENDED_PER_TURN calls, so that a burst of answers does not starve the sockets. */
#include "common/loop.h"

#include "common/arena.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { ENDED_PER_TURN = 128, CLOSING_S = 30 };

struct loop {
	uv_loop_t uv;
	uv_timer_t timer;
	uv_idle_t idle;
	struct call *first_ended, **last_ended;
	struct timeout **heap; /* [1] is the next one; [0] is not used */
	size_t heap_count, heap_size;
	uint64_t order;
	uint64_t fake_now; /* 0: the real clock */
	bool stopped;
	unsigned lookups; /* that threads have */
};

static void tell_ended(uv_idle_t *idle);
static void timer_due(uv_timer_t *timer);

struct loop *loop_new(void)
{
	struct loop *l = xmalloc(sizeof(*l));
	int failed = uv_loop_init(&l->uv);

	if (failed)
		abort();
	(void)signal(SIGPIPE, SIG_IGN); /* libuv's writes raise it when the other side has gone */
	l->uv.data = l;
	(void)uv_timer_init(&l->uv, &l->timer);
	(void)uv_idle_init(&l->uv, &l->idle);
	l->last_ended = &l->first_ended;
	return l;
}

void loop_free(struct loop *l)
{
	uint64_t give_up;

	if (!l)
		return;
	while (l->first_ended) /* a call that was cancelled just now: its done() frees it */
		(void)uv_run(&l->uv, UV_RUN_NOWAIT);
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->idle, NULL);
	/* What is closing needs a turn or two, a look-up under way its answer. An active handle that is
	 * left would hold up the end of the process for ever: it is a bug of ours, and is shown. */
	give_up = uv_hrtime() + (uint64_t)CLOSING_S * 1000000000;
	while (uv_run(&l->uv, UV_RUN_NOWAIT) != 0 && uv_hrtime() < give_up)
		(void)usleep(1000);
	if (uv_loop_close(&l->uv) != 0) {
		uv_print_all_handles(&l->uv, stderr);
		abort();
	}
	free(l->heap);
	free(l);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
	uv_stop(&l->uv);
}

/* ---- ended calls ---- */

void loop_add_ended(struct loop *l, struct call *c)
{
	*l->last_ended = c;
	l->last_ended = &c->next_ready;
	(void)uv_idle_start(&l->idle, tell_ended);
}

static void tell_ended(uv_idle_t *idle)
{
	struct loop *l = container_of(idle, struct loop, idle);

	for (int i = 0; i < ENDED_PER_TURN && l->first_ended; i++) {
		struct call *c = l->first_ended;

		l->first_ended = c->next_ready;
		if (!l->first_ended)
			l->last_ended = &l->first_ended;
		c->next_ready = NULL;
		if (c->done)
			c->done(c);
	}
	if (!l->first_ended)
		(void)uv_idle_stop(&l->idle);
}

/* ---- time ---- */

uint64_t loop_now(struct loop *l)
{
	return l->fake_now ? l->fake_now : uv_now(&l->uv);
}

uint64_t wall_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void loop_fake_clock(struct loop *l)
{
	l->fake_now = 1;
}

static bool is_before(const struct timeout *a, const struct timeout *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void heap_set(struct loop *l, size_t place, struct timeout *t)
{
	l->heap[place] = t;
	t->place = place;
}

static void heap_up(struct loop *l, size_t place)
{
	struct timeout *t = l->heap[place];

	for (; place > 1 && is_before(t, l->heap[place / 2]); place /= 2)
		heap_set(l, place, l->heap[place / 2]);
	heap_set(l, place, t);
}

static void heap_down(struct loop *l, size_t place)
{
	struct timeout *t = l->heap[place];
	size_t child;

	while ((child = place * 2) <= l->heap_count) {
		if (child < l->heap_count && is_before(l->heap[child + 1], l->heap[child]))
			child++;
		if (!is_before(l->heap[child], t))
			break;
		heap_set(l, place, l->heap[child]);
		place = child;
	}
	heap_set(l, place, t);
}

static void heap_remove(struct loop *l, struct timeout *t)
{
	size_t place = t->place;
	struct timeout *last = l->heap[l->heap_count--];

	t->place = 0;
	if (last == t)
		return;
	heap_set(l, place, last);
	heap_up(l, place);
	heap_down(l, last->place);
}

static void arm_timer(struct loop *l)
{
	uint64_t at, now;

	if (l->fake_now)
		return;
	if (l->heap_count == 0) {
		(void)uv_timer_stop(&l->timer);
		return;
	}
	at = l->heap[1]->at;
	now = uv_now(&l->uv);
	(void)uv_timer_start(&l->timer, timer_due, at > now ? at - now : 0, 0);
}

static void run_due(struct loop *l)
{
	uint64_t newest = l->order; /* those started meanwhile have to wait for the next turn */

	while (l->heap_count && l->heap[1]->at <= loop_now(l) && l->heap[1]->order <= newest) {
		struct timeout *t = l->heap[1];

		heap_remove(l, t);
		t->fn(t);
	}
}

static void timer_due(uv_timer_t *timer)
{
	struct loop *l = container_of(timer, struct loop, timer);

	run_due(l);
	arm_timer(l);
}

void timeout_start(struct loop *l, struct timeout *t, uint64_t ms, void (*fn)(struct timeout *t))
{
	if (t->place)
		heap_remove(l, t);
	if (l->heap_count + 2 > l->heap_size) {
		l->heap_size = l->heap_size ? l->heap_size * 2 : 64;
		l->heap = xrealloc(l->heap, l->heap_size * sizeof(struct timeout *));
	}
	if (!l->fake_now)
		uv_update_time(&l->uv);
	t->fn = fn;
	t->at = loop_now(l) + ms;
	t->order = ++l->order;
	heap_set(l, ++l->heap_count, t);
	heap_up(l, l->heap_count);
	if (t->place == 1)
		arm_timer(l);
}

void timeout_stop(struct loop *l, struct timeout *t)
{
	bool was_next = t->place == 1;

	if (!t->place)
		return;
	heap_remove(l, t);
	if (was_next)
		arm_timer(l);
}

/* A turn with the fake clock; false: nothing is left to do. */
static bool fake_turn(struct loop *l)
{
	bool busy = uv_run(&l->uv, UV_RUN_NOWAIT) != 0;

	if (l->first_ended)
		return true;
	if (l->heap_count == 0)
		return busy;
	l->fake_now = u64_max(l->fake_now, l->heap[1]->at);
	run_due(l);
	return true;
}

void loop_run(struct loop *l)
{
	l->stopped = false;
	if (!l->fake_now)
		(void)uv_run(&l->uv, UV_RUN_DEFAULT);
	else
		while (!l->stopped && fake_turn(l))
			;
}

static void sleep_over(struct timeout *t)
{
	call_end(&container_of(t, struct sleep_call, timeout)->call);
}

static void sleep_cancel(struct call *c)
{
	timeout_stop(c->loop, &container_of(c, struct sleep_call, call)->timeout);
	call_end(c);
}

void sleep_start(struct loop *l, struct sleep_call *s, uint64_t ms)
{
	call_begin(&s->call, l, sleep_cancel);
	s->timeout = (struct timeout){.place = 0};
	timeout_start(l, &s->timeout, ms, sleep_over);
}

/* ---- descriptors and signals ---- */

struct watch {
	uv_poll_t poll;
	void (*fn)(void *arg, int events);
	void *arg;
};

static void watch_ready(uv_poll_t *poll, int status, int events)
{
	struct watch *w = container_of(poll, struct watch, poll);

	w->fn(w->arg, status < 0 ? -1 : events);
}

struct watch *watch_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events),
			void *arg)
{
	struct watch *w = xmalloc(sizeof(*w));
	int failed = uv_poll_init(&l->uv, &w->poll, fd);

	if (failed)
		abort(); /* not a descriptor that can be polled, or watched twice: a bug of ours */
	w->fn = fn;
	w->arg = arg;
	watch_change(w, events);
	return w;
}

void watch_change(struct watch *w, int events)
{
	static_assert((int)WATCH_READ == (int)UV_READABLE && (int)WATCH_WRITE == (int)UV_WRITABLE,
		      "watch events are libuv's");
	if (events)
		(void)uv_poll_start(&w->poll, events, watch_ready);
	else
		(void)uv_poll_stop(&w->poll);
}

static void free_data(uv_handle_t *handle)
{
	free(handle->data);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	w->poll.data = w;
	(void)uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, free_data);
}

/* The signal is held back from all threads and read from a descriptor: so it never ends the process,
 * also not while the loop is being taken down. */
struct signal_watch {
	struct watch *watch;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

void signal_hold(int number)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, number);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		abort();
}

static void signal_came(void *arg, int events)
{
	struct signal_watch *s = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(s->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		s->fn(s->arg);
}

struct signal_watch *signal_watch_new(struct loop *l, int number, void (*fn)(void *arg), void *arg)
{
	struct signal_watch *s = xmalloc(sizeof(*s));
	sigset_t set;

	signal_hold(number);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, number);
	s->fn = fn;
	s->arg = arg;
	s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->fd < 0)
		abort();
	s->watch = watch_new(l, s->fd, WATCH_READ, signal_came, s);
	return s;
}

void signal_watch_free(struct signal_watch *s)
{
	if (!s)
		return;
	watch_free(s->watch);
	(void)close(s->fd);
	free(s);
}

/* ---- names ---- */

/* Lives until libuv's answer, longer than the call if that is cancelled. */
struct resolve_request {
	uv_getaddrinfo_t uv;
	struct loop *loop;
	struct resolve_call *call; /* NULL: nobody waits any more */
	char host[256], port[8];
};

static void take_addresses(struct resolve_call *r, const struct addrinfo *found)
{
	for (; found && r->count < RESOLVE_MAX; found = found->ai_next)
		if (found->ai_addrlen <= sizeof(r->addresses[0]))
			memcpy(&r->addresses[r->count++], found->ai_addr, found->ai_addrlen);
}

static void resolved(uv_getaddrinfo_t *uv, int status, struct addrinfo *found)
{
	struct resolve_request *q = container_of(uv, struct resolve_request, uv);
	struct resolve_call *r = q->call;

	q->loop->lookups--;
	if (r) {
		r->request = NULL;
		take_addresses(r, found);
		if (r->count == 0)
			(void)fail(&r->call.err, ERR_CONNECTION, "no address for host '%.100s': %s",
				   q->host, status ? uv_strerror(status) : "empty answer");
		call_end(&r->call);
	}
	uv_freeaddrinfo(found);
	free(q);
}

static void resolve_cancel(struct call *c)
{
	struct resolve_call *r = container_of(c, struct resolve_call, call);

	if (r->request) {
		r->request->call = NULL;
		(void)uv_cancel((uv_req_t *)&r->request->uv);
		r->request = NULL;
	}
	call_end(c);
}

void resolve_start(struct loop *l, struct resolve_call *r, const char *host, uint16_t port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct resolve_request *q = xmalloc(sizeof(*q));
	int failed;

	call_begin(&r->call, l, resolve_cancel);
	r->count = 0;
	r->request = q;
	q->call = r;
	q->loop = l;
	(void)snprintf(q->host, sizeof(q->host), "%s", host);
	(void)snprintf(q->port, sizeof(q->port), "%u", port);
	if (strlen(host) >= sizeof(q->host))
		failed = UV_ENAMETOOLONG;
	else
		failed = uv_getaddrinfo(&l->uv, &q->uv, resolved, q->host, q->port, &hints);
	if (failed) {
		(void)fail(&r->call.err, ERR_CONNECTION, "no address for host '%.100s': %s", host,
			   uv_strerror(failed));
		r->request = NULL;
		free(q);
		call_end(&r->call);
	} else {
		l->lookups++;
	}
}

bool loop_is_looking_up(const struct loop *l)
{
	return l->lookups > 0;
}
