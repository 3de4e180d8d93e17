/* tests/unit/web.h: a small HTTP/1.1 server on the test's own loop.
 *
 * It reads requests and hands each whole one to answer(), which replies at once, later, in pieces,
 * badly or not at all. What it has seen can be counted. Everything it holds is freed by web_free(). */
#ifndef TESTS_UNIT_WEB_H
#define TESTS_UNIT_WEB_H

#include "common/loop.h"

struct web;
struct peer; /* one connection */

struct web_request {
	struct peer *peer;
	unsigned nth;                /* of its connection, from 1 */
	const char *text;            /* request line and headers, ended by NUL */
	char method[16], path[1024]; /* the path with its query */
	struct str body;
};

struct web *web_new(struct loop *l, void (*answer)(void *arg, const struct web_request *r),
		    void *arg);
void web_free(struct web *w);

const char *web_url(const struct web *w); /* "http://127.0.0.1:12345" */
unsigned web_port(const struct web *w);

unsigned web_requests(const struct web *w);    /* whole ones that came */
unsigned web_connections(const struct web *w); /* accepted so far */
unsigned web_open_connections(const struct web *w);

/* A whole reply; headers are lines that end in \r\n, or "". */
void web_reply(struct peer *p, int status, const char *headers, const char *body);
void web_send(struct peer *p, const char *text); /* bytes as they are */
void web_send_forever(struct peer *p);           /* bytes until the other side stops it */
void web_drip(struct peer *p, char c, uint64_t every_ms);
void web_hang_up(struct peer *p); /* after what was sent has gone out */
void web_reset(struct peer *p);   /* RST, at once */

/* The value of a header in web_request.text, in a buffer of its own; NULL: not there. */
const char *web_header(const struct web_request *r, const char *name);

#endif
