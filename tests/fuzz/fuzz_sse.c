/* Covers sse.c: the same events come out however the bytes are cut up, and none is longer than
 * allowed. */
#include "operations/providers/sse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { EVENT_MAX = 512, ALL_MAX = 16 * 1024 * 1024 };

static void note(void *arg, struct str name, struct str data)
{
	struct buf *all = arg;

	if (name.len > EVENT_MAX || data.len > EVENT_MAX)
		abort();
	(void)buf_printf(all, "%zu:", name.len);
	(void)buf_add_str(all, name);
	(void)buf_printf(all, "%zu:", data.len);
	(void)buf_add_str(all, data);
}

/* Pieces as long as the bytes themselves say; step 0: all at once. */
static bool events_of(struct str bytes, size_t step, struct buf *all)
{
	struct sse s;
	bool failed;

	buf_init(all, ALL_MAX);
	sse_init(&s, EVENT_MAX, note, all);
	for (size_t at = 0; at < bytes.len;) {
		size_t len = step ? (unsigned char)bytes.ptr[at] % step + 1 : bytes.len;

		len = size_min(len, bytes.len - at);
		sse_feed(&s, (struct str){bytes.ptr + at, len});
		at += len;
	}
	sse_end(&s);
	failed = sse_failed(&s);
	sse_clear(&s);
	return !failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct str input = {(const char *)bytes, size};
	struct buf whole, pieces;
	bool good = events_of(input, 0, &whole);

	for (size_t step = 1; step < 20; step += 6) {
		if (events_of(input, step, &pieces) != good)
			abort();
		if (!str_equal(buf_str(&whole), buf_str(&pieces)))
			abort();
		buf_clear(&pieces);
	}
	buf_clear(&whole);
	return 0;
}
