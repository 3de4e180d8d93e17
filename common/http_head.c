#include "common/http_head.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MORE_HEADERS = 32 };

static void add_header(struct http_head *h, struct str line, size_t colon, struct arena *a)
{
	char *name = arena_strndup(a, line.ptr, colon);
	size_t from = colon + 1, to = line.len;

	for (char *c = name; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	while (from < to && (line.ptr[from] == ' ' || line.ptr[from] == '\t'))
		from++;
	while (to > from && strchr(" \t\r\n", line.ptr[to - 1]))
		to--;
	if (h->count % MORE_HEADERS == 0) {
		struct http_header *more =
			arena_array(a, struct http_header, h->count + MORE_HEADERS);

		if (h->count)
			memcpy(more, h->headers, h->count * sizeof(*more));
		h->headers = more;
	}
	h->headers[h->count++] =
		(struct http_header){name, arena_strndup(a, line.ptr + from, to - from)};
}

/* "HTTP/1.1 404 Not Found" */
static void read_status(struct http_head *h, struct str line, struct arena *a)
{
	const char *end = line.ptr + line.len, *space = memchr(line.ptr, ' ', line.len);
	char *rest = NULL;
	size_t reason = 0;

	h->status = space ? (int)strtol(space, &rest, 10) : 0;
	while (rest && rest < end && *rest == ' ')
		rest++;
	while (rest && rest + reason < end && !strchr("\r\n", rest[reason]))
		reason++;
	h->reason = rest ? arena_strndup(a, rest, reason) : "";
	h->count = 0;
}

bool http_head_add(struct http_head *h, struct str line, struct arena *a)
{
	const char *colon;

	h->bytes += line.len;
	if (h->bytes > HTTP_HEAD_MAX_BYTES || h->count >= HTTP_HEAD_MAX_HEADERS)
		return false;
	if (line.len > 9 && strncmp(line.ptr, "HTTP/", 5) == 0) {
		read_status(h, line, a);
		return true;
	}
	colon = memchr(line.ptr, ':', line.len);
	if (colon && colon > line.ptr)
		add_header(h, line, (size_t)(colon - line.ptr), a);
	return true;
}

const char *http_head_find(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++)
		if (strcmp(h->headers[i].name, name) == 0)
			return h->headers[i].value;
	return NULL;
}
