/* A hash table of the tokens: it is asked several times for each byte of a text, and mostly for what is not
 * in it. So a place holds some bits of the hash beside the rank, and few questions go further than that. */
#include "operations/byte_pair_ranks.h"

enum {
	RANK_BITS = 18,
	TOKENS_MAX = (1 << RANK_BITS) - 2, /* 0 is an empty place, so ranks stand there plus 1 */
	TOKEN_MAX_BYTES = 1024,
	BYTES = 256
};

struct ranks {
	uint32_t count;
	size_t longest;
	uint32_t *from; /* where in `bytes` the token of a rank begins; one more at the end */
	char *bytes;
	uint32_t *places; /* the upper bits of the hash, then the rank plus 1 */
	uint32_t mask;
};

/* ---- looking up ---- */

static uint64_t mix(uint64_t h)
{
	h *= 0x9E3779B97F4A7C15U;
	return h ^ h >> 32;
}

static uint64_t hash_of(const char *bytes, size_t len)
{
	uint64_t h = len, word = 0;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		h = mix(h ^ word);
	}
	for (word = 0; len; len--)
		word = word << 8 | (unsigned char)*bytes++;
	return mix(h ^ word);
}

static uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)(hash >> 32) & ~((1U << RANK_BITS) - 1);
}

static bool is_token(const struct ranks *r, uint32_t rank, const char *bytes, size_t len)
{
	return r->from[rank + 1] - r->from[rank] == len &&
	       memcmp(r->bytes + r->from[rank], bytes, len) == 0;
}

uint32_t ranks_find(const struct ranks *r, const char *bytes, size_t len)
{
	uint64_t hash;
	uint32_t tag, at;

	if (len == 0 || len > r->longest)
		return RANK_NONE;
	hash = hash_of(bytes, len);
	tag = tag_of(hash);
	for (at = (uint32_t)hash & r->mask; r->places[at]; at = (at + 1) & r->mask) {
		uint32_t rank = (r->places[at] & ((1U << RANK_BITS) - 1)) - 1;

		if (r->places[at] >> RANK_BITS == tag >> RANK_BITS && is_token(r, rank, bytes, len))
			return rank;
	}
	return RANK_NONE;
}

static void put(struct ranks *r, uint32_t rank)
{
	const char *bytes = r->bytes + r->from[rank];
	uint64_t hash = hash_of(bytes, r->from[rank + 1] - r->from[rank]);
	uint32_t at = (uint32_t)hash & r->mask;

	while (r->places[at])
		at = (at + 1) & r->mask;
	r->places[at] = tag_of(hash) | (rank + 1);
}

/* ---- reading ---- */

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many bytes were written; 0: it is not base64. */
static size_t decode(struct str text, char *to)
{
	size_t len = 0, padding = 0;
	uint32_t bits = 0;

	if (text.len % 4)
		return 0;
	while (padding < 2 && padding < text.len && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	for (size_t i = 0; i < text.len - padding; i++) {
		int value = base64_value(text.ptr[i]);

		if (value < 0)
			return 0;
		bits = bits << 6 | (uint32_t)value;
		if (i % 4)
			to[len++] = (char)(bits >> (6 - i % 4 * 2));
	}
	return len;
}

/* The part in front of `end`, which is taken off with it. */
static struct str cut(struct str *rest, char end)
{
	const char *found = rest->len ? memchr(rest->ptr, end, rest->len) : NULL;
	struct str part = {rest->ptr, found ? (size_t)(found - rest->ptr) : rest->len};
	size_t used = part.len + (found != NULL);

	*rest = (struct str){rest->ptr + used, rest->len - used};
	return part;
}

static bool is_number(struct str text, uint32_t number)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 9)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.ptr[i] - '0');
	}
	return value == number;
}

/* What cut() leaves of the line is its rank. */
static bool read_line(struct ranks *r, struct str line, struct error *err)
{
	struct str token = cut(&line, ' ');
	uint32_t rank = r->count, from = r->from[rank];
	size_t len = token.len / 4 * 3 <= TOKEN_MAX_BYTES + 2 ? decode(token, r->bytes + from) : 0;

	if (len == 0 || !is_number(line, rank))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "line %u: expected a token in base64, a space and %u", rank + 1, rank);
	if (ranks_find(r, r->bytes + from, len) != RANK_NONE)
		return fail(err, ERR_INVALID_PAYLOAD, "line %u: this token was there before",
			    rank + 1);
	r->from[++r->count] = from + (uint32_t)len;
	put(r, rank);
	return true;
}

static bool has_all_bytes(const struct ranks *r, struct error *err)
{
	for (unsigned i = 0; i < BYTES; i++) {
		char byte = (char)i;

		if (ranks_find(r, &byte, 1) == RANK_NONE)
			return fail(err, ERR_INVALID_PAYLOAD, "there is no token for the byte %u",
				    i);
	}
	return true;
}

struct ranks *ranks_read(struct arena *a, struct str file, struct error *err)
{
	struct ranks *r = arena_make(a, struct ranks);
	size_t lines = 0, places = BYTES;

	for (size_t i = 0; i < file.len; i++)
		lines += file.ptr[i] == '\n' || i + 1 == file.len;
	if (lines > TOKENS_MAX || file.len > UINT32_MAX) {
		(void)fail(err, ERR_INVALID_PAYLOAD, "%zu lines, expected at most %d", lines,
			   TOKENS_MAX);
		return NULL;
	}
	while (places < lines * 2)
		places *= 2;
	r->mask = (uint32_t)places - 1;
	r->places = arena_array(a, uint32_t, places);
	r->from = arena_array(a, uint32_t, lines + 1);
	r->bytes = arena_alloc(a, file.len / 4 * 3 + 3);
	r->longest = TOKEN_MAX_BYTES;
	while (file.len)
		if (!read_line(r, cut(&file, '\n'), err))
			return NULL;
	return has_all_bytes(r, err) ? r : NULL;
}
