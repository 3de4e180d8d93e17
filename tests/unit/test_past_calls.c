/* How good estimates become by past calls, for models whose tokenizer is not installed, or not published: of steps with real
 * texts (tests/vectors/past-calls.json: what was counted of each, no text) the first 50 calls are learned from, and each
 * later one is estimated by those before it. FLOW_WORKER_TOKENIZERS=all prints the table of operations/README.md. */
#include "tests/unit/test.h"

#include "operations/calibration.h"
#include "tests/unit/vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEARNING = 50, FORM = 7, FEATURES = 7 };

struct share {
	double within_5, within_10, least_of_steps;
};

static uint64_t number(const cJSON *row, int i)
{
	return (uint64_t)cJSON_GetArrayItem(row, i)->valuedouble;
}

static struct past_call call_of(const cJSON *row, int tokenizer)
{
	return (struct past_call){
		.count = {.tokens = number(row, 0) + FORM,
			  .bytes = number(row, 1),
			  .other = number(row, 2),
			  .words = number(row, 3),
			  .signs = number(row, 4),
			  .lines = number(row, 5),
			  .digits = number(row, 6)},
		.input = number(row, FEATURES + tokenizer) + FORM
        };
}

/* The newest PAST_CALLS of what was seen before it. */
static double error_of(const struct past_call *calls, size_t at)
{
	size_t from = at > PAST_CALLS ? at - PAST_CALLS : 0;
	struct calibration c = calibration_of(calls + from, at - from, &calls[at].count);

	return fabs((double)c.input / (double)calls[at].input - 1);
}

static struct share share_of(const cJSON *step, int tokenizer, struct arena *a)
{
	const cJSON *rows = json_get(step, "calls"), *row;
	struct past_call *calls = arena_array(a, struct past_call, json_count(rows));
	struct share s = {0, 0, 0};
	size_t count = 0, judged;

	json_each(row, rows)
		calls[count++] = call_of(row, tokenizer);
	judged = count - LEARNING;
	for (size_t i = LEARNING; i < count; i++) {
		double error = error_of(calls, i);

		s.within_5 += (error <= 0.05) / (double)judged;
		s.within_10 += (error <= 0.1) / (double)judged;
	}
	return s;
}

static struct share measure(const cJSON *steps, int tokenizer, bool print, struct arena *a)
{
	struct share mean = {0, 0, 1};
	const cJSON *step;

	json_each(step, steps) {
		struct share s = share_of(step, tokenizer, a);

		mean.within_5 += s.within_5 / (double)json_count(steps);
		mean.within_10 += s.within_10 / (double)json_count(steps);
		mean.least_of_steps = fmin(mean.least_of_steps, s.within_5);
		if (print)
			(void)printf(" %.0f %% |", s.within_5 * 100);
	}
	if (print)
		(void)printf(" %.0f %%, %.0f %%\n", mean.within_5 * 100, mean.within_10 * 100);
	return mean;
}

/* The goal of 95 % is missed without the tokenizer itself; these are the figures that hold. */
TEST(real_texts_are_estimated_by_o200k_and_past_calls_as_well_as_is_claimed)
{
	static const struct share hold[] = {
		{0.78, 0.94, 0.54},
                {0.87, 0.97, 0.74},
                {0.89, 0.98, 0.66},
		{0.85, 0.96, 0.62},
                {0.83, 0.96, 0.57},
                {0.85, 0.97, 0.71},
	};
	struct arena *a = arena_new();
	const cJSON *all = read_vectors(a, "past-calls.json"), *steps = json_get(all, "steps");
	const cJSON *names = json_get(all, "tokenizers"), *name;
	bool print = getenv("FLOW_WORKER_TOKENIZERS") != NULL;
	int i = 0;

	(void)state;
	assert_int_equal(json_count(names), ARRAY_LEN(hold));
	json_each(name, names) {
		struct share s;

		if (print)
			(void)printf("| %s |", name->valuestring);
		s = measure(steps, i, print, a);
		if (s.within_5 < hold[i].within_5 || s.within_10 < hold[i].within_10 ||
		    s.least_of_steps < hold[i].least_of_steps)
			FAIL("%s: within 5 %%: %.3f, at least %.3f; within 10 %%: %.3f",
			     name->valuestring, s.within_5, s.least_of_steps, s.within_10);
		i++;
	}
	arena_free(a);
}

/* No answer is as long as the one before it; lengths as of real ones: most short, some many times as long. */
TEST(of_100_answers_3_to_7_are_longer_than_expected)
{
	enum { CALLS = 20000 };
	static struct past_call calls[CALLS];
	const struct token_count question = {.tokens = 100};
	uint32_t seed = 1;
	unsigned longer = 0;

	(void)state;
	for (size_t i = 0; i < CALLS; i++) {
		double normal = -6;

		for (int k = 0; k < 12; k++, seed = seed * 1664525 + 1013904223)
			normal += seed / 4294967296.0;
		calls[i] = (struct past_call){.count = question, .input = 100};
		calls[i].output = (uint64_t)(200 * exp(normal * 0.6));
		if (i >= LEARNING) {
			size_t from = i > PAST_CALLS ? i - PAST_CALLS : 0;
			struct calibration c = calibration_of(calls + from, i - from, &question);

			longer += calls[i].output > c.output;
		}
	}
	if (getenv("FLOW_WORKER_TOKENIZERS"))
		(void)printf("answers longer than expected: %.2f %%\n",
			     100.0 * longer / (CALLS - LEARNING));
	if (longer * 100 < 3 * (CALLS - LEARNING) || longer * 100 > 7 * (CALLS - LEARNING))
		FAIL("%u of %d", longer, CALLS - LEARNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(real_texts_are_estimated_by_o200k_and_past_calls_as_well_as_is_claimed),
		ENTRY(of_100_answers_3_to_7_are_longer_than_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
