/* condition: goes on if the data chain fits a filter, else takes the reject path with what does not. */
#include "common/loop.h"
#include "operations/filter.h"
#include "operations/operation.h"

#include <stdio.h>

static task_step look;

/* clang-format off */
static const struct option options[] = {
	{.name = "filter", .types = OPTION_ANY, .help = "the rules, as in Directus' filters"},
	{0},
};
/* clang-format on */

static enum task_next look(struct task *t)
{
	struct op_call *c = op_of(t);
	struct filter_input in = {
		.filter = json_get(c->options, "filter"),
		.data = c->chain,
		.accountability = json_get(c->chain, "$accountability"),
		.now_ms = wall_ms(),
	};
	const cJSON *first;
	const char *message, *code;
	struct error err;

	c->rejection = filter_check(c->arena, &in);
	if (!c->rejection)
		return task_end(t);
	first = cJSON_IsArray(c->rejection) ? c->rejection->child : c->rejection;
	message = json_get_text(first, "message");
	code = json_get_text(first, "code");
	(void)fail(&err, ERR_NAMED, "%s", message ? message : "");
	(void)snprintf(err.name, sizeof(err.name), "%s",
		       code ? code : json_get_text(first, "name"));
	err.status = (int)json_get_number(first, "status", 0);
	return task_fail_as(t, &err);
}

const struct operation operation_condition = {
	.type = "condition",
	.options = options,
	.first = look,
};
