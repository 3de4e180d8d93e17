/* worker/limits.h: AI_LIMITS: who may use how much.
 *
 * Only the rules are here: reading them, and finding those that count for a call. What has been used
 * is in Redis, and one script (worker/lua/permit.lua) admits a call under all its rules or under
 * none. Each worker puts its rules into Redis, too, and obeys those of the others: where workers
 * disagree the strictest wins. */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

#include "common/arena.h"
#include "common/error.h"

struct limits;

/* Reads AI_LIMITS: the text of a JSON array, or empty. ERR_CONFIG says which entry, which member,
 * what was found and what was expected. The rules live in the arena. */
const struct limits *limits_parse(struct arena *a, struct str json, struct error *err) NODISCARD;

#endif
