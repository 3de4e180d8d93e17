/* common/http_tell.h: requests that nobody waits for; http.c's own, nobody else includes it.
 *
 * Each is an exchange in an arena of its own, which ends with it, however it ends. They are on a list so that
 * the end of the process need not cut them: tells_finish() gives them a second. */
#ifndef COMMON_HTTP_TELL_H
#define COMMON_HTTP_TELL_H

#include "common/http.h"
#include "common/loop.h"

struct told;

struct tells {
	struct http *http;
	struct loop *loop;
	struct told *first; /* those under way */
	struct timeout last_words;
	bool is_closing;
};

/* All of req is copied but its body. */
void tells_add(struct tells *all, const struct http_request *req);

/* Runs the loop until all have ended, or are cancelled when the second is over. */
void tells_finish(struct tells *all);

#endif
