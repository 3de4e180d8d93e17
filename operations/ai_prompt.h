/* operations/ai_prompt.h: from what a flow wants to what a model is asked.
 *
 * The system text says who speaks, what the preset is, what form the answer has. Data and files of
 * text stand between markers that nobody can guess who writes a comment or a review: what is between
 * them is never an instruction. */
#ifndef OPERATIONS_AI_PROMPT_H
#define OPERATIONS_AI_PROMPT_H

#include "operations/ai_options.h"

/* What a second call adds: the answer that was no good, and why. */
struct ai_repair {
	const char *answer, *complaint; /* NULL: it is the first call */
};

struct ai_prompt {
	const struct ai_request *request;
	const struct llm_part *files; /* of the attachments */
	size_t file_count;
	struct ai_repair repair;
	const char *system_default; /* AI_SYSTEM_PROMPT, or NULL */
	struct arena *arena;
};

/* Fills in system, messages, format, schema, sampling, stop, options. */
bool ai_prompt_write(const struct ai_prompt *p, const struct llm_target *target,
		     struct llm_question *q, struct error *err) NODISCARD;

#endif
