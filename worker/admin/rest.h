/* worker/admin/rest.h: HTTP exchanges of commands, one after another: `connect` and `doctor` ask Directus and
 * providers, each question once and not for long. (What a running worker asks goes through
 * common/directus.h, which waits for its turn and tries again.) */
#ifndef WORKER_ADMIN_REST_H
#define WORKER_ADMIN_REST_H

#include "common/http.h"
#include "common/json.h"

struct setup;

enum { REST_TIMEOUT_MS = 15000 };

struct rest {
	struct setup *setup;
	const char *url;   /* what paths are put behind */
	const char *token; /* NULL: none */
};

struct rest_reply {
	struct error err;   /* ERR_OK: there is a reply; its status may be anything */
	int status;         /* 0: there is none */
	const cJSON *json;  /* the whole body; NULL: it is no JSON */
	const cJSON *data;  /* its `data`, else all of it */
	const char *code;   /* of Directus' first error; "" */
	const char *reason; /* for people: what Directus says, or why there is no reply; "" */
	const char *date;   /* header Date; or NULL */
	const struct http_call *http;
};

/* true: the status is 2xx. The path is encoded; body may be NULL. */
bool rest_ask(const struct rest *r, const char *method, const char *path, const cJSON *body,
	      struct rest_reply *reply);
/* The same with headers of one's own (ends with {NULL}) and the whole URL. */
bool rest_get(struct setup *setup, const char *url, const struct http_header *headers,
	      struct rest_reply *reply);

#endif
