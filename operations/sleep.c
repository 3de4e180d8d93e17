/* sleep: goes on after a while. A short one waits where it is; a long one gives its slot back and is
 * started again when the time has come, by whatever worker: its note says when that is. */
#include "common/loop.h"
#include "operations/operation.h"
#include "operations/options.h"
#include "operations/services.h"

#include <math.h>

static task_step begin, wake;

enum { SHORT_MS = 1000 };

static const double LONGEST_MS = 366.0 * 24 * 3600 * 1000;

struct state {
	struct sleep_call sleep;
};

static const struct option options[] = {
	{.name = "milliseconds", .types = OPTION_ANY, .help = "how long"},
	{.name = NULL   },
};

static enum task_next wait_here(struct task *t, uint64_t ms)
{
	struct op_call *c = op_of(t);
	struct state *s = c->state;

	sleep_start(c->use->loop, &s->sleep, ms);
	return task_await(t, &s->sleep.call, wake);
}

static enum task_next park(struct task *t, uint64_t until_ms)
{
	struct op_call *c = op_of(t);
	cJSON *note = json_object(c->arena);

	json_set_number(c->arena, note, "until", (double)until_ms);
	c->note = note;
	c->park_until_ms = until_ms;
	return task_fail(t, ERR_PARKED, "sleeps");
}

static enum task_next begin(struct task *t)
{
	struct op_call *c = op_of(t);
	double ms = option_to_number(json_get(c->options, "milliseconds"));
	uint64_t now = wall_ms(), until;

	ms = isnan(ms) || ms < 1 ? 1 : fmin(ms, LONGEST_MS); /* as setTimeout() does */
	until = (uint64_t)json_get_number(c->note, "until", (double)now + ms);
	if (until <= now)
		return task_end(t);
	return until - now < SHORT_MS ? wait_here(t, until - now) : park(t, until);
}

static enum task_next wake(struct task *t)
{
	return task_end(t);
}

const struct operation operation_sleep = {
	.type = "sleep",
	.options = options,
	.state_size = sizeof(struct state),
	.first = begin,
};
