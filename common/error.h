/* common/error.h: every way to fail.
 *
 * A function that can fail returns bool, takes a struct error last, and leaves its other results
 * alone when it fails:
 *
 *	if (!flow)
 *		return fail(err, ERR_FLOW_NOT_FOUND, "no active flow '%s'", name);
 *
 * The names are the contract's: they stand in results, in the data chain and in the log. The
 * last group is for us: those are turned into one of the others before anybody sees them.
 *
 * Texts: lower case, no full stop, what was found in single quotes, what was expected, what to
 * do. Never a key, a token or a prompt. Log or return an error, not both. */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

#include "common/base.h"

/* X(constant, name, may trying again help?) */
#define ERROR_CODES(X)                                                     \
	X(OK, "OK", false)                                                 \
	/* the provider */                                                 \
	X(RATE_LIMIT, "RATE_LIMIT_EXCEEDED", true)                         \
	X(QUOTA, "QUOTA_EXCEEDED", false)                                  \
	X(API_KEY, "INVALID_API_KEY", false)                               \
	X(PERMISSION, "PERMISSION_DENIED", false)                          \
	X(MODEL_NOT_FOUND, "MODEL_NOT_FOUND", false)                       \
	X(CONTEXT_LENGTH, "CONTEXT_LENGTH_EXCEEDED", false)                \
	X(REQUEST_TOO_LARGE, "REQUEST_TOO_LARGE", false)                   \
	X(INVALID_REQUEST, "INVALID_REQUEST", false)                       \
	X(CONTENT_FILTERED, "CONTENT_FILTERED", false)                     \
	X(OUTPUT_TRUNCATED, "OUTPUT_TRUNCATED", false)                     \
	X(INVALID_RESPONSE, "INVALID_RESPONSE", true)                      \
	X(TIMEOUT, "TIMEOUT", true)                                        \
	X(UNAVAILABLE, "PROVIDER_UNAVAILABLE", true)                       \
	/* us, before money is spent */                                    \
	X(AI_DISABLED, "AI_DISABLED", false)                               \
	X(NOT_CONFIGURED, "PROVIDER_NOT_CONFIGURED", false)                \
	X(MODEL_NOT_ALLOWED, "MODEL_NOT_ALLOWED", false)                   \
	X(INVALID_PAYLOAD, "INVALID_PAYLOAD", false)                       \
	X(TEMPLATE_UNRESOLVED, "TEMPLATE_UNRESOLVED", false)               \
	X(ATTACHMENT_UNSUPPORTED, "ATTACHMENT_UNSUPPORTED", false)         \
	X(ATTACHMENT_TOO_LARGE, "ATTACHMENT_TOO_LARGE", false)             \
	X(BUDGET, "BUDGET_EXCEEDED", false)                                \
	X(LOOP_DETECTED, "LOOP_DETECTED", false)                           \
	X(FORBIDDEN, "FORBIDDEN", false)                                   \
	X(INVALID_JOB, "INVALID_JOB", false)                               \
	X(FLOW_NOT_FOUND, "FLOW_NOT_FOUND", false)                         \
	X(UNSUPPORTED_OPERATION, "UNSUPPORTED_OPERATION", false)           \
	/* us, afterwards */                                               \
	X(INVALID_OUTPUT, "INVALID_OUTPUT", false)                         \
	X(CANCELLED, "CANCELLED", false)                                   \
	X(STALLED, "STALLED", false)                                       \
	X(CONFLICT, "CONFLICT", false)                                     \
	/* Directus, and throw-error: the code is in struct error, name */ \
	X(NAMED, "INTERNAL_SERVER_ERROR", false)                           \
	/* inside only */                                                  \
	X(CONNECTION, "CONNECTION", true)                                  \
	X(REDIS, "REDIS", true)                                            \
	X(TEMPLATE_SYNTAX, "TEMPLATE_SYNTAX", false)                       \
	X(PARKED, "PARKED", true)                                          \
	X(LEASE_LOST, "LEASE_LOST", true)                                  \
	X(SHUTDOWN, "SHUTDOWN", true)                                      \
	X(CONFIG, "CONFIG", false)

enum error_code {
#define X(code, name, retry) ERR_##code,
	ERROR_CODES(X)
#undef X
};

struct error {
	enum error_code code;    /* ERR_OK: nothing is wrong */
	char name[48];           /* a code that is not ours (ERR_NAMED): Directus', throw-error's */
	char detail[64];         /* the other side's own code: "insufficient_quota", "curl 56" */
	int status;              /* the HTTP status it came with, or 0 */
	uint32_t retry_after_ms; /* what the other side asked for; 0: nothing */
	char text[320];
};

/* fail(err, code, format, ...) fills in *err (all fields) and is false. A text that is too long is
 * cut at a character. A macro, so that compilers and analyzers see the false. */
void error_set(struct error *err, enum error_code code, const char *format, ...) PRINTF(3, 4);
#define fail(...) ((void)error_set(__VA_ARGS__), false)

/* The name of a code: "RATE_LIMIT_EXCEEDED". */
const char *error_code_name(enum error_code code);

/* The name of an error: its own name if it has one, else that of its code. */
const char *error_name(const struct error *err);

/* Whether trying again may help. A named error helps for 408, 429 and 5xx. */
bool error_is_retryable(const struct error *err);

#endif
