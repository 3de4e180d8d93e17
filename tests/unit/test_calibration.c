/* What past calls of a step say about the next one. */
#include "operations/journal.h"
#include "test.h"
#include "worker/queue/calibrations.h"

#include <math.h>

static struct past_call parsed(const char *row)
{
	struct past_call p;

	assert_true(past_call_parse(str_of(row), &p));
	return p;
}

static void a_row_is_read_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = {"",
					  "1",
					  "1 2 3 4 5 6 7 8 9 10",
					  "1 2 3 4 5 6 7 8 9 10 11 12",
					  "1 2 3 4 5 6 7 8 9 10 x",
					  "1 2 3 4 5 6 7 8 9 10 -1",
					  "1 2 3 4 5 6 7 8 9 10 4294967296",
					  "0 2 3 4 5 6 7 8 9 10 11",
					  "1 2 3 4 5 6 7 8 0 10 11",
					  "1  2 3 4 5 6 7 8 9 10 11"};
	struct arena *a = arena_new();
	struct past_call p = parsed("1 2 3 4 5 6 7 8 9 10 4294967295");

	(void)state;
	assert_int_equal(p.count.tokens, 1);
	assert_int_equal(p.count.digits, 7);
	assert_int_equal(p.output, UINT32_MAX);
	assert_string_equal(past_call_print(a, &p), "1 2 3 4 5 6 7 8 9 10 4294967295");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(past_call_parse(str_of(bad[i]), &p));
	arena_free(a);
}

/* English of that many tokens; the tokenizer makes a quarter more of it, the provider adds 40. */
static struct past_call call_of(uint64_t tokens)
{
	struct past_call p = {
		.count = {.tokens = tokens, .bytes = tokens * 5, .words = tokens}
        };

	p.estimate = tokens;
	p.input = tokens + tokens / 4 + 40;
	p.output = tokens;
	return p;
}

static void a_question_is_estimated_when_enough_is_known(void **state)
{
	const struct token_count question = call_of(1000).count, nothing = {.tokens = 0};
	struct past_call calls[PAST_CALLS];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i] = call_of(100 + i * 40);
	assert_int_equal(calibration_of(calls, 4, &question).input, 0);
	assert_int_equal(calibration_of(calls, 4, &question).calls, 4);
	assert_true(fabs((double)calibration_of(calls, 5, &question).input - 1290) <= 40);
	assert_true(fabs((double)calibration_of(calls, 50, &question).input - 1290) <= 3);
	assert_int_equal(calibration_of(calls, 50, &nothing).input, 0);
}

/* Nothing like it was seen so far: it goes by the mean, not by where the line leads. */
static void what_leads_astray_does_so_within_bounds(void **state)
{
	struct token_count question = {.tokens = 1000, .bytes = 5000000, .words = 900};
	struct past_call calls[10];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		calls[i] = call_of(1000);
		calls[i].count.bytes += i * 100;
		calls[i].input += i * 10;
	}
	assert_true(fabs((double)calibration_of(calls, 10, &question).input - 1335) <= 10);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i].input *= 10;
	assert_int_equal(calibration_of(calls, 10, &question).input, 5000);
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i].input /= 100;
	assert_int_equal(calibration_of(calls, 10, &question).input, 200);
}

/* Numbers cost this provider twice as much as words; half of the step's questions are numbers. */
static void texts_of_another_kind_count_less(void **state)
{
	struct past_call calls[20], numbers = call_of(300), words = call_of(300);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		calls[i] = call_of(100 + i * 50);
		if (i % 2) {
			calls[i].count.words = 0;
			calls[i].count.digits = calls[i].count.tokens * 2;
			calls[i].input = calls[i].count.tokens * 2;
		}
	}
	numbers.count.words = 0;
	numbers.count.digits = 600;
	assert_true(fabs((double)calibration_of(calls, 20, &numbers.count).input - 600) <= 15);
	assert_true(fabs((double)calibration_of(calls, 20, &words.count).input - 415) <= 15);
}

static void
an_answer_is_expected_as_long_as_95_percent_were_and_never_longer_than_allowed(void **state)
{
	const struct token_count question = {.tokens = 10};
	struct past_call calls[PAST_CALLS];
	struct calibration known, unknown;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		calls[i] = call_of((i * 37) % PAST_CALLS + 1); /* 1 to 128, in some order */
	unknown = calibration_of(calls, 19, &question);
	known = calibration_of(calls, PAST_CALLS, &question);
	assert_int_equal(known.output, 123);
	assert_int_equal(calibration_output(&known, 1024), 123);
	assert_int_equal(calibration_output(&known, 100), 100);
	assert_int_equal(calibration_output(&unknown, 1024), 1024);
}

static void how_many_were_estimated_well_is_told(void **state)
{
	const struct token_count question = {.tokens = 10};
	struct past_call calls[4] = {call_of(100), call_of(100), call_of(100), call_of(100)};

	(void)state;
	calls[0].estimate = 165;
	calls[1].estimate = 157;
	calls[2].estimate = 156;
	calls[3].estimate = 174;
	assert_true(calibration_of(calls, 4, &question).within == 0.5);
}

/* ---- the table of a process ---- */

static struct redis_value text(const char *row)
{
	return (struct redis_value){.type = REDIS_TEXT, .text = str_of(row)};
}

static void each_step_is_known_by_its_own_name_and_each_way_to_count(void **state)
{
	const struct redis_value rows[] = {text("3 0 0 0 0 0 0 3 3 9 30"), text("not a row"),
					   text("1 0 0 0 0 0 0 1 1 9 10")};
	const struct redis_value told = {.type = REDIS_ARRAY, .items = rows, .count = 3};
	const struct redis_value none = {.type = REDIS_ARRAY}, empty = {.type = REDIS_TEXT};
	const struct token_count question = {.tokens = 1};
	struct arena *a = arena_new();
	struct calibrations *c = calibrations_new(a);
	struct journal_entry e = {.provider = "openai", .model = "gpt-5", .step = "ask"};
	const char *one, *other;

	(void)state;
	e.count.method = "pairs";
	one = calibration_name(a, &e, "f1");
	e.count.method = "classes";
	other = calibration_name(a, &e, "");
	assert_string_equal(one, "openai/gpt-5|f1#ask|pairs");
	assert_string_equal(other, "openai/gpt-5|ask|classes");
	calibrations_add(c, one, STR("1 0 0 0 0 0 0 1 1 9 10")); /* there may be more of it */
	calibrations_told(c, one, &none);
	calibrations_told(c, one, &empty);
	assert_false(calibrations_know(c, one));
	calibrations_told(c, one, &told);
	assert_int_equal(calibrations_find(c, one, &question).calls, 2);
	assert_false(calibrations_know(c, other));
	assert_int_equal(calibrations_find(c, other, &question).calls, 0);
	calibrations_add(c, one, STR("8 0 0 0 0 0 0 1 1 9 44"));
	assert_int_equal(calibrations_find(c, one, &question).calls, 3);
	calibrations_told(c, one, &told); /* in place of what was there */
	assert_int_equal(calibrations_find(c, one, &question).calls, 2);
	arena_free(a);
}

static void of_a_step_the_newest_calls_are_kept(void **state)
{
	const struct redis_value row = text("1 0 0 0 0 0 0 1 1 9 10");
	const struct redis_value told = {.type = REDIS_ARRAY, .items = &row, .count = 1};
	const struct token_count question = {.tokens = 1};
	struct arena *a = arena_new();
	struct calibrations *c = calibrations_new(a);

	(void)state;
	calibrations_told(c, "x", &told);
	for (size_t i = 0; i < PAST_CALLS; i++)
		calibrations_add(c, "x", STR("1 0 0 0 0 0 0 1 1 9 77"));
	assert_int_equal(calibrations_find(c, "x", &question).calls, PAST_CALLS);
	assert_int_equal(calibrations_find(c, "x", &question).output, 77);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_question_is_estimated_when_enough_is_known),
		cmocka_unit_test(what_leads_astray_does_so_within_bounds),
		cmocka_unit_test(texts_of_another_kind_count_less),
		cmocka_unit_test(
			an_answer_is_expected_as_long_as_95_percent_were_and_never_longer_than_allowed),
		cmocka_unit_test(how_many_were_estimated_well_is_told),
		cmocka_unit_test(each_step_is_known_by_its_own_name_and_each_way_to_count),
		cmocka_unit_test(of_a_step_the_newest_calls_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
