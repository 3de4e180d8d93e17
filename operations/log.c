/* log: a line in the worker's log; resolves with null. */
#include "common/log.h"
#include "operations/operation.h"

static task_step write_line;

static const struct option options[] = {
	{.name = "message",        .types = OPTION_ANY, .help = "what to write"},
	{0},
};

static enum task_next write_line(struct task *t)
{
	struct op_call *c = op_of(t);
	const cJSON *message = json_get(c->options, "message");
	struct str text = cJSON_IsString(message) ? str_of(message->valuestring)
			  : message               ? json_print(c->arena, message)
						  : STR("undefined");

	log_write(LOG_INFO, "flow", LOG_TEXT("job", c->job_id), LOG_TEXT("step", c->step),
		  LOG_STR("text", text), LOG_END);
	return task_end(t);
}

const struct operation operation_log = {
	.type = "log",
	.options = options,
	.first = write_line,
};
