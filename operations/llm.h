/* operations/llm.h: ask a provider, within limits, with retries, and pay once.
 *
 *	pick ─► stored? ─► permit ─► send ─► settle ─► judge ─► end
 *	  ▲                  ▲                           │
 *	  │                  └──── rest (backoff) ◄──────┤ may help, attempts left
 *	  └───────── the next model of `fallback` ◄──────┘ attempts are used up, or no such model
 *
 * One llm_call is one answer. What it costs goes through op->journal: a call is admitted and
 * written down before it is sent, its answer stored before anybody sees it, and an answer that is
 * stored already is taken in place of a call; with `cache_ms` also one that another job was given.
 * A wait of more than LLM_REST_MAX_MS does not hold the job's slot: the call ends with ERR_PARKED,
 * op->park_until_ms and op->note are set, and the same call, started again, goes on with the
 * attempts that are left. */
#ifndef OPERATIONS_LLM_H
#define OPERATIONS_LLM_H

#include "common/config.h"
#include "common/http.h"
#include "common/loop.h"
#include "operations/journal.h"
#include "operations/llm_answer.h"
#include "operations/llm_target.h"
#include "operations/operation.h"

enum { LLM_REST_MAX_MS = 60000 };

struct llm_call;

/* What the operation wants, whichever model answers. */
struct llm_wish {
	const struct llm_choice *choices; /* the operation's own, then its fallbacks */
	size_t choice_count;
	/* Says what is asked of a target: system, messages, format, schema, sampling, stop, options.
	 * What the model can not take is left out afterwards, with a warning. */
	bool (*ask)(void *arg, const struct llm_target *target, struct llm_question *question,
		    struct error *err);
	void *arg;
	bool reason; /* think first */
	enum effort effort;
	uint32_t max_tokens; /* 0: the default */
	uint32_t timeout_ms; /* of one call; 0: the default */
	uint32_t max_retries;
	enum on_ambiguous on_ambiguous; /* of a call that may have been billed */
	uint64_t max_cost_nano;         /* the operation's own budget; 0: none */
	uint64_t max_tokens_total;      /* ... in tokens */
	bool stream;                    /* also if the answer is short */
	uint64_t cache_ms;              /* an answer of that age will do; 0: only a new one */
	bool cache_renew;               /* not the one that is in the cache */
};

struct llm_call {
	struct task task; /* await &c.task.call */
	struct op_call *op;
	const struct llm_wish *wish;
	cJSON *warnings; /* an array of texts, the operation's */

	/* out: */
	struct llm_answer answer;
	struct llm_target target; /* who gave it, or who failed */
	struct cost cost;
	uint32_t attempts; /* calls that were sent, all together */
	uint64_t latency_ms;
	bool stored; /* it had been given before */
	bool cached; /* ... to another job, and costs nothing */
	bool cache_broken;

	/* llm.c's own */
	const struct provider *wire; /* who writes and reads */
	struct llm_question question;
	struct arena *
		exchange; /* request and reply: as long as a question, and not needed after the answer */
	struct http_request request;
	struct http_call http;
	struct llm_stream *stream; /* a new one for each attempt */
	struct permit_call permit;
	struct settle_call settle;
	struct sleep_call rest;
	struct error failure;              /* of the last attempt */
	uint32_t candidate, tries, broken; /* tries: of this candidate */
	uint32_t last_n;                   /* the last number of this step that is used up */
	unsigned refused; /* enum llm_field: what the provider has refused is not sent again */
	struct token_count count;
	struct calibration known; /* of this step */
	uint64_t estimate;        /* tokens of the question */
	uint64_t started_ms;
	uint64_t asked_at_ms; /* time of day, for the permit */
	size_t told;          /* how much of a stream has been handed on */
	/* llm_background.c: the provider makes the answer by itself; its name there; NULL: it does not */
	const char *handle;
	struct keep_call keep;
	uint32_t fetches;
	uint32_t patience_ms; /* for the whole answer */
	bool asked;           /* for a permit, and the call is not settled yet */
};

/* last_n: the number of the last call of this step that has been used already; 0: none. */
void llm_start(struct llm_call *c, struct op_call *op, const struct llm_wish *wish, cJSON *warnings,
	       uint32_t last_n);

/* provider, model, attempts, requestId: for op->error_extra. */
cJSON *llm_error_extra(const struct llm_call *c, struct arena *a);

#endif
