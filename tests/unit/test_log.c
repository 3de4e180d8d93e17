/* A line stays a line, whatever is written into it. */
#include "common/log.h"

#include "common/buf.h"
#include "common/secrets.h"

#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { AT = 1700000000 };

static void check(enum log_style style, const char *message, const struct log_field *fields,
		  const char *expected)
{
	struct log_line line = {AT * 1000ULL + 42, LOG_WARN, message, fields};
	struct buf out;

	buf_init(&out, 100000);
	log_format(&out, &line, style, false);
	assert_str(buf_str(&out), expected);
	buf_clear(&out);
}

#define HEAD "{\"time\":\"2023-11-14T22:13:20.042Z\",\"level\":\"warn\",\"message\":"

TEST(a_raw_line_is_one_json_object)
{
	const struct log_field fields[] = {LOG_TEXT("job", "j1"),
					   LOG_NUMBER("ms", 12),
					   LOG_NUMBER("cost", 0.25),
					   LOG_NUMBER("none", -0.0),
					   LOG_BOOL("last", true),
					   LOG_TEXT("left out", NULL),
					   LOG_END};

	(void)state;
	check(LOG_STYLE_RAW, "job done", fields,
	      HEAD
	      "\"job done\",\"job\":\"j1\",\"ms\":12,\"cost\":0.25,\"none\":0,\"last\":true}\n");
}

TEST(a_pretty_line_is_for_people)
{
	const struct log_field fields[] = {LOG_TEXT("job", "j 1"), LOG_NUMBER("ms", 12), LOG_END};

	(void)state;
	check(LOG_STYLE_PRETTY, "job done", fields,
	      "[22:13:20.042] warn  job done  job=j 1  ms=12\n");
}

TEST(hostile_texts_stay_in_their_line)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"a\nb\r\tc",            "a\\nb\\u000d\\tc"                                },
		{"\033[31mred",          "\\u001b[31mred"                                  },
		{"\xC2\x9B"
		 "31m", "\\u009b31m"				      }, /* a control character in UTF-8 */
		{"\x7F",                 "\\u007f"					 },
		{"quote\" back\\",       "quote\\\" back\\\\"                              },
		{"gr\xC3\xBC\xC3\x9F",   "gr\xC3\xBC\xC3\x9F"                              },
		{"cut \xC3",             "cut \xEF\xBF\xBD"                                },
		{"\xC0\xAF",             "\xEF\xBF\xBD\xEF\xBF\xBD"                        }, /* too long a form */
		{"\xED\xA0\xBD",         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"            }, /* half a pair */
		{"\xF0\x9F\x98\x80",     "\xF0\x9F\x98\x80"                                },
		{"\xF5\x80\x80\x80",     "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
	};
	char expected[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct log_field fields[] = {LOG_TEXT("t", cases[i].text), LOG_END};

		(void)snprintf(expected, sizeof(expected), HEAD "\"m\",\"t\":\"%s\"}\n",
			       cases[i].expected);
		check(LOG_STYLE_RAW, "m", fields, expected);
	}
}

TEST(a_long_text_is_cut_at_a_character_and_says_so)
{
	char text[4001], expected[2000];
	struct log_field fields[] = {LOG_END, LOG_END};
	size_t at;

	(void)state;
	for (size_t i = 0; i < 4000; i += 2)
		memcpy(text + i, "\xC3\xBC", 3);
	fields[0] = LOG_TEXT("t", text);
	at = (size_t)snprintf(expected, sizeof(expected), HEAD "\"m\",\"t\":\"%.1000s", text);
	(void)snprintf(expected + at, sizeof(expected) - at, "… (4000 bytes)\"}\n");
	check(LOG_STYLE_RAW, "m", fields, expected);
}

TEST(secrets_are_masked_in_message_and_fields)
{
	const struct log_field fields[] = {LOG_TEXT("url", "https://x/?k=top-secret-9"), LOG_END};

	(void)state;
	secrets_add(STR("top-secret-9"));
	check(LOG_STYLE_RAW, "using top-secret-9", fields,
	      HEAD "\"using --redacted--\",\"url\":\"https://x/?k=--redacted--\"}\n");
	secrets_clear();
}

static int evaluated;

static const char *count_evaluations(void)
{
	evaluated++;
	return "x";
}

TEST(what_is_off_is_neither_written_nor_evaluated)
{
	char written[300] = "";
	int pipes[2], old = dup(STDERR_FILENO);
	struct error err;

	(void)state;
	(void)fail(&err, ERR_REDIS, "gone");
	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
	log_configure(LOG_INFO, LOG_STYLE_RAW);
	log_write(LOG_DEBUG, "off", LOG_TEXT("t", count_evaluations()), LOG_END);
	log_configure(LOG_SILENT, LOG_STYLE_RAW);
	log_write(LOG_FATAL, "off", LOG_TEXT("t", count_evaluations()), LOG_END);
	log_configure(LOG_INFO, LOG_STYLE_RAW);
	log_write(LOG_ERROR, "on", LOG_FAILURE(&err), LOG_END);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	(void)close(old);

	assert_true(read(pipes[0], written, sizeof(written) - 1) > 0);
	assert_non_null(strstr(written, "\"level\":\"error\",\"message\":\"on\","
					"\"code\":\"REDIS\",\"error\":\"gone\"}\n"));
	assert_null(strstr(written, "off"));
	assert_int_equal(evaluated, 0);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_raw_line_is_one_json_object),
		ENTRY(a_pretty_line_is_for_people),
		ENTRY(hostile_texts_stay_in_their_line),
		ENTRY(a_long_text_is_cut_at_a_character_and_says_so),
		ENTRY(secrets_are_masked_in_message_and_fields),
		ENTRY(what_is_off_is_neither_written_nor_evaluated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
