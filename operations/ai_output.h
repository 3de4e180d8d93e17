/* operations/ai_output.h: whether an answer is what was wanted. */
#ifndef OPERATIONS_AI_OUTPUT_H
#define OPERATIONS_AI_OUTPUT_H

#include "operations/ai_options.h"

struct ai_output {
	const char *content;
	cJSON *data;           /* of JSON; or NULL */
	const char *reasoning; /* or NULL */
	bool truncated;        /* cut off by maxTokens, and good enough */
	bool cut;              /* cut to maxLength by us */
};

/* false: err is
 *   ERR_CONTENT_FILTERED, ERR_OUTPUT_TRUNCATED, ERR_INVALID_RESPONSE   another call is of no use
 *   ERR_INVALID_OUTPUT   it does not fit: err.text says how, in words for the model, too
 * With `last` a text that is too long is cut at a word and taken. */
bool ai_output_read(const struct ai_request *r, const struct llm_call *c, bool last,
		    struct ai_output *out, struct error *err) NODISCARD;

#endif
