/* operations/byte_pair_split.h: the pieces that a byte-pair tokenizer cuts a text into before it looks for
 * tokens: no token reaches over the end of a piece.
 *
 * The cuts are published as regular expressions over Unicode's classes. Here is what they come to, written
 * out, since a general engine is slow without code made at run time, which a hardened process must not
 * have. The classes are those of PCRE2's tables, looked up once for each page of 256 characters that a
 * text uses. tests/fuzz/fuzz_byte_pair.c compares with the expressions. */
#ifndef OPERATIONS_BYTE_PAIR_SPLIT_H
#define OPERATIONS_BYTE_PAIR_SPLIT_H

#include "common/arena.h"

enum split_rules {
	SPLIT_O200K,
	SPLIT_CL100K,
	SPLIT_CLAUDE, /* Claude 2 */
	SPLIT_GEMMA,
	SPLIT_LLAMA3,
	SPLIT_QWEN,
	SPLIT_DEEPSEEK,
	SPLIT_MISTRAL, /* from Nemo on */
	SPLIT_RULES
};

struct splitter;

struct splitter *splitter_new(struct arena *a, enum split_rules rules);

/* Where the piece that begins at `at` (inside the text) ends. The text is UTF-8 without fault. */
size_t splitter_next(struct splitter *s, struct str text, size_t at);

#endif
