/* common/task.h: a call made of steps.
 *
 * A step is a function. It starts at most one call, and says what is next:
 *
 *	return task_go(t, pick);                         at once
 *	return task_await(t, &x->http.call, answered);   when that has ended well; if it fails, so
 *	                                                 does the task, with the same error
 *	return task_await_either(t, c, operation_done);  when it has ended; the step looks at c->err
 *	return task_end(t);                              no more steps (failed, if t->call.err is set)
 *	return task_fail(t, ERR_INVALID_RESPONSE, "...");
 *	return task_fail_as(t, &err);
 *
 * The call is started before it is awaited: X_start() never ends it at once, so nothing is missed.
 * No step runs once the task is cancelled, only its cleanup. In a file, steps stand in the order in
 * which they run, under one line that lists them: `static task_step begin, allowed, answered;`. */
#ifndef COMMON_TASK_H
#define COMMON_TASK_H

#include "common/call.h"

struct task;
enum task_next { TASK_GO, TASK_WAIT };
typedef enum task_next task_step(struct task *t);

struct task {
	struct call call; /* the task, as its starter sees it */
	task_step *step;
	const char *step_name; /* for the log and for error texts */
	bool either;
	/* Runs once, however it ends, before done(): gives back what the task holds on to. Set it
	 * before task_start(), or NULL. */
	void (*cleanup)(struct task *t);
};

/* Runs the first step at once; the end comes from the loop all the same. */
void task_start(struct task *t, struct loop *loop, task_step *first);

#define task_go(t, step)              task_goes((t), (step), #step)
#define task_await(t, c, step)        task_waits((t), (c), (step), #step)
#define task_await_either(t, c, step) task_waits_either((t), (c), (step), #step)

enum task_next task_end(struct task *t);
enum task_next task_fail(struct task *t, enum error_code code, const char *format, ...)
	PRINTF(3, 4);
enum task_next task_fail_as(struct task *t, const struct error *err);

/* What the macros above stand for. */
enum task_next task_goes(struct task *t, task_step *step, const char *name);
enum task_next task_waits(struct task *t, struct call *child, task_step *step, const char *name);
enum task_next task_waits_either(struct task *t, struct call *child, task_step *step,
				 const char *name);

#endif
