/* operations/llm_own.h: what the llm*.c files share; nobody else includes it.
 *
 *   llm.c         the task: its steps
 *   llm_fit.c     a question is made to fit its model
 *   llm_reply.c   what came back */
#ifndef OPERATIONS_LLM_OWN_H
#define OPERATIONS_LLM_OWN_H

#include "operations/llm.h"

void llm_warn(struct llm_call *c, const char *format, ...) PRINTF(2, 3);

/* Fits c->question to the model, and refuses what can not go well: llm_fit.c. */
bool llm_fit(struct llm_call *c, struct error *err) NODISCARD;

/* Whether an error names a field that may be left out; notes it in c->refused. */
bool llm_can_mend(struct llm_call *c);

/* The answer in c->answer, or the failure. */
bool llm_read_reply(struct llm_call *c, struct error *err) NODISCARD;
/* What the journal is told; c->failure says what went wrong. */
void llm_fill_settle(struct llm_call *c, struct settle_call *s, bool good, struct arena *a);

/* How long to rest where nobody says. */
uint32_t llm_backoff(const struct llm_call *c);
/* Whether the failure may pass, and tries are left. Asked once for each failure. */
bool llm_may_retry(struct llm_call *c);

#endif
