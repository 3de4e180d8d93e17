/* Covers the readers of all providers, errors.c and delay.c: any bytes are an answer or an error with
 * a code and a text, as a reply of any status, with any value of a header, and as a stream. */
#include "operations/providers/errors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check(bool good, const struct llm_answer *answer, const struct error *err)
{
	if (good && answer->finish > FINISH_BROKEN)
		abort();
	if (!good && (err->code == ERR_OK || err->text[0] == '\0'))
		abort();
}

static void read_reply(const struct provider *p, int status, struct str text)
{
	static const int statuses[] = {200, 400, 401, 404, 413, 429, 500, 503};
	struct arena *a = arena_new();
	char *line = arena_strndup(a, text.ptr, size_min(text.len, 60));
	const struct http_header headers[] = {
		{"retry-after",                  line},
		{"date",			 line},
		{"x-ratelimit-remaining-tokens", "0" },
		{"x-ratelimit-reset-tokens",     line}
        };
	struct llm_reply reply = {.status = statuses[(size_t)status % ARRAY_LEN(statuses)],
				  .headers = headers,
				  .header_count = (size_t)status % 5,
				  .body = text};
	struct llm_limits limits;
	struct llm_answer answer;
	struct error err = {.code = ERR_OK};

	check(provider_read(p, &reply, a, &answer, &err), &answer, &err);
	provider_limits(&reply, &limits);
	arena_free(a);
}

static void read_stream(const struct provider *p, struct str text)
{
	struct arena *a = arena_new();
	struct llm_stream *s = arena_make(a, struct llm_stream);
	struct llm_answer answer;
	struct error err = {.code = ERR_OK};

	stream_init(s, p, a);
	for (size_t at = 0; at < text.len; at += 13)
		stream_feed(s, (struct str){text.ptr + at, size_min(13, text.len - at)});
	check(stream_end(s, &answer, &err), &answer, &err);
	arena_free(a);
}

/* The first byte chooses the provider, the second one status and headers. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	size_t count;
	const struct provider *const *table = provider_table(&count);
	struct str text = {(const char *)bytes + 2, size - 2};

	if (size < 2)
		return 0;
	read_reply(table[bytes[0] % count], bytes[1], text);
	read_stream(table[bytes[0] % count], text);
	return 0;
}
