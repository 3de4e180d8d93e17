/* The limits of all workers. Each puts its own rules into Redis under their digest and names that in
 * its heartbeat; whoever sees a digest that it does not know fetches the rules and obeys them, too. */
#include "worker/queue/queue_own.h"

#include "common/digest.h"
#include "worker/queue/limits.h"

enum { SAY_AGAIN_MS = 3600 * 1000, KEEP_MS = 24 * 3600 * 1000, DIGESTS_MAX = 100 };

static const char *limits_key(struct queue *q, struct arena *a, struct str digest)
{
	return arena_printf(a, "%slim:%.*s", q->with->prefix, STR_ARGS(digest));
}

static void said(struct once *o)
{
	if (o->redis.call.err.code == ERR_OK)
		o->queue->limits_said = loop_now(o->queue->loop);
}

static void say_ours(struct queue *q)
{
	struct str text = limits_text(q->with->limits);
	struct arena *a;

	if (text.len == 0 || q->limits_fetch.is_busy ||
	    (q->limits_said && loop_now(q->loop) - q->limits_said < SAY_AGAIN_MS))
		return;
	a = once_begin(q, &q->limits_fetch);
	const struct str words[] = {
		STR("SET"),
		str_of(limits_key(q, a, str_of(q->limits_digest))),
		text,
		STR("PX"),
		word_of(a, KEEP_MS),
	};
	once_start_words(&q->limits_fetch, ARRAY_LEN(words), words, said);
}

/* Only what can be read counts: a newer release may know members that we do not. */
static void join(struct queue *q, struct arena *a, struct str text)
{
	struct error err;
	const struct limits *theirs = limits_parse(a, arena_str(a, text), &err);

	if (theirs)
		q->limits = limits_join(a, q->limits, theirs);
	else
		queue_note(q, &err);
}

static void fetched(struct once *o)
{
	struct queue *q = o->queue;
	const struct redis_value *texts = o->redis.reply;
	struct arena *old = q->limits_arena;

	if (o->redis.call.err.code != ERR_OK || texts->type != REDIS_ARRAY)
		return;
	q->limits_arena = arena_new();
	q->limits = q->with->limits;
	q->limits_seen = arena_str(q->limits_arena, q->limits_asked);
	for (size_t i = 0; i < texts->count; i++)
		if (texts->items[i].type == REDIS_TEXT)
			join(q, q->limits_arena, texts->items[i].text);
	arena_free(old);
}

/* The digests of others, one behind the other: what is known is told by comparing this. */
static struct str others(struct queue *q, struct arena *a, const struct redis_value *digests)
{
	const char *all = "";

	for (size_t i = 0; i < digests->count && i < DIGESTS_MAX; i++)
		if (!str_is(digests->items[i].text, q->limits_digest))
			all = arena_printf(a, "%s%.*s ", all, STR_ARGS(digests->items[i].text));
	return str_of(all);
}

void queue_limits_seen(struct queue *q, const struct redis_value *digests)
{
	struct arena *a;
	struct str *words;
	size_t n = 0;

	say_ours(q);
	if (q->limits_fetch.is_busy)
		return;
	a = once_begin(q, &q->limits_fetch);
	q->limits_asked = others(q, a, digests);
	if (str_equal(q->limits_asked, q->limits_seen)) {
		once_give_up(&q->limits_fetch);
		return;
	}
	words = arena_array(a, struct str, digests->count + 2);
	words[n++] = STR("MGET");
	words[n++] = str_of(limits_key(q, a, STR("none"))); /* so that there is always one */
	for (size_t i = 0; i < digests->count && i < DIGESTS_MAX; i++)
		if (!str_is(digests->items[i].text, q->limits_digest))
			words[n++] = str_of(limits_key(q, a, digests->items[i].text));
	once_start_words(&q->limits_fetch, n, words, fetched);
}

void queue_limits_open(struct queue *q)
{
	struct str text = limits_text(q->with->limits);

	if (text.len > 0)
		sha256_hex(text, q->limits_digest);
	say_ours(q);
}

void queue_limits_close(struct queue *q)
{
	arena_free(q->limits_arena);
}
