#include "worker/queue/queue_own.h"

#include <assert.h>

/* An error reply that is not about the server's state comes again however often it is sent. */
enum { HOPELESS_TRIES = 5, REST_MIN_MS = 50, REST_MAX_MS = 2000 };

static task_step send_it, sent;

static struct send *send_of(struct task *t)
{
	return container_of(t, struct send, task);
}

struct send *send_new(struct queue *q, enum script script, size_t words_max)
{
	struct arena *a = arena_new();
	struct send *s = arena_make(a, struct send);

	s->arena = a;
	s->queue = q;
	s->script = script;
	s->words = arena_array(a, struct str, words_max);
	s->max = words_max;
	s->next = q->sends;
	s->link = &q->sends;
	if (s->next)
		s->next->link = &s->next;
	q->sends = s;
	return s;
}

void send_add(struct send *s, struct str word)
{
	assert(s->count < s->max);
	s->words[s->count++] = arena_str(s->arena, word);
}

void send_add_text(struct send *s, const char *text)
{
	send_add(s, str_of(text));
}

void send_add_number(struct send *s, uint64_t number)
{
	assert(s->count < s->max);
	s->words[s->count++] = word_of(s->arena, number);
}

const struct redis_value *send_item(const struct send *s, size_t n)
{
	const struct redis_value *reply = s->redis.reply;

	return reply->type == REDIS_ARRAY && n < reply->count ? &reply->items[n] : NULL;
}

void send_detach(struct send *s)
{
	struct call *owner = s->owner;

	s->owner = NULL;
	call_end(owner);
}

static enum task_next send_it(struct task *t)
{
	struct send *s = send_of(t);

	if (s->queue->is_given_up)
		return task_fail(t, ERR_SHUTDOWN, "Redis is not waited for any more");
	s->tries++;
	if (script_takes_several[s->script])
		joint_start(s);
	else
		script_start(&s->queue->scripts, &s->redis, s->arena, s->script, s->count,
			     s->words);
	return task_await_either(t, &s->redis.call, sent);
}

bool send_is_refused(const struct send *s)
{
	const struct error *err = &s->redis.call.err;

	return strcmp(err->detail, "ERR") == 0 || strcmp(err->detail, "WRONGTYPE") == 0;
}

static bool is_hopeless(const struct send *s)
{
	const struct error *err = &s->redis.call.err;

	return err->code == ERR_CONFIG || err->code == ERR_SHUTDOWN ||
	       (s->tries >= HOPELESS_TRIES && send_is_refused(s));
}

static enum task_next sent(struct task *t)
{
	struct send *s = send_of(t);
	uint64_t ms = REST_MIN_MS;

	if (s->redis.call.err.code == ERR_OK)
		return task_end(t);
	if (s->tries == 1 || is_hopeless(s))
		queue_note(s->queue, &s->redis.call.err);
	if (is_hopeless(s))
		return task_fail_as(t, &s->redis.call.err);
	for (uint32_t i = 1; i < s->tries && ms < REST_MAX_MS; i++)
		ms *= 2;
	sleep_start(t->call.loop, &s->rest, ms);
	return task_await(t, &s->rest.call, send_it);
}

/* Answers are counted where they are kept, jobs when the queue is given up. */
static void count_untold(struct queue *q, const struct send *s)
{
	if (s->script == SCRIPT_STORE)
		q->untold.steps++;
	else if (s->script == SCRIPT_SETTLE && !journal_is_answer(s))
		q->untold.calls++;
}

static void send_done(struct call *c)
{
	struct send *s = container_of(c, struct send, task.call);

	s->answered(s);
	if (c->err.code == ERR_SHUTDOWN)
		count_untold(s->queue, s);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	if (s->queue->is_closed && !s->queue->sends)
		loop_stop(s->queue->loop);
	joint_leave(s);
	arena_free(s->arena);
}

void send_start(struct send *s, void (*answered)(struct send *s))
{
	s->answered = answered;
	s->task.call.done = send_done;
	task_start(&s->task, s->queue->loop, send_it);
}

/* ---- once ---- */

struct arena *once_begin(struct queue *q, struct once *o)
{
	assert(!o->is_busy);
	o->queue = q;
	o->is_busy = true;
	o->arena = arena_new();
	return o->arena;
}

static void once_done(struct call *c)
{
	struct once *o = container_of(c, struct once, redis.call);
	struct arena *a = o->arena;

	o->is_busy = false;
	if (!o->queue->is_closed)
		o->answered(o);
	arena_free(a);
}

void once_start(struct once *o, enum script script, size_t count, const struct str *words,
		void (*answered)(struct once *o))
{
	o->answered = answered;
	o->redis.call.done = once_done;
	script_start(&o->queue->scripts, &o->redis, o->arena, script, count, words);
}

void once_start_words(struct once *o, size_t count, const struct str *words,
		      void (*answered)(struct once *o))
{
	o->answered = answered;
	o->redis.call.done = once_done;
	redis_start_argv(o->queue->redis, &o->redis, o->arena, queue_command_ms(o->queue), count,
			 words);
}

void once_give_up(struct once *o)
{
	o->is_busy = false;
	arena_free(o->arena);
}
