/* worker/queue/queue_spawner.h: flows started by flows in the worker: each child is a job of its own.
 *
 * The parent looks after its children and parks in between: at most WINDOW of them are at the door or
 * running at a time, or as many as the operation says. What is known of them is the operation's note:
 *	{"next": index of the next child to start, "open": [indexes], "results": {"<index>": value},
 *	 "wait": ms until the next look, "stopped": true when one has failed and onError is stop,
 *	 "cost": nano-dollars of those that are over} */
#ifndef WORKER_QUEUE_QUEUE_SPAWNER_H
#define WORKER_QUEUE_QUEUE_SPAWNER_H

#include "operations/spawner.h"
#include "worker/queue/scripts.h"

struct config;
struct job;
struct lease;

struct queue_spawner {
	struct spawner spawner;
	struct loop *loop;
	struct lease *lease;
	const struct job *job; /* the parent */
	const struct config *config;
	struct redis *redis;
	struct scripts *scripts;
};

/* The members below `spawner` must be set. */
void queue_spawner_init(struct queue_spawner *s);

#endif
