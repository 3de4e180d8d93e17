/* operations/byte_pair_ranks.h: the tokens of a byte-pair tokenizer, and which pair is merged first.
 *
 * They are read from the file that is published for each encoding (o200k_base.tiktoken, ...): a line
 * "<base64 of the token's bytes> <rank>" for each token, in the order of their ranks, from 0. Every single
 * byte is a token. */
#ifndef OPERATIONS_BYTE_PAIR_RANKS_H
#define OPERATIONS_BYTE_PAIR_RANKS_H

#include "common/arena.h"
#include "common/error.h"

struct ranks;

#define RANK_NONE UINT32_MAX

/* Keeps nothing of `file`. NULL and ERR_INVALID_PAYLOAD: it is not such a file; which line, and why. */
struct ranks *ranks_read(struct arena *a, struct str file, struct error *err) NODISCARD;

/* Of the token that consists of these bytes; RANK_NONE: there is none. */
uint32_t ranks_find(const struct ranks *r, const char *bytes, size_t len);

#endif
