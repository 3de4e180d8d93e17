/* operations/byte_pair_split_gemma.h: where Gemma's tokens can not reach over.
 *
 * It has no expression that cuts: a text is one piece. But its tokens hold a space at their beginning only, runs of
 * ends of lines and tabs are tokens by themselves, and so are some tags of HTML. One token that has a space inside,
 * "> </", is not found that way. */
#ifndef OPERATIONS_BYTE_PAIR_SPLIT_GEMMA_H
#define OPERATIONS_BYTE_PAIR_SPLIT_GEMMA_H

#include "common/base.h"

/* As splitter_next() of byte_pair_split.h. */
size_t gemma_next(struct str text, size_t at);

#endif
