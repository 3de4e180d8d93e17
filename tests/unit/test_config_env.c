/* .env files are read as the dotenv package of Node reads them, which Directus uses. */
#include "common/config_parts.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

struct expected {
	const char *text, *name, *value; /* value NULL: there is no such variable */
};

static void check(const struct expected *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct config_reader r = {.a = arena_new(), .env = {.file = ".env"}};
		const struct env_variable *v;

		env_add_text(&r, str_of(cases[i].text));
		v = env_find(&r.env, cases[i].name);
		if (!cases[i].value && v)
			FAIL("case %zu: '%s' is there", i, v->name);
		if (cases[i].value && (!v || strcmp(v->value, cases[i].value) != 0))
			FAIL("case %zu: '%s', expected '%s'", i, v ? v->value : "nothing",
			     cases[i].value);
		arena_free(r.a);
	}
}

TEST(lines_are_names_and_values)
{
	static const struct expected cases[] = {
		{"A=b",                  "A",       "b"        },
		{"A=b\n",                "A",       "b"        },
		{"A=b\r\nC=d\r\n",       "C",       "d"        },
		{"A=b\rC=d",             "C",       "d"        },
		{"  A = b  ",            "A",       "b"        },
		{"export A=b",           "A",       "b"        },
		{"exportA=b",            "exportA", "b"        },
		{"export=b",             "export",  "b"        },
		{"A: b",                 "A",       "b"        },
		{"A:b",                  "A",       NULL       },
		{"A=",                   "A",       ""         },
		{"A=\nC=d",              "A",       ""         },
		{"A",                    "A",       NULL       },
		{"=b",                   "",        NULL       },
		{"# A=b",                "A",       NULL       },
		{"\xEF\xBB\xBF"
		 "A=b", "A",       "b"        },
		{"a.b-c=d",              "a.b-c",   "d"        },
		{"A=1\nA=2",             "A",       "2"        },
		{"A=b=c",                "A",       "b=c"      },
		{"A=two words",          "A",       "two words"},
		{"\n\nA=b",              "A",       "b"        },
	};

	(void)state;
	check(cases, ARRAY_LEN(cases));
}

TEST(comments_end_values_without_quotes)
{
	static const struct expected cases[] = {
		{"A=b # c",         "A", "b"    },
                {"A=b#c",           "A", "b"    },
                {"A=\"b # c\" # d", "A", "b # c"},
		{"A='b # c'",       "A", "b # c"},
                {"A=# b",           "A", ""     },
	};

	(void)state;
	check(cases, ARRAY_LEN(cases));
}

TEST(quotes_keep_what_is_in_them)
{
	static const struct expected cases[] = {
		{"A=\"b\"",            "A", "b"             },
		{"A='b'",              "A", "b"             },
		{"A=`b`",              "A", "b"             },
		{"A=\"\"",             "A", ""              },
		{"A=\"  b  \"",        "A", "  b  "         },
		{"A=\"b\\nc\\rd\"",    "A", "b\nc\rd"       },
		{"A='b\\nc'",          "A", "b\\nc"         },
		{"A=`b\\nc`",          "A", "b\\nc"         },
		{"A=b\\nc",            "A", "b\\nc"         },
		{"A='{\"b\": \"c\"}'", "A", "{\"b\": \"c\"}"},
		{"A=\"b\\\"c\"",       "A", "b\\\"c"        },
		{"A=`it's \"b\"`",     "A", "it's \"b\""    },
		{"A='it's'",           "A", "it's"          },
		{"A=\"b",              "A", "\"b"           },
		{"A='b\nC=d",          "C", "d"             },
		{"A=b'c",              "A", "b'c"           },
		{"A='b' c",            "A", "'b' c"         },
	};

	(void)state;
	check(cases, ARRAY_LEN(cases));
}

TEST(quoted_values_may_have_several_lines)
{
	static const struct expected cases[] = {
		{"A='json:[\n{\"id\": 1}\n]'\nB=c", "A", "json:[\n{\"id\": 1}\n]"},
		{"A='json:[\n{\"id\": 1}\n]'\nB=c", "B", "c"                     },
		{"A=\"b\nc\" # d\nE=f",             "A", "b\nc"                  },
		{"A=\"b\r\nc\"",                    "A", "b\nc"                  },
	};

	(void)state;
	check(cases, ARRAY_LEN(cases));
}

TEST(lines_that_say_nothing_are_warned_of_with_their_number)
{
	struct config_reader r = {.a = arena_new(), .env = {.file = "my.env"}};

	(void)state;
	env_add_text(&r, STR("A='b\nc'\nwhat is this\nB=c"));
	assert_int_equal(r.warnings.count, 1);
	assert_string_equal(r.warnings.items[0], "my.env line 3 is not NAME=value and is left out");
	assert_int_equal(env_find(&r.env, "B")->line, 4);
	arena_free(r.a);
}

TEST(the_environment_wins_over_the_file)
{
	char path[] = "/tmp/test-env-XXXXXX";
	static const char text[] = "WORKER_LEASE=20s\nREDIS_HOST=file\nREDIS_PORT=x\n";
	const char *const environment[] = {"REDIS_HOST=environment", NULL};
	const struct config_options options = {.environment = environment, .env_file = path};
	struct arena *a = arena_new();
	struct config_report report;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_null(config_load(a, &options, &report));
	assert_int_equal(report.error_count, 1);
	assert_non_null(strstr(report.errors[0], " line 3), expected a whole number"));

	assert_int_equal(ftruncate(fd, (off_t)sizeof(text) - 14), 0);
	(void)close(fd);
	assert_string_equal(config_load(a, &options, &report)->redis_host, "environment");
	assert_int_equal(config_load(a, &options, &report)->worker_lease_ms, 20000);
	(void)unlink(path);
	arena_free(a);
}

TEST(a_named_file_must_be_there)
{
	const char *const environment[] = {NULL};
	const struct config_options options = {.environment = environment, .env_file = "/no/.env"};
	struct arena *a = arena_new();
	struct config_report report;

	(void)state;
	assert_null(config_load(a, &options, &report));
	assert_string_equal(report.errors[0],
			    "'/no/.env' can not be read: No such file or directory");
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(lines_are_names_and_values),
		ENTRY(comments_end_values_without_quotes),
		ENTRY(quotes_keep_what_is_in_them),
		ENTRY(quoted_values_may_have_several_lines),
		ENTRY(lines_that_say_nothing_are_warned_of_with_their_number),
		ENTRY(the_environment_wins_over_the_file),
		ENTRY(a_named_file_must_be_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
