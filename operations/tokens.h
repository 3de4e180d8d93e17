/* operations/tokens.h: how many tokens something probably is, without a tokenizer's tables.
 *
 * One pass over the code points by classes (runs of letters, digits, punctuation, scripts), with
 * weights fitted to real tokenizers: mostly within 10 %, at worst 20 % off. Estimates are corrected
 * by what providers report (calibration.h; models_learn()), and a refusal allows for 20 % (llm.c). */
#ifndef OPERATIONS_TOKENS_H
#define OPERATIONS_TOKENS_H

#include "operations/calibration.h"
#include "operations/providers/provider.h"

uint64_t tokens_of_text(enum tokenizer t, struct str text);

/* A picture of that size; 0 x 0: not known. */
uint64_t tokens_of_image(const struct model *m, uint32_t width, uint32_t height,
			 const char *detail);

/* All of a question: system, messages, schema, and what a chat's form adds. */
struct token_count tokens_of_question(const struct llm_question *q, struct arena *a);

#endif
