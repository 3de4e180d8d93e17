/* throw-error: ends in the reject path, with an error of the flow's own. */
#include "operations/operation.h"
#include "operations/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static task_step throw_it;

/* clang-format off */
static const struct option options[] = {
	{.name = "code", .types = OPTION_ANY, .help = "the error's code; INTERNAL_SERVER_ERROR"},
	{.name = "status", .types = OPTION_ANY, .help = "its HTTP status; 500"},
	{.name = "message", .types = OPTION_ANY, .help = "what it says"},
	{.name = NULL},
};
/* clang-format on */

/* A value that is there, else what Directus falls back to. */
static const char *text_or(struct op_call *c, const char *name, const char *otherwise)
{
	const cJSON *value = json_get(c->options, name);

	if (!value || cJSON_IsNull(value))
		return otherwise;
	return option_to_text(c->arena, value).ptr;
}

/* parseInt(status), else 500. */
static int status_of(const char *text)
{
	char *end;
	long status = strtol(text, &end, 10);

	return end == text || status < 1 || status > 999 ? 500 : (int)status;
}

static enum task_next throw_it(struct task *t)
{
	struct op_call *c = op_of(t);
	char *code = arena_strdup(c->arena, text_or(c, "code", "INTERNAL_SERVER_ERROR"));
	const char *message = text_or(c, "message", "An unexpected error occurred.");
	struct error err;

	for (char *letter = code; *letter; letter++)
		*letter = (char)toupper((unsigned char)*letter);
	(void)fail(&err, ERR_NAMED, "%s", message);
	err.status = status_of(text_or(c, "status", "500"));
	(void)snprintf(err.name, sizeof(err.name), "%s", code);
	c->rejection = error_object(c->arena, "DirectusError", message, code, err.status);
	return task_fail_as(t, &err);
}

const struct operation operation_throw_error = {
	.type = "throw-error",
	.options = options,
	.first = throw_it,
};
