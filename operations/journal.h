/* operations/journal.h: what stands between an operation and a call that costs money.
 *
 * Before a call: permit. All limits over all workers admit it, or none does; with the admission the
 * intent is written down under <job>#<step>#<n>. After the call: settle. What was really used is
 * booked, and the answer is stored under the same name before anybody uses it. A job that is run
 * again, by whatever worker, finds the stored answer and asks nobody.
 *
 * The queue's journal does this in Redis; `exec` has one without Redis that admits everything and
 * remembers nothing. An operation sees only this. */
#ifndef OPERATIONS_JOURNAL_H
#define OPERATIONS_JOURNAL_H

#include "common/arena.h"
#include "common/call.h"
#include "operations/calibration.h"

struct journal;

/* One call to a provider, as the limits see it. */
struct journal_entry {
	const char *step; /* the operation's key */
	uint32_t n;       /* the n-th call of this step, from 1, over all attempts of the job */
	const char *provider, *model;
	uint64_t input_tokens;  /* estimated */
	uint64_t output_tokens; /* expected, from past answers of the step */
	uint64_t most_output_tokens;
	uint64_t
		quota_tokens; /* what the provider's own door charges at arrival; 0: settles by usage */
	uint64_t cost_nano; /* expected, in nano-dollars; 0 with !cost_known: unknown */
	uint64_t most_cost_nano;
	bool cost_known;
	uint32_t deadline_ms; /* after so long the call is certainly over */
	bool is_retry; /* asked before, and failed: counts towards the route's retry budget */
	struct token_count count; /* what input_tokens was made from */
	const char *cache;        /* a digest of all that is asked; NULL: not for the cache */
	uint64_t cache_ms;        /* an answer of that age will do, and a new one is kept so long */
	bool cache_renew;         /* the one that is there will not do */
};

/* Asks for room. ERR_OK: go. ERR_PARKED: not now: retry_at_ms says when, err.text which scope,
 * which limit, how full. ERR_BUDGET: not at all. ERR_LEASE_LOST, ERR_REDIS: start nothing. */
struct permit_call {
	struct call call;
	struct journal_entry entry;
	uint64_t retry_at_ms; /* time of day */
	/* With ERR_PARKED: nobody is asked for a while, whatever is free: ERR_QUOTA (no credit is left
	 * there), ERR_UNAVAILABLE (it does not work); else ERR_OK. Somebody else may answer. */
	enum error_code shut;
	/* With ERR_OK: the answer to the same question, from the cache. Nothing is asked, nothing is to
	 * be settled. ptr NULL: there is none. */
	struct str cached;
	struct send *send; /* the queue's own */
};

enum settle_outcome {
	SETTLE_ANSWER,   /* an answer that is worth storing, also a refusal or a cut-off one */
	SETTLE_FAILED,   /* certainly not carried out, or an error reply: nothing to pay */
	SETTLE_UNKNOWN,  /* sent, and no answer came: it may have been billed */
	SETTLE_CANCELLED /* closed by us, for good: the input is paid, what else was nobody knows */
};

struct settle_call {
	struct call call;
	struct journal_entry entry; /* the one that was admitted */
	enum settle_outcome outcome;
	struct str answer; /* SETTLE_ANSWER: stored as it is */
	bool for_cache;    /* it is whole: the cache may have it, if the entry names it */
	bool counted;      /* the tokens are the provider's own count: estimates learn from them */
	/* out: the answer that is stored for this question. It is `answer`, unless another worker
	 * was told the answer to the same question first: use this one. */
	struct str stored;
	/* Really used; with an answer, and as far as it is known with SETTLE_CANCELLED. */
	uint64_t input_tokens, cached_tokens, output_tokens;
	uint64_t cost_nano;
	uint64_t ms;            /* how long the call took */
	uint64_t sent_after_ms; /* ... and how long after permit() it was sent */
	bool forget;            /* nobody waits: nothing of this struct is used after the start */
	bool out_of_order;      /* 5xx, overload, no connection: counts for the circuit breaker */
	bool rate_limited;      /* the provider said 429: slow this route down */
	/* No credit is left there: what the provider calls it, "insufficient_quota". Nothing goes there
	 * before a person says so, or a trial now and then is answered. NULL: it is not that. */
	const char *no_credit;
	bool waits_for_credit; /* out: asking for a permit says until when; false: it is given up */
	uint32_t retry_after_ms;                    /* ... and nothing goes there before that */
	int64_t limit_requests, remaining_requests; /* from the reply's headers; -1: not told */
	int64_t limit_tokens, remaining_tokens;
	struct send *send; /* the queue's own */
};

/* Notes under which name the provider makes the answer to the n-th call of a step by itself: whoever
 * runs the job next fetches it there. */
struct keep_call {
	struct call call;
	const char *step;
	uint32_t n;
	struct str text;
	struct send *send; /* the queue's own */
};

struct journal_methods {
	void (*permit)(struct journal *j, struct permit_call *c, struct arena *a);
	/* Goes on when it is cancelled, and when the run that started it is gone. */
	void (*settle)(struct journal *j, struct settle_call *c, struct arena *a);
	/* The stored answer of the n-th call of a step; false if there is none. */
	bool (*answer)(struct journal *j, const char *step, uint32_t n, struct str *answer);
	/* How many calls of this step were started before and are not known to be free: the next one
	 * is this + 1. Whoever runs a step again goes through 1 ... calls() in order and takes the
	 * answers that are there; a number without an answer was ambiguous, and is either answered
	 * under a later number or is to be asked again. */
	uint32_t (*calls)(struct journal *j, const char *step);
	void (*keep)(struct journal *j, struct keep_call *c);
	/* What keep() has noted; false: nothing. */
	bool (*kept)(struct journal *j, const char *step, uint32_t n, struct str *text);
	/* What past calls of this step to that model have shown of such texts (step, provider, model and
	 * count of the entry); calls 0: nothing yet. */
	struct calibration (*calibration)(struct journal *j, const struct journal_entry *e);
};

struct journal {
	const struct journal_methods *methods;
	bool has_cache;
};

#endif
