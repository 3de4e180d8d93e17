/* common/directus.h: Directus over REST, with the worker's own static token.
 *
 * A call waits for its turn, is sent, and is sent again where that may help and can do no harm:
 *
 *	429, 503, no connection         always: nothing was done; Retry-After is obeyed
 *	other 5xx, 408, time-out, cut   only what is `repeatable` (all but POST, unless told otherwise),
 *	                                a few times: bad data can answer 500 for ever
 *	                                all of them once only while Directus is away: when a call has given
 *	                                up, and nothing was answered since
 *	403 FORBIDDEN                   a few times within 2 s, if `may_be_new`: an event flow can be
 *	                                faster than the transaction that caused it
 *
 * At most `concurrency` calls are under way, fewer while Directus is overloaded or slow; those that
 * are `is_bulk` rest between calls, so that a batch does not slow down the Studio and the site
 * (common/directus_turns.h).
 *
 * What Directus says no to ends as ERR_NAMED: its code in err.name ("FORBIDDEN",
 * "RECORD_NOT_UNIQUE"), its status, its message, and `extensions`. When it cannot be reached, the
 * name is SERVICE_UNAVAILABLE. Other ends: ERR_TIMEOUT, ERR_INVALID_RESPONSE (not Directus, most
 * likely: the text says what to look at), ERR_INVALID_PAYLOAD, what call_cancel() was given. */
#ifndef COMMON_DIRECTUS_H
#define COMMON_DIRECTUS_H

#include "common/directus_turns.h"
#include "common/http.h"
#include "common/json.h"
#include "common/loop.h"
#include "common/task.h"

struct directus;
struct directus_extension;
struct directus_keys;

enum { DIRECTUS_BULK_SHARE = 10 };

struct directus_options {
	const char *url;      /* without a slash at the end */
	const char *token;    /* NULL: as the public */
	unsigned concurrency; /* at most; 0: 8 */
	unsigned bulk_share;  /* percent of the time; 0: DIRECTUS_BULK_SHARE */
};

struct directus *directus_new(struct http *http, struct loop *l,
			      const struct directus_options *options);
void directus_free(struct directus *d); /* nothing may be under way; takes NULL */
const char *directus_url(const struct directus *d);
unsigned directus_concurrency(const struct directus *d); /* at the moment */
/* How many workers there are: bulk_share is that of all of them together. */
void directus_share(struct directus *d, unsigned workers);
/* Whether nothing that it was asked since then (loop time) has had an answer that shows that it works:
 * what failed meanwhile did so because Directus is away, not because of what was asked. */
bool directus_is_away(const struct directus *d, uint64_t since_ms);
struct loop *directus_loop(const struct directus *d);
struct directus_keys *directus_keys(const struct directus *d);     /* for directus_key.c */
struct directus_extension *directus_extension(struct directus *d); /* for directus_extension.c */

struct directus_request {
	const char *method;     /* "GET", "SEARCH", "POST", "PATCH", "DELETE" */
	const char *path;       /* "/items/articles/1", encoded: see directus_collection_path() */
	const char *query;      /* "fields=id&limit=5", encoded; or NULL */
	const cJSON *body;      /* or NULL */
	const char *user_agent; /* see directus_user_agent(); NULL: the name of the program only */
	const char *accept;     /* for assets: "image/jpeg, image/png"; or NULL */
	uint32_t timeout_ms;    /* of each attempt; 0: 30 s */
	size_t max_reply;       /* 0: HTTP_REPLY_MAX */
	bool repeatable;        /* a POST that is harmless if it is carried out twice */
	bool may_be_new;        /* the row may not be visible yet */
	bool is_bulk;           /* nobody waits for it: see directus_turns.h */
	bool goes_on;           /* follows a call of the same operation: before those who begin */
	bool raw;               /* the reply is no JSON: look at http.body */
};

struct directus_call {
	struct task task; /* await &c.task.call */
	int status;
	const cJSON *data;       /* the reply's `data`, else all of it; NULL: none (204), or raw */
	const cJSON *extensions; /* of Directus' first error, long texts shortened; or NULL */
	unsigned tries;
	/* A try ended without a clear answer: it may have been carried out. A DELETE that then says
	 * FORBIDDEN has done its work, a POST with a key of its own that says RECORD_NOT_UNIQUE, too. */
	bool may_have_happened;
	size_t reply_bytes;    /* how long the reply was */
	struct http_call http; /* of a raw call: the last exchange, with headers and body */

	/* directus.c's own */
	struct directus *directus;
	struct arena *arena;
	struct arena *
		reply; /* the reply as it came, until it is read; NULL: it stays, or there is none */
	struct directus_request req;
	struct http_request http_req;
	struct directus_turn turn;
	struct sleep_call rest;
	unsigned server_failures, forbidden;
	uint64_t began_ms; /* loop time */
};

/* What req points to must stay until the call has ended; req itself is copied. */
void directus_start(struct directus *d, struct directus_call *c, const struct directus_request *req,
		    struct arena *a);

/* {"extensions": …} of a failed call, for an operation's error_extra; NULL: there are none. */
cJSON *directus_error_extra(const struct directus_call *c, struct arena *a);

/* ---- words of the request ---- */

/* "flow-worker/0.1.0 (job <id>; chain <id>; depth <n>)": what an event flow sees as
 * $accountability.userAgent, by which loops are found. */
const char *directus_user_agent(struct arena *a, const char *job_id, const char *chain_id,
				uint32_t depth);

/* "/items/articles"; "/files" for directus_files. ERR_INVALID_PAYLOAD for what can not be a name. */
bool directus_collection_path(struct arena *a, const char *collection, const char **path,
			      struct error *err) NODISCARD;
/* "/items/articles/15". ERR_INVALID_PAYLOAD for what can not be a key. */
bool directus_item_path(struct arena *a, const char *collection, const char *key, const char **path,
			struct error *err) NODISCARD;
/* As encodeURIComponent() does it. */
const char *directus_encode(struct arena *a, struct str text);
/* A query object ({"fields":["id"],"filter":{…}}) as the part of a URL behind the "?". */
const char *directus_query(struct arena *a, const cJSON *query);

#endif
