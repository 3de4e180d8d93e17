/* operations/ai_schema.h: a JSON schema as a provider can take it.
 *
 * Every wire knows a part of JSON Schema, another one each, and answers 400 to the rest. What is sent
 * is the part that it knows; the answer is checked against the whole schema afterwards, by us. */
#ifndef OPERATIONS_AI_SCHEMA_H
#define OPERATIONS_AI_SCHEMA_H

#include "operations/llm_target.h"

struct ai_schema {
	const cJSON *schema; /* NULL: none can be sent, the prompt has to say it */
	bool strict;         /* OpenAI: the answer is certain to fit */
	bool is_part;        /* something was left out: the prompt has to say that, too */
};

struct ai_schema ai_schema_fit(const cJSON *schema, const struct llm_target *t, struct arena *a);

#endif
