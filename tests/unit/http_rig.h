/* tests/unit/http_rig.h: a loop, HTTP on it, and a server on the same loop (web.h) for exchanges that run to their end. */
#ifndef TESTS_UNIT_HTTP_RIG_H
#define TESTS_UNIT_HTTP_RIG_H

#include "common/http.h"
#include "common/loop.h"

#include "tests/unit/test.h"
#include "tests/unit/web.h"

struct http_rig {
	struct loop *loop;
	struct http *http;
	struct web *web;
	struct arena *arena;
	unsigned pending; /* exchanges; the loop stops when the last one has ended */
};

/* One at a time. What the server answers is web.h's answer(). */
void http_rig_open(struct http_rig *g, void (*answer)(void *arg, const struct web_request *r),
		   void *arg);
void http_rig_close(struct http_rig *g);

void http_rig_begin(struct http_rig *g, struct http_call *c, const struct http_request *req);

/* One exchange to its end. The url is a path of the rig's server, or a whole one; GET unless it says otherwise. */
void http_rig_exchange(struct http_rig *g, struct http_call *c, struct http_request req);

#endif
