/* operations/providers/sse.h: server-sent events out of bytes that come in any pieces.
 *
 * Lines end with \n, \r\n or \r. An event ends with an empty line, or with the stream: servers
 * forget the last one. Several data lines are joined with \n; comments and unknown fields are passed
 * over. An event longer than `max` bytes is an error, told once by sse_failed(). */
#ifndef OPERATIONS_PROVIDERS_SSE_H
#define OPERATIONS_PROVIDERS_SSE_H

#include "common/buf.h"

struct sse {
	/* Both strs are valid until it returns. A name is empty if the event has none. */
	void (*event)(void *arg, struct str name, struct str data);
	void *arg;
	struct buf line, name, data; /* sse.c's own from here */
	bool has_data, after_cr, at_start;
};

void sse_init(struct sse *s, size_t max, void (*event)(void *arg, struct str name, struct str data),
	      void *arg);
void sse_clear(struct sse *s);
void sse_feed(struct sse *s, struct str piece);
void sse_end(struct sse *s); /* no more bytes: gives out what is left */
bool sse_failed(const struct sse *s);

#endif
