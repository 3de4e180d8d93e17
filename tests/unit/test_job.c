/* Jobs and flows, good and bad: tests/vectors/jobs.json holds a body each, and what is said of it. */
#include "common/config.h"
#include "worker/flow/job.h"

#include "tests/unit/test.h"
#include "tests/unit/vectors.h"

static void check_good(const struct job *job, const cJSON *ok)
{
	const char *tenant = json_get_text(ok, "tenant"), *item = json_get_text(ok, "item");
	const char *first = json_get_text(ok, "first");
	const cJSON *key;
	size_t i = 0;

	json_each(key, json_get(ok, "keys"))
		assert_string_equal(job->flow->nodes[i++].key, key->valuestring);
	if (json_get(ok, "keys"))
		assert_int_equal(i, job->flow->count);
	if (tenant)
		assert_string_equal(job_tenant(job), tenant);
	if (item)
		assert_string_equal(job_item(job), item);
	if (first)
		assert_string_equal(job->flow->first->key, first);
	assert_int_equal(job->is_signed, json_get_bool(ok, "signed", false));
}

static void check_bad(const cJSON *vector, const struct error *err)
{
	const cJSON *said;

	assert_string_equal(error_name(err), json_get_text(vector, "code"));
	json_each(said, json_get(vector, "says"))
		if (!strstr(err->text, said->valuestring))
			FAIL("'%s' does not say '%s'", err->text, said->valuestring);
}

TEST(each_body_is_read_or_refused_with_the_place_and_the_reason)
{
	struct arena *a = arena_new();
	const cJSON *vector;
	size_t count = 0;

	(void)state;
	json_each(vector, read_vectors(a, "jobs.json")) {
		const char *text = json_get_text(vector, "text");
		struct config config = {.job_max_bytes = 1 << 20,
					.worker_job_secret = json_get_text(vector, "secret")};
		struct str body = text ? str_of(text) : json_print(a, json_get(vector, "body"));
		struct error err = {.code = ERR_OK};
		struct job *job = job_parse(body, "id-1", &config, &err);

		printf("  %s\n", json_get_text(vector, "name"));
		if (job && !json_get(vector, "ok"))
			FAIL("should have been refused");
		if (!job && !json_get(vector, "code"))
			FAIL("refused: %s", err.text);
		if (job)
			check_good(job, json_get(vector, "ok"));
		else
			check_bad(vector, &err);
		job_free(job);
		count++;
	}
	assert_true(count > 40);
	arena_free(a);
}

TEST(a_body_that_is_too_long_is_refused_with_its_length)
{
	struct config config = {.job_max_bytes = 20};
	struct error err;

	(void)state;
	assert_null(job_parse(STR("{\"operation\":\"transform\"}"), "id-1", &config, &err));
	assert_int_equal(err.code, ERR_INVALID_JOB);
	assert_non_null(strstr(err.text, "25 bytes"));
	assert_non_null(strstr(err.text, "JOB_MAX_BYTES"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(each_body_is_read_or_refused_with_the_place_and_the_reason),
		ENTRY(a_body_that_is_too_long_is_refused_with_its_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
