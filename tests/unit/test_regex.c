/* Regular expressions of users: how much work a search may be. What they mean is tested with the filters and schemas that
 * have them (test_filter.c, test_schema.c). */
#include "operations/regex.h"

#include "common/buf.h"

#include "tests/unit/test.h"

enum { LONG_TEXT = 200000 };

/* A text of so many bytes: the words again and again. */
static struct str text_of(struct arena *a, const char *words)
{
	char *text = arena_alloc(a, LONG_TEXT);
	size_t len = strlen(words);

	for (size_t i = 0; i < LONG_TEXT; i++)
		text[i] = words[i % len];
	return (struct str){text, LONG_TEXT};
}

static enum regex_result search(struct arena *a, const char *pattern, struct str text)
{
	struct error err;
	struct regex *r = regex_compile(a, str_of(pattern), &err);

	assert_non_null(r);
	return regex_search(r, text);
}

/* By the steps from each place alone it would not be stopped, and take a minute. */
TEST(a_search_that_tries_very_much_at_each_of_many_places_is_stopped)
{
	struct arena *a = arena_new();

	(void)state;
	assert_int_equal(search(a, "(a?){14}[bc]", text_of(a, "a")), REGEX_TOO_MUCH_WORK);
	assert_int_equal(search(a, "^(a+)+$", text_of(a, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")),
			 REGEX_TOO_MUCH_WORK);
	arena_free(a);
}

TEST(an_ordinary_search_goes_through_a_long_text)
{
	static const struct {
		const char *pattern;
		enum regex_result expected;
	} cases[] = {
		{"fo[xy] jumps",              REGEX_FOUND    },
		{"(\\w+\\s)*end",             REGEX_NOT_FOUND},
		{"[a-z]+@[a-z]+\\.com",       REGEX_NOT_FOUND},
		{"\\bcat\\b|\\bcow\\b",       REGEX_NOT_FOUND},
		{"(foo|bar|baz|qux)+!",       REGEX_NOT_FOUND},
		{"(?=.*\\d)(?=.*[A-Z]).{8,}", REGEX_FOUND    },
	};
	struct arena *a = arena_new();
	struct str text = text_of(a, "The quick brown fox jumps over 13 lazy dogs.\n");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (search(a, cases[i].pattern, text) != cases[i].expected)
			FAIL("%s", cases[i].pattern);
	arena_free(a);
}

/* With a callout before each part PCRE2 takes neither. */
TEST(a_long_pattern_is_taken_and_its_work_limited_too)
{
	struct arena *a = arena_new();
	struct str text = text_of(a, "The quick brown fox jumps over 13 lazy dogs.\n");
	char literal[9001];

	(void)state;
	memset(literal, 'x', sizeof(literal) - 1);
	literal[sizeof(literal) - 1] = '\0';
	assert_int_equal(search(a, literal, text), REGEX_NOT_FOUND);
	assert_int_equal(search(a, "^([a-z]{1,20},){1,1000}$", STR("one,two,three,")), REGEX_FOUND);
	assert_int_equal(search(a, "([a-z]?){1000}[0-9]{1000}", text_of(a, "a")),
			 REGEX_TOO_MUCH_WORK);
	arena_free(a);
}

TEST(a_list_of_words_is_searched_for_in_a_long_text)
{
	struct arena *a = arena_new();
	struct buf pattern;

	(void)state;
	buf_init(&pattern, 1000);
	for (int i = 0; i < 50; i++)
		buf_printf(&pattern, "%sword%d", i ? "|" : "", i);
	assert_int_equal(search(a, buf_str(&pattern).ptr, text_of(a, "some words about wool and ")),
			 REGEX_NOT_FOUND);
	buf_clear(&pattern);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_that_tries_very_much_at_each_of_many_places_is_stopped),
		cmocka_unit_test(an_ordinary_search_goes_through_a_long_text),
		cmocka_unit_test(a_long_pattern_is_taken_and_its_work_limited_too),
		cmocka_unit_test(a_list_of_words_is_searched_for_in_a_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
