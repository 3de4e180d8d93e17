/* operations/byte_pair.h: how many tokens a text is, counted as a byte-pair tokenizer counts.
 *
 * A text is cut into pieces (byte_pair_split.h); in each the pair of neighbours that has the lowest rank
 * (byte_pair_ranks.h) is made one, until no two neighbours are a token together. What is left are the
 * tokens. The time is in proportion to the text, also for pieces without an end in sight. */
#ifndef OPERATIONS_BYTE_PAIR_H
#define OPERATIONS_BYTE_PAIR_H

#include "operations/byte_pair_ranks.h"
#include "operations/byte_pair_split.h"

struct byte_pairs;

/* Both live as long as the arena. `ranks_file`: the text of the published file; NULL as ranks_read(). */
struct byte_pairs *byte_pairs_new(struct arena *a, enum split_rules rules, struct str ranks_file,
				  struct error *err) NODISCARD;

/* What is not UTF-8 counts as U+FFFD, as it does when it is sent. */
uint64_t byte_pairs_count(struct byte_pairs *b, struct str text);

#endif
