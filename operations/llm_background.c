/* operations/llm_background.c: an answer that the provider makes by itself.
 *
 * The call is asked for, the name of its answer is noted in the journal, and then it is fetched until it
 * is ready. Whoever runs the job after a crash finds the note and fetches it, too: nothing is paid twice.
 * A run that ends because its process ends, or because another worker has the job, leaves it alone. */
#include "operations/llm_own.h"
#include "operations/services.h"

enum {
	FETCH_FIRST_MS = 300,
	FETCH_MOST_MS = 5000,
	FETCH_TIMEOUT_MS = 30000,
	STOP_TIMEOUT_MS = 10000
};

static task_step kept, fetch, fetched;

static struct llm_call *llm_of(struct task *t)
{
	return container_of(t, struct llm_call, task);
}

static bool is_good(const struct llm_call *c)
{
	return c->http.call.err.code == ERR_OK && c->http.status >= 200 && c->http.status < 300;
}

static const char *pending_handle(struct llm_call *c)
{
	const struct background *b = c->question.background ? c->wire->background : NULL;
	struct error err;

	if (!b || !is_good(c))
		return NULL;
	return b->handle(json_parse_rounding(c->op->arena, c->http.body, &err), c->op->arena);
}

bool llm_is_pending(struct llm_call *c)
{
	const char *handle = pending_handle(c);

	if (handle)
		c->handle = handle;
	return handle != NULL;
}

/* ---- waiting ---- */

static enum task_next nap(struct llm_call *c)
{
	uint64_t ms = FETCH_FIRST_MS;

	for (uint32_t i = 0; i < c->fetches && ms < FETCH_MOST_MS; i++)
		ms += ms / 2;
	c->fetches++;
	sleep_start(c->task.call.loop, &c->rest, u64_min(ms, FETCH_MOST_MS));
	return task_await(&c->task, &c->rest.call, fetch);
}

enum task_next llm_await_answer(struct llm_call *c)
{
	struct journal *j = c->op->journal;
	cJSON *note = json_object(c->op->arena);

	json_set_text(c->op->arena, note, "id", c->handle);
	json_set_number(c->op->arena, note, "candidate", c->candidate);
	c->keep = (struct keep_call){.step = c->op->step,
				     .n = c->permit.entry.n,
				     .text = json_print(c->op->arena, note)};
	c->fetches = 0;
	j->methods->keep(j, &c->keep);
	return task_await_either(&c->task, &c->keep.call, kept);
}

static enum task_next
kept(struct task *t) /* or not: then a crash may pay twice, as without a note */
{
	return nap(llm_of(t));
}

bool llm_find_answer(struct llm_call *c, uint32_t n)
{
	struct journal *j = c->op->journal;
	const cJSON *note;
	struct error err;
	struct str text;
	double candidate;

	if (!j->methods->kept(j, c->op->step, n, &text))
		return false;
	note = json_parse(c->op->arena, text, &err);
	candidate = json_get_number(note, "candidate", -1);
	if (!json_get_text(note, "id") || candidate < 0 ||
	    candidate >= (double)c->wish->choice_count)
		return false;
	c->handle = json_get_text(note, "id");
	c->candidate = (uint32_t)candidate;
	return true;
}

enum task_next llm_fetch_answer(struct llm_call *c)
{
	c->fetches = 0;
	return task_go(&c->task, fetch);
}

static enum task_next fetch(struct task *t)
{
	struct llm_call *c = llm_of(t);

	c->wire->background->fetch(c->handle, false, &c->target.endpoint, c->op->arena,
				   &c->request);
	c->request.timeout_ms = FETCH_TIMEOUT_MS;
	c->http = (struct http_call){.status = 0};
	http_start(c->op->use->http, &c->http, &c->request, c->op->arena);
	return task_await_either(t, &c->http.call, fetched);
}

/* What says nothing about the answer: it is looked for again. */
static bool may_pass(const struct llm_call *c)
{
	int status = c->http.status;

	return c->http.call.err.code != ERR_OK || status == 408 || status == 409 || status == 429 ||
	       status >= 500;
}

static enum task_next fetched(struct task *t)
{
	struct llm_call *c = llm_of(t);
	bool pending = pending_handle(c) != NULL;
	struct error *err = &c->http.call.err;

	if (pending || may_pass(c)) {
		if (loop_now(t->call.loop) - c->started_ms < c->patience_ms)
			return nap(c);
		llm_stop_answer(c);
		if (pending)
			(void)fail(err, ERR_TIMEOUT, "%s: no answer within %u ms",
				   c->target.config->id, c->patience_ms);
	} else if (c->http.status == 404) {
		(void)fail(err, ERR_UNAVAILABLE,
			   "%s: the answer of an earlier call is not there any more",
			   c->target.config->id);
	}
	return task_go(t, llm_replied);
}

/* ---- nobody wants it ---- */

void llm_stop_answer(struct llm_call *c)
{
	struct http_request request;

	c->wire->background->fetch(c->handle, true, &c->target.endpoint, c->op->arena, &request);
	request.timeout_ms = STOP_TIMEOUT_MS;
	http_tell(c->op->use->http, &request);
}
