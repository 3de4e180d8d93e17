/* operations/providers/errors.h: what a provider's failure means, as one table.
 *
 * The same function reads an error reply, an error with status 200, and an error inside a stream,
 * where there is no status and the names must do. Bodies are read tolerantly: an object, an array
 * with one in it, `error` as object or text, `detail` as text or list, no envelope at all, codes
 * that are texts, numbers or null, a page of HTML. */
#ifndef OPERATIONS_PROVIDERS_ERRORS_H
#define OPERATIONS_PROVIDERS_ERRORS_H

#include "operations/providers/provider.h"

/* Fills in *err: code, detail (the provider's own code), status, retry_after_ms, text. Returns
 * false, as fail() does. `body` may be NULL. `reply` gives status and headers; its status is taken
 * as unknown when it is 2xx. */
bool provider_fail(const struct provider *p, const struct llm_reply *reply, const cJSON *body,
		   struct error *err);

/* Whether the body of a good reply is an error all the same. */
bool provider_is_error(const cJSON *body);

/* How long a reply asks to wait, from its headers; 0: nothing. */
uint64_t reply_delay(const struct llm_reply *reply);

#endif
