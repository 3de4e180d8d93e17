/* operations/tokens.h: how many tokens something probably is.
 *
 * Texts are counted by byte pairs (byte_pair.h), where the ranks of a tokenizer are installed: exactly for
 * models whose tokenizer it is, and with o200k's for all others, which is near to them; without ranks by
 * classes of characters (tokens_classes.h). Claude's tokenizer of today is not published: it is counted with the one of
 * Claude 2, and scaled. Estimates are corrected by what providers report (calibration.h; models_learn()), and a
 * refusal allows for 20 % (llm_fit.c).
 *
 * Counting never takes long: of texts of more than 32 KiB together only that much is counted by byte pairs,
 * spread over them, and the rest estimated in proportion. */
#ifndef OPERATIONS_TOKENS_H
#define OPERATIONS_TOKENS_H

#include "operations/byte_pair_split.h"
#include "operations/calibration.h"
#include "operations/providers/provider.h"

struct token_count tokens_of_text(const struct model *m, struct str text);

/* A picture of that size; 0 x 0: not known. */
uint64_t tokens_of_image(const struct model *m, uint32_t width, uint32_t height,
			 const char *detail);

/* All of a question: system, messages, schema, and what a chat's form adds. */
struct token_count tokens_of_question(const struct llm_question *q, struct arena *a);

/* The ranks that a tokenizer counts with, or the published ones that are nearest. */
enum split_rules tokens_ranks_of(enum tokenizer t);

/* Whether that model's own tokenizer is asked. */
bool tokens_are_exact(const struct model *m);

#endif
