#include "tests/unit/test.h"

#include "operations/byte_pair.h"
#include "operations/media.h"
#include "operations/tokens.h"

#include <stdio.h>

/* Counted with the tables of o200k_base and cl100k_base. */
static const struct {
	const char *text;
	uint64_t o200k, cl100k;
} samples[] = {
	{"The quick brown fox jumps over the lazy dog.",                          10, 10},
	{"Hello, world! How are you doing today? I am fine, thank you.",          17, 17},
	{"aGVsbG8gd29ybGQgdGhpcyBpcyBhIHRlc3Qgb2YgYmFzZTY0IGVuY29kaW5n",          40, 44},
	{"{\"title\":\"Rye\",\"price\":12.5,\"tags\":[\"bread\",\"rye\"]}",       20, 19},
	{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20",                    39, 39},
	{"Die Bäckerei öffnet um sechs Uhr früh; danach riecht es nach Brot.", 18, 25},
	{"日本語のテキストです。今日は天気がいいですね。", 15, 22},
	{"8cbb43fe-4cdf-4991-8352-c461779cec02",                                  19, 19},
};

static uint64_t by_classes(enum tokenizer t, struct str text)
{
	const struct model m = {.tokenizer = t};

	return tokens_of_text(&m, text).tokens;
}

static void check_estimate(const char *text, uint64_t found, uint64_t truth)
{
	if (found * 10 < truth * 7 || found * 10 > truth * 13)
		FAIL("'%s': %llu, truly %llu", text, (unsigned long long)found,
		     (unsigned long long)truth);
}

TEST(estimates_are_near_the_truth)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
		struct str text = str_of(samples[i].text);

		check_estimate(text.ptr, by_classes(TOKENIZER_O200K, text), samples[i].o200k);
		check_estimate(text.ptr, by_classes(TOKENIZER_CL100K, text), samples[i].cl100k);
	}
}

TEST(newer_models_of_anthropic_count_more)
{
	struct str text = STR("Grüße aus München, où l'été est court.\n\n日本語 Привет");
	uint64_t old = by_classes(TOKENIZER_CLAUDE, text);
	uint64_t new = by_classes(TOKENIZER_CLAUDE_NEW, text);

	(void)state;
	assert_true(new > old &&new <= old * 14 / 10 + 1);
	assert_true(old > by_classes(TOKENIZER_O200K, text));
	assert_int_equal(by_classes(TOKENIZER_O200K, STR("")), 0);
}

/* ---- by byte pairs ---- */

static struct str whole_file(struct arena *a, const char *path)
{
	enum { LARGEST = 1 << 18 };
	char *text = arena_alloc(a, LARGEST);
	FILE *file = fopen(path, "rb");
	size_t len;

	assert_non_null(file);
	len = fread(text, 1, LARGEST, file);
	(void)fclose(file);
	return (struct str){text, len};
}

static struct byte_pairs *o200k(struct arena *a)
{
	struct error err;
	struct byte_pairs *b = byte_pairs_new(
		a, SPLIT_O200K, whole_file(a, TESTS_DIR "/vectors/o200k_part.tiktoken"), &err);

	assert_non_null(b);
	return b;
}

TEST(a_question_is_counted_exactly_with_the_ranks_of_its_model)
{
	struct arena *a = arena_new();
	const struct model own = {.tokenizer_known = true, .byte_pairs = o200k(a)};
	const struct llm_part parts[] = {{.text = samples[0].text}, {.text = "don't"}};
	const struct llm_message message = {.parts = parts, .count = 2};
	const struct llm_question q = {
		.model = &own, .system = samples[0].text, .messages = &message, .count = 1};
	struct token_count found = tokens_of_question(&q, a);

	(void)state;
	assert_true(tokens_are_exact(&own));
	assert_int_equal(found.tokens, 3 + 4 + 10 + 4 + 10 + 1);
	assert_int_equal(found.guess, found.tokens);
	assert_int_equal(found.bytes, 2 * strlen(samples[0].text) + 5);
	arena_free(a);
}

TEST(other_models_are_counted_with_ranks_that_are_near)
{
	struct arena *a = arena_new();
	struct byte_pairs *b = o200k(a);
	const struct model claude = {.tokenizer = TOKENIZER_CLAUDE, .byte_pairs = b};
	const struct model unknown = {.byte_pairs = b};
	struct str text = str_of("für öffnet größer schönsten");
	uint64_t own = byte_pairs_count(b, text);

	(void)state;
	assert_false(tokens_are_exact(&claude));
	assert_false(tokens_are_exact(&unknown));
	assert_int_equal(tokens_of_text(&claude, text).tokens, own);
	assert_true(tokens_of_text(&claude, text).guess > own); /* as classes say of accents */
	assert_int_equal(tokens_of_text(&unknown, text).guess, own);
	arena_free(a);
}

TEST(claude_is_counted_with_an_older_tokenizer_and_scaled)
{
	struct arena *a = arena_new();
	struct byte_pairs *b = o200k(a); /* whosever they are, they are said to be Claude's */
	const struct model claude = {.tokenizer = TOKENIZER_CLAUDE_NEW,
				     .tokenizer_known = true,
				     .byte_pairs = b,
				     .ranks = SPLIT_CLAUDE};
	const struct model gemini = {.tokenizer = TOKENIZER_GEMMA,
				     .tokenizer_known = true,
				     .byte_pairs = b,
				     .ranks = SPLIT_GEMMA};
	struct str text = str_of(samples[0].text);

	(void)state;
	assert_false(tokens_are_exact(&claude));
	assert_int_equal(tokens_of_text(&claude, text).tokens, 10);
	assert_int_equal(tokens_of_text(&claude, text).guess, 14);
	assert_string_equal(tokens_of_text(&claude, text).method, "claude");
	assert_true(tokens_are_exact(&gemini));
	assert_int_equal(tokens_of_text(&gemini, text).guess, 10);
	arena_free(a);
}

/* English at first and numbers at the end: a look at the beginning alone would be far off. */
TEST(of_a_long_text_pieces_are_counted)
{
	enum { HALF = 200000 };
	struct arena *a = arena_new();
	const struct model m = {.byte_pairs = o200k(a)};
	char *text = arena_alloc(a, HALF * 2);
	double truth, found;

	(void)state;
	for (size_t i = 0; i < HALF; i++) {
		text[i] = samples[0].text[i % strlen(samples[0].text)];
		text[HALF + i] = samples[4].text[i % strlen(samples[4].text)];
	}
	truth = (double)byte_pairs_count(m.byte_pairs, (struct str){text, HALF * 2});
	found = (double)tokens_of_text(&m, (struct str){text, HALF * 2}).tokens;
	if (found < truth * 0.98 || found > truth * 1.02)
		FAIL("%.0f, truly %.0f", found, truth);
	arena_free(a);
}

TEST(of_many_short_texts_all_are_counted)
{
	enum { MESSAGES = 1000 };
	struct arena *a = arena_new();
	const struct model m = {.byte_pairs = o200k(a)};
	const struct llm_part part = {.text = samples[0].text};
	struct llm_message *messages = arena_array(a, struct llm_message, MESSAGES);
	const struct llm_question q = {.model = &m, .messages = messages, .count = MESSAGES};

	(void)state;
	for (size_t i = 0; i < MESSAGES; i++)
		messages[i] = (struct llm_message){.parts = &part, .count = 1};
	assert_int_equal(tokens_of_question(&q, a).tokens, 3 + MESSAGES * (4 + 10));
	arena_free(a);
}

TEST(what_tokenizers_cut_otherwise_is_counted_apart)
{
	const struct model m = {.tokenizer = TOKENIZER_O200K};
	struct token_count c = tokens_of_text(&m, STR("Die Bäckerei: 12,50 €!\n\n{\"日本\"}"));

	(void)state;
	assert_int_equal(c.bytes, 37);
	assert_int_equal(c.other, 2 + 3 + 6);
	assert_int_equal(c.words, 4);
	assert_int_equal(c.signs, 5);
	assert_int_equal(c.digits, 4);
	assert_int_equal(c.lines, 2);
	assert_string_equal(c.method, "classes");
}

TEST(pictures_are_counted_by_the_model_s_rule)
{
	const struct model tiles = {.image_rule = IMAGE_TILES, .image_base = 85, .image_tile = 170};
	const struct model patches = {.image_rule = IMAGE_PATCHES};
	const struct model claude = {.image_rule = IMAGE_CLAUDE};
	const struct model large = {.image_rule = IMAGE_CLAUDE_LARGE};
	const struct model gemini2 = {.image_rule = IMAGE_GEMINI_TILES};
	const struct model gemini3 = {.image_rule = IMAGE_GEMINI_FLAT};
	const struct model unknown = {.image_rule = IMAGE_UNKNOWN};

	(void)state;
	assert_int_equal(tokens_of_image(&tiles, 1024, 1024, "high"), 85 + 4 * 170);
	assert_int_equal(tokens_of_image(&tiles, 2048, 4096, NULL), 85 + 6 * 170);
	assert_int_equal(tokens_of_image(&tiles, 4000, 3000, "low"), 85);
	assert_int_equal(tokens_of_image(&patches, 320, 320, NULL), 120);
	assert_int_equal(tokens_of_image(&claude, 280, 280, NULL), 100);
	assert_int_equal(tokens_of_image(&claude, 8000, 8000, NULL), 1568);
	assert_int_equal(tokens_of_image(&large, 8000, 8000, NULL), 4784);
	assert_int_equal(tokens_of_image(&gemini2, 300, 300, NULL), 258);
	assert_int_equal(tokens_of_image(&gemini2, 1536, 768, NULL), 516);
	assert_int_equal(tokens_of_image(&gemini3, 99, 99, NULL), 1120);
	assert_int_equal(tokens_of_image(&unknown, 99, 99, NULL), 1500);
}

TEST(media_are_what_their_first_bytes_say)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *type;
		uint32_t width, height;
	} files[] = {
		{"\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\1\0\0\0\0\x80",          24, "image/png",       256, 128},
		{"\x89PNG\r\n\x1A\n\0\0\0\rIHDR",                            16, "image/png",       0,   0  },
		{"GIF89a\x40\1\xF0\0",				       10, "image/gif",       320, 240},
		{"\xFF\xD8\xFF\xE0\0\4ab\xFF\xC2\0\x11\x08\0\x64\0\xC8\3",   19, "image/jpeg",      200,
		 100											},
		{"\xFF\xD8\xFF\xE0\0",				       5,  "image/jpeg",      0,   0  },
		{"RIFF\0\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0\x3F\0\0\x1F\0\0xx", 32, "image/webp",      64,
		 32											 },
		{"%PDF-1.7",						 8,  "application/pdf", 0,   0  },
		{"<svg xmlns",					       10, NULL,              0,   0  },
		{"",							 0,  NULL,              0,   0  },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct media m = media_sniff((struct str){files[i].bytes, files[i].len});

		if (files[i].type)
			assert_string_equal(m.type, files[i].type);
		else
			assert_null(m.type);
		assert_int_equal(m.width, files[i].width);
		assert_int_equal(m.height, files[i].height);
	}
}

TEST(base64_is_as_everywhere)
{
	struct arena *a = arena_new();

	(void)state;
	assert_string_equal(media_base64(a, STR("")), "");
	assert_string_equal(media_base64(a, STR("f")), "Zg==");
	assert_string_equal(media_base64(a, STR("fo")), "Zm8=");
	assert_string_equal(media_base64(a, STR("foo")), "Zm9v");
	assert_string_equal(media_base64(a, STR("\xFF\xD8\xFF\0")), "/9j/AA==");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(estimates_are_near_the_truth),
		ENTRY(newer_models_of_anthropic_count_more),
		ENTRY(a_question_is_counted_exactly_with_the_ranks_of_its_model),
		ENTRY(other_models_are_counted_with_ranks_that_are_near),
		ENTRY(claude_is_counted_with_an_older_tokenizer_and_scaled),
		ENTRY(of_a_long_text_pieces_are_counted),
		ENTRY(of_many_short_texts_all_are_counted),
		ENTRY(what_tokenizers_cut_otherwise_is_counted_apart),
		ENTRY(pictures_are_counted_by_the_model_s_rule),
		ENTRY(media_are_what_their_first_bytes_say),
		ENTRY(base64_is_as_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
