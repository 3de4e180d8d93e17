/* operations/calibration.h: what past calls of a step say about its next one.
 *
 * Providers tell what a question really was in tokens. Of the last calls of each step to a model the queue
 * keeps a row: what could be counted before the call without asking anybody, and what came of it. To the
 * questions in these rows tokens are fitted as a sum of what was counted,
 *
 *	tokens = a + b * estimate + c * bytes + d * words + ...
 *
 * by least squares of the relative error. Rows of texts of another kind than the one in question (numbers,
 * another script) count less: tokenizers differ by other factors there. Of the answers the length that 95 % of
 * them did not exceed is what the next answer is expected to need. Steps that were called too little have
 * nothing to say. */
#ifndef OPERATIONS_CALIBRATION_H
#define OPERATIONS_CALIBRATION_H

#include "common/arena.h"

/* A question, as it can be counted without asking anybody. */
struct token_count {
	uint64_t tokens; /* tokens.h says how */
	uint64_t guess;  /* where nothing has been learned: tokens, changed by what is known of the
			    tokenizer */
	uint64_t bytes;  /* of all its texts; in them: */
	uint64_t other;  /* bytes that are not ASCII */
	uint64_t words;  /* runs of letters, and of what is not ASCII */
	uint64_t signs;  /* runs of punctuation */
	uint64_t lines, digits;
	const char *method; /* with what tokens were counted: what is learned of one way to count
			       says nothing about another. A literal; NULL: not counted */
};

/* A call that was answered. */
struct past_call {
	struct token_count count;
	uint64_t estimate, input;  /* tokens of the question: thought before, and really */
	uint64_t expected, output; /* the same of the answer */
};

enum { PAST_CALLS = 128 }; /* so many of each step are looked at, the last ones */

/* As the scripts keep it: numbers with spaces between them. */
const char *past_call_print(struct arena *a, const struct past_call *p);
bool past_call_parse(struct str text, struct past_call *p); /* false: it is not that */

struct calibration {
	uint32_t calls;  /* that it was learned from; 0: nothing is known */
	uint64_t input;  /* about how many tokens the question is; 0: not known */
	uint64_t output; /* how many 95 % of the answers did not exceed; 0: not known */
	double within;   /* the share of the calls that were estimated within 5 % */
};

/* What these calls say of that question. */
struct calibration calibration_of(const struct past_call *calls, size_t count,
				  const struct token_count *question);

/* How many tokens the answer is expected to have, `most` at most. */
uint64_t calibration_output(const struct calibration *c, uint64_t most);

#endif
