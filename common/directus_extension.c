/*	look ─► (nothing is known) ask ─► answered          */
#include "common/directus_extension.h"

#include "common/log.h"

static task_step look, answered;

static struct directus_extension_call *call_of(struct task *t)
{
	return container_of(t, struct directus_extension_call, task);
}

static enum task_next look(struct task *t)
{
	struct directus_extension_call *c = call_of(t);
	const struct directus_extension *known = directus_extension(c->directus);
	struct directus_request req = {.method = "GET", .path = "/flow-worker"};

	c->present = known->present;
	if (loop_now(t->call.loop) < known->until)
		return task_end(t);
	directus_start(c->directus, &c->ask, &req, c->arena);
	return task_await_either(t, &c->ask.task.call, answered);
}

static void tell(struct directus_extension *known, const char *what, const char *why)
{
	if (!known->told)
		log_write(LOG_WARN, what, LOG_TEXT("why", why), LOG_END);
	known->told = true;
}

static enum task_next answered(struct task *t)
{
	struct directus_extension_call *c = call_of(t);
	struct directus_extension *known = directus_extension(c->directus);
	const struct error *err = &c->ask.task.call.err;

	if (err->code != ERR_OK && c->ask.status != 404 && c->ask.status != 403)
		return task_fail_as(t, err);
	c->present = err->code == ERR_OK && (int)json_get_number(c->ask.data, "protocol", 0) ==
						    DIRECTUS_EXTENSION_PROTOCOL;
	if (c->ask.status == 403)
		tell(known,
		     "Directus has the extension, but not for this worker: set FLOW_WORKER_USER "
		     "there to the id of the user of DIRECTUS_TOKEN",
		     err->text);
	else if (err->code == ERR_OK && !c->present)
		tell(known, "Directus has an extension of another version than this worker", NULL);
	known->present = c->present;
	known->until = loop_now(t->call.loop) + DIRECTUS_EXTENSION_KEEP_MS;
	return task_end(t);
}

void directus_extension_start(struct directus *d, struct directus_extension_call *c,
			      struct arena *a)
{
	*c = (struct directus_extension_call){.task.call.done = c->task.call.done,
					      .task.call.parent = c->task.call.parent,
					      .directus = d,
					      .arena = a};
	task_start(&c->task, directus_loop(d), look);
}
