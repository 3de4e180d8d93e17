#include "worker/queue/queue_own.h"

#include "common/crashpoint.h"

#include <assert.h>
#include <stdlib.h>

enum { LAST_MOMENT_MS = 1000 };

/* ---- one lease ---- */

static struct str text_at(const struct redis_value *job, size_t n)
{
	return n < job->count ? job->items[n].text : (struct str){NULL, 0};
}

static const char *name_at(const struct redis_value *job, size_t n, struct arena *a)
{
	struct str text = text_at(job, n);

	return arena_strndup(a, text.ptr ? text.ptr : "", text.len);
}

void lease_set(struct lease_own *o, const char *name, struct str text)
{
	struct arena *a = o->lease.arena;
	struct stored *s = o->stored;

	while (s && strcmp(s->name, name) != 0)
		s = s->next;
	if (!s) {
		s = arena_make(a, struct stored);
		s->name = arena_strdup(a, name);
		s->next = o->stored;
		o->stored = s;
	}
	s->text = text.ptr ? arena_str(a, text) : text;
}

static void take_stored(struct lease_own *o, const struct redis_value *texts)
{
	for (size_t i = 0; i + 1 < texts->count; i += 2) {
		struct stored *s = arena_make(o->lease.arena, struct stored);

		s->name = name_at(texts, i, o->lease.arena);
		s->text = arena_str(o->lease.arena, text_at(texts, i + 1));
		s->next = o->stored;
		o->stored = s;
		o->lease.steps += strncmp(s->name, "step:", 5) == 0;
	}
}

/* What claim.lua tells of a job. */
enum {
	ID,
	FENCE,
	LOSSES,
	BODY,
	TENANT,
	LANE,
	ROUTE,
	BATCH,
	REPLY,
	FILED,
	STORED,
	TRIES_DIRECTUS,
	JOB_FIELDS
};

struct lease_own *lease_new(struct queue *q, const struct redis_value *job, uint64_t end_ms)
{
	struct arena *a = arena_new(), *body = arena_new();
	struct lease_own *o = arena_make(a, struct lease_own);

	assert(job->count == JOB_FIELDS);
	o->queue = q;
	o->end_ms = end_ms;
	o->lease = (struct lease){
		.arena = a,
		.id = name_at(job, ID, a),
		.fence = (uint64_t)job->items[FENCE].integer,
		.attempt = (uint32_t)job->items[LOSSES].integer + 1,
		.body = arena_str(body, text_at(job, BODY)),
		.body_arena = body,
		.tenant = name_at(job, TENANT, a),
		.lane = (int)strtol(name_at(job, LANE, a), NULL, 10),
		.route = name_at(job, ROUTE, a),
		.batch = name_at(job, BATCH, a),
		.reply_to = name_at(job, REPLY, a),
		.filed_ms = strtoull(name_at(job, FILED, a), NULL, 10),
		.journal = {&queue_journal, true},
	};
	o->tries_directus = job->items[TRIES_DIRECTUS].integer == 1;
	take_stored(o, &job->items[STORED]);
	o->next = q->leases;
	o->link = &q->leases;
	if (o->next)
		o->next->link = &o->next;
	q->leases = o;
	q->lease_count++;
	return o;
}

/* Calls under way for it go on without it. */
static void forget_lease(struct queue *q, const struct lease_own *o)
{
	for (struct send *s = q->sends; s; s = s->next) {
		if (s->lease != o)
			continue;
		s->lease = NULL;
		if (s->owner)
			send_detach(s);
	}
}

void lease_drop_body(struct lease *lease)
{
	arena_free(lease->body_arena);
	lease->body_arena = NULL;
	lease->body = STR("");
}

void lease_free(struct lease *lease)
{
	struct lease_own *o = lease ? lease_own(lease) : NULL;

	if (!o)
		return;
	forget_lease(o->queue, o);
	if (o->renewing)
		o->queue->renewed[o->renewing - 1] = NULL;
	*o->link = o->next;
	if (o->next)
		o->next->link = o->link;
	o->queue->lease_count--;
	lease_drop_body(lease);
	arena_free(lease->arena);
}

bool lease_stored(const struct lease *lease, const char *name, struct str *text)
{
	for (const struct stored *s = lease_own(lease)->stored; s; s = s->next) {
		if (strcmp(s->name, name) == 0 && s->text.ptr) {
			*text = s->text;
			return true;
		}
	}
	return false;
}

bool lease_may_begin(const struct lease *lease)
{
	const struct lease_own *o = lease_own(lease);
	uint64_t margin = u64_min(LAST_MOMENT_MS, o->queue->with->lease_ms / 3);

	return !lease->lost && loop_now(o->queue->loop) + margin < o->end_ms;
}

void lease_told_lost(struct lease_own *o)
{
	o->lease.lost = true;
	if (o->lost_told || o->calls > 0)
		return; /* a call goes on: its answer is paid for, and settling it tells */
	o->lost_told = true;
	o->queue->with->lost(o->queue->with->arg, &o->lease);
}

static void told_cancel(struct lease_own *o)
{
	o->lease.cancelled = true;
	if (o->cancel_told)
		return;
	o->cancel_told = true;
	o->queue->with->cancel(o->queue->with->arg, &o->lease);
}

/* ---- renewing ---- */

static void renewed(struct once *o)
{
	struct queue *q = o->queue;
	const struct redis_value *reply = o->redis.reply;
	bool well = o->redis.call.err.code == ERR_OK && reply->type == REDIS_ARRAY;

	for (size_t i = 0; i < q->renewed_count; i++) {
		struct lease_own *lease = q->renewed[i];

		if (!lease)
			continue;
		lease->renewing = 0;
		if (!well || i >= reply->count)
			continue;
		if (str_is(reply->items[i].text, "lost")) {
			lease_told_lost(lease);
			continue;
		}
		lease->end_ms = q->renewed_end;
		if (str_is(reply->items[i].text, "cancel"))
			told_cancel(lease);
	}
	q->renewed_count = 0;
	CRASH_POINT("after_renew");
}

void lease_renew_all(struct queue *q)
{
	struct arena *a;
	struct str *words;
	size_t n = 0;

	if (q->renewing.is_busy || !q->leases)
		return;
	a = once_begin(q, &q->renewing);
	words = arena_array(a, struct str, 1 + 2 * q->lease_count);
	q->renewed = arena_array(a, struct lease_own *, q->lease_count);
	words[n++] = word_of(a, q->with->lease_ms);
	q->renewed_count = 0;
	for (struct lease_own *o = q->leases; o; o = o->next) {
		if (o->lease.lost)
			continue;
		words[n++] = arena_str(a, str_of(o->lease.id));
		words[n++] = word_of(a, o->lease.fence);
		q->renewed[q->renewed_count++] = o;
		o->renewing = q->renewed_count;
	}
	q->renewed_end = loop_now(q->loop) + q->with->lease_ms;
	once_start(&q->renewing, SCRIPT_RENEW, n, words, renewed);
}

static void renew_due(struct timeout *t)
{
	struct queue *q = container_of(t, struct queue, renew_timer);

	lease_renew_all(q);
	timeout_start(q->loop, t, q->with->lease_ms / 3, renew_due);
}

/* ---- the channel ---- */

static struct lease_own *lease_find(struct queue *q, struct str id)
{
	struct lease_own *o = q->leases;

	while (o && !str_is(id, o->lease.id))
		o = o->next;
	return o;
}

/* Messages only save time: what they say is in a key as well. */
static void look_at_messages(struct timeout *t)
{
	struct queue *q = container_of(t, struct queue, ctl_timer);
	struct lease_own *next;

	if (q->ctl_missed)
		lease_renew_all(q);
	if (q->ctl_work || q->ctl_missed)
		claim_poke(q);
	q->ctl_work = q->ctl_missed = false;
	for (struct lease_own *o = q->leases; o; o = next) {
		next = o->next;
		if (o->lease.cancelled)
			told_cancel(o);
	}
}

static void message(void *arg, const char *channel, struct str text)
{
	struct queue *q = arg;
	struct lease_own *o;

	if (!channel)
		q->ctl_missed = true;
	else if (str_is(text, "work"))
		q->ctl_work = true;
	else if (str_starts(text, STR("cancel "))) {
		o = lease_find(q, (struct str){text.ptr + 7, text.len - 7});
		if (o)
			o->lease.cancelled = true;
	}
	timeout_start(q->loop, &q->ctl_timer, 0, look_at_messages);
}

void lease_look_soon(struct queue *q)
{
	q->ctl_missed = true;
	timeout_start(q->loop, &q->ctl_timer, 0, look_at_messages);
}

void lease_open(struct queue *q)
{
	q->ctl = redis_new(q->loop, q->with->redis);
	redis_subscribe(q->ctl, &q->channel, 1, message, q);
	timeout_start(q->loop, &q->renew_timer, q->with->lease_ms / 3, renew_due);
}

void lease_close(struct queue *q)
{
	timeout_stop(q->loop, &q->renew_timer);
	timeout_stop(q->loop, &q->ctl_timer);
	redis_free(q->ctl);
	q->ctl = NULL;
}
