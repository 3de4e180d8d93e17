/* The expressions, as published:
 *
 *   o200k   P?[UOM]*[LOM]+C?|P?[UOM]+[LOM]*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   cl100k  C|P?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *
 * with P = [^\r\n\p{L}\p{N}], U = \p{Lu}\p{Lt}, L = \p{Ll}, O = \p{Lm}\p{Lo}, M = \p{M}, and
 * C = (?i:'s|'t|'re|'ve|'m|'ll|'d). */
#include "operations/byte_pair_split.h"

#include "common/utf8.h"
#include "operations/regex.h"

#include <assert.h>

/* Bits, so that a set of classes is one too. */
enum {
	UPPER = 1,
	LOWER = 2,
	OTHER_LETTER = 4,
	MARK = 8,
	NUMBER = 16,
	SPACE = 32,
	LINE_END = 64, /* \r and \n */
	REST = 128,
	LETTER = UPPER | LOWER | OTHER_LETTER,
	FRONT = UPPER | OTHER_LETTER | MARK, /* of a word, for o200k */
	BACK = LOWER | OTHER_LETTER | MARK
};

static const struct {
	const char *pattern;
	unsigned char class;
} classes[] = {
	{"^[\\p{Ll}]",                    LOWER       },
	{"^[\\p{Lm}\\p{Lo}]",             OTHER_LETTER},
	{"^[\\p{Lu}\\p{Lt}]",             UPPER       },
	{"^\\p{M}",		       MARK        },
	{"^\\p{N}",		       NUMBER      },
	{"^[\\r\\n]",                     LINE_END    },
	{"^[\\p{Z}\\t\\x0B\\x0C\\u0085]", SPACE       }, /* the rest of Unicode's White_Space */
};

enum { PAGE = 256, PAGES = 0x110000 / PAGE };

struct splitter {
	struct arena *arena;
	enum split_rules rules;
	struct regex *patterns[ARRAY_LEN(classes)];
	const unsigned char *pages[PAGES]; /* NULL: not needed so far */
};

struct splitter *splitter_new(struct arena *a, enum split_rules rules)
{
	struct splitter *s = arena_make(a, struct splitter);
	struct error err;

	s->arena = a;
	s->rules = rules;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		s->patterns[i] = regex_compile(a, str_of(classes[i].pattern), &err);
		assert(s->patterns[i]);
	}
	return s;
}

/* ---- classes ---- */

static unsigned char look_up(const struct splitter *s, uint32_t c)
{
	char bytes[UTF8_MAX];
	struct str text = {bytes, utf8_write(c, bytes)};

	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (regex_search(s->patterns[i], text) == REGEX_FOUND)
			return classes[i].class;
	return REST;
}

static const unsigned char *make_page(struct splitter *s, uint32_t page)
{
	unsigned char *p = arena_alloc(s->arena, PAGE);

	for (uint32_t i = 0; i < PAGE; i++)
		p[i] = look_up(s, page * PAGE + i);
	return s->pages[page] = p;
}

static unsigned class_of(struct splitter *s, uint32_t c)
{
	const unsigned char *page = s->pages[c / PAGE];

	return (page ? page : make_page(s, c / PAGE))[c % PAGE];
}

/* Of the character at *at, which is moved behind it; 0 at the end. */
static unsigned next_class(struct splitter *s, struct str text, size_t *at)
{
	if (*at >= text.len)
		return 0;
	if ((unsigned char)text.ptr[*at] < 0x80)
		return class_of(s, (unsigned char)text.ptr[(*at)++]);
	return class_of(s, utf8_next(text, at));
}

static unsigned class_at(struct splitter *s, struct str text, size_t at)
{
	return next_class(s, text, &at);
}

/* Behind as many characters of these classes as there are. */
static size_t run(struct splitter *s, struct str text, size_t at, unsigned set)
{
	size_t end = at;

	while (next_class(s, text, &at) & set)
		end = at;
	return end;
}

/* ---- the parts of the expressions: each gives the end of what it matches, or where it began ---- */

/* ſ is an s without regard to case. */
static size_t contraction(struct str text, size_t at)
{
	static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d", "\xC5\xBF"};

	if (at >= text.len || text.ptr[at] != '\'')
		return at;
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t len = strlen(endings[i]), j = 0;

		while (j < len && at + 1 + j < text.len &&
		       (text.ptr[at + 1 + j] == endings[i][j] ||
			(text.ptr[at + 1 + j] | 0x20) == endings[i][j]))
			j++;
		if (j == len)
			return at + 1 + len;
	}
	return at;
}

/* [UOM]*[LOM]+, and [UOM]+[LOM]* where that fails. If nothing of the back follows the front, the first one
 * gives back what it has until it comes to a character that may be both; what stands behind that is
 * another piece. */
static size_t cased_word(struct splitter *s, struct str text, size_t at)
{
	size_t end = at, back = at;
	unsigned class;

	for (size_t next = at; (class = next_class(s, text, &next)) & FRONT; end = next)
		if (class & BACK)
			back = next;
	if (class & BACK)
		return run(s, text, end, BACK);
	return back > at ? back : end;
}

/* With the character that may stand before a word. A mark is one too, but for o200k that makes no
 * difference: there it is also a part of words. */
static size_t word(struct splitter *s, struct str text, size_t at)
{
	bool is_cased = s->rules == SPLIT_O200K;
	size_t from = at, end;

	if (!(next_class(s, text, &from) & (is_cased ? REST | SPACE : REST | SPACE | MARK)))
		from = at;
	end = is_cased ? cased_word(s, text, from) : run(s, text, from, LETTER);
	if (end == from)
		return at;
	return is_cased ? contraction(text, end) : end;
}

static size_t number(struct splitter *s, struct str text, size_t at)
{
	size_t end = at;

	for (int digits = 0; digits < 3 && next_class(s, text, &at) & NUMBER; digits++)
		end = at;
	return end;
}

static size_t symbols(struct splitter *s, struct str text, size_t at)
{
	size_t from = at + (text.ptr[at] == ' '), end = run(s, text, from, MARK | REST);

	if (end == from)
		return at;
	while (end < text.len && (class_at(s, text, end) == LINE_END ||
				  (s->rules == SPLIT_O200K && text.ptr[end] == '/')))
		end++;
	return end;
}

/* To the last end of a line; else all but the last one, which goes with the next word; else what there is. */
static size_t white(struct splitter *s, struct str text, size_t at)
{
	size_t end = at, last = at, line = at;
	unsigned class;

	for (size_t next = at; (class = next_class(s, text, &next)) & (SPACE | LINE_END);) {
		last = end;
		end = next;
		if (class == LINE_END)
			line = end;
	}
	if (line > at)
		return line;
	return end == text.len || last == at ? end : last;
}

size_t splitter_next(struct splitter *s, struct str text, size_t at)
{
	size_t end = s->rules == SPLIT_CL100K ? contraction(text, at) : at;

	if (end == at)
		end = word(s, text, at);
	if (end == at)
		end = number(s, text, at);
	if (end == at)
		end = symbols(s, text, at);
	if (end == at)
		end = white(s, text, at);
	assert(end > at);
	return end;
}
