#include "worker/queue/queue_own.h"

#include "common/crashpoint.h"

#include <assert.h>

enum { PIECES_UNDER_WAY_MAX = 1000 };

/* ---- what steps leave ---- */

static void cancel_step(struct call *c)
{
	send_detach(container_of(c, struct step_call, call)->send);
}

static void lose(struct lease_own *o, struct call *c)
{
	o->lease.lost = true;
	(void)fail(&c->err, ERR_LEASE_LOST, "job '%s' is not ours any more", o->lease.id);
}

static void stored(struct send *s)
{
	CRASH_POINT("after_step");
	if (!s->owner)
		return;
	if (s->task.call.err.code != ERR_OK)
		s->owner->err = s->task.call.err;
	else if (s->redis.reply->integer != 1)
		lose(s->lease, s->owner);
	call_end(s->owner);
}

static void add_texts(struct send *s, const struct stored_text *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		send_add_text(s, texts[i].name);
		send_add_number(s, texts[i].text.ptr != NULL);
		send_add(s, texts[i].text);
	}
}

static struct send *send_for(struct lease_own *o, enum script script, size_t words_max)
{
	struct send *s = send_new(o->queue, script, words_max);

	s->lease = o;
	send_add_text(s, o->lease.id);
	send_add_number(s, o->lease.fence);
	return s;
}

static void told_back(struct send *s)
{
	(void)s;
}

/* A step is done, or the job has ended: Directus has answered. */
static void tell_directus_back(struct lease_own *o)
{
	if (!o->tries_directus)
		return;
	o->tries_directus = false;
	send_start(send_new(o->queue, SCRIPT_BACK, 0), told_back);
}

void queue_step_start(struct lease *lease, struct step_call *c, const struct stored_text *texts,
		      size_t count)
{
	struct lease_own *o = lease_own(lease);

	call_begin(&c->call, o->queue->loop, cancel_step);
	c->send = send_for(o, SCRIPT_STORE, 2 + 3 * count);
	c->send->owner = &c->call;
	add_texts(c->send, texts, count);
	tell_directus_back(o);
	CRASH_POINT("before_step");
	send_start(c->send, stored);
}

/* ---- the end ---- */

static void cancel_finish(struct call *c)
{
	send_detach(container_of(c, struct finish_call, call)->send);
}

enum { REPLY_NOT_OURS, REPLY_DONE, REPLY_BECAME_DEAD };

static void finished(struct send *s)
{
	struct finish_call *c;

	CRASH_POINT("after_finish");
	if (!s->owner)
		return;
	c = container_of(s->owner, struct finish_call, call);
	if (s->task.call.err.code != ERR_OK)
		c->call.err = s->task.call.err;
	else if (s->redis.reply->integer == REPLY_NOT_OURS)
		lose(s->lease, &c->call);
	else
		c->became_dead = s->redis.reply->integer == REPLY_BECAME_DEAD;
	s->lease->lease.lost = true; /* it is over: nothing renews it */
	if (s->at_ms > 0)
		claim_expect(s->queue, s->at_ms - u64_min(s->at_ms, wall_ms()));
	call_end(&c->call);
}

void queue_finish_start(struct lease *lease, struct finish_call *c, const struct finish *finish)
{
	static const char *const outcomes[] = {
		[QUEUE_DONE] = "done",     [QUEUE_DEAD] = "dead", [QUEUE_CANCELLED] = "cancelled",
		[QUEUE_HOLD] = "hold",     [QUEUE_PARK] = "park", [QUEUE_RETRY] = "retry",
		[QUEUE_RETURN] = "return",
	};
	struct lease_own *o = lease_own(lease);
	const struct queue_options *with = o->queue->with;
	bool for_room =
		finish->outcome == QUEUE_PARK && o->full_scope && finish->at_ms == o->full_until_ms;
	bool is_no_news = finish->outcome == QUEUE_RETRY || finish->outcome == QUEUE_RETURN;
	struct send *s = send_for(o, SCRIPT_FINISH, 13 + 3 * finish->text_count);

	call_begin(&c->call, o->queue->loop, cancel_finish);
	c->became_dead = false;
	c->send = s;
	s->owner = &c->call;
	s->at_ms = finish->at_ms;
	send_add_text(s, with->worker);
	send_add_text(s, outcomes[finish->outcome]);
	send_add(s, finish->result);
	send_add(s, finish->log);
	send_add_text(s, finish->code);
	send_add_number(s, finish->at_ms);
	send_add_text(s, finish->route);
	if (finish->directus_is_away)
		send_add_text(s, arena_printf(s->arena, "directus %llu",
					      (unsigned long long)finish->not_before_ms));
	else
		send_add_text(s, for_room ? o->full_scope : "");
	send_add_number(s, with->result_ttl_ms);
	send_add_number(s, with->log_ttl_ms ? with->log_ttl_ms : with->result_ttl_ms);
	send_add(s, finish->item);
	add_texts(s, finish->texts, finish->text_count);
	if (!is_no_news)
		tell_directus_back(o);
	CRASH_POINT("before_finish");
	send_start(s, finished);
}

/* ---- fire and forget ---- */

/* A command that nobody waits for, and that is not repeated. */
struct shot {
	struct redis_call redis;
	struct arena *arena;
	struct queue *queue;
};

static void shot_done(struct call *c)
{
	struct shot *shot = container_of(c, struct shot, redis.call);

	shot->queue->shots--;
	arena_free(shot->arena);
}

static struct shot *shot_new(struct queue *q)
{
	struct arena *a;
	struct shot *shot;

	if (q->shots >= PIECES_UNDER_WAY_MAX)
		return NULL; /* Redis is away or slow: pieces are lost, the result is not */
	a = arena_new();
	shot = arena_make(a, struct shot);
	q->shots++;
	shot->arena = a;
	shot->queue = q;
	shot->redis.call.done = shot_done;
	return shot;
}

/* Further programs that asked for the same job get the result only. */
void queue_piece(struct lease *lease, uint64_t seq, struct str text)
{
	struct queue *q = lease_own(lease)->queue;
	const char *end = strchr(lease->reply_to, '\n');
	size_t len = end ? (size_t)(end - lease->reply_to) : strlen(lease->reply_to);
	struct shot *shot = len == 0 || lease->lost ? NULL : shot_new(q);
	struct str words[14];

	if (!shot)
		return;
	words[0] = STR("XADD");
	words[1] = (struct str){lease->reply_to, len};
	words[2] = STR("MAXLEN");
	words[3] = STR("~");
	words[4] = STR("10000");
	words[5] = STR("*");
	words[6] = STR("id");
	words[7] = str_of(lease->id);
	words[8] = STR("status");
	words[9] = STR("piece");
	words[10] = STR("seq");
	words[11] = word_of(shot->arena, seq);
	words[12] = STR("text");
	words[13] = text;
	redis_start_argv(q->redis, &shot->redis, shot->arena, 0, ARRAY_LEN(words), words);
}
