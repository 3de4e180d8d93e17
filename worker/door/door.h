/* worker/door/door.h: the HTTP door: is the process well, what has it counted, take this job.
 *
 *	GET  /health        200 while the process runs
 *	GET  /ready         200, or 503 and why it takes no work
 *	GET  /metrics       Prometheus' text format
 *	POST /jobs          a job as its body; 202 {"id"}; ?wait=30: its result, if it ends within 30 s.
 *	                    The fields of an XADD may stand in the query: id tenant lane run_at dedup
 *	                    dedup_mode dedup_ttl max batch
 *	GET  /jobs/<id>     the result, or how the job stands; ?wait= as above
 *
 * /jobs wants `Authorization: Bearer <WORKER_HTTP_TOKEN>`; without such a token it is closed. Errors
 * are {"errors":[{"message","extensions":{"code"}}]}, as Directus answers. There is no TLS: put a
 * proxy before it where it leaves the machine.
 *
 * The door knows neither queue nor Redis: what it is asked for it asks its handlers. libmicrohttpd
 * runs in our loop, without a thread. */
#ifndef WORKER_DOOR_DOOR_H
#define WORKER_DOOR_DOOR_H

#include "common/arena.h"
#include "common/call.h"

struct buf;
struct door;
struct http_header;
struct loop;

/* A request that is answered later. The door starts it, frees it, and cancels it when it closes; that
 * a client has gone away is seen only when its answer is there. If it ends with an error, that is the answer: its status, or one that fits its code. */
struct door_call {
	struct call call;
	struct arena *arena;              /* of this request */
	struct str body;                  /* POST /jobs */
	const struct http_header *fields; /* of the query, known names only; ends with {NULL} */
	const char *id;                   /* GET /jobs/<id>; NULL for POST */
	uint32_t wait_ms; /* how long the client waits for the result; 0: not at all */
	int status;       /* out: of the answer; 0 is 200 */
	struct str reply; /* out: JSON, in the arena */
	void *state;      /* the handler's own */
};

struct door_handlers {
	void *arg;
	/* NULL: ready; else why not. */
	const char *(*ready)(void *arg);
	void (*metrics)(void *arg, struct buf *out);
	/* Start what ends with call_end(&c->call), as every X_start() does. */
	void (*enqueue)(void *arg, struct door_call *c);
	void (*find)(void *arg, struct door_call *c);
};

struct door_options {
	const char *
		address; /* "host:port", ":port" (all addresses), "port" (127.0.0.1); port 0: any */
	const char *token;                    /* NULL: /jobs is closed */
	size_t job_max_bytes;                 /* longer bodies are refused */
	const struct door_handlers *handlers; /* must stay */
};

/* NULL and ERR_CONFIG: the address is not ours, or taken. */
struct door *door_new(struct loop *l, const struct door_options *options,
		      struct error *err) NODISCARD;
/* Closes all connections; calls under way are cancelled, and end before the loop is left. */
void door_free(struct door *d);

uint16_t door_port(const struct door *d);

/* Where a client on the same machine finds it: the URL of a path. */
const char *door_url(struct arena *a, const char *address, const char *path);

#endif
