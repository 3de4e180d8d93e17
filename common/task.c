#include "common/task.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static void run_steps(struct task *t)
{
	enum task_next next = TASK_GO;

	while (next == TASK_GO) {
		if (t->call.stop != ERR_OK)
			next = task_fail(t, t->call.stop, "%s at %s", error_code_name(t->call.stop),
					 t->step_name);
		else
			next = t->step(t);
	}
}

/* The cancel() of a task that waits for nothing: it is inside one of its own steps, and
 * run_steps() looks at call.stop when the step returns. */
static void cancel_running(struct call *c)
{
	(void)c;
}

void task_start(struct task *t, struct loop *loop, task_step *first)
{
	call_begin(&t->call, loop, cancel_running);
	(void)task_goes(t, first, "start");
	run_steps(t);
}

enum task_next task_goes(struct task *t, task_step *step, const char *name)
{
	t->step = step;
	t->step_name = name;
	return TASK_GO;
}

static void wake(struct call *child) /* the done() of whatever the task waits for */
{
	struct task *t = container_of(child->parent, struct task, call);

	t->call.child = NULL;
	if (t->call.stop == ERR_OK && child->err.code != ERR_OK && !t->either)
		(void)task_fail_as(t, &child->err);
	else
		run_steps(t);
}

static enum task_next wait_for(struct task *t, struct call *child)
{
	child->parent = &t->call;
	child->done = wake;
	t->call.child = child;
	/* Cancelled while the step was running: the call it has started goes the same way. */
	if (t->call.stop != ERR_OK)
		call_cancel(child, t->call.stop);
	return TASK_WAIT;
}

enum task_next task_waits(struct task *t, struct call *child, task_step *step, const char *name)
{
	(void)task_goes(t, step, name);
	t->either = false;
	return wait_for(t, child);
}

enum task_next task_waits_either(struct task *t, struct call *child, task_step *step,
				 const char *name)
{
	(void)task_goes(t, step, name);
	t->either = true;
	return wait_for(t, child);
}

enum task_next task_end(struct task *t)
{
	assert(!t->call.child);
	t->step = NULL;
	if (t->cleanup)
		t->cleanup(t);
	call_end(&t->call);
	return TASK_WAIT;
}

enum task_next task_fail(struct task *t, enum error_code code, const char *format, ...)
{
	char text[sizeof(t->call.err.text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	(void)fail(&t->call.err, code, "%s", text);
	return task_end(t);
}

enum task_next task_fail_as(struct task *t, const struct error *err)
{
	assert(err->code != ERR_OK);
	if (err != &t->call.err)
		t->call.err = *err;
	return task_end(t);
}
