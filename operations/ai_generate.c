/* operations/ai_generate.c: ai-generate. */
#include "operations/ai.h"

static const struct ai_kind kind = {
	.name = "ai-generate",
	.system = NULL,
	.prompt = NULL,
	.skip_if_empty = false,
	.needs_image = false,
};

static enum task_next begin(struct task *t)
{
	return ai_begin(t, &kind);
}

const struct operation operation_ai_generate = {
	.type = "ai-generate",
	.options = ai_common_options,
	.strict = true,
	.state_size = sizeof(struct ai_state),
	.first = begin,
};
