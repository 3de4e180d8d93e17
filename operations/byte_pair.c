#include "operations/byte_pair.h"

#include "common/utf8.h"

/* Below that many bytes looking at all pairs each time is the fastest. */
enum { SHORT = 48 };

struct byte_pairs {
	struct ranks *ranks;
	struct splitter *splitter;
	bool by_characters; /* they begin as the parts, where they are tokens */
};

struct byte_pairs *byte_pairs_new(struct arena *a, enum split_rules rules, struct str ranks_file,
				  struct error *err)
{
	struct byte_pairs *b = arena_make(a, struct byte_pairs);

	b->ranks = ranks_read(a, ranks_file, err);
	if (!b->ranks)
		return NULL;
	b->splitter = splitter_new(a, rules);
	b->by_characters = rules == SPLIT_GEMMA;
	return b;
}

/* Where the part that begins there ends at first. */
static size_t first_end(const struct byte_pairs *b, struct str piece, size_t at)
{
	size_t end = at + 1;

	if (!b->by_characters || (unsigned char)piece.ptr[at] < 0xC0)
		return end;
	while (end < piece.len && ((unsigned char)piece.ptr[end] & 0xC0) == 0x80)
		end++;
	return ranks_find(b->ranks, piece.ptr + at, end - at) != RANK_NONE ? end : at + 1;
}

/* ---- a short piece: a list of where its parts begin ---- */

struct parts {
	uint32_t rank[SHORT]; /* of a part and the next one together */
	uint8_t from[SHORT + 1];
	size_t count;
};

static uint32_t rank_of_pair(const struct ranks *r, struct str piece, const struct parts *p,
			     size_t i)
{
	if (i + 2 > p->count)
		return RANK_NONE;
	return ranks_find(r, piece.ptr + p->from[i], (size_t)(p->from[i + 2] - p->from[i]));
}

static size_t lowest(const struct parts *p)
{
	size_t best = 0;

	for (size_t i = 1; i + 1 < p->count; i++)
		if (p->rank[i] < p->rank[best])
			best = i;
	return best;
}

static size_t merge_short(const struct byte_pairs *b, struct str piece)
{
	const struct ranks *r = b->ranks;
	struct parts p = {.count = 0};

	for (size_t at = 0; at < piece.len; at = first_end(b, piece, at))
		p.from[p.count++] = (uint8_t)at;
	p.from[p.count] = (uint8_t)piece.len;
	for (size_t i = 0; i < p.count; i++)
		p.rank[i] = rank_of_pair(r, piece, &p, i);
	for (size_t i; p.count > 1 && p.rank[i = lowest(&p)] != RANK_NONE;) {
		p.count--;
		memmove(p.from + i + 1, p.from + i + 2, p.count - i);
		memmove(p.rank + i + 1, p.rank + i + 2, (p.count - i - 1) * sizeof(p.rank[0]));
		p.rank[i] = rank_of_pair(r, piece, &p, i);
		if (i > 0)
			p.rank[i - 1] = rank_of_pair(r, piece, &p, i - 1);
	}
	return p.count;
}

/* ---- a long piece: a heap of pairs, by rank and then by place ----
 *
 * A pair that is no more stays in the heap, and is passed over: the rank at its place is another one. */

struct part {
	uint32_t before, after; /* where the neighbours begin; the last one's `after` is the end */
	uint32_t rank;          /* with the next one; RANK_NONE as well where no part begins */
};

struct long_piece {
	const struct ranks *ranks;
	struct str piece;
	struct part *parts; /* one for each byte */
	uint64_t *heap;
	size_t heap_count;
};

static void heap_add(struct long_piece *l, uint64_t pair)
{
	size_t at = l->heap_count++;

	for (; at > 0 && l->heap[(at - 1) / 2] > pair; at = (at - 1) / 2)
		l->heap[at] = l->heap[(at - 1) / 2];
	l->heap[at] = pair;
}

static uint64_t heap_take(struct long_piece *l)
{
	uint64_t first = l->heap[0], last = l->heap[--l->heap_count];
	size_t at = 0, child;

	for (; (child = at * 2 + 1) < l->heap_count; at = child) {
		if (child + 1 < l->heap_count && l->heap[child + 1] < l->heap[child])
			child++;
		if (l->heap[child] >= last)
			break;
		l->heap[at] = l->heap[child];
	}
	l->heap[at] = last;
	return first;
}

static void look_at_pair(struct long_piece *l, size_t at)
{
	struct part *part = &l->parts[at];
	size_t end;

	part->rank = RANK_NONE;
	if (part->after == l->piece.len)
		return;
	end = l->parts[part->after].after;
	part->rank = ranks_find(l->ranks, l->piece.ptr + at, end - at);
	if (part->rank != RANK_NONE)
		heap_add(l, (uint64_t)part->rank << 32 | at);
}

static void merge_at(struct long_piece *l, size_t at)
{
	struct part *part = &l->parts[at], *gone = &l->parts[part->after];

	gone->rank = RANK_NONE;
	part->after = gone->after;
	if (part->after < l->piece.len)
		l->parts[part->after].before = (uint32_t)at;
	look_at_pair(l, at);
	if (at > 0)
		look_at_pair(l, part->before);
}

static size_t merge_long(const struct byte_pairs *b, struct str piece)
{
	struct arena *a = arena_new();
	struct long_piece l = {b->ranks, piece, arena_array(a, struct part, piece.len),
			       arena_array(a, uint64_t, piece.len * 3), 0};
	size_t count = 0;

	for (size_t i = 0; i < piece.len; i++)
		l.parts[i].rank = RANK_NONE;
	for (size_t at = 0, before = 0, end; at < piece.len; before = at, at = end, count++) {
		end = first_end(b, piece, at);
		l.parts[at] = (struct part){(uint32_t)before, (uint32_t)end, RANK_NONE};
	}
	for (size_t at = 0; at < piece.len; at = l.parts[at].after)
		look_at_pair(&l, at);
	while (l.heap_count) {
		uint64_t pair = heap_take(&l);
		uint32_t at = (uint32_t)pair;

		if (l.parts[at].rank == pair >> 32) {
			merge_at(&l, at);
			count--;
		}
	}
	arena_free(a);
	return count;
}

/* ---- a text ---- */

static bool is_utf8(struct str text)
{
	while (text.len) {
		size_t len = (unsigned char)*text.ptr < 0x80 ? 1 : utf8_strict(text);

		if (len == 0)
			return false;
		text = (struct str){text.ptr + len, text.len - len};
	}
	return true;
}

static struct str mend(struct arena *a, struct str text)
{
	char *to = arena_alloc(a, text.len * 3 + 1);
	size_t len = 0;

	for (size_t at = 0; at < text.len;) {
		uint32_t c = utf8_next(text, &at);

		len += utf8_write(c >= 0xD800 && c <= 0xDFFF ? UTF8_REPLACEMENT : c, to + len);
	}
	return (struct str){to, len};
}

static uint64_t count_pieces(const struct byte_pairs *b, struct str text)
{
	uint64_t sum = 0;

	for (size_t at = 0; at < text.len;) {
		size_t end = splitter_next(b->splitter, text, at);
		struct str piece = {text.ptr + at, end - at};

		if (ranks_find(b->ranks, piece.ptr, piece.len) != RANK_NONE)
			sum++;
		else
			sum += piece.len <= SHORT ? merge_short(b, piece) : merge_long(b, piece);
		at = end;
	}
	return sum;
}

uint64_t byte_pairs_count(struct byte_pairs *b, struct str text)
{
	struct arena *a;
	uint64_t count;

	if (is_utf8(text))
		return count_pieces(b, text);
	a = arena_new();
	count = count_pieces(b, mend(a, text));
	arena_free(a);
	return count;
}
