/* The head of a reply, line by line, and how much of it there may be. */
#include "common/http_head.h"

#include "tests/unit/test.h"

static void read_lines(struct http_head *h, struct arena *a, const char *const *lines)
{
	*h = (struct http_head){.reason = ""};
	for (; *lines; lines++)
		assert_true(http_head_add(h, str_of(*lines), a));
}

TEST(status_reason_and_headers_are_read)
{
	static const struct {
		const char *lines[4];
		int status;
		const char *reason, *name, *value;
	} rows[] = {
		{{"HTTP/1.1 404 Not Found\r\n", "X-Kind:  Bad \t\r\n", "\r\n"},
		 404,								"Not Found",
		 "x-kind",										   "Bad"},
		{{"HTTP/2 200 \r\n", "x-kind:a:b\r\n"},                         200, "",          "x-kind",  "a:b"},
		{{"HTTP/1.1 200\r\n", "X-Empty:\r\n"},                          200, "",          "x-empty", ""   },
		{{"HTTP/1.1 200 OK\r\n", "no colon\r\n", ": no name\r\n"},
		 200,								"OK",
		 "no colon",										 NULL },
		{{"HTTP/1.1 nonsense\r\n"},                                     0,   "nonsense",  "x-kind",  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct arena *a = arena_new();
		struct http_head h;

		read_lines(&h, a, rows[i].lines);
		assert_int_equal(h.status, rows[i].status);
		assert_string_equal(h.reason, rows[i].reason);
		if (rows[i].value)
			assert_string_equal(http_head_find(&h, rows[i].name), rows[i].value);
		else
			assert_null(http_head_find(&h, rows[i].name));
		arena_free(a);
	}
}

TEST(what_came_before_the_last_status_line_is_forgotten)
{
	static const char *const lines[] = {"HTTP/1.1 103 Early Hints\r\n", "Link: x\r\n",   "\r\n",
					    "HTTP/1.1 200 OK\r\n",          "X-Kind: y\r\n", NULL};
	struct arena *a = arena_new();
	struct http_head h;

	(void)state;
	read_lines(&h, a, lines);
	assert_int_equal(h.status, 200);
	assert_int_equal(h.count, 1);
	assert_null(http_head_find(&h, "link"));
	arena_free(a);
}

/* How many lines of that kind are taken. */
static size_t lines_taken(const char *line)
{
	struct http_head h = {.reason = ""};
	struct arena *a = arena_new();
	size_t count = 0;

	while (http_head_add(&h, str_of(line), a))
		count++;
	arena_free(a);
	return count;
}

TEST(a_head_has_an_end)
{
	static const char early[] = "HTTP/1.1 103 Early Hints\r\n";
	char kib[1025];

	(void)state;
	memset(kib, 'a', sizeof(kib) - 1);
	kib[sizeof(kib) - 1] = '\0';
	kib[1] = ':';
	assert_int_equal(lines_taken("a:b\r\n"), HTTP_HEAD_MAX_HEADERS);
	assert_int_equal(lines_taken(kib), HTTP_HEAD_MAX_BYTES / 1024);
	assert_int_equal(lines_taken(early), HTTP_HEAD_MAX_BYTES / (sizeof(early) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(status_reason_and_headers_are_read),
		ENTRY(what_came_before_the_last_status_line_is_forgotten),
		ENTRY(a_head_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
