/* What goes in comes out as JavaScript would have it, or is refused with its place. The tables hold
 * every way in which cJSON alone would have changed the data without a word. */
#include "tests/unit/fixture.h"

#include "common/json.h"

#include <stdio.h>

static cJSON *parsed(struct fixture *f, const char *text)
{
	cJSON *value = json_parse(f->arena, str_of(text), &f->err);

	if (!value)
		FAIL("%s: %s", text, f->err.text);
	return value;
}

struct row {
	const char *in, *out;
};

TEST(a_document_is_printed_as_javascript_prints_it)
{
	static const struct row rows[] = {
		{" [ 1 , 2 ] ",										      "[1,2]"                      },
		{"{}",											       "{}"                         },
		{"null",											     "null"                       },
		{"[true,false,null,\"\"]",									   "[true,false,null,\"\"]"     },
		{"[0,-0,1.0,100,0.1,1.5e300]",								       "[0,0,1,100,0.1,1.5e+300]"   },
		{"[1e15,1e20,1e21,1e-6,1e-7]",
		 "[1000000000000000,100000000000000000000,1e+21,0.000001,1e-7]"                                                                   },
		{"[123456789012345680000,9007199254740992]",
		 "[123456789012345680000,9007199254740992]"										       },
		{"[5e-324,1.7976931348623157e308,2.2250738585072014e-308]",
		 "[5e-324,1.7976931348623157e+308,2.2250738585072014e-308]"                                                                       },
		{"[0.3333333333333333,5.684341886080802e-14,-12.5]",
		 "[0.3333333333333333,5.684341886080802e-14,-12.5]"									       },
		{"{\"b\":1,\"10\":2,\"2\":3,\"a\":4,\"01\":5,\"4294967295\":6,\"4294967294\":7}",
		 "{\"2\":3,\"10\":2,\"4294967294\":7,\"b\":1,\"a\":4,\"01\":5,\"4294967295\":6}"                                                  },
		{"\"q\\\"b\\\\s\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u000b<>\\u2028\\u00e9\"",
		 "\"q\\\"b\\\\s/\\b\\f\\n\\r\\t\\u0001\\u001f\\u000b<>\xE2\x80\xA8\xC3\xA9\""                                                     },
		{"\"\\ud83d\\ude00\"",									       "\"\xF0\x9F\x98\x80\""       },
		{"\"a\\ud83d\"",										     "\"a\\ud83d\""               },
		{"\"\\ud83d\\u0041\\udc00\"",									"\"\\ud83dA\\udc00\""        },
		{"\"\\ude00\\ud83d\"",									       "\"\\ude00\\ud83d\""         },
		{"\"\\ud83d\\ud83d\\ude00\"",									"\"\\ud83d\xF0\x9F\x98\x80\""},
		{"{\"\\ud800\":1}",										  "{\"\\ud800\":1}"            },
		{"{\"a\":1,\"b\":2,\"a\":3}",									"{\"a\":3,\"b\":2}"          },
		{"{\"a\":1,\"a\":{\"x\":1,\"x\":[]}}",							       "{\"a\":{\"x\":[]}}"         },
		{"{\"c\":0,\"d\":1,\"e\":2,\"f\":3,\"g\":4,\"h\":5,\"i\":6,\"j\":7,\"k\":8,\"l\":9,"
		 "\"m\":10,\"n\":11,\"c\":12,\"d\":13,\"c\":14}",				   "{\"c\":14,\"d\":13,\"e\":2,\"f\":3,\"g\":4,\"h\":5,\"i\":6,\"j\":7,\"k\":8,\"l\":"
		 "9,"
		 "\"m\":10,\"n\":11}"                           },
		{"0."
		 "1000000000000000000000000000000000000000000000000000000000000000000000000000000", "0.1"			},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_str(json_print(f->arena, parsed(f, rows[i].in)), rows[i].out);
}

TEST(what_can_not_be_kept_is_refused_with_its_place)
{
	static const struct row rows[] = {
		{"",			  "line 1, column 1: found the end, expected a value"             },
		{"{\"id\":9007199254740993}",
		 "line 1, column 7: found '9007199254740993', expected"                                       },
		{"12345678901234567890",
		 "line 1, column 1: found '12345678901234567890', expected"                                   },
		{"[1e400]",                   "line 1, column 2: found '1e400', expected a number"            },
		{"[-1e400]",                  "line 1, column 2: found '-1e400', expected a number"           },
		{"1e-400",                    "line 1, column 1: found '1e-400', expected a number"           },
		{"\"a\\u0000b\"",             "line 1, column 3: found \\u0000"                               },
		{"{\"\\u0000\":1}",           "line 1, column 3: found \\u0000"                               },
		{"[\n \"\xC3\xA9\xFF\"]",
		 "line 2, column 4: found the byte 0xFF, which is not UTF-8"                                  },
		{"\"\xED\xA0\xBD\"",          "line 1, column 2: found the byte 0xED"                         },
		{"\"\xC0\x80\"",              "line 1, column 2: found the byte 0xC0"                         },
		{"\"\xF4\x90\x80\x80\"",      "line 1, column 2: found the byte 0xF4"                         },
		{"\"a\nb\"",                  "line 1, column 3: found the control character U+000A"          },
		{"01",			"line 1, column 2: found '1', expected nothing behind the value"},
		{"[-]",                       "line 1, column 3: found ']', expected a digit"                 },
		{"[1.]",                      "line 1, column 4: found ']', expected a digit"                 },
		{"[1e+]",                     "line 1, column 5: found ']', expected a digit"                 },
		{"[.5]",                      "line 1, column 2: found '.', expected a value"                 },
		{"\xEF\xBB\xBF{}",            "line 1, column 1: found a byte order mark"                     },
		{"{\"a\":1} junk",            "line 1, column 9: found 'j', expected nothing behind"          },
		{"{\"a\":1,}",                "line 1, column 8: found '}', expected a key in double quotes"  },
		{"[1,]",                      "line 1, column 4: found ']', expected a value"                 },
		{"[1 2]",                     "line 1, column 4: found '2', expected ',' or ']'"              },
		{"{\"a\" 1}",                 "line 1, column 6: found '1', expected ':'"                     },
		{"{'a':1}",                   "line 1, column 2: found ''', expected a key"                   },
		{"nul",                       "line 1, column 4: found the end, expected true, false or null" },
		{"\"abc",                     "line 1, column 5: found the end, expected '\"'"                },
		{"\"\\x\"",                   "line 1, column 3: found 'x', expected one of"                  },
		{"\"\\u12g4\"",               "line 1, column 6: found 'g', expected a hexadecimal digit"     },
		{"\v1",                       "line 1, column 1: found the control character U+000B"          },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		f->err.code = ERR_OK;
		assert_null(json_parse(f->arena, str_of(rows[i].in), &f->err));
		assert_int_equal(f->err.code, ERR_INVALID_PAYLOAD);
		if (strncmp(f->err.text, rows[i].out, strlen(rows[i].out)) != 0)
			FAIL("%s: %s", rows[i].in, f->err.text);
	}
}

TEST(a_nul_byte_in_the_text_is_refused)
{
	struct fixture *f = *state;

	assert_null(json_parse(f->arena, (struct str){"\"a\0b\"", 5}, &f->err));
	assert_null(json_parse(f->arena, (struct str){"1\0", 2}, &f->err));
}

TEST(other_servers_numbers_are_rounded_as_javascript_does)
{
	static const char text[] =
		"[9007199254740993,1e400,-1e400,1e-400,12345678901234567890,"
		"1000000000000000000000000000000000000000000000000000000000000000000]";
	struct fixture *f = *state;
	cJSON *value = json_parse_rounding(f->arena, STR(text), &f->err);

	assert_non_null(value);
	assert_str(json_print(f->arena, value),
		   "[9007199254740992,null,null,0,12345678901234567000,1e+66]");
}

static char *nested(struct arena *a, size_t depth)
{
	char *text = arena_alloc(a, 2 * depth + 1);

	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	return text;
}

TEST(nesting_has_a_limit)
{
	struct fixture *f = *state;

	assert_non_null(parsed(f, nested(f->arena, JSON_DEPTH_MAX)));
	assert_null(json_parse(f->arena, str_of(nested(f->arena, JSON_DEPTH_MAX + 1)), &f->err));
	assert_non_null(strstr(f->err.text, "nesting deeper than 512"));
}

/* Quadratic work would take minutes here: the test has a time limit of its own. */
TEST(large_containers_take_linear_time)
{
	enum { COUNT = 50000 };
	struct fixture *f = *state;
	char key[16];
	cJSON *object = json_object(f->arena), *array = json_array(f->arena), *again;

	for (int i = 0; i < COUNT; i++) {
		(void)snprintf(key, sizeof(key), "k%d", COUNT - i);
		json_append(f->arena, object, key, json_number(f->arena, i));
		json_push(array, json_number(f->arena, i));
	}
	json_push(array, object);
	again = json_parse(f->arena, json_print(f->arena, array), &f->err);
	assert_int_equal(json_count(again), COUNT + 1);
	assert_int_equal(json_count(again->child->prev), COUNT);
	assert_true(json_equal(array, again));
}

TEST(an_object_keeps_the_order_in_which_members_were_set)
{
	struct fixture *f = *state;
	cJSON *object = json_object(f->arena);

	json_set_text(f->arena, object, "a", "x");
	json_set_number(f->arena, object, "b", 2);
	json_set_bool(f->arena, object, "c", true);
	json_set_str(f->arena, object, "a", STR("first"));
	json_set(f->arena, object, "c", json_null(f->arena));
	assert_str(json_print(f->arena, object), "{\"a\":\"first\",\"b\":2,\"c\":null}");
	json_remove(object, "b");
	json_remove(object, "nope");
	json_set_text(f->arena, object, "d", NULL);
	assert_str(json_print(f->arena, object), "{\"a\":\"first\",\"c\":null,\"d\":null}");
	json_remove(object, "a");
	json_remove(object, "d");
	json_remove(object, "c");
	assert_str(json_print(f->arena, object), "{}");
	json_set(f->arena, object, "e", json_array(f->arena));
	assert_str(json_print(f->arena, object), "{\"e\":[]}");
}

TEST(a_shared_value_stands_in_two_places)
{
	struct fixture *f = *state;
	cJSON *array = json_array(f->arena), *inner = parsed(f, "{\"a\":[1]}");

	json_push(array, inner);
	json_push(array, json_share(f->arena, inner));
	json_push(array, json_copy(f->arena, inner));
	json_set_number(f->arena, array->child->prev, "b", 2);
	assert_str(json_print(f->arena, array), "[{\"a\":[1]},{\"a\":[1]},{\"a\":[1],\"b\":2}]");
	assert_str(json_print(f->arena, json_share(f->arena, json_get(inner, "a"))), "[1]");
}

TEST(numbers_that_json_has_not_become_null)
{
	struct fixture *f = *state;
	char text[JSON_NUMBER_MAX];
	double zero = 0;

	assert_true(cJSON_IsNull(json_number(f->arena, 1 / zero)));
	assert_string_equal(json_number_text(1 / zero, text), "Infinity");
	assert_string_equal(json_number_text(-1 / zero, text), "-Infinity");
	assert_string_equal(json_number_text(zero / zero, text)[0] == '-' ? text + 1 : text, "NaN");
}

TEST(look_ups_find_own_members_of_the_right_type_only)
{
	struct fixture *f = *state;
	const cJSON *v =
		parsed(f, "{\"n\":5,\"t\":\"x\",\"b\":true,\"o\":{\"p\":{\"q\":7}},\"l\":[1,2]}");

	assert_string_equal(json_get_text(v, "t"), "x");
	assert_null(json_get_text(v, "n"));
	assert_null(json_get(v, "T"));
	assert_null(json_get(NULL, "t"));
	assert_null(json_get(json_get(v, "l"), "0"));
	assert_true(json_get_number(v, "n", 1) == 5);
	assert_true(json_get_number(v, "t", 1) == 1);
	assert_true(json_get_bool(v, "b", false));
	assert_true(json_get_bool(v, "n", true));
	assert_true(json_path(v, "o", "p", "q", NULL)->valuedouble == 7);
	assert_null(json_path(v, "o", "x", "q", NULL));
	assert_null(json_get_str(v, (struct str){"tt", 2}));
	assert_non_null(json_get_str(v, (struct str){"tt", 1}));
	assert_int_equal(json_count(json_get(v, "l")), 2);
	assert_int_equal(json_count(json_get(v, "t")), 0);
	assert_string_equal(json_type_name(json_get(v, "l")), "array");
	assert_string_equal(json_type_name(json_get(v, "b")), "boolean");
	assert_string_equal(json_type_name(NULL), "null");
}

TEST(values_are_equal_whatever_the_order_of_keys)
{
	struct fixture *f = *state;
	cJSON *a = parsed(f, "{\"a\":1,\"b\":[1,{\"c\":null}]}");

	assert_true(json_equal(a, parsed(f, "{\"b\":[1,{\"c\":null}],\"a\":1.0}")));
	assert_false(json_equal(a, parsed(f, "{\"b\":[{\"c\":null},1],\"a\":1}")));
	assert_false(json_equal(a, parsed(f, "{\"a\":1,\"b\":[1,{\"c\":null}],\"d\":1}")));
	assert_false(json_equal(a, parsed(f, "{\"a\":1,\"b\":[1,{\"c\":false}]}")));
	assert_false(json_equal(a, parsed(f, "{\"a\":1,\"b\":[1,{\"c\":null},2]}")));
	assert_false(json_equal(a, NULL));
}

TEST(pretty_printing_is_for_people)
{
	struct fixture *f = *state;

	assert_str(json_print_pretty(f->arena, parsed(f, "{\"a\":[1,{}],\"b\":[]}")),
		   "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST(a_text_is_cut_at_a_nul)
{
	struct fixture *f = *state;

	assert_string_equal(json_str(f->arena, (struct str){"ab\0c", 4})->valuestring, "ab");
	assert_string_equal(json_str(f->arena, (struct str){NULL, 0})->valuestring, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_document_is_printed_as_javascript_prints_it),
		ENTRY(what_can_not_be_kept_is_refused_with_its_place),
		ENTRY(a_nul_byte_in_the_text_is_refused),
		ENTRY(other_servers_numbers_are_rounded_as_javascript_does),
		ENTRY(nesting_has_a_limit),
		ENTRY(large_containers_take_linear_time),
		ENTRY(an_object_keeps_the_order_in_which_members_were_set),
		ENTRY(a_shared_value_stands_in_two_places),
		ENTRY(numbers_that_json_has_not_become_null),
		ENTRY(look_ups_find_own_members_of_the_right_type_only),
		ENTRY(values_are_equal_whatever_the_order_of_keys),
		ENTRY(pretty_printing_is_for_people),
		ENTRY(a_text_is_cut_at_a_nul),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
