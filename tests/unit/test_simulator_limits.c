/* The simulated provider's limits against the plain rule, with requests that are read in another order than they came:
 * by the judge of many tests. */
#include "tests/simulator/simulator.h"

#include "tests/unit/test.h"

enum { REQUESTS = 3000, LIMIT = 20, TOKENS_EACH = 7 };

struct options options;
const struct format format_chat, format_messages, format_gemini;

long question_tokens(const struct question *q)
{
	return q->max_tokens;
}

/* The most that came in one minute which ends with the request `with` or later. */
static long fullest_minute(const double *came, size_t count, double with)
{
	long most = 0;

	for (size_t end = 0; end < count; end++) {
		long n = 0;

		if (came[end] < with)
			continue;
		for (size_t i = 0; i < count; i++)
			n += came[i] > came[end] - 60000 && came[i] <= came[end];
		most = n > most ? n : most;
	}
	return most;
}

static bool admits(struct arena *a, struct record *r, double at)
{
	struct question q = {.arena = a, .model = "m", .max_tokens = TOKENS_EACH};
	struct reply reply = {.arena = a, .headers = buf_in(a)};
	struct refusal refusal;

	*r = (struct record){.at = at};
	return limits_admit(r, &q, &format_chat, &reply, &refusal);
}

/* A number that was told under the name. */
static long told(const char *name)
{
	struct arena *a = arena_new();
	struct buf *out = buf_in(a);
	const char *found;
	long number;

	limits_print(out);
	found = strstr(buf_str(out).ptr, name);
	assert_non_null(found);
	number = strtol(found + strlen(name), NULL, 10);
	arena_free(a);
	return number;
}

TEST(a_request_that_is_read_late_is_judged_by_when_it_came)
{
	static double came[REQUESTS];
	struct arena *a = arena_new();
	double now = 1e12;
	long refused = 0, most = 0;

	(void)state;
	srand(1);
	options.limits = (struct limits){.rpm = LIMIT, .tpm = 1000000, .charge_usage = true};
	for (size_t i = 0; i < REQUESTS; i++) {
		struct record r;
		long minute;
		bool is_good;

		now += rand() % 10 ? rand() % 300 : rand() % 60000;
		came[i] = now - (rand() % 3 ? 0 : rand() % 2000);
		minute = fullest_minute(came, i + 1, came[i]);
		is_good = admits(a, &r, came[i]);
		assert_int_equal(is_good, minute <= LIMIT);
		refused += !is_good;
		most = minute > most ? minute : most;
		r.usage = (struct usage){.input = TOKENS_EACH, .output = 1};
		limits_settle(&r);
		if (i ==
		    REQUESTS /
			    2) { /* what was before is forgotten, also by what came before and is read later */
			limits_reset();
			now += 2000;
			most = refused = 0;
			for (size_t k = 0; k <= i; k++)
				came[k] = 0;
		}
	}
	assert_in_range(refused, 100, REQUESTS - 100);
	assert_int_equal(told("\"violations\":"), refused);
	assert_int_equal(told("\"peak_rpm\":"), most);
	arena_free(a);
}

TEST(what_ended_after_its_minute_takes_nothing_from_the_next)
{
	struct arena *a = arena_new();
	struct record late, other;

	(void)state;
	options.limits = (struct limits){.tpm = 2 * TOKENS_EACH, .charge_usage = true};
	limits_reset();
	assert_true(admits(a, &late, 2e12));
	assert_true(admits(a, &other, 2e12 + 61000));
	late.usage = (struct usage){.input = 1000};
	limits_settle(&late);
	assert_true(admits(a, &other, 2e12 + 61001));
	assert_int_equal(told("\"peak_tpm\":"), 2 * TOKENS_EACH);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_request_that_is_read_late_is_judged_by_when_it_came),
		ENTRY(what_ended_after_its_minute_takes_nothing_from_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
