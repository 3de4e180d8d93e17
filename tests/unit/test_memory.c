/* arena, buf, error: memory that is given back at once, buffers with a maximum, texts that fit. */
#include "common/arena.h"
#include "common/buf.h"
#include "common/error.h"

#include "tests/unit/test.h"

static char order[8];

static void note(void *arg)
{
	strncat(order, arg, sizeof(order) - strlen(order) - 1);
}

TEST(what_was_deferred_runs_at_the_end_newest_first)
{
	struct arena *a = arena_new();
	char one[] = "1", two[] = "2";

	(void)state;
	arena_defer(a, note, one);
	arena_defer(a, note, two);
	arena_free(a);
	assert_string_equal(order, "21");
}

TEST(allocations_of_all_sizes_are_zeroed_aligned_and_apart)
{
	struct arena *a = arena_new();
	unsigned char *before = NULL;

	(void)state;
	for (size_t size = 1; size < 300000; size = size * 3 + 1) {
		unsigned char *p = arena_alloc(a, size);

		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_int_equal(p[0] | p[size - 1], 0);
		memset(p, 0xAB, size);
		assert_true(!before || before[0] == 0xAB);
		before = p;
	}
	arena_free(a);
}

TEST(texts_are_copied_and_printed)
{
	struct arena *a = arena_new();

	(void)state;
	assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
	assert_string_equal(arena_printf(a, "%s-%d", "x", 7), "x-7");
	assert_int_equal(arena_str(a, (struct str){"a\0b", 3}).len, 3);
	arena_free(a);
}

TEST(a_buffer_refuses_what_is_over_its_maximum_and_remembers)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_true(buf_add_text(&b, "12345"));
	assert_true(buf_add_text(&b, "67890"));
	assert_false(buf_add_char(&b, 'x'));
	assert_true(buf_overflowed(&b));
	assert_false(buf_add_text(&b, ""));
	assert_str(buf_str(&b), "1234567890");
	buf_reset(&b);
	assert_false(buf_overflowed(&b));
	assert_true(buf_printf(&b, "%04d", 42));
	assert_str(buf_str(&b), "0042");
	buf_clear(&b);
}

TEST(bytes_are_dropped_from_the_front)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_true(buf_add_text(&b, "hello world"));
	buf_drop(&b, 6);
	assert_str(buf_str(&b), "world");
	buf_clear(&b);
}

TEST(an_error_text_that_is_too_long_is_cut_at_a_character)
{
	char many[1000];
	struct error err;

	(void)state;
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i + 2 < sizeof(many); i += 2)
		memcpy(many + i, "é", 2);
	for (size_t shift = 0; shift < 3; shift++) {
		size_t length;

		assert_false(fail(&err, ERR_INVALID_JOB, "%.*s%s", (int)shift, "xyz", many));
		length = strlen(err.text);
		assert_int_equal((length - shift) % 2, 0);
		assert_true(length >= sizeof(err.text) - 3);
	}
}

TEST(a_named_error_keeps_its_name_and_is_tried_again_by_its_status)
{
	struct error err;

	(void)state;
	assert_false(fail(&err, ERR_NAMED, "unique"));
	(void)strncpy(err.name, "RECORD_NOT_UNIQUE", sizeof(err.name) - 1);
	err.status = 400;
	assert_string_equal(error_name(&err), "RECORD_NOT_UNIQUE");
	assert_false(error_is_retryable(&err));
	err.status = 503;
	assert_true(error_is_retryable(&err));
	assert_string_equal(error_code_name(ERR_RATE_LIMIT), "RATE_LIMIT_EXCEEDED");
}

TEST(an_error_may_be_made_from_its_own_text)
{
	struct error err;

	(void)state;
	assert_false(fail(&err, ERR_TIMEOUT, "first byte"));
	assert_false(fail(&err, ERR_UNAVAILABLE, "openai: %s", err.text));
	assert_string_equal(err.text, "openai: first byte");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(what_was_deferred_runs_at_the_end_newest_first),
		ENTRY(allocations_of_all_sizes_are_zeroed_aligned_and_apart),
		ENTRY(texts_are_copied_and_printed),
		ENTRY(a_buffer_refuses_what_is_over_its_maximum_and_remembers),
		ENTRY(bytes_are_dropped_from_the_front),
		ENTRY(an_error_text_that_is_too_long_is_cut_at_a_character),
		ENTRY(a_named_error_keeps_its_name_and_is_tried_again_by_its_status),
		ENTRY(an_error_may_be_made_from_its_own_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
