/* common/directus_extension.h: whether Directus has our extension (deploy/directus-extension), through
 * whose endpoint the worker acts inside Directus: as the user, role or administrator that a stored
 * flow names, without events if it says so, and with runs in the flow's own log.
 *
 * Nobody has to say that it is there: it is asked for once, and again after DIRECTUS_EXTENSION_KEEP_MS.
 * Not there (404), or not for this user (403, which is logged once): item operations go the ordinary
 * way then, with the rights of the worker's own token. */
#ifndef COMMON_DIRECTUS_EXTENSION_H
#define COMMON_DIRECTUS_EXTENSION_H

#include "common/directus.h"

enum { DIRECTUS_EXTENSION_KEEP_MS = 5 * 60 * 1000, DIRECTUS_EXTENSION_PROTOCOL = 1 };

/* Fails only if Directus cannot be reached or refuses the token. */
struct directus_extension_call {
	struct task task; /* await &c.task.call */
	bool present;

	/* directus_extension.c's own */
	struct directus *directus;
	struct arena *arena;
	struct directus_call ask;
};
void directus_extension_start(struct directus *d, struct directus_extension_call *c,
			      struct arena *a);

/* What is known, for directus.c to keep. */
struct directus_extension {
	bool present, told;
	bool told_events; /* that events can not be switched off without it */
	uint64_t until;   /* 0: nothing is known */
};

#endif
