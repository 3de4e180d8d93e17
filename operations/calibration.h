/* operations/calibration.h: what past calls of a step say about its next one.
 *
 * Providers tell what a question really was in tokens. The queue fits to that, for each model, step and kind
 * of text, a line over two counts of the text: the estimator's and the bytes,
 *
 *	tokens = fixed + per_token * estimate + per_byte * bytes
 *
 * by least squares of the relative error, newer calls counting more (worker/queue/lua/settle.lua does it, so
 * all workers learn from all calls). Of the answers it keeps how long they were: the length that 95 % of
 * them did not exceed is what the next answer is expected to need. Steps that were called too little
 * have nothing to say. */
#ifndef OPERATIONS_CALIBRATION_H
#define OPERATIONS_CALIBRATION_H

#include "common/base.h"

/* A question, as it can be counted without asking anybody. */
struct token_count {
	uint64_t tokens; /* tokens.h says how */
	uint64_t bytes;  /* of all its texts */
	uint64_t
		guess; /* where nothing has been learned: tokens, changed by what is known of the tokenizer */
	const char *
		kind; /* of the texts, and how they were counted: what is learned of one kind says little
			     about another. A literal; NULL: not looked at */
};

struct calibration {
	uint32_t calls; /* that it was learned from; 0: nothing is known */
	double fixed, per_token, per_byte;
	uint64_t output_p95; /* 0: not known */
};

/* "<calls> <fixed> <per token> <per byte> <p95 of the outputs>", as the scripts write it; false: it is
 * not that, and *c says that nothing is known. */
bool calibration_parse(struct str text, struct calibration *c);

/* About how many tokens a question is; `otherwise` where too little is known. */
uint64_t calibration_input(const struct calibration *c, const struct token_count *count,
			   uint64_t otherwise);

/* How many tokens the answer is expected to have, `most` at most. */
uint64_t calibration_output(const struct calibration *c, uint64_t most);

#endif
