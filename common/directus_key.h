/* common/directus_key.h: what the primary key of a collection is called, and of what kind it is.
 *
 * REST answers with items, users want keys, and Directus tells a plain user nothing about fields:
 * /fields, /collections and /relations are all FORBIDDEN (seen on 12.4.0). What it does tell is its
 * OpenAPI document, which has the types of all fields that the user may read, and GraphQL, where the
 * key is the one field of type ID. Answers are kept for DIRECTUS_KEY_KEEP_MS. */
#ifndef COMMON_DIRECTUS_KEY_H
#define COMMON_DIRECTUS_KEY_H

#include "common/directus.h"

enum { DIRECTUS_KEY_KEEP_MS = 5 * 60 * 1000 };

struct directus_key {
	char name[128];
	bool is_uuid; /* certainly: Directus fills it in if it is left out */
	bool known;   /* false: nobody told; name is "id" */
};

/* Fails only if Directus cannot be reached or refuses the token. */
struct directus_key_call {
	struct task task; /* await &c.task.call */
	struct directus_key key;

	/* directus_key.c's own */
	struct directus *directus;
	struct arena *arena;
	const char *collection, *user_agent;
	struct directus_call ask;
	const cJSON *fields;
};
void directus_key_start(struct directus *d, struct directus_key_call *c, const char *collection,
			const char *user_agent, struct arena *a);

/* The cache, for directus.c. */
struct directus_keys;
struct directus_keys *directus_keys_new(void);
void directus_keys_free(struct directus_keys *k);

#endif
