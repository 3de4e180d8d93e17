/* common/http_head.h: the head of a reply, line by line as it comes; http.c's own, nobody else includes it.
 *
 * Interim replies (1xx), and what a proxy says, have a head, too: a status line forgets the headers before it. Their
 * bytes count all the same, or a server could go on with them for ever. */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include "common/http.h"

enum { HTTP_HEAD_MAX_BYTES = 64 * 1024, HTTP_HEAD_MAX_HEADERS = 256 };

struct http_head {
	int status;         /* 0: no status line yet */
	const char *reason; /* "Not Found" */
	struct http_header *headers;
	size_t count, bytes;
};

/* A line with its line end; what it keeps of it is in the arena. false: that is more than there may be. */
bool http_head_add(struct http_head *h, struct str line, struct arena *a) NODISCARD;

/* A header's value, or NULL. The name in lower case. */
const char *http_head_find(const struct http_head *h, const char *name);

#endif
