/* tests/unit/script.h: a server that answers as the test says, in order, and writes down what came.
 *
 *	script_reply(s, 403, "", "{…}");    the next request that is not answered yet gets this
 *	script_request(s, 0)                "PATCH /items/articles/1 {\"title\":\"x\"}"
 *
 * A request without a reply in store gets a 500 that says so. */
#ifndef TESTS_UNIT_SCRIPT_H
#define TESTS_UNIT_SCRIPT_H

#include "tests/unit/web.h"

enum { SCRIPT_MAX = 64, SCRIPT_CUT = -1, SCRIPT_SILENT = -2 };

struct arena;
struct script;

struct script *script_new(struct loop *l, struct arena *a); /* freed by script_free() */
void script_free(struct script *s);
const char *script_url(const struct script *s);

/* The texts must stay. Status SCRIPT_CUT: the connection is closed without an answer;
 * SCRIPT_SILENT: nothing is ever said. */
void script_reply(struct script *s, int status, const char *headers, const char *body);
size_t script_count(const struct script *s);                    /* requests that came */
const char *script_request(const struct script *s, size_t nth); /* "METHOD path body" */
const char *script_headers(const struct script *s, size_t nth); /* request line and headers */
unsigned script_most_at_once(const struct script *s); /* with script_hold(): waiting at a time */

/* Requests wait until script_let_go() lets the oldest one have its reply. */
void script_hold(struct script *s);
void script_let_go(struct script *s);
unsigned script_held(const struct script *s);

#endif
