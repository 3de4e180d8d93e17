/* The expressions, as published:
 *
 *   o200k    P?[UOM]*[LOM]+C?|P?[UOM]+[LOM]*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   mistral  the same without C?, and numbers are single
 *   cl100k   C|P?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *   llama3   the same
 *   qwen     the same, and numbers are single
 *   claude   C| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+     with small letters in C
 *   deepseek first \p{N}{1,3} apart from the rest, then [一-龥぀-ゟ゠-ヿ]+, and in what is between them
 *            A[A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *
 * with P = [^\r\n\p{L}\p{N}], U = \p{Lu}\p{Lt}, L = \p{Ll}, O = \p{Lm}\p{Lo}, M = \p{M}, A = a sign of ASCII, and
 * C = (?i:'s|'t|'re|'ve|'m|'ll|'d). Gemma has none (byte_pair_split_gemma.c). */
#include "operations/byte_pair_split.h"

#include "common/utf8.h"
#include "operations/byte_pair_split_gemma.h"
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
	SIGN = 128,
	CONTROL = 256, /* the rest */
	APART = 512,   /* DeepSeek's ideographs and kana, whatever they are otherwise */
	LETTER = UPPER | LOWER | OTHER_LETTER,
	REST = SIGN | CONTROL,
	WHITE = SPACE | LINE_END,
	FRONT = UPPER | OTHER_LETTER | MARK, /* of a word, for o200k */
	BACK = LOWER | OTHER_LETTER | MARK
};

static const struct {
	const char *pattern;
	uint16_t class;
} classes[] = {
	{"^[\\p{Ll}]",                    LOWER       },
	{"^[\\p{Lm}\\p{Lo}]",             OTHER_LETTER},
	{"^[\\p{Lu}\\p{Lt}]",             UPPER       },
	{"^\\p{M}",		       MARK        },
	{"^\\p{N}",		       NUMBER      },
	{"^[\\r\\n]",                     LINE_END    },
	{"^[\\p{Z}\\t\\x0B\\x0C\\u0085]", SPACE       }, /* the rest of Unicode's White_Space */
	{"^[\\p{P}\\p{S}]",               SIGN        },
};

/* In what the expressions differ. */
static const struct rules {
	bool cased; /* words are cut where small letters end */
	enum { NOWHERE, BEFORE_WORDS, BEHIND_WORDS } contractions;
	bool small;              /* ... in small letters only */
	uint16_t before, within; /* what may stand before a word, once; what it consists of */
	uint16_t signs;
	uint8_t digits; /* in one piece; 0: all, with a space before them */
	bool lines;     /* signs and white space go to the end of lines */
	bool slashes;   /* ... and signs take slashes with them */
} all_rules[] = {
	[SPLIT_O200K] = {.cased = true,
			 .contractions = BEHIND_WORDS,
			 .before = REST | SPACE,
			 .signs = MARK | REST,
			 .digits = 3,
			 .lines = true,
			 .slashes = true},
	[SPLIT_MISTRAL] = {.cased = true,
                         .before = REST | SPACE,
                         .signs = MARK | REST,
                         .digits = 1,
                         .lines = true,
                         .slashes = true},
	[SPLIT_CL100K] = {.contractions = BEFORE_WORDS,
                         .before = REST | SPACE | MARK,
                         .within = LETTER,
                         .signs = MARK | REST,
                         .digits = 3,
                         .lines = true},
	[SPLIT_LLAMA3] = {.contractions = BEFORE_WORDS,
                         .before = REST | SPACE | MARK,
                         .within = LETTER,
                         .signs = MARK | REST,
                         .digits = 3,
                         .lines = true},
	[SPLIT_QWEN] = {.contractions = BEFORE_WORDS,
			 .before = REST | SPACE | MARK,
			 .within = LETTER,
			 .signs = MARK | REST,
			 .digits = 1,
			 .lines = true},
	[SPLIT_CLAUDE] = {.contractions = BEFORE_WORDS,
                         .small = true,
                         .within = LETTER,
                         .signs = MARK | REST                                   },
	[SPLIT_DEEPSEEK] = {.before = CONTROL | SPACE,
                         .within = LETTER | MARK,
                         .signs = SIGN,
                         .digits = 3,
                         .lines = true                               },
};

enum { PAGE = 256, PAGES = 0x110000 / PAGE };

struct splitter {
	struct arena *arena;
	enum split_rules name;
	const struct rules *rules;
	struct regex *patterns[ARRAY_LEN(classes)];
	const uint16_t *pages[PAGES]; /* NULL: not needed so far */
};

struct splitter *splitter_new(struct arena *a, enum split_rules rules)
{
	struct splitter *s = arena_make(a, struct splitter);
	struct error err;

	s->arena = a;
	s->name = rules;
	s->rules = &all_rules[rules];
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		s->patterns[i] = regex_compile(a, str_of(classes[i].pattern), &err);
		assert(s->patterns[i]);
	}
	return s;
}

/* ---- classes ---- */

static bool is_apart(uint32_t c)
{
	return (c >= 0x4E00 && c <= 0x9FA5) || (c >= 0x3040 && c <= 0x30FF);
}

static uint16_t look_up(const struct splitter *s, uint32_t c)
{
	char bytes[UTF8_MAX];
	struct str text = {bytes, utf8_write(c, bytes)};

	if (s->name == SPLIT_DEEPSEEK && is_apart(c))
		return APART;
	for (size_t i = 0; i < ARRAY_LEN(classes); i++)
		if (regex_search(s->patterns[i], text) == REGEX_FOUND)
			return classes[i].class;
	return CONTROL;
}

static const uint16_t *make_page(struct splitter *s, uint32_t page)
{
	uint16_t *p = arena_array(s->arena, uint16_t, PAGE);

	for (uint32_t i = 0; i < PAGE; i++)
		p[i] = look_up(s, page * PAGE + i);
	return s->pages[page] = p;
}

static unsigned class_of(struct splitter *s, uint32_t c)
{
	const uint16_t *page = s->pages[c / PAGE];

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
static size_t contraction(const struct rules *r, struct str text, size_t at)
{
	static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d", "\xC5\xBF"};
	size_t count = ARRAY_LEN(endings) - r->small;
	char to_small = r->small ? 0 : 0x20;

	if (at >= text.len || text.ptr[at] != '\'')
		return at;
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(endings[i]), j = 0;

		while (j < len && at + 1 + j < text.len &&
		       (text.ptr[at + 1 + j] == endings[i][j] ||
			(text.ptr[at + 1 + j] | to_small) == endings[i][j]))
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
	const struct rules *r = s->rules;
	size_t from = at, end;

	if (!(next_class(s, text, &from) & r->before) && !(r->digits == 0 && text.ptr[at] == ' '))
		from = at;
	end = r->cased ? cased_word(s, text, from) : run(s, text, from, r->within);
	if (end == from)
		return at;
	return r->contractions == BEHIND_WORDS ? contraction(r, text, end) : end;
}

static size_t number(struct splitter *s, struct str text, size_t at)
{
	size_t most = s->rules->digits, from = at + (most == 0 && text.ptr[at] == ' ');
	size_t end = from;

	for (size_t next = from, digits = 0;
	     (most == 0 || digits < most) && next_class(s, text, &next) & NUMBER; digits++)
		end = next;
	return end == from ? at : end;
}

static size_t symbols(struct splitter *s, struct str text, size_t at)
{
	const struct rules *r = s->rules;
	size_t from = at + (text.ptr[at] == ' '), end = run(s, text, from, r->signs);

	if (end == from)
		return at;
	while (r->lines && end < text.len &&
	       (class_at(s, text, end) == LINE_END || (r->slashes && text.ptr[end] == '/')))
		end++;
	return end;
}

/* To the last end of a line; else all but the last one, which goes with the next word; else what there is. */
static size_t white(struct splitter *s, struct str text, size_t at)
{
	size_t end = at, last = at, line = at;
	unsigned class;

	for (size_t next = at; (class = next_class(s, text, &next)) & WHITE;) {
		last = end;
		end = next;
		if (class == LINE_END)
			line = end;
	}
	if (line > at && s->rules->lines)
		return line;
	if (s->name == SPLIT_DEEPSEEK && (class & (NUMBER | APART)))
		return end; /* what is looked at ends there */
	return end == text.len || last == at ? end : last;
}

/* ---- DeepSeek ---- */

static bool is_ascii_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static size_t sign_and_letters(struct splitter *s, struct str text, size_t at)
{
	size_t end = at + 1;

	if ((unsigned char)text.ptr[at] >= 0x80 || class_at(s, text, at) != SIGN)
		return at;
	while (end < text.len && is_ascii_letter(text.ptr[end]))
		end++;
	return end == at + 1 ? at : end;
}

/* What none of the expressions takes is a piece as well, to where one of them does. */
static size_t controls(struct splitter *s, struct str text, size_t at)
{
	size_t end = at;

	do
		(void)next_class(s, text, &end);
	while (class_at(s, text, end) == CONTROL && word(s, text, end) == end);
	return end;
}

static size_t deepseek_next(struct splitter *s, struct str text, size_t at)
{
	size_t end = number(s, text, at);

	if (end == at)
		end = run(s, text, at, APART);
	if (end == at)
		end = sign_and_letters(s, text, at);
	if (end == at)
		end = word(s, text, at);
	if (end == at)
		end = symbols(s, text, at);
	if (end == at)
		end = white(s, text, at);
	return end == at ? controls(s, text, at) : end;
}

/* ---- all of it ---- */

size_t splitter_next(struct splitter *s, struct str text, size_t at)
{
	size_t end = at;

	if (s->name == SPLIT_GEMMA)
		return gemma_next(text, at);
	if (s->name == SPLIT_DEEPSEEK)
		return deepseek_next(s, text, at);
	if (s->rules->contractions == BEFORE_WORDS)
		end = contraction(s->rules, text, at);
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
