/* Asks the sentinels, one after the other, who the master is. The one that answered last time is
 * asked first. What it names may have been demoted since: redis.c asks the server for its ROLE. */
#include "common/redis_private.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>

enum { ANSWER_TIMEOUT_MS = 1000 }; /* to connect, and to answer: a dead one holds up the others */

struct redis_search {
	struct loop *loop;
	struct redis_target *target;
	struct ssl_ctx_st *tls;
	void (*found)(void *arg, const struct redis_node *master, const struct error *err);
	void *arg;
	size_t next; /* sentinel */
	struct redis_link *link;
	struct timeout timer;
	bool logs_in;
	char host[256];
	struct error err; /* what the last one had to say */
};

static void ask_next(struct redis_search *s);

static void refused(struct redis_search *s, const struct error *err)
{
	s->err = *err;
	link_close(s->link);
	s->link = NULL;
	if (s->next < s->target->sentinel_count) {
		ask_next(s);
		return;
	}
	timeout_stop(s->loop, &s->timer);
	s->found(s->arg, NULL, &s->err);
}

static void sentinel_silent(struct timeout *t)
{
	struct redis_search *s = container_of(t, struct redis_search, timer);
	struct error err;

	(void)fail(&err, ERR_REDIS, "sentinel %s:%u does not answer",
		   s->target->sentinels[s->next - 1].host, s->target->sentinels[s->next - 1].port);
	refused(s, &err);
}

static void sentinel_up(void *arg)
{
	struct redis_search *s = arg;

	s->logs_in = link_send_login(s->link, &s->target->sentinel_login);
	link_send_words(s->link, 3,
			(struct str[]){STR("SENTINEL"), STR("get-master-addr-by-name"),
				       str_of(s->target->sentinel_name)});
}

static void found_master(struct redis_search *s, const redisReply *host, const redisReply *port)
{
	struct redis_node master = {s->host, NULL, (uint16_t)strtoul(port->str, NULL, 10)};
	struct redis_node *all = s->target->sentinels, first = all[s->next - 1];

	memcpy(s->host, host->str, host->len + 1);
	memmove(all + 1, all, (s->next - 1) * sizeof(*all));
	all[0] = first;
	timeout_stop(s->loop, &s->timer);
	link_close(s->link);
	s->link = NULL;
	s->found(s->arg, &master, NULL);
}

static void sentinel_answered(void *arg, const redisReply *reply)
{
	struct redis_search *s = arg;
	const redisReply *const *items = (const redisReply *const *)reply->element;
	struct error err;

	if (reply->type == REDIS_REPLY_ERROR) {
		(void)redis_fail_by_reply(&err, s->logs_in ? "AUTH (sentinel)" : "SENTINEL",
					  (struct str){reply->str, reply->len});
		refused(s, &err);
	} else if (s->logs_in) {
		s->logs_in = false; /* that was the answer to AUTH */
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
		   items[0]->type == REDIS_REPLY_STRING && items[0]->len < sizeof(s->host) &&
		   items[1]->type == REDIS_REPLY_STRING) {
		found_master(s, items[0], items[1]);
	} else {
		(void)fail(&err, ERR_REDIS, "sentinel %s:%u knows no master '%.60s'",
			   s->target->sentinels[s->next - 1].host,
			   s->target->sentinels[s->next - 1].port, s->target->sentinel_name);
		refused(s, &err);
	}
}

static void sentinel_lost(void *arg, const struct error *err)
{
	refused(arg, err);
}

static const struct link_events sentinel_events = {sentinel_up, sentinel_answered, sentinel_lost};

static void ask_next(struct redis_search *s)
{
	uint32_t patience = (uint32_t)u64_min(ANSWER_TIMEOUT_MS, s->target->connect_timeout_ms);

	timeout_start(s->loop, &s->timer, patience, sentinel_silent);
	s->link = link_open(s->loop, &(struct link_options){
					     .node = s->target->sentinels[s->next++],
					     .tls = s->tls,
					     .connect_timeout_ms = patience,
					     .events = &sentinel_events,
					     .arg = s,
				     });
}

struct redis_search *
redis_search_new(struct loop *l, struct redis_target *target, struct ssl_ctx_st *tls,
		 void (*found)(void *arg, const struct redis_node *master, const struct error *err),
		 void *arg)
{
	struct redis_search *s = xmalloc(sizeof(*s));

	s->loop = l;
	s->target = target;
	s->tls = tls;
	s->found = found;
	s->arg = arg;
	ask_next(s);
	return s;
}

void redis_search_free(struct redis_search *s)
{
	if (!s)
		return;
	timeout_stop(s->loop, &s->timer);
	link_close(s->link);
	free(s);
}
