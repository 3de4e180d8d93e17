/* worker/flow/redact.h: what a run's log must not show.
 *
 * As Directus' run log, and further:
 *   - by their place: headers.authorization, headers.cookie, query.access_token, and in a payload
 *     password, token, tfa_secret, external_identifier, auth_data, credentials, the AI keys; names of
 *     headers in any case, payloads also within arrays: --redacted--
 *   - texts that hold the value of an allowed $env variable: --redacted:NAME--; values shorter than
 *     SECRET_WHOLE_BELOW only where they are the whole text, since those garble logs
 *   - every configured secret: --redacted-- */
#ifndef WORKER_FLOW_REDACT_H
#define WORKER_FLOW_REDACT_H

#include "common/json.h"

/* A copy without what must not be shown. env: the chain's $env, or NULL. */
cJSON *redact(struct arena *a, const cJSON *value, const cJSON *env);

#endif
