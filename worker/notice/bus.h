/* worker/notice/bus.h: Directus' own messages: it tells its processes over Redis that a flow has changed (channel
 * directus:bus:flows), and this worker, too, if it can reach that Redis: DIRECTUS_BUS_REDIS, else the
 * worker's own. Without it a change is seen when a definition is a minute old. */
#ifndef WORKER_NOTICE_BUS_H
#define WORKER_NOTICE_BUS_H

#include "common/loop.h"
#include "common/redis.h"

struct config;
struct flows;

struct bus {
	struct loop *loop;
	struct flows *flows;
	struct redis *redis; /* NULL: not listening */
	struct redis_options options;
	const char *channel;
	struct timeout closing;
};

/* flows may be NULL: nothing is listened to. `own` is the worker's Redis. */
void bus_open(struct bus *b, struct loop *l, struct flows *flows, const struct config *config,
	      const struct redis_options *own, struct arena *a);
void bus_close(struct bus *b);

#endif
