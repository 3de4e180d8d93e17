/* common/http.h: HTTP exchanges: libcurl's multi interface on the loop.
 *
 * Any reply is a reply: http_call ends with ERR_OK whatever the status is. It fails with
 *   ERR_TIMEOUT           one of its times was over; which one is in err.text
 *   ERR_CONNECTION        no connection, cut, not HTTP, bad certificate; err.detail is "curl 56"
 *   ERR_INVALID_RESPONSE  the reply is longer than max_reply
 *   ERR_FORBIDDEN         the address is on the deny list (guarded requests)
 *   ERR_INVALID_PAYLOAD   the URL is no http or https URL
 *   what call_cancel() was given; the transfer is closed then
 *
 * A request that costs money is sent at most once: libcurl 7.88 sends a POST again by itself when
 * a connection that it wanted to reuse dies before the first byte of the answer. That is stopped
 * here (CURLOPT_PREREQFUNCTION) for every request that is not marked `repeatable`, and told as
 * ERR_CONNECTION with `sent`. Redirects are never followed; no proxy is taken from the environment;
 * names are resolved without a thread for each request and held for a minute. */
#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include "common/arena.h"
#include "common/call.h"

struct http;
struct loop;
struct transfer;

struct http_header {
	const char *name, *value;
};

struct http_request {
	const char *method; /* "GET", "POST", ... */
	const char *url;
	const struct http_header *headers; /* ends with {NULL}; or NULL */
	struct str body;                   /* must stay until the call has ended */
	uint32_t connect_timeout_ms;       /* 0: 10 s */
	uint32_t first_byte_timeout_ms; /* until the first byte of the answer; 0: none of its own */
	uint32_t idle_timeout_ms;       /* between two pieces of the answer; 0: none of its own */
	uint32_t timeout_ms;            /* the whole exchange; 0: none (streams) */
	size_t max_reply;               /* bytes; 0: HTTP_REPLY_MAX */
	bool repeatable; /* harmless if sent twice: GET, PATCH with absolute values */
	bool guarded;    /* the URL comes from a user: refuse denied addresses */
};

enum { HTTP_REPLY_MAX = 16 * 1024 * 1024 };

struct http_call {
	struct call call;
	int status;
	const char *reason;                /* "Not Found"; "" over HTTP/2, which has none */
	struct str body;                   /* in the arena; all of it, also what on_data has seen */
	const struct http_header *headers; /* of the reply, names in lower case, in the arena */
	size_t header_count;
	bool sent;           /* the request may have reached the other side */
	uint64_t sent_at_ms; /* time of day when it had been written, or its beginning if it is
			      * long; connecting and waiting is before it */
	uint32_t first_byte_ms, total_ms;
	/* If set (by the caller, before http_start()): called with each piece of a reply of status
	 * 2xx as it comes. It must not end or cancel the call. */
	void (*on_data)(struct http_call *c, struct str piece);
	struct transfer *transfer; /* http.c's own */
};

struct http_options {
	const char *user_agent;
	const char *ca_file; /* more trusted certificates, for tests and private servers; or NULL */
	const char *deny_list; /* comma list of addresses, CIDR networks and "0.0.0.0", which stands
	                          for all addresses of this machine, as IMPORT_IP_DENY_LIST does */
};

struct http *http_new(struct loop *l, const struct http_options *options);
void http_free(struct http *h); /* nothing may be under way but what http_tell() has sent */

/* Everything in req must stay until the call has ended (the job's arena does). */
void http_start(struct http *h, struct http_call *c, const struct http_request *req,
		struct arena *a);

/* Sends what nobody waits for, and whose reply nobody reads. All of req is copied but its body. What is
 * under way when http_free() is called has a second to get through. */
void http_tell(struct http *h, const struct http_request *req);

/* What http_start() would refuse at once: a bad method, a URL or header with a line end in it.
 * ERR_INVALID_PAYLOAD. */
bool http_check(const struct http_request *req, struct error *err) NODISCARD;

/* Where a reference (Location: ../b?c) of a page leads; NULL: nowhere. */
const char *http_url_join(struct arena *a, const char *base, const char *reference);

/* A header of the reply, or NULL. The name in lower case. */
const char *http_reply_header(const struct http_call *c, const char *name);

#endif
