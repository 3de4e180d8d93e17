/* common/call.h: one thing under way, whatever it is: an HTTP exchange, a Redis command, a sleep,
 * a wait for a limit, an operation, a whole job. It is embedded in the struct that holds its
 * request and its reply.
 *
 *   - What was started ends exactly once, cancelled or not.
 *   - done() runs from the top of the event loop, never inside a start, a cancel or a library's
 *     callback: nothing below it can touch what it frees.
 *   - A call's memory lives until its done() runs; done() may free it.
 *   - X_start() never fails and never ends the call inside itself: a bad URL and a dead connection
 *     end it from the loop, too. So whoever starts a call has one path.
 *
 * Who starts a call sets done (a task's await does it for its steps). Who carries a call out calls
 * call_begin() in its X_start(), sets cancel, and calls call_end() when it is over. */
#ifndef COMMON_CALL_H
#define COMMON_CALL_H

#include "common/error.h"

struct loop;

struct call {
	struct loop *loop;
	void (*done)(struct call *c); /* set by whoever starts it */
	void (*cancel)(
		struct call *c);     /* set by whoever carries it out; leads to call_end(). err is
	                                   set before it is called, and stays */
	struct call *parent, *child; /* who waits for it; what it waits for */
	struct error err;            /* ERR_OK, or why it failed */
	enum error_code stop;        /* ERR_OK, or why it has been told to stop */
	bool ended;
	struct call *next_ready; /* loop.c's */
};

/* done and parent stay as they are; all else is as new. */
void call_begin(struct call *c, struct loop *loop, void (*cancel)(struct call *c));

/* It is over: done() will be called from the loop. Only once. */
void call_end(struct call *c);

/* Ends it from outside, with `why` as its error; the first reason stands. What it waits for is
 * cancelled, innermost first. A call that has ended already is left alone. */
void call_cancel(struct call *c, enum error_code why);

#endif
