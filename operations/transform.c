/* transform: makes a value of a template: `json` as JSON, or the JSON in its text. */
#include "operations/operation.h"
#include "operations/options.h"

static task_step make_value;

/* clang-format off */
static const struct option options[] = {
	{.name = "json", .types = OPTION_ANY, .help = "the value to make, or a text with its JSON"},
	{.name = NULL},
};
/* clang-format on */

static enum task_next make_value(struct task *t)
{
	struct op_call *c = op_of(t);
	struct error err;
	const cJSON *value = option_to_object(c->arena, json_get(c->options, "json"), &err);

	if (!value) {
		c->rejection = error_object(c->arena, "SyntaxError", err.text, NULL, 0);
		return task_fail_as(t, &err);
	}
	c->result = json_share(c->arena, value);
	return task_end(t);
}

const struct operation operation_transform = {
	.type = "transform",
	.options = options,
	.first = make_value,
};
