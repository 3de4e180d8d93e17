/* A connection that only listens. */
#include "common/redis.h"

#include "common/loop.h"
#include "common/redis_private.h"

#include <assert.h>
#include <hiredis/hiredis.h>

/* A connection that only listens would not notice that it is dead: it asks now and then. */
static void listen_time(struct timeout *t)
{
	struct redis *r = container_of(t, struct redis, timer);
	struct error err;

	if (!r->heard) {
		(void)fail(&err, ERR_REDIS, "redis has fallen silent: nothing heard within %u ms",
			   r->target.timeout_ms / 2);
		redis_connect_again(r, &err);
		return;
	}
	r->heard = false;
	link_send_words(r->link, 1, (struct str[]){STR("PING")});
	timeout_start(r->loop, &r->timer, r->target.timeout_ms / 2, listen_time);
}

void redis_send_subscribe(struct redis *r)
{
	r->state = SUBSCRIBING;
	r->confirmed = 0;
	link_send_words(r->link, r->channel_count + 1, r->subscribe);
	timeout_start(r->loop, &r->timer, r->target.connect_timeout_ms, redis_silent_after_connect);
}

static void subscribed(struct redis *r)
{
	bool again = r->was_subscribed;

	r->was_subscribed = true;
	r->heard = true;
	redis_is_up(r);
	timeout_start(r->loop, &r->timer, r->target.timeout_ms / 2, listen_time);
	if (again)
		r->message(r->message_arg, NULL, (struct str){NULL, 0});
}

void redis_take_message(struct redis *r, const redisReply *reply)
{
	const redisReply *const *items = (const redisReply *const *)reply->element;
	struct error err;

	r->heard = true;
	if (reply->type == REDIS_REPLY_ERROR) {
		(void)redis_fail_by_reply(&err, "SUBSCRIBE", (struct str){reply->str, reply->len});
		redis_connect_again(r, &err);
		return;
	}
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3 ||
	    items[0]->type != REDIS_REPLY_STRING || items[1]->type != REDIS_REPLY_STRING)
		return; /* the answer to PING */
	if (strcmp(items[0]->str, "subscribe") == 0 && r->state == SUBSCRIBING) {
		if (++r->confirmed == r->channel_count)
			subscribed(r);
	} else if (strcmp(items[0]->str, "message") == 0 && items[2]->type == REDIS_REPLY_STRING) {
		r->message(r->message_arg, items[1]->str,
			   (struct str){items[2]->str, items[2]->len});
	}
}

void redis_subscribe(struct redis *r, const char *const *channels, size_t count,
		     void (*message)(void *arg, const char *channel, struct str text), void *arg)
{
	assert(count > 0 && r->channel_count == 0 && r->pending == 0);
	r->subscribe = arena_array(r->arena, struct str, count + 1);
	r->subscribe[0] = STR("SUBSCRIBE");
	for (size_t i = 0; i < count; i++)
		r->subscribe[i + 1] = arena_str(r->arena, str_of(channels[i]));
	r->channel_count = count;
	r->message = message;
	r->message_arg = arg;
	if (r->state == UP)
		redis_send_subscribe(r);
}
