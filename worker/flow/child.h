/* worker/flow/child.h: the job that a `trigger` operation makes. */
#ifndef WORKER_FLOW_CHILD_H
#define WORKER_FLOW_CHILD_H

#include "operations/spawner.h"
#include "worker/flow/job.h"

/* <job>#<step>#<index> */
const char *child_id(struct arena *a, const char *job_id, const char *step, size_t index);
/* {"flow","trigger","accountability","chain"} of the child with that payload; signed if the parent is. */
struct str child_body(struct arena *a, const struct job *parent, const struct spawn_call *spawn,
		      const cJSON *payload, const struct config *config);

#endif
