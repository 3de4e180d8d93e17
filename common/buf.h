/* common/buf.h: a growing buffer of bytes that can not be made without a maximum.
 *
 * Bytes from outside are collected here. What does not fit is refused, and the buffer remembers
 * it: append as often as you like and look at buf_overflowed() once. The bytes are always followed
 * by a NUL that does not count. */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include "common/base.h"

struct arena;

struct buf {
	char *ptr; /* buf.c's own: use buf_str() */
	size_t len, cap, max;
	bool overflowed;
};

void buf_init(struct buf *b, size_t max);
void buf_clear(struct buf *b); /* gives the memory back; the buffer is empty and usable */
void buf_reset(struct buf *b); /* empty, keeps the memory */

/* false: it would be longer than the maximum; nothing was added, and the buffer stays overflowed */
bool buf_add(struct buf *b, const void *ptr, size_t len);
bool buf_add_str(struct buf *b, struct str s);
bool buf_add_text(struct buf *b, const char *text);
bool buf_add_char(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);

void buf_drop(struct buf *b, size_t count); /* takes bytes away from the front */

/* The bytes become the arena's: they are not copied, if there are many. The buffer is empty then. */
struct str buf_give(struct buf *b, struct arena *a);

static inline struct str buf_str(const struct buf *b) /* valid until the next change */
{
	return (struct str){b->ptr ? b->ptr : "", b->len};
}

static inline bool buf_overflowed(const struct buf *b)
{
	return b->overflowed;
}

#endif
