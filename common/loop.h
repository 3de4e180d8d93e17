/* common/loop.h: the event loop: ended calls, time, descriptors, signals, names.
 *
 * One thread, one loop. Timeouts are plain structs in one heap under one uv_timer, so their owner
 * may be freed at any time after timeout_stop(). Time is in milliseconds; loop_now() never goes
 * back and starts anywhere, wall_ms() is the time of day. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/call.h"

#include <sys/socket.h>

struct loop;
struct uv_loop_s;

struct loop *loop_new(void);
/* Closes what is left and waits for it. Everything that uses the loop must be freed before. */
void loop_free(struct loop *l);

void loop_run(struct loop *l); /* until loop_stop(), or until nothing is left to wait for */
void loop_stop(struct loop *l);

uint64_t loop_now(struct loop *l);
uint64_t wall_ms(void); /* since 1970 */

/* For tests: loop_now() then moves only when nothing else is to do, and jumps to the next timeout. */
void loop_fake_clock(struct loop *l);

struct uv_loop_s *loop_uv(struct loop *l);           /* for http.c and redis.c */
void loop_add_ended(struct loop *l, struct call *c); /* for call_end() */

/* ---- timeouts ---- */

struct timeout {
	void (*fn)(struct timeout *t);
	uint64_t at;
	uint64_t order; /* those of the same moment run in the order in which they were started */
	size_t place;   /* in the heap, from 1; 0: not running */
};

/* Once, ms from now (0: as soon as possible). One that runs already is moved. */
void timeout_start(struct loop *l, struct timeout *t, uint64_t ms, void (*fn)(struct timeout *t));
void timeout_stop(struct loop *l, struct timeout *t); /* also if it does not run */
static inline bool timeout_is_running(const struct timeout *t)
{
	return t->place != 0;
}

/* A call that ends after a while. */
struct sleep_call {
	struct call call;
	struct timeout timeout;
};
void sleep_start(struct loop *l, struct sleep_call *s, uint64_t ms);

/* ---- descriptors and signals, for libraries with a descriptor of their own ---- */

struct watch;
enum { WATCH_READ = 1, WATCH_WRITE = 2 };

/* fn gets the events that are there; -1 is an error of the descriptor. */
struct watch *watch_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events),
			void *arg);
void watch_change(struct watch *w, int events);
void watch_free(struct watch *w); /* before the descriptor is closed; takes NULL */

/* A signal that is watched never ends the process, also after the watch is freed. Threads that exist
 * already do not know that: call signal_hold() before anything else does something. What comes
 * between the two is told when the watch is made. */
void signal_hold(int number);
struct signal_watch *signal_watch_new(struct loop *l, int number, void (*fn)(void *arg), void *arg);
void signal_watch_free(struct signal_watch *s);

/* ---- names ---- */

enum { RESOLVE_MAX = 8 };

/* The addresses of a host, in the order to try them, without holding up the loop. */
struct resolve_call {
	struct call call; /* ERR_CONNECTION: there is no such name, or nobody answered */
	struct sockaddr_storage addresses[RESOLVE_MAX];
	size_t count; /* at least 1 if it went well */
	struct resolve_request *request;
};
void resolve_start(struct loop *l, struct resolve_call *r, const char *host, uint16_t port);

/* A thread is looking a name up. Cancelled or not, it has the resolver's own time, which may be a
 * minute where no server answers; loop_free() and the end of the process wait for it. */
bool loop_is_looking_up(const struct loop *l);

#endif
