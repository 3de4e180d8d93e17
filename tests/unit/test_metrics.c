/* What is counted comes out as Prometheus reads it; its own checker, promtool, is the judge. */
#include "worker/door/metrics.h"

#include "common/buf.h"

#include "tests/unit/test.h"

#include <stdio.h>

static struct metrics *metrics;
static struct buf out;

static int fresh(void **state)
{
	(void)state;
	metrics = metrics_new();
	buf_init(&out, 4 << 20);
	return 0;
}

static int done(void **state)
{
	(void)state;
	metrics_free(metrics);
	buf_clear(&out);
	return 0;
}

/* A line begins so. */
static void assert_line(const char *line)
{
	const char *found;

	buf_reset(&out);
	(void)buf_add_char(&out, '\n');
	metrics_print(metrics, &out);
	for (found = buf_str(&out).ptr; found; found = strchr(found, '\n'))
		if (strncmp(++found, line, strlen(line)) == 0)
			return;
	FAIL("no line '%s' in:%s", line, buf_str(&out).ptr);
}

TEST(a_counter_without_labels_begins_at_0)
{
	(void)state;
	assert_line("flow_worker_jobs_claimed_total 0\n");
	metric_add(metrics, METRIC_JOBS_CLAIMED, 3, NO_LABELS);
	metric_add(metrics, METRIC_JOBS_CLAIMED, 1, NO_LABELS);
	assert_line("flow_worker_jobs_claimed_total 4\n");
}

TEST(each_combination_of_labels_is_counted_apart)
{
	(void)state;
	metric_add(metrics, METRIC_TOKENS, 100, LABELS("openai", "gpt-5", "input"));
	metric_add(metrics, METRIC_TOKENS, 7, LABELS("openai", "gpt-5", "output"));
	metric_add(metrics, METRIC_TOKENS, 5, LABELS("openai", "gpt-5", "input"));
	assert_line("flow_worker_provider_tokens_total"
		    "{provider=\"openai\",model=\"gpt-5\",kind=\"input\"} 105\n");
	assert_line("flow_worker_provider_tokens_total"
		    "{provider=\"openai\",model=\"gpt-5\",kind=\"output\"} 7\n");
}

TEST(a_counter_never_goes_back)
{
	(void)state;
	metric_add(metrics, METRIC_COST, 0.25, LABELS("openai", "gpt-5"));
	metric_add(metrics, METRIC_COST, -1, LABELS("openai", "gpt-5"));
	assert_line(
		"flow_worker_provider_cost_usd_total{provider=\"openai\",model=\"gpt-5\"} 0.25\n");
}

TEST(a_gauge_is_set)
{
	(void)state;
	metric_set(metrics, METRIC_JOBS_RUNNING, 5, NO_LABELS);
	metric_add(metrics, METRIC_JOBS_RUNNING, -2, NO_LABELS);
	assert_line("flow_worker_jobs_running 3\n");
}

TEST(a_histogram_has_cumulative_buckets)
{
	(void)state;
	metric_add(metrics, METRIC_JOB_SECONDS, 0.005, LABELS("done"));
	metric_add(metrics, METRIC_JOB_SECONDS, 0.02, LABELS("done"));
	metric_add(metrics, METRIC_JOB_SECONDS, 1000, LABELS("done"));
	assert_line("flow_worker_job_duration_seconds_bucket{status=\"done\",le=\"0.001\"} 0\n");
	assert_line("flow_worker_job_duration_seconds_bucket{status=\"done\",le=\"0.005\"} 1\n");
	assert_line("flow_worker_job_duration_seconds_bucket{status=\"done\",le=\"0.025\"} 2\n");
	assert_line("flow_worker_job_duration_seconds_bucket{status=\"done\",le=\"300\"} 2\n");
	assert_line("flow_worker_job_duration_seconds_bucket{status=\"done\",le=\"+Inf\"} 3\n");
	assert_line("flow_worker_job_duration_seconds_sum{status=\"done\"} 1000.025\n");
	assert_line("flow_worker_job_duration_seconds_count{status=\"done\"} 3\n");
}

TEST(label_values_are_escaped_and_cut)
{
	char longer[400];

	(void)state;
	metric_add(metrics, METRIC_RATE_LIMITED, 1, LABELS("a\"b\\c\nd", "\xff\xc3\xbc"));
	metric_add(metrics, METRIC_RATE_LIMITED, 1, LABELS("a\"b\\c\nd", "\xff\xc3\xbc"));
	assert_line("flow_worker_provider_rate_limited_total"
		    "{provider=\"a\\\"b\\\\c\\nd\",model=\"\xEF\xBF\xBD\xc3\xbc\"} 2\n");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	metric_add(metrics, METRIC_RATE_LIMITED, 1, LABELS(longer, "m"));
	metric_add(metrics, METRIC_RATE_LIMITED, 1, LABELS(longer, "m"));
	longer[120] = '\0';
	{
		char line[600];

		(void)snprintf(
			line, sizeof(line),
			"flow_worker_provider_rate_limited_total{provider=\"%s\",model=\"m\"} 2\n",
			longer);
		assert_line(line);
	}
}

TEST(too_many_combinations_are_counted_as_other)
{
	char model[20];

	(void)state;
	for (int i = 0; i < METRIC_SERIES_MAX + 50; i++) {
		(void)snprintf(model, sizeof(model), "m%d", i);
		metric_add(metrics, METRIC_RATE_LIMITED, 1, LABELS("openai", model));
	}
	assert_line(
		"flow_worker_provider_rate_limited_total{provider=\"openai\",model=\"m199\"} 1\n");
	assert_line(
		"flow_worker_provider_rate_limited_total{provider=\"other\",model=\"other\"} 50\n");
}

TEST(without_metrics_nothing_is_counted)
{
	(void)state;
	metric_add(NULL, METRIC_JOBS_CLAIMED, 1, NO_LABELS);
	metric_set(NULL, METRIC_JOBS_RUNNING, 1, NO_LABELS);
}

TEST(the_process_is_described)
{
	(void)state;
	assert_line("process_resident_memory_bytes ");
	assert_line("process_open_fds ");
	assert_line("process_cpu_seconds_total ");
	assert_line("process_start_time_seconds 1");
	assert_line("flow_worker_build_info{version=\"");
}

TEST(promtool_finds_nothing_to_complain_of)
{
	FILE *promtool;

	(void)state;
	metric_add(metrics, METRIC_JOBS_ENDED, 1, LABELS("done"));
	metric_add(metrics, METRIC_JOB_SECONDS, 0.5, LABELS("done"));
	metric_add(metrics, METRIC_JOB_WAIT_SECONDS, 0.5, LABELS("0"));
	metric_add(metrics, METRIC_CALLS, 1, LABELS("openai", "gpt-5", "answer"));
	metric_add(metrics, METRIC_CALL_SECONDS, 1, LABELS("openai", "a\"b\\\n"));
	metric_add(metrics, METRIC_COST, 1e-9, LABELS("openai", "gpt-5"));
	metric_set(metrics, METRIC_QUEUE_JOBS, 1e15, LABELS("waiting"));
	metrics_print(metrics, &out);
	/* NOLINTNEXTLINE(cert-env33-c): a fixed command */
	promtool = popen("promtool check metrics 1>&2", "w");
	assert_non_null(promtool);
	assert_int_equal(fwrite(buf_str(&out).ptr, 1, buf_str(&out).len, promtool),
			 buf_str(&out).len);
	assert_int_equal(pclose(promtool), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_counter_without_labels_begins_at_0),
		CASE(each_combination_of_labels_is_counted_apart),
		CASE(a_counter_never_goes_back),
		CASE(a_gauge_is_set),
		CASE(a_histogram_has_cumulative_buckets),
		CASE(label_values_are_escaped_and_cut),
		CASE(too_many_combinations_are_counted_as_other),
		CASE(without_metrics_nothing_is_counted),
		CASE(the_process_is_described),
		CASE(promtool_finds_nothing_to_complain_of),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
