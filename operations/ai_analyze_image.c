/* operations/ai_analyze_image.c: ai-analyze-image. */
#include "operations/ai.h"

static const struct ai_kind kind = {
	.name = "ai-analyze-image",
	.system = NULL,
	.prompt = "Describe this picture.",
	.skip_if_empty = false,
	.needs_image = true,
};

static enum task_next begin(struct task *t)
{
	return ai_begin(t, &kind);
}

const struct operation operation_ai_analyze_image = {
	.type = "ai-analyze-image",
	.options = ai_common_options,
	.strict = true,
	.state_size = sizeof(struct ai_state),
	.first = begin,
};
