/* Blocks of growing size in a list; the newest one has the free space. An allocation too large
 * for a block gets one of its own. Under AddressSanitizer every allocation is a block of its own,
 * so that one byte too many is seen. */
#include "common/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#define EACH_APART true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_APART true
#endif
#endif
#ifndef EACH_APART
#define EACH_APART false
#endif

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 256 * 1024, ALIGN = _Alignof(max_align_t) };

struct block {
	struct block *next;
	_Alignas(max_align_t) char bytes[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	struct block *blocks;
	struct deferred *deferred;
	char *free, *end; /* the free space of the newest block */
	size_t next_block;
};

static void out_of_memory(void)
{
	fputs("flow-worker: out of memory\n", stderr);
	abort();
}

void *xmalloc(size_t size)
{
	void *ptr = calloc(1, size ? size : 1);

	if (!ptr)
		out_of_memory();
	return ptr;
}

void *xrealloc(void *ptr, size_t size)
{
	void *moved = realloc(ptr, size ? size : 1);

	if (!moved)
		out_of_memory();
	return moved;
}

char *xstrdup(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		out_of_memory();
	return copy;
}

struct arena *arena_new(void)
{
	struct arena *a = xmalloc(sizeof(*a));

	a->next_block = FIRST_BLOCK;
	return a;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	while (a->deferred) {
		struct deferred *d = a->deferred;

		a->deferred = d->next;
		d->fn(d->arg);
	}
	while (a->blocks) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	free(a);
}

static char *add_block(struct arena *a, size_t size)
{
	struct block *b = xmalloc(sizeof(*b) + size);

	b->next = a->blocks;
	a->blocks = b;
	return b->bytes;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t need = (size + ALIGN - 1) / ALIGN * ALIGN;
	char *ptr;

	if (need < size)
		out_of_memory();
	if (EACH_APART || need > a->next_block / 4)
		return add_block(a, EACH_APART ? size : need);
	if ((size_t)(a->end - a->free) < need) {
		a->free = add_block(a, a->next_block);
		a->end = a->free + a->next_block;
		if (a->next_block < LARGEST_BLOCK)
			a->next_block *= 2;
	}
	ptr = a->free;
	a->free += need;
	return ptr;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		out_of_memory();
	return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *ptr, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (len)
		memcpy(copy, ptr, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return arena_strndup(a, text, strlen(text));
}

struct str arena_str(struct arena *a, struct str s)
{
	return (struct str){arena_strndup(a, s.ptr, s.len), s.len};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args, again;
	int length;
	char *text;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		length = 0;
	text = arena_alloc(a, (size_t)length + 1);
	(void)vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct deferred *d = arena_make(a, struct deferred);

	*d = (struct deferred){a->deferred, fn, arg};
	a->deferred = d;
}
