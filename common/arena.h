/* common/arena.h: memory that is all given back at once.
 *
 * A job, or a short-lived piece of work, has one arena; what belongs to it is allocated there and
 * nobody frees anything. What has a free function of its own is handed over with arena_defer() in
 * the line after it was made. Nothing here returns NULL: when memory is out the process ends, and
 * the queue hands its jobs to another worker. No libuv handle may live in an arena, since a handle
 * outlives its owner until its close callback. */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/base.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* takes NULL */

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
#define arena_make(a, type)         ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_alloc_array((a), (count), sizeof(type)))
void *arena_alloc_array(struct arena *a, size_t count, size_t size);

/* Copies, ended by NUL. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *ptr, size_t len);
struct str arena_str(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...) PRINTF(2, 3);

/* Calls fn(arg) in arena_free(), the newest first. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

/* malloc for the few places that are not an arena's: ends the process when memory is out. */
void *xmalloc(size_t size); /* zeroed */
void *xrealloc(void *ptr, size_t size);
char *xstrdup(const char *text);

#endif
