/* worker/flow/flow_check.h: what can be said of a flow before it runs.
 *
 * A flow may ask a model first and fail at a later operation that could never have worked: then the
 * answer was paid for nothing. So the options of all operations are looked at before the first one
 * starts, as far as they hold no templates; and the key of an item-update, as far as $trigger alone
 * says what it will be. */
#ifndef WORKER_FLOW_FLOW_CHECK_H
#define WORKER_FLOW_FLOW_CHECK_H

#include "worker/flow/flow.h"

/* ERR_INVALID_PAYLOAD names the operation and the option. */
bool flow_check_options(struct arena *a, const struct flow *flow, struct error *err) NODISCARD;

/* The same with the data chain at the start of a run. */
bool flow_check_keys(struct arena *a, const struct flow *flow, const cJSON *chain,
		     struct error *err) NODISCARD;

/* For where DIRECTUS_URL is not set: ERR_INVALID_PAYLOAD if a model is asked and the way from there
 * leads to an operation that fails without it. */
bool flow_check_directus(const struct flow *flow, struct error *err) NODISCARD;

/* Whether a write of it is to emit no events (`emitEvents: false`), which REST can not do. */
bool flow_is_quiet(const struct flow *flow);

#endif
