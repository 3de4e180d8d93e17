/* operations/ai.h: what the ai-* operations do, all of them.
 *
 *	begin ─► files ─► ask ─► answered ─► (repair ─► repaired) ─► the envelope
 *
 * An operation of this kind is an `ai_kind` and a first step that calls ai_begin(). Its result is
 *
 *	{"content","data","reasoning","finishReason","provider","model","usage","cost","latencyMs",
 *	 "attempts","cached","requestId","inputHash","warnings"}
 *
 * or, with resultShape `content`, the text alone. An answer that does not fit (JSON, schema, length)
 * is asked for once more, with what is wrong with it; then it is INVALID_OUTPUT. */
#ifndef OPERATIONS_AI_H
#define OPERATIONS_AI_H

#include "operations/ai_output.h"
#include "operations/ai_prompt.h"
#include "operations/attachments.h"

/* The state of an op_call. */
struct ai_state {
	struct ai_request request;
	struct ai_prompt prompt;
	struct ai_output output;
	struct attachments_call files;
	struct llm_call first, second;
	const struct llm_call *llm; /* the one that counts */
	const char *hash;
	cJSON *warnings;
};

enum task_next ai_begin(struct task *t, const struct ai_kind *kind);

#endif
