/* worker/door/door_parts.h: what the two files of the door share. Nobody else includes it.
 *
 *	door.c          listens, and runs libmicrohttpd in the loop
 *	door_request.c  one request from its head to its answer */
#ifndef WORKER_DOOR_DOOR_PARTS_H
#define WORKER_DOOR_DOOR_PARTS_H

#include "worker/door/door.h"

#include "common/loop.h"

#include <microhttpd.h>

struct door {
	struct loop *loop;
	struct MHD_Daemon *daemon;
	struct watch *watch;
	struct timeout timeout;
	const struct door_handlers *handlers;
	char *token;
	size_t job_max_bytes;
	struct request *requests; /* those that sleep */
};

/* Lets libmicrohttpd do what there is to do, and asks when it wants to be called at the latest. */
void door_run(struct door *d);

/* libmicrohttpd's handler of requests, and what it calls when one is over; arg is the door. */
enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection, const char *url,
			       const char *method, const char *version, const char *piece,
			       size_t *piece_len, void **state);
void request_completed(void *arg, struct MHD_Connection *connection, void **state,
		       enum MHD_RequestTerminationCode why);

/* The door closes: wakes those that sleep, for they would not let libmicrohttpd stop. */
void requests_wake(struct door *d);

#endif
