/* The command line: what is understood, what is told, and with which exit status. */
#include "worker/cli/cli.h"

#include "common/arena.h"

#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Runs with standard output and standard error in one text. */
static int run(struct arena *a, const char *line, const char **printed)
{
	char *words[16] = {arena_strdup(a, "flow-worker")}, *rest = arena_strdup(a, line);
	int count = 1, status, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	char *text = arena_alloc(a, 65536);
	FILE *file = tmpfile();

	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			words[count++] = word;
	assert_non_null(file);
	(void)fflush(stdout);
	(void)dup2(fileno(file), STDOUT_FILENO);
	(void)dup2(fileno(file), STDERR_FILENO);
	status = cli_main(count, words);
	(void)fflush(stdout);
	(void)dup2(out, STDOUT_FILENO);
	(void)dup2(err, STDERR_FILENO);
	(void)close(out);
	(void)close(err);
	rewind(file);
	text[fread(text, 1, 65535, file)] = '\0';
	(void)fclose(file);
	*printed = text;
	return status;
}

static const struct {
	const char *line;
	int status;
	const char *printed;
} lines[] = {
	{"--help",		     CLI_OK,     "Usage: flow-worker [COMMAND] [OPTIONS]"       },
	{"-h",			 CLI_OK,     "  version "				   },
	{"--version",                  CLI_OK,     FLOW_WORKER_VERSION "\n"                       },
	{"version",		    CLI_OK,     FLOW_WORKER_VERSION "\n"                       },
	{"version --json",             CLI_OK,     "{\"version\":\"" FLOW_WORKER_VERSION "\"}\n"  },
	{"--json version",             CLI_OK,     "{\"version\":\"" FLOW_WORKER_VERSION "\"}\n"  },
	{"version --help",             CLI_OK,     "Usage: flow-worker version\n"                 },
	{"config --help",              CLI_OK,     "  --markdown"                                 },
	{"config --markdown",          CLI_OK,     "| `AI_ENABLED` | `true` |"                    },
	{"versoin",		    CLI_WRONG,  "no command 'versoin', did you mean 'version'?"},
	{"something-else-entirely",    CLI_WRONG,  "no command 'something-else-entirely'\n"       },
	{"version --jsno",             CLI_WRONG,  "no option '--jsno', did you mean '--json'?"   },
	{"version -x",                 CLI_WRONG,  "no option '-x'"                               },
	{"version --json=1",           CLI_WRONG,  "option '--json' takes no value"               },
	{"version --env-file",         CLI_WRONG,  "option '--env-file' needs a value (FILE)"     },
	{"version now",                CLI_WRONG,  "'version' has no use for 'now'"               },
	{"version -- --json",          CLI_WRONG,  "'version' has no use for '--json'"            },
	{"config --env-file /no/such", CLI_FAILED, "'/no/such' can not be read"                   },
	{"--env-file=/no/such config", CLI_FAILED, "'/no/such' can not be read"                   },
};

TEST(each_line_is_understood_or_told_what_is_wrong)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct arena *a = arena_new();
		const char *printed;
		int status = run(a, lines[i].line, &printed);

		if (status != lines[i].status || !strstr(printed, lines[i].printed))
			FAIL("'%s' ends with %d, expected %d with '%s', and prints:\n%s",
			     lines[i].line, status, lines[i].status, lines[i].printed, printed);
		arena_free(a);
	}
}

TEST(a_number_has_limits)
{
	static const struct cli_option options[] = {
		{"limit",            "N", "at most so many"},
		{0},
	};
	static const struct cli_command command = {.name = "x", .options = options};
	static const struct {
		const char *text;
		bool good;
		uint64_t number;
	} cases[] = {
		{"5",                    true,  5 },
                {"10",                   true,  10},
		{NULL,                   true,  77},
                {"0",                    false, 77},
		{"11",                   false, 77},
                {"-5",                   false, 77},
		{"5x",                   false, 77},
                {"",                     false, 77},
		{" 5",                   false, 77},
                {"99999999999999999999", false, 77},
	};
	int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	(void)state;
	(void)dup2(null, STDERR_FILENO);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *values[] = {cases[i].text};
		const struct cli cli = {.command = &command, .values = values};
		uint64_t number = 77;
		bool good = cli_option_number(&cli, 0, 1, 10, &number);

		assert_int_equal(good, cases[i].good);
		assert_int_equal(number, cases[i].number);
	}
	(void)dup2(err, STDERR_FILENO);
	(void)close(err);
	(void)close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(each_line_is_understood_or_told_what_is_wrong),
		ENTRY(a_number_has_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
