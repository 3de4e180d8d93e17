/* operations/providers/delay.h: the ways in which servers say when to come back.
 *
 * "120ms", "6m0s", "1h2m", "1d2h" (Go), "45.83s" (protobuf), "37" (seconds), an HTTP date, an
 * RFC 3339 instant, and sentences: "Please retry in 36.4s", "try again in 6m0s", "retry after 37
 * seconds", "resets in ~30s". All of it in milliseconds. */
#ifndef OPERATIONS_PROVIDERS_DELAY_H
#define OPERATIONS_PROVIDERS_DELAY_H

#include "common/base.h"

/* A duration at the start of the text, which may go on behind it. A bare number is seconds. */
bool delay_duration(const char *text, uint64_t *ms) NODISCARD;

/* An instant, HTTP date or RFC 3339, in milliseconds since 1970. */
bool delay_instant(const char *text, uint64_t *ms) NODISCARD;

/* Any of them, seen from now; an instant that has passed is 0. */
bool delay_until(const char *text, uint64_t now_ms, uint64_t *ms) NODISCARD;

/* The duration that a sentence names. */
bool delay_in_sentence(const char *text, uint64_t *ms) NODISCARD;

#endif
