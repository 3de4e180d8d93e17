/* What is wrong with the options of an ai-* operation is said before anything is sent: where, what was found, what was
 * expected. Types and ranges of the table are checked before that, by operation_check(). */
#include "tests/unit/fixture.h"

#include "common/config.h"
#include "operations/ai_options.h"
#include "operations/services.h"

static const struct ai_kind kind = {.name = "ai-generate"};

static bool read_options(struct fixture *f, const char *options, struct ai_request *r)
{
	const struct config config = {.ai_enabled = true};
	const struct services use = {.config = &config};
	struct op_call op = {.use = &use, .arena = f->arena};

	op.options = json_parse(f->arena, str_of(options), &f->err);
	assert_non_null(op.options);
	return ai_options_read(&op, &kind, json_array(f->arena), r, &f->err);
}

TEST(what_is_wrong_names_the_option_and_what_was_expected)
{
	static const char *const rows[][2] = {
		{"{}",					    "option 'prompt' is missing"                  },
		{"{'prompt':'x','maxTokens':'many'}",
		 "option 'maxTokens' is 'many', expected a number"                                              },
		{"{'prompt':'x','maxTokens':1.5}",
		 "option 'maxTokens' is 1.5, expected a whole number"                                           },
		{"{'prompt':'x','maxTokens':0}",                  "option 'maxTokens' is 0, expected 1 to 1e+07"},
		{"{'prompt':'x','outputSchema':'{'}",
		 "option 'outputSchema' is a text, and no JSON: line 1, "
		 "column 2: found the end, expected a key in double quotes"                                     },
		{"{'prompt':'x','outputSchema':'[1]'}",
		 "option 'outputSchema' is the JSON text of a value of type array, expected that "
		 "of an object"										 },
		{"{'prompt':'x','promptKey':'haiku'}",
		 "option 'promptKey' is 'haiku', expected one of "
		 "fix-grammar|shorten|expand|social-post|seo-description|seo-title|summary"                     },
		{"{'prompt':'x','budget':{'maxCostUsd':'0.5'}}",
		 "option 'budget': 'maxCostUsd' is of type string, expected a number from 0 to "
		 "1e+09"											},
		{"{'prompt':'x','budget':{'maxTokens':-1}}",
		 "option 'budget': 'maxTokens' is -1, expected a number from 0 to 1e+15"                        },
		{"{'prompt':'x','budget':{'maxCost':1}}",
		 "option 'budget': there is no 'maxCost' in it, expected maxCostUsd, maxTokens"                 },
		{"{'prompt':'x','minLength':5,'maxLength':3}",
		 "option 'minLength' is 5, expected no more than 'maxLength', which is 3"                       },
		{"{'prompt':'x','stop':[1]}",                     "option 'stop' holds number, expected texts"  },
		{"{'prompt':'x','fallback':['gpt-5']}",
		 "option 'fallback': expected {provider, model}, found string"                                  },
		{"{'messages':[{'role':'robot','content':'x'}]}",
		 "option 'messages': expected {role: system, user or assistant, content}, found "
		 "role "
		 "robot"											},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *options = arena_strdup(f->arena, rows[i][0]);
		struct ai_request r;

		for (char *c = options; *c; c++)
			if (*c == '\'')
				*c = '"';
		if (read_options(f, options, &r))
			FAIL("%s: nothing is wrong", options);
		assert_int_equal(f->err.code, ERR_INVALID_PAYLOAD);
		assert_string_equal(f->err.text, rows[i][1]);
	}
}

TEST(a_choice_is_named_with_those_there_are)
{
	struct fixture *f = *state;
	const cJSON *options = json_parse(
		f->arena, STR("{\"model\":\"m\",\"prompt\":\"x\",\"outputFormat\":\"xml\"}"),
		&f->err);

	assert_false(operation_check(operation_find("ai-generate"), options, &f->err));
	assert_string_equal(f->err.text, "option 'outputFormat' is 'xml', expected one of "
					 "text|json|markdown|html");
}

TEST(a_budget_is_read)
{
	struct fixture *f = *state;
	struct ai_request r;

	assert_true(read_options(
		f, "{\"prompt\":\"x\",\"budget\":{\"maxCostUsd\":0.5,\"maxTokens\":null}}", &r));
	assert_int_equal(r.wish.max_cost_nano, 500000000);
	assert_int_equal(r.wish.max_tokens_total, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_wrong_names_the_option_and_what_was_expected, begin, end),
		cmocka_unit_test_setup_teardown(a_choice_is_named_with_those_there_are, begin, end),
		cmocka_unit_test_setup_teardown(a_budget_is_read, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
