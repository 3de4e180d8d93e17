/* Cron expressions: tests/vectors/cron.json names moments, and what comes after them. */
#include "worker/schedule/cron.h"

#include "tests/unit/test.h"
#include "tests/unit/vectors.h"

#include <time.h>

static uint64_t moment(const char *text)
{
	struct tm t = {.tm_isdst = 0};

	assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &t));
	return (uint64_t)timegm(&t) * 1000;
}

static void check_next(const struct cron *c, const cJSON *vector)
{
	uint64_t at = moment(json_get_text(vector, "after"));
	const cJSON *next;
	char text[32];
	time_t seconds;
	struct tm t;

	json_each(next, json_get(vector, "next")) {
		at = cron_next(c, at);
		if (cJSON_IsNull(next)) {
			assert_int_equal(at, 0);
			continue;
		}
		seconds = (time_t)(at / 1000);
		(void)gmtime_r(&seconds, &t);
		assert_int_not_equal(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &t), 0);
		if (strcmp(text, next->valuestring) != 0)
			FAIL("'%s' in %s: %s, expected %s", json_get_text(vector, "cron"), c->zone,
			     text, next->valuestring);
	}
}

TEST(each_expression_fires_when_the_table_says_also_when_clocks_change)
{
	struct arena *a = arena_new();
	const cJSON *vector, *said;

	(void)state;
	json_each(vector, read_vectors(a, "cron.json")) {
		struct error err;
		struct cron c;

		if (cron_parse(&c, json_get_text(vector, "cron"), json_get_text(vector, "zone"),
			       &err)) {
			assert_null(json_get(vector, "error"));
			check_next(&c, vector);
			continue;
		}
		if (!json_get(vector, "error"))
			FAIL("%s", err.text);
		json_each(said, json_get(vector, "error"))
			if (!strstr(err.text, said->valuestring))
				FAIL("'%s' does not say '%s'", err.text, said->valuestring);
	}
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(each_expression_fires_when_the_table_says_also_when_clocks_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
