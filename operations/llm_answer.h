/* operations/llm_answer.h: an answer as it is kept: what the journal stores and gives back. */
#ifndef OPERATIONS_LLM_ANSWER_H
#define OPERATIONS_LLM_ANSWER_H

#include "operations/providers/provider.h"

struct llm_stored {
	struct llm_answer answer;
	uint32_t candidate; /* which of the operation's models gave it: 0, then its fallbacks */
	uint64_t latency_ms;
};

struct str llm_answer_print(const struct llm_stored *stored, struct arena *a);
/* false: it is not one of ours. */
bool llm_answer_parse(struct str text, struct arena *a, struct llm_stored *stored) NODISCARD;

#endif
