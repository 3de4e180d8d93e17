/* worker/flow/failure.h: an error as flows see it: a plain object in the data chain.
 *
 *	{"name","message","code","status","extensions"}   as Directus' errors have them
 *	{…,"retryable","retryAfterMs","providerCode"}     where they mean something
 *	{…,"provider","model","attempts","requestId"}     what the operation adds
 *
 * Directus puts the Error object itself into the chain, whose message is lost as soon as the whole is
 * rendered; this one is complete. */
#ifndef WORKER_FLOW_FAILURE_H
#define WORKER_FLOW_FAILURE_H

#include "common/json.h"

/* The members of extra (an object, or NULL) stand over ours. */
cJSON *failure_json(struct arena *a, const struct error *err, const cJSON *extra);

/* The code that users see: inside codes are turned into theirs. */
const char *failure_code(const struct error *err);

#endif
