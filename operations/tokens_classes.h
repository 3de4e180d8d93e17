/* operations/tokens_classes.h: how many tokens a text probably is, without a tokenizer's tables.
 *
 * One pass over the code points by classes (runs of letters, digits, punctuation, scripts), with
 * weights fitted to real tokenizers: mostly within 10 %, at worst 20 % off. */
#ifndef OPERATIONS_TOKENS_CLASSES_H
#define OPERATIONS_TOKENS_CLASSES_H

#include "operations/providers/provider.h"

double tokens_by_classes(enum tokenizer t, struct str text);

#endif
