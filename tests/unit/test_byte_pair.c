/* Exact counting: against the counts of real tokenizers, with the part of their tokens that the texts need. */
#include "tests/unit/test.h"

#include "common/buf.h"
#include "operations/byte_pair.h"
#include "operations/media.h"
#include "tests/unit/vectors.h"

static struct str vector_file(struct arena *a, const char *name)
{
	enum { LARGEST = 1 << 18 };
	char *text = arena_alloc(a, LARGEST);
	FILE *file = fopen(arena_printf(a, TESTS_DIR "/vectors/%s", name), "rb");
	struct str read;

	assert_non_null(file);
	read = (struct str){text, fread(text, 1, LARGEST, file)};
	(void)fclose(file);
	return read;
}

static struct byte_pairs *counter(struct arena *a, enum split_rules rules)
{
	const char *name = rules == SPLIT_O200K ? "o200k_part.tiktoken" : "cl100k_part.tiktoken";
	struct error err;
	struct byte_pairs *b = byte_pairs_new(a, rules, vector_file(a, name), &err);

	if (!b)
		FAIL("%s: %s", name, err.text);
	return b;
}

TEST(counts_are_those_of_the_real_tokenizers)
{
	static const struct {
		enum split_rules rules;
		const char *name;
	} all[] = {
		{SPLIT_O200K,  "o200k" },
                {SPLIT_CL100K, "cl100k"}
        };
	struct arena *a = arena_new();
	const cJSON *cases = read_vectors(a, "byte-pairs.json"), *c;

	(void)state;
	assert_true(json_count(cases) > 200);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct byte_pairs *b = counter(a, all[i].rules);

		json_each(c, cases) {
			const char *text = json_get_text(c, "text");
			uint64_t found = byte_pairs_count(b, str_of(text));

			if (found != (uint64_t)json_get_number(c, all[i].name, -1))
				FAIL("%s of '%s': %llu, truly %.0f", all[i].name, text,
				     (unsigned long long)found,
				     json_get_number(c, all[i].name, -1));
		}
	}
	arena_free(a);
}

static void check_pieces(struct splitter *s, const char *name, const cJSON *c)
{
	struct str text = str_of(json_get_text(c, "text"));
	const cJSON *length;
	size_t at = 0;

	json_each(length, json_get(c, name)) {
		size_t end = splitter_next(s, text, at);

		if ((double)(end - at) != length->valuedouble)
			FAIL("%s of '%s': from %zu to %zu, not %.0f bytes", name, text.ptr, at, end,
			     length->valuedouble);
		at = end;
	}
	assert_int_equal(at, text.len);
}

/* As the published expressions cut, carried out by an engine that is not ours. */
TEST(pieces_are_those_of_the_published_expressions)
{
	static const struct {
		enum split_rules rules;
		const char *name;
	} all[] = {
		{SPLIT_CLAUDE,   "claude"  },
		{SPLIT_LLAMA3,   "llama3"  },
		{SPLIT_QWEN,     "qwen"    },
		{SPLIT_DEEPSEEK, "deepseek"},
		{SPLIT_MISTRAL,  "mistral" }
        };
	struct arena *a = arena_new();
	const cJSON *cases = read_vectors(a, "pieces.json"), *c;

	(void)state;
	assert_true(json_count(cases) > 80);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct splitter *s = splitter_new(a, all[i].rules);

		json_each(c, cases) {
			check_pieces(s, all[i].name, c);
		}
	}
	arena_free(a);
}

TEST(gemma_s_tokens_grow_from_characters_and_some_tags_are_tokens)
{
	static const char *const tokens[] = {"日", "本",  "日本", "\n\n", "  ",
					     "ab", " ab", "<td>", "</td>"};
	static const struct {
		const char *text;
		uint64_t count;
	} cases[] = {
		{"日本",						       1 },
		{"本日",						       2 },
		{"中",							  3 }, /* no token: its bytes */
		{"ab ab",							2 },
		{"ab  ab",						       3 },
		{"a\n\n\nb",						     4 },
		{"x<td>ab</td>",						 4 },
		{"<tdx>",							5 },
		{"<",							    1 },
		{"日本日本日本日本日本日本日本日本日本日本", 10},
	};
	struct arena *a = arena_new();
	struct error err;
	struct byte_pairs *b;
	struct buf file;

	(void)state;
	buf_init(&file, 1 << 16);
	for (unsigned i = 0; i < 256 + ARRAY_LEN(tokens); i++) {
		char byte = (char)i;
		struct str token = i < 256 ? (struct str){&byte, 1} : str_of(tokens[i - 256]);

		assert_true(buf_printf(&file, "%s %u\n", media_base64(a, token), i));
	}
	b = byte_pairs_new(a, SPLIT_GEMMA, buf_str(&file), &err);
	assert_non_null(b);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (byte_pairs_count(b, str_of(cases[i].text)) != cases[i].count)
			FAIL("'%s': %llu, expected %llu", cases[i].text,
			     (unsigned long long)byte_pairs_count(b, str_of(cases[i].text)),
			     (unsigned long long)cases[i].count);
	buf_clear(&file);
	arena_free(a);
}

TEST(what_is_not_utf8_counts_as_the_replacement_that_is_sent)
{
	static const struct {
		const char *bad, *sent;
	} cases[] = {
		{"a\xFFz",                 "a\xEF\xBF\xBDz"						  },
		{"\xC3",                   "\xEF\xBF\xBD"						    },
		{"x \xED\xA0\x80 y",       "x \xEF\xBF\xBD y"                                                }, /* half a pair */
		{"\x80\x80",               "\xEF\xBF\xBD\xEF\xBF\xBD"                                        },
		{"日本\xF4\x90\x80\x80", "日本\xEF\xBF\xBD\xEF\xBF\xBD"
					 "\xEF\xBF\xBD\xEF\xBF\xBD"},
	};
	struct arena *a = arena_new();
	struct byte_pairs *b = counter(a, SPLIT_O200K);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(byte_pairs_count(b, str_of(cases[i].bad)),
				 byte_pairs_count(b, str_of(cases[i].sent)));
	assert_int_equal(byte_pairs_count(b, (struct str){"\0\0", 2}), 2);
	assert_int_equal(byte_pairs_count(b, (struct str){NULL, 0}), 0);
	arena_free(a);
}

/* A piece of a megabyte: were the work not in proportion to it, this would take hours. */
TEST(a_piece_without_an_end_is_counted_too)
{
	enum { LEN = 1 << 20 };
	struct arena *a = arena_new();
	struct byte_pairs *b = counter(a, SPLIT_O200K);
	char *text = arena_alloc(a, LEN);

	(void)state;
	memset(text, 'a', LEN);
	assert_int_equal(byte_pairs_count(b, (struct str){text, LEN}), LEN / 8);
	arena_free(a);
}

/* ---- files ---- */

static char *all_bytes(struct arena *a, const char *more)
{
	char *file = arena_alloc(a, 256 * 16 + strlen(more) + 1), *at = file;

	for (unsigned i = 0; i < 256; i++) {
		char byte = (char)i;
		const char *line =
			arena_printf(a, "%s %u\n", media_base64(a, (struct str){&byte, 1}), i);

		at = stpcpy(at, line);
	}
	(void)stpcpy(at, more);
	return file;
}

TEST(a_bad_file_says_which_line_and_why)
{
	static const struct {
		const char *file, *error;
	} cases[] = {
		{"",                 "there is no token for the byte 0"                 },
		{"<html>\n",         "line 1: expected a token in base64, a space and 0"},
		{"IQ== 1\n",         "line 1: expected a token in base64, a space and 0"},
		{"IQ== 0\nIQ== 1\n", "line 2: this token was there before"              },
		{"IQ== 0\n\n",       "line 2: expected a token in base64, a space and 1"},
		{"IQ== 0 \n",        "line 1: expected a token in base64, a space and 0"},
		{"IQ= 0\n",          "line 1: expected a token in base64, a space and 0"},
		{"==== 0\n",         "line 1: expected a token in base64, a space and 0"},
		{"IQ== 0\r\n",       "line 1: expected a token in base64, a space and 0"},
		{"IQ== 0\nIg== 1",   "there is no token for the byte 0"                 },
	};
	struct arena *a = arena_new();
	struct error err;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_null(ranks_read(a, str_of(cases[i].file), &err));
		assert_int_equal(err.code, ERR_INVALID_PAYLOAD);
		assert_string_equal(err.text, cases[i].error);
	}
	assert_null(ranks_read(a, str_of(all_bytes(a, "YWI= 257\n")), &err));
	assert_string_equal(err.text, "line 257: expected a token in base64, a space and 256");
	arena_free(a);
}

TEST(a_file_without_merges_counts_bytes)
{
	struct arena *a = arena_new();
	struct error err;
	struct byte_pairs *b =
		byte_pairs_new(a, SPLIT_O200K, str_of(all_bytes(a, "YWI= 256")), &err);

	(void)state;
	assert_non_null(b);
	assert_int_equal(byte_pairs_count(b, STR("abba")), 3);
	assert_int_equal(byte_pairs_count(b, STR("日")), 3);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(counts_are_those_of_the_real_tokenizers),
		ENTRY(pieces_are_those_of_the_published_expressions),
		ENTRY(gemma_s_tokens_grow_from_characters_and_some_tags_are_tokens),
		ENTRY(what_is_not_utf8_counts_as_the_replacement_that_is_sent),
		ENTRY(a_piece_without_an_end_is_counted_too),
		ENTRY(a_bad_file_says_which_line_and_why),
		ENTRY(a_file_without_merges_counts_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
