/* worker/notice/on_dead.h: failures reach a person (WORKER_ON_DEAD): a webhook, or a notification in Directus.
 *
 * The first failure is told at once; those of the next minute are told together at its end, with
 * counts, and so on: never more than one message a minute, whatever burns. A message that does not get
 * through is told again with the next one, a few times. Told are ids, flows, codes and error texts,
 * never prompts or answers. */
#ifndef WORKER_NOTICE_ON_DEAD_H
#define WORKER_NOTICE_ON_DEAD_H

#include "common/arena.h"

struct loop;
struct on_dead;
struct outbox;

struct on_dead_options {
	struct loop *loop;
	struct outbox *outbox;
	const char *whom;   /* WORKER_ON_DEAD: a URL, or "directus:<user id>" */
	const char *worker; /* who tells */
};

struct on_dead *on_dead_new(const struct on_dead_options *options); /* NULL if there is nobody */
/* Hands the rest to the outbox, which is freed after it: on_dead_free() comes last. Takes NULL. */
void on_dead_flush(struct on_dead *o);
void on_dead_free(struct on_dead *o);

struct dead_job {
	const char *id, *flow, *code, *message;
	/* "dead" or "quarantined"; "paused": no job, but a route whose jobs wait until somebody pays */
	const char *status;
};
void on_dead_tell(struct on_dead *o, const struct dead_job *job); /* o may be NULL */

#endif
