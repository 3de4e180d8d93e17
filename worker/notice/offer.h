/* worker/notice/offer.h: which providers and models this worker has, told in <prefix>offer: the choices in the
 * forms of the Studio (deploy/directus-extension).
 *
 *	{"providers":[{"id":"openai","name":"openai","models":[{"id":"gpt-5","name":"GPT-5"}]}]}
 *
 * Only what is configured, allowed and not retired; no keys, no addresses. Told at the start; of
 * several workers the one that has started last is heard. */
#ifndef WORKER_NOTICE_OFFER_H
#define WORKER_NOTICE_OFFER_H

#include "common/json.h"
#include "common/redis.h"

struct config;
struct models;

struct offer {
	struct redis_call call;
};

/* Fire and forget: nothing depends on it. `o` and the arena must live as long as `redis`. */
void offer_tell(struct offer *o, struct redis *redis, const char *key, const cJSON *offer,
		struct arena *a);

cJSON *offer_json(const struct config *config, struct models *models, struct arena *a);

#endif
