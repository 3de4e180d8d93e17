/* What past calls of a step say about the next one. */
#include "operations/journal.h"
#include "test.h"
#include "worker/queue/calibrations.h"

static struct calibration parsed(const char *line)
{
	struct calibration c;

	assert_true(calibration_parse(str_of(line), &c));
	return c;
}

static void a_line_is_read_whole_or_not_at_all(void **state)
{
	static const char *const bad[] = {
		"",           "12",           "12 1 2 3",     "12 1 2 3 4 5", "12 1 2 3 x",
		"-1 1 2 3 4", "12 nan 2 3 4", "12 1 inf 3 4", "12 1 2 3 -4",  "12 1 2 3 1e300"};
	struct calibration c = parsed("12 1.5 0.9 -0.01 340");

	(void)state;
	assert_int_equal(c.calls, 12);
	assert_true(c.fixed == 1.5 && c.per_token == 0.9 && c.per_byte == -0.01);
	assert_int_equal(c.output_p95, 340);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_false(calibration_parse(str_of(bad[i]), &c));
		assert_int_equal(c.calls, 0);
	}
}

static void a_question_is_estimated_by_the_line_when_enough_is_known(void **state)
{
	const struct token_count count = {.tokens = 1000, .bytes = 4000};
	const struct token_count nothing = {.tokens = 0};
	struct calibration few = parsed("4 10 0.5 0.1 0"), enough = parsed("5 10 0.5 0.1 0");

	(void)state;
	assert_int_equal(calibration_input(&few, &count, 1100), 1100);
	assert_int_equal(calibration_input(&enough, &count, 1100), 910);
	assert_int_equal(calibration_input(&enough, &nothing, 7), 7);
}

static void a_line_that_leads_astray_does_so_within_bounds(void **state)
{
	const struct token_count count = {.tokens = 1000, .bytes = 4000};
	struct calibration low = parsed("50 -90000 1 0 0"), high = parsed("50 0 1 90 0");

	(void)state;
	assert_int_equal(calibration_input(&low, &count, 1), 200);
	assert_int_equal(calibration_input(&high, &count, 1), 5000);
}

static void
an_answer_is_expected_as_long_as_95_percent_were_and_never_longer_than_allowed(void **state)
{
	struct calibration known = parsed("50 0 1 0 300"), unknown = parsed("50 0 1 0 0");

	(void)state;
	assert_int_equal(calibration_output(&known, 1024), 300);
	assert_int_equal(calibration_output(&known, 200), 200);
	assert_int_equal(calibration_output(&unknown, 1024), 1024);
}

static void each_step_is_known_by_its_own_name_and_each_kind_of_text(void **state)
{
	struct arena *a = arena_new();
	struct calibrations *c = calibrations_new(a);
	struct journal_entry e = {.provider = "openai", .model = "gpt-5", .step = "ask"};
	const char *one, *other;

	(void)state;
	e.count.kind = "pairs-words";
	one = calibration_name(a, &e, "f1");
	e.count.kind = "pairs-data";
	other = calibration_name(a, &e, "");
	assert_string_equal(one, "openai/gpt-5|f1#ask|pairs-words");
	assert_string_equal(other, "openai/gpt-5|ask|pairs-data");
	calibrations_learn(c, one, STR("7 0 1 0 40"));
	assert_int_equal(calibrations_find(c, one).calls, 7);
	assert_int_equal(calibrations_find(c, other).calls, 0);
	calibrations_learn(c, one, STR("")); /* says nothing */
	assert_int_equal(calibrations_find(c, one).calls, 7);
	calibrations_learn(c, one, STR("8 0 1 0 44"));
	assert_int_equal(calibrations_find(c, one).output_p95, 44);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_read_whole_or_not_at_all),
		cmocka_unit_test(a_question_is_estimated_by_the_line_when_enough_is_known),
		cmocka_unit_test(a_line_that_leads_astray_does_so_within_bounds),
		cmocka_unit_test(
			an_answer_is_expected_as_long_as_95_percent_were_and_never_longer_than_allowed),
		cmocka_unit_test(each_step_is_known_by_its_own_name_and_each_kind_of_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
