#include "common/buf.h"

#include "common/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SIZE = 256, COPIED = 4096 };

void buf_init(struct buf *b, size_t max)
{
	assert(max > 0 && max < SIZE_MAX / 2);
	*b = (struct buf){.max = max};
}

void buf_clear(struct buf *b)
{
	free(b->ptr);
	buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflowed = false;
	if (b->ptr)
		b->ptr[0] = '\0';
}

/* Makes room for len more bytes and the NUL behind them. */
static bool reserve(struct buf *b, size_t len)
{
	size_t cap = b->cap ? b->cap : FIRST_SIZE;

	if (b->overflowed || len > b->max - b->len) {
		b->overflowed = true;
		return false;
	}
	while (cap < b->len + len + 1)
		cap *= 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	if (cap > b->cap) {
		b->ptr = xrealloc(b->ptr, cap);
		b->cap = cap;
	}
	return true;
}

bool buf_add(struct buf *b, const void *ptr, size_t len)
{
	if (!reserve(b, len))
		return false;
	if (len)
		memcpy(b->ptr + b->len, ptr, len);
	b->len += len;
	b->ptr[b->len] = '\0';
	return true;
}

bool buf_add_str(struct buf *b, struct str s)
{
	return buf_add(b, s.ptr, s.len);
}

bool buf_add_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

bool buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;
	int length;
	bool fits;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	fits = length >= 0 && reserve(b, (size_t)length);
	if (fits) {
		(void)vsnprintf(b->ptr + b->len, (size_t)length + 1, format, again);
		b->len += (size_t)length;
	}
	va_end(again);
	return fits;
}

void buf_drop(struct buf *b, size_t count)
{
	assert(count <= b->len);
	if (count == 0)
		return;
	b->len -= count;
	memmove(b->ptr, b->ptr + count, b->len + 1);
}

struct str buf_give(struct buf *b, struct arena *a)
{
	struct str bytes = buf_str(b);

	if (bytes.len < COPIED) {
		bytes = arena_str(a, bytes);
		buf_clear(b);
		return bytes;
	}
	bytes.ptr = b->ptr = xrealloc(b->ptr, b->len + 1);
	arena_defer(a, free, b->ptr);
	buf_init(b, b->max);
	return bytes;
}
