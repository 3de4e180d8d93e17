#include "operations/tokens_classes.h"

#include "common/utf8.h"

#include <math.h>

enum kind {
	LETTER,
	DIGIT,
	PUNCTUATION,
	NEWLINE,
	SPACE,
	CYRILLIC,
	GREEK,
	ARABIC,
	INDIC,
	VIETNAMESE,
	KANA,
	HAN,
	HANGUL,
	CJK_PUNCTUATION,
	OTHER,
	ASTRAL,
	MARK
};

static const struct {
	uint32_t from, to;
	enum kind kind;
} ranges[] = {
	{0x0041,  0x005A,  LETTER         },
        {0x0061,  0x007A,  LETTER         },
	{0x00AA,  0x00AA,  LETTER         },
        {0x00BA,  0x00BA,  LETTER         },
	{0x00C0,  0x00D6,  LETTER         },
        {0x00D8,  0x00F6,  LETTER         },
	{0x00F8,  0x024F,  LETTER         },
        {0x0370,  0x03FF,  GREEK          },
	{0x0400,  0x052F,  CYRILLIC       },
        {0x0590,  0x077F,  ARABIC         },
	{0x0900,  0x0E7F,  INDIC          },
        {0x1E00,  0x1EFF,  VIETNAMESE     },
	{0x200D,  0x200D,  MARK           },
        {0x3000,  0x303F,  CJK_PUNCTUATION},
	{0x3040,  0x30FF,  KANA           },
        {0x3400,  0x4DBF,  HAN            },
	{0x4E00,  0x9FFF,  HAN            },
        {0xAC00,  0xD7AF,  HANGUL         },
	{0xFE00,  0xFE0F,  MARK           },
        {0xFF00,  0xFF65,  CJK_PUNCTUATION},
	{0xFF66,  0xFF9F,  KANA           },
        {0x1F3FB, 0x1F3FF, MARK           },
	{0x20000, 0x3FFFF, HAN            },
};

/* Of each tokenizer: per run of letters, per letter beyond the eighth, per switch from lower to upper
 * case, per accented letter; per three digits; per run of punctuation and per character of it; per run
 * of newlines; per run of two spaces or more; then per code point. */
struct weights {
	double run, long_run, case_switch, accent;
	double digits, punctuation_run, punctuation, newline, spaces;
	double per[MARK + 1];
	double all;
};

static const struct weights weights[] = {
	[TOKENIZER_O200K] = {0.95,
			     0.23, 1.52,
			     0,    1.15,
			     0.99, 0.02,
			     0.21, 0.19,
			     {[CYRILLIC] = 0.24,
			      [GREEK] = 0.43,
			      [ARABIC] = 0.38,
			      [INDIC] = 0.45,
			      [KANA] = 0.76,
			      [HAN] = 0.76,
			      [HANGUL] = 0.69,
			      [CJK_PUNCTUATION] = 0.47,
			      [OTHER] = 1.06,
			      [ASTRAL] = 1.8,
			      [MARK] = 1},
			     1   },
	[TOKENIZER_CL100K] = {1.07,
                             0.17, 1.66,
                             1.32, 1.21,
                             0.78, 0.03,
                             0.33, 0.40,
                             {[CYRILLIC] = 0.47,
			       [GREEK] = 1.0,
			       [ARABIC] = 1.0,
			       [INDIC] = 1.25,
			       [KANA] = 1.02,
			       [HAN] = 1.10,
			       [HANGUL] = 1.26,
			       [CJK_PUNCTUATION] = 0.79,
			       [OTHER] = 1.37,
			       [ASTRAL] = 2.5,
			       [MARK] = 1},
                             1   },
	[TOKENIZER_CLAUDE] = {1.12,
                             0.12, 1.74,
                             2.86, 1.13,
                             0.93, 0.03,
                             0.68, 0,
                             {[CYRILLIC] = 0.55,
			       [GREEK] = 1.3,
			       [ARABIC] = 1.1,
			       [INDIC] = 1.6,
			       [VIETNAMESE] = 0.39,
			       [KANA] = 1.04,
			       [HAN] = 1.02,
			       [HANGUL] = 1.41,
			       [CJK_PUNCTUATION] = 0.65,
			       [OTHER] = 1.87,
			       [ASTRAL] = 2.7,
			       [MARK] = 1},
                             1   },
	[TOKENIZER_CLAUDE_NEW] = {1.12,
                             0.12, 1.74,
                             2.86, 1.13,
                             0.93, 0.03,
                             0.68, 0,
                             {[CYRILLIC] = 0.55,
				   [GREEK] = 1.3,
				   [ARABIC] = 1.1,
				   [INDIC] = 1.6,
				   [VIETNAMESE] = 0.39,
				   [KANA] = 1.04,
				   [HAN] = 1.02,
				   [HANGUL] = 1.41,
				   [CJK_PUNCTUATION] = 0.65,
				   [OTHER] = 1.87,
				   [ASTRAL] = 2.7,
				   [MARK] = 1},
                             1.35},
};

static enum kind kind_of(uint32_t c)
{
	if (c == '\n' || c == '\r')
		return NEWLINE;
	if (c == ' ' || c == '\t')
		return SPACE;
	if (c >= '0' && c <= '9')
		return DIGIT;
	for (size_t i = 0; i < ARRAY_LEN(ranges) && c >= ranges[i].from; i++)
		if (c <= ranges[i].to)
			return ranges[i].kind;
	if (c < 0x80)
		return PUNCTUATION;
	return c > 0xFFFF ? ASTRAL : OTHER;
}

static bool is_upper(uint32_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 0xC0 && c <= 0xDE);
}

/* A run of characters of one kind. */
struct run {
	enum kind kind;
	size_t length, case_switches, accents;
	bool was_lower;
};

static void add_to_run(struct run *r, uint32_t c)
{
	r->length++;
	r->accents += c >= 0x80 && c < 0x1E00;
	r->case_switches += r->was_lower && is_upper(c);
	r->was_lower = !is_upper(c);
}

static double weigh(const struct run *r, const struct weights *w)
{
	double length = (double)r->length;

	switch (r->kind) {
	case LETTER:
		return w->run + (r->length > 8 ? (length - 8) * w->long_run : 0) +
		       (double)r->case_switches * w->case_switch + (double)r->accents * w->accent;
	case DIGIT:
		return ceil(length / 3) * w->digits;
	case PUNCTUATION:
		return w->punctuation_run + length * w->punctuation;
	case NEWLINE:
		return w->newline;
	case SPACE:
		return r->length > 1 ? w->spaces : 0;
	default: /* by the code point */
		return length * w->per[r->kind];
	}
}

/* A run of Latin letters goes on through the ones that Vietnamese adds; what those cost comes on
 * top. */
static bool goes_on(const struct run *r, enum kind kind)
{
	return r->length && (r->kind == kind || (r->kind == LETTER && kind == VIETNAMESE));
}

double tokens_by_classes(enum tokenizer t, struct str text)
{
	const struct weights *w = &weights[t < ARRAY_LEN(weights) ? t : TOKENIZER_O200K];
	struct run run = {.length = 0};
	double sum = 0;

	for (size_t at = 0; at < text.len;) {
		uint32_t c = utf8_next(text, &at);
		enum kind kind = kind_of(c);

		if (!goes_on(&run, kind)) {
			sum += run.length ? weigh(&run, w) : 0;
			run = (struct run){.kind = kind == VIETNAMESE ? LETTER : kind};
		}
		if (kind == VIETNAMESE)
			sum += w->per[VIETNAMESE];
		add_to_run(&run, c);
	}
	sum += run.length ? weigh(&run, w) : 0;
	return sum * w->all;
}
