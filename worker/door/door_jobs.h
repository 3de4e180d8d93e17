/* worker/door/door_jobs.h: what the HTTP door does with /jobs: the same as an XADD, and a look at the
 * result. A body that is no job is refused at once, not filed as dead. */
#ifndef WORKER_DOOR_DOOR_JOBS_H
#define WORKER_DOOR_DOOR_JOBS_H

struct config;
struct door_call;
struct loop;
struct redis;

struct door_jobs {
	struct loop *loop;
	struct redis *redis;
	const struct config *config;
};

/* Start what ends with call_end(&c->call). */
void door_jobs_enqueue(struct door_jobs *jobs, struct door_call *c);
void door_jobs_find(struct door_jobs *jobs, struct door_call *c);

#endif
