/* Scripts that tell Redis of several things at once.
 *
 * In one turn of the loop many calls are permitted or settled, many steps and jobs end. What an
 * EVALSHA costs Redis before the script does anything of its own (the command, the clock, the
 * functions that it defines) is a tenth of what a job costs. So what is sent in one turn goes out as
 * one command, and the script runs once for each (lua/each.lua).
 *
 *	gathering ─ next turn, or it is full ─► under way ─ answered ─► each send has its reply, or the error
 *
 * What a script itself was refused for is asked again alone: what is wrong with one thing is not the
 * error of the others for ever. */
#include "worker/queue/queue_own.h"

#include <stdio.h>

enum { SENDS_MOST = 16, BYTES_MOST = 256 * 1024 };

struct joint {
	struct redis_call redis;
	struct arena *arena; /* holds the joint and its reply */
	struct queue *queue;
	enum script script;
	struct send *sends[SENDS_MOST]; /* NULL: it waits no longer */
	size_t count, words, bytes;
	size_t users; /* sends that look at the reply, and 1 until there is one */
};

static struct joint *joint_new(struct queue *q, enum script script)
{
	struct arena *a = arena_new();
	struct joint *j = arena_make(a, struct joint);

	j->arena = a;
	j->queue = q;
	j->script = script;
	j->users = 1;
	q->joints++;
	return j;
}

static void forget(struct joint *j)
{
	if (--j->users > 0)
		return;
	j->queue->joints--;
	arena_free(j->arena);
}

void joint_leave(struct send *s)
{
	struct joint *j = s->joint;

	s->joint = NULL;
	if (j)
		forget(j);
}

static void cancel_send(struct call *c)
{
	struct send *s = container_of(c, struct send, redis.call);

	for (size_t i = 0; i < s->joint->count; i++)
		if (s->joint->sends[i] == s)
			s->joint->sends[i] = NULL;
	call_end(c);
}

/* The reply is that of the script: an array with one for each. */
static void answered(struct call *c)
{
	struct joint *j = container_of(c, struct joint, redis.call);
	const struct redis_value *reply = j->redis.reply;

	if (c->err.code == ERR_OK && (reply->type != REDIS_ARRAY || reply->count != j->count)) {
		(void)fail(&c->err, ERR_REDIS, "script '%s' does not answer each of %zu things",
			   j->queue->scripts.of[j->script].name, j->count);
		(void)snprintf(c->err.detail, sizeof(c->err.detail), "ERR");
	}
	for (size_t i = 0; i < j->count; i++) {
		struct send *s = j->sends[i];

		if (!s)
			continue;
		s->redis.call.err = c->err;
		s->redis.reply = c->err.code == ERR_OK ? &reply->items[i] : NULL;
		call_end(&s->redis.call);
	}
	forget(j);
}

/* Those that wait no longer are not told. */
static void drop_cancelled(struct joint *j)
{
	size_t count = 0;

	for (size_t i = 0; i < j->count; i++)
		if (j->sends[i])
			j->sends[count++] = j->sends[i];
	j->count = count;
}

static void go(struct joint *j)
{
	struct queue *q = j->queue;
	struct str *words = arena_array(j->arena, struct str, j->words);
	size_t count = 0;

	if (q->gathering[j->script] == j)
		q->gathering[j->script] = NULL;
	drop_cancelled(j);
	if (j->count == 0) {
		forget(j);
		return;
	}
	for (size_t i = 0; i < j->count; i++) {
		const struct send *s = j->sends[i];

		words[count++] = word_of(j->arena, s->count);
		memcpy(words + count, s->words, s->count * sizeof(*words));
		count += s->count;
	}
	j->redis.call.done = answered;
	script_start(&q->scripts, &j->redis, j->arena, j->script, count, words);
}

void joint_go(struct queue *q)
{
	timeout_stop(q->loop, &q->joint_timer);
	for (size_t i = 0; i < SCRIPT_COUNT; i++) /* their order matters: scripts.h */
		if (q->gathering[i])
			go(q->gathering[i]);
}

static void turn_over(struct timeout *t)
{
	joint_go(container_of(t, struct queue, joint_timer));
}

static void add(struct joint *j, struct send *s)
{
	call_begin(&s->redis.call, j->queue->loop, cancel_send);
	s->joint = j;
	j->sends[j->count++] = s;
	j->users++;
	j->words += 1 + s->count;
	for (size_t i = 0; i < s->count; i++)
		j->bytes += s->words[i].len;
}

void joint_start(struct send *s)
{
	struct queue *q = s->queue;
	bool is_alone = s->tries > 1 && send_is_refused(s);
	struct joint *j = is_alone ? NULL : q->gathering[s->script];

	joint_leave(s);
	if (!j)
		j = joint_new(q, s->script);
	add(j, s);
	if (is_alone) {
		go(j);
		return;
	}
	q->gathering[s->script] = j;
	if (j->count == SENDS_MOST || j->bytes >= BYTES_MOST)
		joint_go(q); /* all of them: the order is kept */
	else if (!timeout_is_running(&q->joint_timer))
		timeout_start(q->loop, &q->joint_timer, 0, turn_over);
}
