/* worker/queue/limits.h: AI_LIMITS: who may use how much.
 *
 * Only the rules are here: reading them, and finding those that count for a call. What has been used
 * is in Redis, and one script (worker/queue/lua/permit.lua) admits a call under all its rules or under
 * none. Each worker puts its rules into Redis, too, and obeys those of the others: where workers
 * disagree the strictest wins.
 *
 * A rule is one number of an entry of AI_LIMITS: {"scope":"openai","rpm":500,"tpm":200000} is two.
 * Its scope as written may stand for many: "flow:*" is each flow apart; in Redis it is always one of
 * them, "flow:9a1…". */
#ifndef WORKER_QUEUE_LIMITS_H
#define WORKER_QUEUE_LIMITS_H

#include "common/arena.h"
#include "common/error.h"

struct limits;

/* X(constant, name in AI_LIMITS, name in the scripts) */
#define LIMIT_KINDS(X)                               \
	X(RPM, "rpm", "rpm")                         \
	X(RPD, "rpd", "rpd")                         \
	X(TPM, "tpm", "tpm")                         \
	X(ITPM, "itpm", "itpm")                      \
	X(OTPM, "otpm", "otpm")                      \
	X(CONCURRENCY, "concurrency", "concurrency") \
	X(BUDGET, "budgetUsd", "budget")             \
	X(SOFT, "softUsd", "soft")

enum limit_kind {
#define X(constant, name, in_script) LIMIT_##constant,
	LIMIT_KINDS(X)
#undef X
		LIMIT_KIND_COUNT
};

/* Reads AI_LIMITS: the text of a JSON array, or empty. ERR_CONFIG says which entry, which member,
 * what was found and what was expected. The rules live in the arena. */
const struct limits *limits_parse(struct arena *a, struct str json, struct error *err) NODISCARD;

/* The rules of both, in the arena; either may be NULL. Texts are not copied. */
const struct limits *limits_join(struct arena *a, const struct limits *one,
				 const struct limits *other);

/* The JSON that they were read from; "" for none or for joined ones. */
struct str limits_text(const struct limits *l);

/* What a call is, for finding its rules. Names may be NULL: unknown. */
struct limit_subject {
	const char *provider, *model, *flow, *tenant, *collection, *user;
};

/* A rule that counts for a subject. */
struct limit_rule {
	const char *scope; /* "openai/gpt-5", "flow:9a1…", "*" */
	enum limit_kind kind;
	uint64_t limit;     /* money in nano-dollars */
	const char *period; /* of money: "day-1763683200000", named by its end, or "total" */
	uint64_t ends_ms;   /* time of day; 0: never */
	bool or_fail;       /* of a budget: the call fails for good, instead of waiting */
};

/* All rules for a subject at that moment, each scope and kind once: the strictest. */
size_t limits_find(const struct limits *l, const struct limit_subject *subject, uint64_t now_ms,
		   struct arena *a, struct limit_rule **rules);

/* All rules as they are written, for people: scopes may end in "*". */
size_t limits_list(const struct limits *l, uint64_t now_ms, struct arena *a,
		   struct limit_rule **rules);

/* "rpm", "budgetUsd": as in AI_LIMITS; "budget": as in the scripts. */
const char *limit_kind_name(enum limit_kind kind);
const char *limit_kind_word(enum limit_kind kind);

#endif
