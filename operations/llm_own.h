/* operations/llm_own.h: what the llm*.c files share; nobody else includes it.
 *
 *   llm.c             the task: its steps
 *   llm_window.c      how much a local server's model takes
 *   llm_fit.c         a question is made to fit its model
 *   llm_request.c     a question becomes a request, and an entry for the books
 *   llm_reply.c       what came back
 *   llm_background.c  an answer that is fetched: waited for, found again after a crash, stopped */
#ifndef OPERATIONS_LLM_OWN_H
#define OPERATIONS_LLM_OWN_H

#include "operations/llm.h"

void llm_warn(struct llm_call *c, const char *format, ...) PRINTF(2, 3);

task_step llm_pick; /* llm.c: the first step: whom to ask, and what */

/* Whether the server has to be asked first how much the model takes; then llm_pick comes again. */
bool llm_wants_window(const struct llm_call *c);
enum task_next llm_ask_window(struct llm_call *c);

/* Fits c->question to the model, and refuses what can not go well: llm_fit.c. */
bool llm_fit(struct llm_call *c, struct error *err) NODISCARD;

/* c->request from c->question, for the next number of the step, and how long to wait. */
bool llm_write_request(struct llm_call *c, struct error *err) NODISCARD;
/* Request and reply are not needed any more. Nothing may be under way. */
void llm_forget_exchange(struct llm_call *c);
/* What the journal is told before it is sent: what it may take of every limit. */
struct journal_entry llm_entry(const struct llm_call *c);

/* Whether an error names a field that may be left out; notes it in c->refused. */
bool llm_can_mend(struct llm_call *c);

/* The answer in c->answer, or the failure. */
bool llm_read_reply(struct llm_call *c, struct error *err) NODISCARD;
/* What the journal is told; c->failure says what went wrong. */
void llm_fill_settle(struct llm_call *c, struct settle_call *s, bool good, struct arena *a);

/* Whether the reply says that the answer is being made: then llm_await_answer() goes on. */
bool llm_is_pending(struct llm_call *c);
enum task_next llm_await_answer(struct llm_call *c);
/* Whether the n-th call is being answered over there, for an earlier run: c->handle, c->candidate. */
bool llm_find_answer(struct llm_call *c, uint32_t n);
enum task_next llm_fetch_answer(struct llm_call *c);
/* Nobody wants it any more: it is told so, without anybody waiting for that. */
void llm_stop_answer(struct llm_call *c);
task_step llm_replied; /* llm.c: c->http has ended, with the answer or with what went wrong */

/* How long to rest where nobody says. */
uint32_t llm_backoff(const struct llm_call *c);
/* Whether the failure may pass, and tries are left. Asked once for each failure. */
bool llm_may_retry(struct llm_call *c);

#endif
