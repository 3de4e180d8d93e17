/* AI_LIMITS: what is refused and with which words, and which rules count for whom. */
#include "worker/queue/limits.h"

#include "common/loop.h"

#include "tests/unit/test.h"

#include <stdio.h>

static const struct {
	const char *json, *error; /* "": it is good */
} texts[] = {
	{"",							       ""							      },
	{"[]",							     ""							      },
	{"[{\"scope\":\"openai\",\"rpm\":500,\"tpm\":200000}]",            ""                                                              },
	{"[{\"scope\":\"*\",\"budgetUsd\":0.5,\"period\":\"month\",\"timeZone\":\"Europe/"
	 "Berlin\"}]",					    ""							      },
	{"{}",							     "found a value of type object, expected an array"               },
	{"[1]",							    "AI_LIMITS[0]: found a value of type number, expected an object"},
	{"[{\"rpm\":1}]",						  "AI_LIMITS[0].scope: found '', expected a provider"             },
	{"[{\"scope\":\"openai\"}]",				       "AI_LIMITS[0] ('openai') limits nothing"                        },
	{"[{\"scope\":\"a\",\"rpm\":1},{\"scope\":\"b\",\"rps\":1}]",
	 "AI_LIMITS[1]: there is no member 'rps'"											  },
	{"[{\"scope\":\"a\",\"rpm\":0}]",
	 "AI_LIMITS[0].rpm: found 0, expected a whole number of 1 or more"                                                                 },
	{"[{\"scope\":\"a\",\"rpm\":1.5}]",                                "AI_LIMITS[0].rpm: found 1.5, expected a whole number"          },
	{"[{\"scope\":\"a\",\"rpm\":\"5\"}]",
	 "AI_LIMITS[0].rpm: found string, expected a whole number"									 },
	{"[{\"scope\":\"a\",\"budgetUsd\":-1}]",
	 "AI_LIMITS[0].budgetUsd: found -1, expected dollars"									      },
	{"[{\"scope\":\"a\",\"budgetUsd\":1,\"period\":\"week\"}]",
	 "found 'week', expected hour, day, month or total"										},
	{"[{\"scope\":\"a\",\"budgetUsd\":1,\"timeZone\":\"Mars/Base\"}]",
	 "AI_LIMITS[0].timeZone: "													 },
	{"[{\"scope\":\"a\",\"budgetUsd\":1,\"onBudget\":\"stop\"}]",
	 "found 'stop', expected park or fail"											     },
	{"[{\"scope\":\"a\",\"rpm\":1,\"period\":5}]",
	 "AI_LIMITS[0].period: found a value of type number"									       },
};

TEST(wrong_limits_are_told_with_place_and_reason)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct arena *a = arena_new();
		struct error err = {.code = ERR_OK};
		const struct limits *l = limits_parse(a, str_of(texts[i].json), &err);

		if (!texts[i].error[0] && !l)
			FAIL("%s: %s", texts[i].json, err.text);
		if (texts[i].error[0] && (l || !strstr(err.text, texts[i].error)))
			FAIL("%s: found '%s', expected '%s'", texts[i].json, err.text,
			     texts[i].error);
		arena_free(a);
	}
}

/* ---- which rules count ---- */

enum { NOON_MS = 12 * 3600 * 1000 };

static const struct {
	const char *json;
	struct limit_subject subject;
	const char *
		rules; /* "<scope> <kind> <limit> ..." in any order is not promised: newest first */
} cases[] = {
	{"[{\"scope\":\"openai\",\"rpm\":5}]",
	 {.provider = "openai", .model = "m"},
	 "openai rpm 5;"																	      },
	{"[{\"scope\":\"openai/m\",\"rpm\":5}]",
	 {.provider = "openai", .model = "m"},
	 "openai/m rpm 5;"																	    },
	{"[{\"scope\":\"openai/x\",\"rpm\":5}]",                                  {.provider = "openai", .model = "m"},                             ""                },
	{"[{\"scope\":\"open\",\"rpm\":5}]",                                      {.provider = "openai", .model = "m"},                             ""                },
	{"[{\"scope\":\"*\",\"concurrency\":7}]",                                 {.provider = "p"},                                                "* concurrency 7;"},
	{"[{\"scope\":\"flow:*\",\"rpm\":5}]",                                    {.provider = "p", .flow = "f1"},                                  "flow:f1 rpm 5;"  },
	{"[{\"scope\":\"flow:f2\",\"rpm\":5}]",                                   {.provider = "p", .flow = "f1"},                                  ""                },
	{"[{\"scope\":\"flow:*\",\"rpm\":5}]",                                    {.provider = "p"},                                                ""                },
	{"[{\"scope\":\"tenant:t\",\"rpm\":1},{\"scope\":\"user:*\",\"rpm\":2},{\"scope\":"
	 "\"collection:c\",\"rpm\":3}]",				 {.provider = "p", .tenant = "t", .user = "u", .collection = "c"},
	 "collection:c rpm 3;user:u rpm 2;tenant:t rpm 1;"													    },
 /* the strictest of several */
	{"[{\"scope\":\"flow:*\",\"rpm\":5},{\"scope\":\"flow:f\",\"rpm\":3}]",
	 {.provider = "p", .flow = "f"},
	 "flow:f rpm 3;"																	      },
	{"[{\"scope\":\"openai-compatible:gpu\",\"rpm\":5}]",
	 {.provider = "openai-compatible:gpu", .model = "m"},
	 "openai-compatible:gpu rpm 5;"															       },
 /* money, to the nano-dollar; a period is named by its end */
	{"[{\"scope\":\"*\",\"budgetUsd\":0.1}]",
	 {.provider = "p"},
	 "* budgetUsd 100000000 day-86400000;"															},
	{"[{\"scope\":\"*\",\"budgetUsd\":1,\"period\":\"hour\"}]",
	 {.provider = "p"},
	 "* budgetUsd 1000000000 hour-46800000;"														      },
	{"[{\"scope\":\"*\",\"softUsd\":1,\"period\":\"total\"}]",
	 {.provider = "p"},
	 "* softUsd 1000000000 total;"																},
	{"[{\"scope\":\"*\",\"budgetUsd\":1,\"timeZone\":\"America/New_York\"}]",
	 {.provider = "p"},
	 "* budgetUsd 1000000000 day-104400000;"														      },
	{"[{\"scope\":\"*\",\"budgetUsd\":2,\"onBudget\":\"park\"},{\"scope\":\"*\",\"budgetUsd\":"
	 "3,\"onBudget\":\"fail\"}]",				    {.provider = "p"},
	 "* budgetUsd 2000000000 day-86400000 fail;"														  },
};

static const char *print_rules(struct arena *a, const struct limit_rule *rules, size_t count)
{
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = arena_printf(a, "%s%s %s %llu%s%s%s;", text, rules[i].scope,
				    limit_kind_name(rules[i].kind),
				    (unsigned long long)rules[i].limit, *rules[i].period ? " " : "",
				    rules[i].period, rules[i].or_fail ? " fail" : "");
	return text;
}

TEST(the_rules_for_a_call_are_those_that_name_it_and_the_strictest_of_them)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new();
		struct limit_rule *rules;
		struct error err;
		const struct limits *l = limits_parse(a, str_of(cases[i].json), &err);
		size_t count = limits_find(l, &cases[i].subject, NOON_MS, a, &rules);
		const char *found = print_rules(a, rules, count);

		if (strcmp(found, cases[i].rules) != 0)
			FAIL("%s: found '%s', expected '%s'", cases[i].json, found, cases[i].rules);
		arena_free(a);
	}
}

TEST(joined_limits_hold_both_and_the_stricter_one_wins)
{
	struct arena *a = arena_new();
	struct limit_subject openai = {.provider = "openai", .model = "m"};
	struct limit_rule *rules;
	struct error err;
	const struct limits *ours =
		limits_parse(a, STR("[{\"scope\":\"openai\",\"rpm\":100,\"tpm\":9}]"), &err);
	const struct limits *theirs =
		limits_parse(a, STR("[{\"scope\":\"openai\",\"rpm\":20}]"), &err);
	size_t count = limits_find(limits_join(a, ours, theirs), &openai, NOON_MS, a, &rules);

	(void)state;
	assert_string_equal(print_rules(a, rules, count), "openai rpm 20;openai tpm 9;");
	assert_int_equal(limits_find(limits_join(a, NULL, theirs), &openai, NOON_MS, a, &rules), 1);
	assert_int_equal(limits_find(NULL, &openai, NOON_MS, a, &rules), 0);
	assert_str(limits_text(ours), "[{\"scope\":\"openai\",\"rpm\":100,\"tpm\":9}]");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(wrong_limits_are_told_with_place_and_reason),
		ENTRY(the_rules_for_a_call_are_those_that_name_it_and_the_strictest_of_them),
		ENTRY(joined_limits_hold_both_and_the_stricter_one_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
