/* worker/notice/outbox.h: what a worker tells other servers beside its jobs: failures, run logs. A message has
 * an arena of its own, holds no slot, is sent once (directus.c tries again where that does no harm)
 * and not for long. */
#ifndef WORKER_NOTICE_OUTBOX_H
#define WORKER_NOTICE_OUTBOX_H

#include "common/json.h"

struct outbox;
struct services;

enum {
	OUTBOX_MAX = 1000,             /* messages under way; more are refused */
	OUTBOX_TIMEOUT_MS = 20 * 1000, /* of a message */
	OUTBOX_LAST_MS = 5 * 1000      /* for all that is left at the end */
};

struct outbox *outbox_new(const struct services *use);
/* Waits for what is under way, but not for long. Takes NULL. */
void outbox_free(struct outbox *o);

struct outbox_message {
	const char *url;  /* of a webhook: answers 2xx; or NULL: */
	const char *path; /* of Directus: "/notifications" */
	const cJSON *body;
	/* Told once, with err->code ERR_OK if it went well. */
	void (*sent)(void *arg, const struct error *err);
	void *arg;
};

/* Takes the arena, in which all of the message is, also if it is refused: false, and sent() is not
 * called. */
bool outbox_send(struct outbox *o, struct arena *a, const struct outbox_message *m) NODISCARD;

#endif
