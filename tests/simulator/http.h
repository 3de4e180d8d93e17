/* http.h: a small HTTP/1.1 server whose answers are scripts, so that every byte, pause and broken
 * connection of an answer can be chosen.
 *
 * One request at a time per connection, keep-alive, bodies with a length or chunked. The handler is
 * called when a request is whole; it fills exchange.script and returns. The script is then played
 * act by act, and ended() is called once: when the last byte was given to the kernel, when the
 * other side went away before, or when the script broke the connection. */
#ifndef SIMULATOR_HTTP_H
#define SIMULATOR_HTTP_H

#include "common/arena.h"
#include "common/buf.h"

#include <uv.h>

enum { HEADERS_MAX = 100, HEAD_BYTES_MAX = 64 * 1024, BODY_BYTES_MAX = 128 * 1024 * 1024 };

struct header {
	char *name; /* in lower case */
	char *value;
};

struct request {
	char *method, *path, *query; /* query without its '?', "" if there is none */
	struct header headers[HEADERS_MAX];
	size_t header_count;
	struct str body; /* followed by a NUL */
	bool keep_alive;
};

/* NULL if it is not there. The name in lower case. */
const char *request_header(const struct request *r, const char *name);

enum act_kind {
	ACT_SEND,   /* bytes */
	ACT_WAIT,   /* ms */
	ACT_REPEAT, /* bytes again and again, until `total` bytes went out */
	ACT_CLOSE,  /* an orderly end of the connection */
	ACT_RESET,  /* RST */
	ACT_HANG,   /* nothing more until the other side goes away */
};

struct act {
	enum act_kind kind;
	struct str bytes;
	double ms;
	uint64_t total;
};

struct script {
	struct arena *arena;
	struct act *acts;
	size_t count, cap;
};

void script_add(struct script *s, struct act act);
void script_send(struct script *s, struct str bytes); /* kept as it is, not copied */
void script_wait(struct script *s, double ms);

enum outcome { OUTCOME_OPEN, OUTCOME_SENT, OUTCOME_ABORTED, OUTCOME_CUT, OUTCOME_RESET };

/* One request and its answer. Lives until ended() has returned. */
struct exchange {
	struct arena *arena;
	struct request request;
	struct script script;
	double at; /* milliseconds since 1970 at which the kernel had all of the request */
	uint64_t bytes_sent;
	enum outcome outcome;
	void *owner_data;
};

struct http_server;

struct http_handler {
	void (*handle)(struct exchange *x);
	void (*ended)(struct exchange *x);
};

/* Listens on 127.0.0.1; port 0 takes a free one. NULL if the port can not be had. */
struct http_server *http_server_new(uv_loop_t *loop, int port, const struct http_handler *handler);
int http_server_port(const struct http_server *s);

double now_ms(void); /* since 1970, with microseconds behind the point */

#endif
