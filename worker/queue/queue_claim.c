/* Jobs become leases.
 *
 * One claim is under way at a time. Whatever says that there may be work pokes: the door, the
 * channel, a moment that has come, a claim_call that starts. A poke during a claim sends another
 * one after it. Besides, a claim goes out once a second whatever happened: the connection that
 * wakes us may be dead without knowing it, and an answered claim is what proves that we work. */
#include "worker/queue/queue_own.h"

#include "common/crashpoint.h"

#include <assert.h>

enum { REST_MS = 200 };

static bool wants_jobs(const struct queue *q)
{
	return q->claim && q->is_open && !q->is_stopping;
}

/* ---- leases that nobody wants: the claim was given up while it was under way ---- */

struct giving_back {
	struct finish_call finish;
	struct lease *lease;
};

static void given_back(struct call *c)
{
	lease_free(container_of(c, struct giving_back, finish.call)->lease);
}

static void give_back(struct lease *lease)
{
	struct giving_back *g = arena_make(lease->arena, struct giving_back);

	g->lease = lease;
	g->finish.call.done = given_back;
	queue_finish_start(lease, &g->finish, &(struct finish){.outcome = QUEUE_RETURN});
}

/* ---- one claim ---- */

static void claimed(struct once *o);

static void send_claim(struct queue *q, size_t want)
{
	struct arena *a = once_begin(q, &q->claiming);
	const struct str words[] = {
		str_of(q->with->worker),
		word_of(a, q->claim_number),
		word_of(a, portion_next(&q->claimed, want)),
		word_of(a, q->with->lease_ms),
	};

	q->claim_again = false;
	q->claim_want = want;
	q->claim_end = loop_now(q->loop) + q->with->lease_ms;
	timeout_stop(q->loop, &q->claim_timer);
	once_start(&q->claiming, SCRIPT_CLAIM, ARRAY_LEN(words), words, claimed);
}

static void moment_came(struct timeout *t)
{
	claim_poke(container_of(t, struct queue, claim_timer));
}

static void hand_out(struct queue *q, const struct redis_value *jobs)
{
	struct claim_call *c = q->claim;
	size_t bytes = 0;

	arena_free(q->handed_out);
	q->handed_out = arena_new();
	if (c && jobs->count > 0)
		c->leases = arena_array(q->handed_out, struct lease *, jobs->count);
	for (size_t i = 0; i < jobs->count; i++) {
		struct lease *lease = &lease_new(q, &jobs->items[i], q->claim_end)->lease;

		bytes += lease->body.len;
		if (c)
			c->leases[c->count++] = lease;
		else
			give_back(lease);
	}
	portion_came(&q->claimed, jobs->count, bytes);
	if (c && c->count > 0)
		claim_end(q);
}

static void claimed(struct once *o)
{
	struct queue *q = o->queue;
	const struct redis_value *reply = o->redis.reply;
	int64_t again_ms;

	/* A lost reply: the same number asks for the same jobs. One who stops does not ask again: Redis
	 * may be away for long, and leases that nobody knows of run out. */
	if (o->redis.call.err.code != ERR_OK || reply->type != REDIS_ARRAY) {
		if (q->is_stopping)
			claim_end(q);
		else
			timeout_start(q->loop, &q->claim_timer, REST_MS, moment_came);
		return;
	}
	CRASH_POINT("after_claim");
	q->claim_number++;
	q->last_claim = loop_now(q->loop);
	again_ms = reply->items[0].integer;
	hand_out(q, &reply->items[1]);
	if (q->is_stopping && q->claim)
		claim_end(q);
	else if (q->claim && (q->claim_again || q->claim->want > q->claim_want))
		claim_poke(q);
	else if (again_ms >= 0)
		timeout_start(q->loop, &q->claim_timer, (uint64_t)again_ms, moment_came);
}

/* ---- who wants jobs ---- */

static void cancel_claim(struct call *c)
{
	container_of(c, struct claim_call, call)->queue->claim = NULL;
	call_end(c);
}

void claim_end(struct queue *q)
{
	struct claim_call *c = q->claim;

	if (!c)
		return;
	q->claim = NULL;
	call_end(&c->call);
}

void queue_claim_start(struct queue *q, struct claim_call *c, size_t want)
{
	assert(!q->claim && want > 0);
	call_begin(&c->call, q->loop, cancel_claim);
	c->queue = q;
	c->want = want;
	c->leases = NULL;
	c->count = 0;
	q->claim = c;
	if (q->is_stopping && !q->claiming.is_busy)
		claim_end(q);
	else
		claim_poke(q);
}

void claim_poke(struct queue *q)
{
	if (!wants_jobs(q))
		return;
	if (q->claiming.is_busy)
		q->claim_again = true;
	else
		send_claim(q, q->claim->want);
}

void claim_expect(struct queue *q, uint64_t ms)
{
	if (q->claiming.is_busy)
		q->claim_again = true; /* its reply may not know of it yet */
	else if (!timeout_is_running(&q->claim_timer) || q->claim_timer.at > loop_now(q->loop) + ms)
		timeout_start(q->loop, &q->claim_timer, ms, moment_came);
}

void claim_probe(struct queue *q)
{
	if (!q->claiming.is_busy)
		send_claim(q, wants_jobs(q) ? q->claim->want : 0);
}

void queue_stop_claiming(struct queue *q)
{
	q->is_stopping = true;
	CRASH_POINT("in_drain");
	timeout_stop(q->loop, &q->claim_timer);
	if (!q->claiming.is_busy)
		claim_end(q);
}
