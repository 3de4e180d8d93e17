#include "operations/tokens.h"

#include "operations/byte_pair.h"
#include "operations/tokens_classes.h"

#include <math.h>

enum {
	PER_MESSAGE = 4,
	PER_CHAT = 3,
	UNKNOWN_IMAGE = 1500,
	UNKNOWN_SIDE = 1024,
	BYTES_PER_PDF_PAGE = 60000, /* a rough page, text and pictures */
	TOKENS_PER_PDF_PAGE = 1000,
	BYTES_TO_COUNT = 32768, /* of a question, by byte pairs: a millisecond, in Japanese four */
	BYTES_AT_ONCE = 2048,
	BYTES_AT_LEAST = 64 /* of each text */
};

/* ---- text ---- */

/* What has been found in the texts of a question. */
struct sum {
	const struct model *model;
	size_t bytes_to_come; /* of all texts */
	double pairs;         /* by byte pairs; of them: */
	double own, base; /* by classes, as the model's tokenizer and as the one with the ranks */
	struct token_count count; /* all but the tokens */
	uint64_t added;           /* what is no text */
};

static const struct {
	enum split_rules ranks;
	bool near;    /* they are not its own */
	double times; /* ... and so many times as many tokens are its own, about */
} tokenizers[] = {
	[TOKENIZER_O200K] = {.ranks = SPLIT_O200K },
	[TOKENIZER_CL100K] = {.ranks = SPLIT_CL100K},
	[TOKENIZER_CLAUDE] = {.ranks = SPLIT_CLAUDE, .near = true, .times = 1.1},
	[TOKENIZER_CLAUDE_NEW] = {.ranks = SPLIT_CLAUDE,         .near = true, .times = 1.35},
	[TOKENIZER_GEMMA] = {.ranks = SPLIT_GEMMA},
	[TOKENIZER_LLAMA3] = {.ranks = SPLIT_LLAMA3       },
	[TOKENIZER_QWEN] = {.ranks = SPLIT_QWEN },
	[TOKENIZER_DEEPSEEK] = {.ranks = SPLIT_DEEPSEEK},
	[TOKENIZER_MISTRAL] = {.ranks = SPLIT_MISTRAL  },
};

enum split_rules tokens_ranks_of(enum tokenizer t)
{
	return tokenizers[t].ranks;
}

static bool has_ranks(const struct model *m)
{
	return m->byte_pairs && m->ranks == tokens_ranks_of(m->tokenizer);
}

bool tokens_are_exact(const struct model *m)
{
	return has_ranks(m) && !tokenizers[m->tokenizer].near && m->tokenizer_known;
}

/* What classes know of the tokenizer with these ranks. */
static enum tokenizer base_of(const struct model *m)
{
	return m->ranks == SPLIT_CL100K   ? TOKENIZER_CL100K
	       : m->ranks == SPLIT_CLAUDE ? TOKENIZER_CLAUDE
					  : TOKENIZER_O200K;
}

static bool begins_a_character(char c)
{
	return ((unsigned char)c & 0xC0) != 0x80;
}

/* Pieces of the text, spread over it; what classes say of the whole and of them is the proportion. */
static double by_samples(const struct sum *s, struct str text, size_t most)
{
	size_t count = most / BYTES_AT_ONCE + 1, size = most / count, step = text.len / count;
	double found = 0, guessed = 0;

	for (size_t i = 0; i < count; i++) {
		size_t from = i * step, end = from + size;
		struct str part;

		while (from > 0 && !begins_a_character(text.ptr[from]))
			from--;
		while (end < text.len && !begins_a_character(text.ptr[end]))
			end++;
		part = (struct str){text.ptr + from, end - from};
		found += (double)byte_pairs_count(s->model->byte_pairs, part);
		guessed += tokens_by_classes(base_of(s->model), part);
	}
	return guessed > 0 ? found * tokens_by_classes(base_of(s->model), text) / guessed : found;
}

static double by_pairs(const struct sum *s, struct str text)
{
	size_t most = text.len;

	if (s->bytes_to_come > BYTES_TO_COUNT)
		most = (size_t)((double)BYTES_TO_COUNT * (double)text.len /
				(double)s->bytes_to_come);
	most = most < BYTES_AT_LEAST ? BYTES_AT_LEAST : most;
	return most < text.len ? by_samples(s, text, most)
			       : (double)byte_pairs_count(s->model->byte_pairs, text);
}

enum class { NOTHING, WORD, SIGN, DIGIT };

static enum class class_of(unsigned char c) {
	if (c >= 0x80 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z')) return WORD;
	if (c >= '0' && c <= '9') return DIGIT;
	return c > ' ' && c < 0x7F ? SIGN : NOTHING;
}

/* In what tokenizers differ most: they cut all of these otherwise. */
static void look_at_bytes(struct token_count *c, struct str text)
{
	enum class before = NOTHING;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char byte = (unsigned char)text.ptr[i];
		enum class class = class_of(byte);

		c->other += byte >= 0x80;
		c->lines += byte == '\n';
		c->digits += class == DIGIT;
		c->words += class == WORD && before != WORD;
		c->signs += class == SIGN && before != SIGN;
		before = class;
	}
	c->bytes += text.len;
}

static void add_text(struct sum *s, struct str text)
{
	const struct model *m = s->model;

	look_at_bytes(&s->count, text);
	if (m->byte_pairs)
		s->pairs += by_pairs(s, text);
	if (m->byte_pairs && !has_ranks(m))
		s->base += tokens_by_classes(base_of(m), text);
	if (!has_ranks(m))
		s->own += tokens_by_classes(m->tokenizer, text);
}

static const char *const methods[] = {
	[SPLIT_O200K] = "o200k",       [SPLIT_CL100K] = "cl100k",  [SPLIT_CLAUDE] = "claude",
	[SPLIT_GEMMA] = "gemma",       [SPLIT_LLAMA3] = "llama3",  [SPLIT_QWEN] = "qwen",
	[SPLIT_DEEPSEEK] = "deepseek", [SPLIT_MISTRAL] = "mistral"};

/* What another tokenizer makes of it at first sight: as many more or less as classes say, or as is known. */
static double guess_of(const struct sum *s, double tokens)
{
	if (has_ranks(s->model) && tokenizers[s->model->tokenizer].near)
		return tokens * tokenizers[s->model->tokenizer].times;
	return s->base > 0 ? tokens * s->own / s->base : tokens;
}

static struct token_count total(const struct sum *s)
{
	const struct model *m = s->model;
	double tokens = m->byte_pairs ? s->pairs : s->own;
	struct token_count count = s->count;

	count.tokens = (uint64_t)ceil(tokens) + s->added;
	count.guess = (uint64_t)ceil(guess_of(s, tokens)) + s->added;
	count.method = m->byte_pairs ? methods[m->ranks] : "classes";
	return count;
}

struct token_count tokens_of_text(const struct model *m, struct str text)
{
	struct sum s = {.model = m, .bytes_to_come = text.len};

	add_text(&s, text);
	return total(&s);
}

/* ---- pictures ---- */

static double tiles(double width, double height, double side)
{
	return ceil(width / side) * ceil(height / side);
}

static double openai_tiles(const struct model *m, double width, double height)
{
	double shrink = fmin(1, 2048 / fmax(width, height));

	shrink *= fmin(1, 768 / (fmin(width, height) * shrink));
	return m->image_base + m->image_tile * tiles(width * shrink, height * shrink, 512);
}

static double claude(double width, double height, double long_side, double most)
{
	double shrink = fmin(1, long_side / fmax(width, height));

	return fmin(tiles(width * shrink, height * shrink, 28), most);
}

uint64_t tokens_of_image(const struct model *m, uint32_t width, uint32_t height, const char *detail)
{
	double w = width ? width : UNKNOWN_SIDE, h = height ? height : UNKNOWN_SIDE;
	bool low = detail && strcmp(detail, "low") == 0;
	double tokens = UNKNOWN_IMAGE;

	switch (m->image_rule) {
	case IMAGE_UNKNOWN:
		break;
	case IMAGE_TILES:
		tokens = low ? m->image_base : openai_tiles(m, w, h);
		break;
	case IMAGE_PATCHES:
		tokens = fmin(tiles(w, h, 32), low ? 256 : 2500) * 1.2;
		break;
	case IMAGE_CLAUDE:
		tokens = claude(w, h, 1568, 1568);
		break;
	case IMAGE_CLAUDE_LARGE:
		tokens = claude(w, h, 2576, 4784);
		break;
	case IMAGE_GEMINI_TILES:
		tokens = w <= 384 && h <= 384 ? 258 : 258 * tiles(w, h, 768);
		break;
	case IMAGE_GEMINI_FLAT:
		tokens = low ? 280 : 1120;
		break;
	}
	return (uint64_t)ceil(tokens);
}

/* ---- a question ---- */

static void add_part(struct sum *s, const struct llm_part *part)
{
	switch (part->kind) {
	case PART_TEXT:
		add_text(s, str_of(part->text));
		break;
	case PART_IMAGE:
		s->added += tokens_of_image(s->model, part->width, part->height, part->detail);
		break;
	case PART_DOCUMENT:
		s->added += (strlen(part->base64) / BYTES_PER_PDF_PAGE + 1) * TOKENS_PER_PDF_PAGE;
		break;
	}
}

static size_t bytes_of(const struct llm_message *message)
{
	size_t bytes = 0;

	for (size_t i = 0; i < message->count; i++)
		if (message->parts[i].kind == PART_TEXT)
			bytes += str_of(message->parts[i].text).len;
	return bytes;
}

struct token_count tokens_of_question(const struct llm_question *q, struct arena *a)
{
	struct sum s = {.model = q->model, .added = PER_CHAT + PER_MESSAGE * q->count};
	struct str schema = q->schema ? json_print(a, q->schema) : (struct str){NULL, 0};

	s.bytes_to_come = str_of(q->system).len + schema.len;
	for (size_t i = 0; i < q->count; i++)
		s.bytes_to_come += bytes_of(&q->messages[i]);
	if (q->system) {
		s.added += PER_MESSAGE;
		add_text(&s, str_of(q->system));
	}
	for (size_t i = 0; i < q->count; i++)
		for (size_t j = 0; j < q->messages[i].count; j++)
			add_part(&s, &q->messages[i].parts[j]);
	add_text(&s, schema);
	return total(&s);
}
