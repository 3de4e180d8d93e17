/* Covers operations/byte_pair*.c. Input that begins with a line feed is a rank file: any bytes are refused or
 * make a counter that counts them. All other input is a text: its pieces are those that the published
 * expression gives, and in a small set of tokens it is as many as by looking at all pairs again and again. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "operations/byte_pair.h"

#include "common/buf.h"
#include "common/utf8.h"
#include "operations/media.h"

#include <pcre2.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define WHITE   "\\p{Z}\\t-\\r\\x{85}"
#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SIGNS   "| ?[^" WHITE "\\p{L}\\p{N}]+"
#define LINES   "|\\p{N}{1,3}" SIGNS
#define ONE     "|\\p{N}" SIGNS
#define LAST    "|[" WHITE "]+(?=[" WHITE "]|\\z)|[" WHITE "]+"
#define SPACES  "|[" WHITE "]*[\\r\\n]+" LAST
#define FRONT   "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define BACK    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define BEFORE  "[^\\r\\n\\p{L}\\p{N}]?"
/* DeepSeek's are three, one in what the other leaves; in one it has to look where the next part begins. */
#define APART   "\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}"
#define HERE    "(?![" APART "])"
#define PARTS   "(?:" HERE "[\\p{L}\\p{M}])+"
#define CONTROL "(?:" HERE "[^\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}" WHITE "])"
#define WORD    "(?:" HERE "[^\\r\\n\\p{L}\\p{P}\\p{S}\\p{N}])?" PARTS

static const char *const patterns[SPLIT_RULES] = {
	[SPLIT_O200K] = BEFORE FRONT "*" BACK "+" ENDINGS "?|" BEFORE FRONT "+" BACK "*" ENDINGS
				     "?" LINES "[\\r\\n/]*" SPACES,
	[SPLIT_CL100K] = ENDINGS "|" BEFORE "\\p{L}+" LINES "[\\r\\n]*" SPACES,
	[SPLIT_LLAMA3] = ENDINGS "|" BEFORE "\\p{L}+" LINES "[\\r\\n]*" SPACES,
	[SPLIT_QWEN] = ENDINGS "|" BEFORE "\\p{L}+" ONE "[\\r\\n]*" SPACES,
	[SPLIT_MISTRAL] =
		BEFORE FRONT "*" BACK "+|" BEFORE FRONT "+" BACK "*" ONE "[\\r\\n/]*" SPACES,
	[SPLIT_CLAUDE] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+" SIGNS LAST,
	[SPLIT_DEEPSEEK] =
		"\\p{N}{1,3}|[" APART "]+|[!-/:-@\\[-`{-~][A-Za-z]+|" WORD "| ?(?:" HERE
		"[\\p{P}\\p{S}])+[\\r\\n]*|[" WHITE "]*[\\r\\n]+|[" WHITE "]+(?=[" WHITE
		"\\p{N}" APART "]|\\z)|[" WHITE "]+|" CONTROL "(?:(?!" WORD ")" CONTROL ")*",
};

static const char *const tokens[] = {"aa", "aaaa", "ab", "ba", "aab", " a", "bb", "bba", "\n\n"};

struct reference {
	struct arena *arena;
	struct ranks *ranks;
	struct byte_pairs *pairs;
	struct splitter *splitter;
	pcre2_code *code;
	pcre2_match_data *found;
};

static struct str small_file(struct arena *a)
{
	struct buf b;
	struct str file;

	buf_init(&b, 1 << 16);
	for (unsigned i = 0; i < 256 + ARRAY_LEN(tokens); i++) {
		char byte = (char)i;
		struct str token = i < 256 ? (struct str){&byte, 1} : str_of(tokens[i - 256]);

		if (!buf_printf(&b, "%s %u\n", media_base64(a, token), i))
			abort();
	}
	file = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return file;
}

static struct reference *reference(enum split_rules rules)
{
	static struct reference all[SPLIT_RULES];
	struct reference *r = &all[rules];
	struct error err;
	int code;
	PCRE2_SIZE at;

	if (r->arena)
		return r;
	r->arena = arena_new();
	r->ranks = ranks_read(r->arena, small_file(r->arena), &err);
	r->pairs = byte_pairs_new(r->arena, rules, small_file(r->arena), &err);
	r->splitter = splitter_new(r->arena, rules);
	r->code = pcre2_compile((PCRE2_SPTR)patterns[rules], PCRE2_ZERO_TERMINATED,
				PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &code, &at, NULL);
	if (!r->ranks || !r->pairs || !r->code)
		abort();
	r->found = pcre2_match_data_create(1, NULL);
	return r;
}

/* Which of the pairs comes first; RANK_NONE: no two are a token. */
static uint32_t first_pair(const struct ranks *r, const char *piece, const size_t *from,
			   size_t count, size_t *at)
{
	uint32_t best = RANK_NONE;

	for (size_t i = 0; i + 1 < count; i++) {
		uint32_t rank = ranks_find(r, piece + from[i], from[i + 2] - from[i]);

		if (rank < best) {
			best = rank;
			*at = i;
		}
	}
	return best;
}

static size_t naive(const struct ranks *r, struct str piece, struct arena *a)
{
	size_t *from = arena_array(a, size_t, piece.len + 1), count = piece.len, at = 0;

	if (ranks_find(r, piece.ptr, piece.len) != RANK_NONE)
		return 1;
	for (size_t i = 0; i <= count; i++)
		from[i] = i;
	while (first_pair(r, piece.ptr, from, count, &at) != RANK_NONE) {
		memmove(from + at + 1, from + at + 2, (count - at - 1) * sizeof(*from));
		count--;
	}
	return count;
}

static void check(enum split_rules rules, struct str text, struct arena *a)
{
	struct reference *r = reference(rules);
	uint64_t count = 0;

	for (size_t at = 0; at < text.len;) {
		size_t end = splitter_next(r->splitter, text, at);

		if (pcre2_match(r->code, (PCRE2_SPTR)text.ptr, text.len, at, PCRE2_NO_UTF_CHECK,
				r->found, NULL) < 1 ||
		    pcre2_get_ovector_pointer(r->found)[1] != end)
			abort();
		count += naive(r->ranks, (struct str){text.ptr + at, end - at}, a);
		at = end;
	}
	if (byte_pairs_count(r->pairs, text) != count)
		abort();
}

/* It has no expression; nothing is lost, and there are no more tokens than bytes. */
static void check_gemma(struct str text, struct arena *a)
{
	static struct splitter *s;
	static struct byte_pairs *b;
	struct error err;
	size_t pieces = 0;

	if (!s) {
		s = splitter_new(arena_new(), SPLIT_GEMMA);
		b = byte_pairs_new(arena_new(), SPLIT_GEMMA, small_file(a), &err);
	}
	for (size_t at = 0, end; at < text.len; at = end, pieces++)
		if ((end = splitter_next(s, text, at)) <= at || end > text.len)
			abort();
	if (!b || byte_pairs_count(b, text) < pieces || byte_pairs_count(b, text) > text.len)
		abort();
}

static struct str only_utf8(struct arena *a, const uint8_t *bytes, size_t size)
{
	struct str rest = {(const char *)bytes, size};
	char *to = arena_alloc(a, size + 1);
	size_t len = 0;

	while (rest.len) {
		size_t step = utf8_strict(rest);

		memcpy(to + len, rest.ptr, step);
		len += step;
		step = step ? step : 1;
		rest = (struct str){rest.ptr + step, rest.len - step};
	}
	return (struct str){to, len};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	struct str input = {(const char *)bytes, size}, text = only_utf8(a, bytes, size);
	struct error err;

	if (size && bytes[0] == '\n') {
		struct byte_pairs *b =
			byte_pairs_new(a, SPLIT_O200K, (struct str){input.ptr + 1, size - 1}, &err);

		if (b)
			(void)byte_pairs_count(b, input);
	} else {
		(void)byte_pairs_count(reference(SPLIT_O200K)->pairs, input);
		for (enum split_rules rules = 0; rules < SPLIT_RULES; rules++)
			if (patterns[rules])
				check(rules, text, a);
		check_gemma(text, a);
	}
	arena_free(a);
	return 0;
}
