/* Option values: what Directus was seen to do (tests/vectors/option-vectors.json), and JSON.parse()'s
 * own words for what is wrong. */
#include "tests/unit/fixture.h"

#include "operations/date.h"
#include "operations/options.h"
#include "tests/unit/vectors.h"

#include <math.h>

static const cJSON *call(struct fixture *f, const char *function, const cJSON *input)
{
	if (strcmp(function, "optionToObject") == 0)
		return option_to_object(f->arena, input, &f->err);
	if (strcmp(function, "optionToString") == 0)
		return json_str(f->arena, option_to_text(f->arena, input));
	assert_string_equal(function, "toArray");
	return option_to_array(f->arena, input);
}

TEST(options_are_read_as_in_directus)
{
	struct fixture *f = *state;
	const cJSON *vector;

	json_each(vector, read_vectors(f->arena, "option-vectors.json")) {
		const cJSON *error = json_get(vector, "error"), *result;

		result = call(f, json_get_text(vector, "fn"), json_get(vector, "input"));
		if (!error && !json_equal(result, json_get(vector, "expected")))
			FAIL("%s: %s", json_print(f->arena, vector).ptr,
			     result ? json_print(f->arena, result).ptr : f->err.text);
		if (!error)
			continue;
		assert_null(result);
		assert_string_equal(f->err.name, json_get_text(error, "name"));
		assert_string_equal(f->err.text, json_get_text(error, "message"));
	}
}

/* [text, what Node 20 says] */
TEST(bad_json_is_described_as_node_does)
{
	struct fixture *f = *state;
	const cJSON *row;

	json_each(row, read_vectors(f->arena, "json-errors.json")) {
		assert_null(option_to_object(f->arena, row->child, &f->err));
		if (strcmp(f->err.text, row->child->next->valuestring) != 0)
			FAIL("%s: %s, expected %s", row->child->valuestring, f->err.text,
			     row->child->next->valuestring);
	}
}

TEST(members_called_proto_are_left_out)
{
	struct fixture *f = *state;
	cJSON *text = json_text(f->arena, "{\"__proto__\":1,\"a\":[{\"__proto__\":{},\"b\":2}]}");

	assert_str(json_print(f->arena, option_to_object(f->arena, text, &f->err)),
		   "{\"a\":[{\"b\":2}]}");
}

TEST(numbers_are_what_javascript_makes_of_a_value)
{
	static const char *const rows[][2] = {
		{"5",             "5"        },
                {"\"5\"",         "5"        },
                {"\" 1.5e3 \"",   "1500"     },
		{"\"\"",          "0"        },
                {"\"0x1F\"",      "31"       },
                {"\"abc\"",       "NaN"      },
		{"\"1px\"",       "NaN"      },
                {"\"inf\"",       "NaN"      },
                {"true",          "1"        },
		{"null",          "0"        },
                {"[]",            "0"        },
                {"[7]",           "7"        },
		{"[1,2]",         "NaN"      },
                {"{}",            "NaN"      },
                {"\"-Infinity\"", "-Infinity"},
		{"\"nan\"",       "NaN"      },
                {"\"0x\"",        "NaN"      },
                {"\"+7\"",        "7"        },
		{"\".5\"",        "0.5"      },
	};
	struct fixture *f = *state;
	char text[JSON_NUMBER_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		double number = option_to_number(json_parse(f->arena, str_of(rows[i][0]), &f->err));

		json_number_text(number, text);
		if (strcmp(isnan(number) ? "NaN" : text, rows[i][1]) != 0)
			FAIL("%s: %s", rows[i][0], text);
	}
}

TEST(dates_are_read_and_written_in_utc)
{
	static const char *const rows[][2] = {
		{"2024-05-24",                    "2024-05-24T00:00:00.000Z"},
		{"2024",			  "2024-01-01T00:00:00.000Z"},
		{"2024-05-24T10:20:30.5+02:00",   "2024-05-24T08:20:30.500Z"},
		{"2024-05-24 10:20",              "2024-05-24T10:20:00.000Z"},
		{"Fri, 24 May 2024 10:20:30 GMT", "2024-05-24T10:20:30.000Z"},
		{"May 24, 2024",                  "2024-05-24T00:00:00.000Z"},
		{"1969-12-31T23:59:59.999Z",      "1969-12-31T23:59:59.999Z"},
	};
	static const char *const wrong[] = {"", "2024-13-01", "2024-05-24T25:00Z", "abc",
					    "2024-05-24Tx"};
	char text[DATE_TEXT_MAX];
	double ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(date_parse(rows[i][0], &ms));
		assert_string_equal(date_iso(ms, text), rows[i][1]);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(date_parse(wrong[i], &ms));
}

TEST(months_end_where_they_end)
{
	static const struct {
		const char *from, *add, *to;
	} rows[] = {
		{"2024-01-31", "1 month",  "2024-02-29T00:00:00.000Z"},
		{"2024-02-29", "1 year",   "2025-02-28T00:00:00.000Z"},
		{"2024-05-31", "-1 mo",    "2024-04-30T00:00:00.000Z"},
		{"2024-12-15", "2 months", "2025-02-15T00:00:00.000Z"},
		{"2024-01-01", "-1 day",   "2023-12-31T00:00:00.000Z"},
		{"2024-01-01", "1.5 hrs",  "2024-01-01T01:30:00.000Z"},
		{"2024-01-01", "2W",       "2024-01-15T00:00:00.000Z"},
	};
	static const char *const wrong[] = {"", "-", "day", "1 fortnight", "1..5 h", "5. h"};
	char text[DATE_TEXT_MAX];
	struct duration d;
	double ms;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(date_parse(rows[i].from, &ms));
		assert_true(duration_parse(str_of(rows[i].add), &d));
		assert_string_equal(date_iso(date_add(ms, d), text), rows[i].to);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(duration_parse(str_of(wrong[i]), &d));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(options_are_read_as_in_directus),
		ENTRY(bad_json_is_described_as_node_does),
		ENTRY(members_called_proto_are_left_out),
		ENTRY(numbers_are_what_javascript_makes_of_a_value),
		ENTRY(dates_are_read_and_written_in_utc),
		ENTRY(months_end_where_they_end),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
