/* worker/flow/flows.h: flows that Directus holds, by id or exact name.
 *
 * Only active flows. A definition is fetched once for all who want it at the same time, checked
 * once, and kept for FLOWS_KEEP_MS or until flows_forget() (Directus' own reload message). */
#ifndef WORKER_FLOW_FLOWS_H
#define WORKER_FLOW_FLOWS_H

#include "common/call.h"
#include "worker/flow/flow.h"

struct directus;
struct flows;
struct loop;

enum { FLOWS_KEEP_MS = 60000 };

/* ERR_FLOW_NOT_FOUND, ERR_INVALID_JOB and ERR_UNSUPPORTED_OPERATION (what is wrong with it), or what
 * Directus said. */
struct flows_call {
	struct call call;
	const struct flow *flow; /* lives as long as the arena given at the start */

	/* flows.c's own */
	struct arena *arena;
	struct entry *entry;
	struct flows_call *next;
};

struct flows *flows_new(struct loop *l, struct directus *directus);
/* The flows of a file instead: an array of flow objects, {"data":[…]} as Directus' API answers, or
 * one flow. They are taken as active unless they say otherwise. The JSON must stay. */
struct flows *flows_new_of(struct loop *l, struct arena *a, const cJSON *flows);
/* Directus holds them: they are no file's. */
bool flows_are_stored(const struct flows *f);
void flows_free(struct flows *f); /* nothing may be under way; takes NULL */
void flows_start(struct flows *f, struct flows_call *c, const char *name, struct arena *a);
/* What is under way is still told; what is asked for from now on is read anew. */
void flows_forget(struct flows *f);

#endif
