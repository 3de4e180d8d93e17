/* operations/ai_analyze.c: ai-analyze. */
#include "operations/ai.h"

static const struct ai_kind kind = {
	.name = "ai-analyze",
	.system = "You analyse what you are given, carefully and to the point, and say only what "
		  "it bears out.",
	.prompt = "Analyse the data.",
	.skip_if_empty = true,
	.needs_image = false,
};

static enum task_next begin(struct task *t)
{
	return ai_begin(t, &kind);
}

const struct operation operation_ai_analyze = {
	.type = "ai-analyze",
	.options = ai_common_options,
	.strict = true,
	.state_size = sizeof(struct ai_state),
	.first = begin,
};
