/* What a batch does without any other part: rows of a file, estimates, the batch object, its items. */
#include "common/buf.h"
#include "common/config.h"
#include "worker/batch/batch.h"
#include "worker/cli/csv.h"
#include "worker/cli/estimate.h"
#include "worker/flow/flow.h"
#include "worker/flow/job.h"

#include "tests/unit/test.h"

#include <math.h>

/* ---- CSV ---- */

static const struct {
	const char *text, *rows; /* fields between '|', rows between '/' */
	const char *error;       /* or what is wrong, in part */
} files[] = {
	{"a,b\n1,2\n",			   "a|b/1|2",                        NULL                           },
	{"a,b\r\n1,2",			   "a|b/1|2",                        NULL                           },
	{"a,b\r1,2\r",			   "a|b/1|2",                        NULL                           },
	{"\xEF\xBB\xBF"
	 "a;b\n1,5;2\n",		"a|b/1,5|2",		      NULL			   },
	{"a\tb\n1,;\t2\n",                       "a|b/1,;|2",                      NULL                           },
	{"\"a,x\",b\n\"say \"\"hi\"\"\",\"\"\n", "a,x|b/say \"hi\"|",              NULL                           },
	{"a,b\n\"two\nlines\",2\n3,4\n",         "a|b/two\nlines|2/3|4",           NULL                           },
	{"a,b\n\n\r\n1,2\n\n",                   "a|b/1|2",                        NULL                           },
	{"a,b\n,\n",			     "a|b/|",                          NULL                           },
	{"a,b\n1,",			      "a|b/1|",                         NULL                           },
	{"one\ntwo\n",			   "one/two",                        NULL                           },
	{"K\xC3\xB6rper,\xF0\x9F\x8D\x9E\n",     "K\xC3\xB6rper|\xF0\x9F\x8D\x9E", NULL                           },
	{"",				     "",			       NULL			   },
	{"a\n\"open\n",			  NULL,                             "line 2: a quote is not closed"},
	{"a,b\n\"x\"y,2\n",                      NULL,                             "line 2: found 'y' behind"     },
	{"a\nf\xFC\n",			   NULL,			     "line 2: this is no UTF-8"     },
};

/* All rows of a file, as in the table above. */
static void read_all(struct arena *a, const char *text, struct buf *got, struct error *err)
{
	struct csv csv;
	struct csv_row row;

	csv_start(&csv, str_of(text));
	while (csv_row(&csv, a, &row, err)) {
		if (got->len)
			buf_add_char(got, '/');
		for (size_t f = 0; f < row.count; f++) {
			if (f)
				buf_add_char(got, '|');
			buf_add_str(got, row.fields[f]);
		}
	}
}

static void csv_files_are_read_as_spreadsheets_write_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct arena *a = arena_new();
		struct error err;
		struct buf got;

		buf_init(&got, 1000);
		read_all(a, files[i].text, &got, &err);
		if (files[i].error) {
			assert_int_equal(err.code, ERR_INVALID_PAYLOAD);
			assert_non_null(strstr(err.text, files[i].error));
		} else {
			assert_int_equal(err.code, ERR_OK);
			assert_string_equal(buf_str(&got).ptr, files[i].rows);
		}
		buf_clear(&got);
		arena_free(a);
	}
}

static void csv_fields_are_quoted_where_they_must_be(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	csv_print(&out, STR("plain text"));
	buf_add_char(&out, ',');
	csv_print(&out, STR("a,b \"c\"\nd"));
	assert_string_equal(buf_str(&out).ptr, "plain text,\"a,b \"\"c\"\"\nd\"");
	buf_clear(&out);
}

/* ---- estimates ---- */

static void an_estimate_has_the_mean_and_a_range_around_it(void **state)
{
	const double samples[] = {1, 2, 3, 4, 5};
	struct estimate e = estimate_sum(samples, 5, 1000);

	(void)state;
	assert_true(fabs(e.expected - 3000) < 1e-9);
	assert_true(fabs(e.high - 3000 - 2.776 * sqrt(2.5 / 5) * 1000) < 1);
	assert_true(fabs(e.expected - e.low - (e.high - e.expected)) < 1e-9);
}

static void an_estimate_from_equal_samples_is_sharp_and_from_one_it_is_wide(void **state)
{
	const double same[] = {0.5, 0.5, 0.5}, spread[] = {0, 10};
	struct estimate e = estimate_sum(same, 3, 200);

	(void)state;
	assert_true(e.low == e.high && fabs(e.expected - 100) < 1e-9);
	e = estimate_sum(same, 1, 200);
	assert_true(e.low < e.expected && e.expected < e.high);
	assert_true(estimate_sum(spread, 2, 10).low == 0);
	assert_true(estimate_sum(same, 0, 10).high == 0);
}

/* ---- the batch object ---- */

#define FLOW "\"flow\":[{\"type\":\"transform\",\"options\":{\"json\":{}}}]"

static const struct {
	const char *json, *error; /* NULL: it is good */
} batches[] = {
  /* clang-format off */
	{"{\"collection\":\"articles\"," FLOW "}", NULL                          },
	{"{\"collection\":\"articles\",\"flow\":\"a "
	 "name\",\"budget\":2.5,\"limit\":10,\"fields\":[\"title\"]}",					 NULL            },
	{"{\"collection\":\"articles\",\"budget\":{\"maxCostUsd\":1}," FLOW "}",                                        NULL},
	{"{\"collection\":\"articles\",\"fields\":null,\"name\":null," FLOW "}",                                        NULL            },
	{"{\"id\":\"b1\"}",					NULL					 },
	{"{" FLOW "}",					"'collection' is missing"                 },
	{"{\"collection\":\"articles\"}",                                        "'flow' is missing"                      },
	{"{\"collection\":\"articles\",\"flow\":7}",                                        "'flow' is number"      },
	{"{\"collection\":\"articles\",\"flow\":[]}",                                        "no operations"                     },
	{"{\"collection\":\"articles\",\"flow\":[{\"type\":\"nothing\"}]}",                                        "nothing"},
	{"{\"collection\":\"articles\",\"limit\":0," FLOW "}",                                        "'limit' must be"                                  },
	{"{\"collection\":\"articles\",\"limit\":2000000," FLOW "}",                                        "'limit' must be"},
	{"{\"collection\":\"articles\",\"budget\":\"5\"," FLOW "}",                                        "'budget' must be"                                   },
	{"{\"collection\":\"articles\",\"fields\":\"title\"," FLOW "}",                                        "'fields' is string"},
	{"{\"collection\":\"articles\",\"filter\":[1]," FLOW "}",                                        "'filter' is array"                                         },
	{"{\"collection\":\"articles\",\"onlyChanged\":\"yes\"," FLOW "}",
	 "'onlyChanged' is string"},
	{"[]",					"expected an object"												     },
  /* clang-format on */
};

static void a_batch_says_what_is_wrong_with_it(void **state)
{
	struct config config = {.job_max_bytes = 100000};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(batches); i++) {
		struct arena *a = arena_new();
		struct error err = {.code = ERR_OK};
		struct job *job =
			job_parse(str_of(arena_printf(a, "{\"batch\":%s}", batches[i].json)), "j",
				  &config, &err);

		if (batches[i].error) {
			assert_null(job);
			assert_non_null(strstr(err.text, batches[i].error));
		} else {
			assert_string_equal(err.text, "");
			assert_true(job && job->is_batch);
		}
		job_free(job);
		arena_free(a);
	}
}

static void an_item_looks_like_an_event_and_is_signed_like_its_batch(void **state)
{
	struct config config = {.job_max_bytes = 100000, .worker_job_secret = "secret"};
	struct arena *a = arena_new();
	struct error err;
	struct batch batch;
	struct job *source =
		job_parse(STR("{\"batch\":{\"collection\":\"articles\",\"ifUnchanged\":true," FLOW
			      "},\"accountability\":{\"user\":\"u\"}}"),
			  "batch:b1", &config, &err);
	struct batch_item item = {.key = "15"};
	const cJSON *trigger;
	struct job *child;

	(void)state;
	assert_true(batch_read(a, source->flow->first->options, &batch, &err));
	item.value = json_parse(a, STR("{\"id\":15,\"title\":\"{{x}}\",\"tags\":[1]}"), &err);
	item.primary = json_get(item.value, "id");
	source->is_signed = true;
	child = job_parse(batch_item_body(a, &batch, source, &item, &config), "b1#15", &config,
			  &err);
	assert_non_null(child);
	trigger = child->trigger;
	assert_true(child->is_signed);
	assert_string_equal(json_get_text(trigger, "event"), "articles.items.batch");
	assert_true(json_get_number(trigger, "key", 0) == 15);
	assert_string_equal(json_get_text(json_get(trigger, "payload"), "title"), "{{x}}");
	assert_string_equal(json_get_text(child->accountability, "user"), "u");
	assert_string_equal(child->chain_id, "batch:b1");
	assert_int_equal(json_count(json_get(child->item, "unchanged")), 1);
	job_free(child);
	job_free(source);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_files_are_read_as_spreadsheets_write_them),
		cmocka_unit_test(csv_fields_are_quoted_where_they_must_be),
		cmocka_unit_test(an_estimate_has_the_mean_and_a_range_around_it),
		cmocka_unit_test(an_estimate_from_equal_samples_is_sharp_and_from_one_it_is_wide),
		cmocka_unit_test(a_batch_says_what_is_wrong_with_it),
		cmocka_unit_test(an_item_looks_like_an_event_and_is_signed_like_its_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
