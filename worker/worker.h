/* worker/worker.h: free slots → claim → run → finish; and how to stop.
 *
 * Never more is claimed than can run at once. A job goes through three steps here: it is read (a body
 * that is no job ends dead), run (run.h), and finished with the queue; then its slot is free.
 *
 * Stopping: worker_drain() claims nothing more and lets what runs come to its end. What still runs
 * when the drain time is over is stopped and goes back to the queue, where it costs no attempt. The
 * drain time is WORKER_DRAIN_TIMEOUT, or the longest call under way and ten seconds.
 *
 * A Redis that is away then has REDIS_LAST_MS (worker.c) to come back and be told. After that the
 * queue is given up (queue_give_up()): answers go to the spool, all else is left to leases that run
 * out. So a drain ends, whatever Redis does. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "common/base.h"

struct config;
struct error;
struct flows;
struct lease;
struct loop;
struct metrics;
struct on_dead;
struct queue;
struct run_logs;
struct services;
struct worker;

struct worker_options {
	const struct config *config;
	const struct services *services;
	struct loop *loop;
	struct flows *flows;     /* NULL: no Directus */
	struct metrics *metrics; /* NULL: nothing is counted */
	struct on_dead *on_dead; /* NULL: nobody is told of failures */
	struct run_logs *logs;   /* NULL: no run logs in Directus */
};

struct worker *worker_new(const struct worker_options *options);
void worker_free(struct worker *w); /* nothing may run */

/* Claims from now on; the queue must have been started. */
void worker_start(struct worker *w, struct queue *queue);

/* Then calls done(arg) once, when nothing runs any more. */
void worker_drain(struct worker *w, void (*done)(void *arg), void *arg);

/* What the queue asks and tells (struct queue_options, with arg = the worker). */
struct arena;
struct job_description;
struct queue_untold;
bool worker_describe(void *arg, struct str body, struct arena *a, struct job_description *out,
		     struct error *err);
void worker_lost(void *arg, struct lease *lease);
void worker_cancel(void *arg, struct lease *lease);
void worker_note(void *arg, const struct error *err);
void worker_untold(void *arg, const struct queue_untold *what);
void worker_refused(void *arg, const char *id, const char *tenant, const struct error *err);

#endif
