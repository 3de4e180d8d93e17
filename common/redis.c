/* The connection: made, greeted, lost, made again.
 *
 *      ┌────────────────────────── lost, after a pause ──────────────────────────┐
 *      ▼                                                                         │
 *   RESTING ─► (SEARCHING) ─► CONNECTING ─► GREETING ─► (SUBSCRIBING) ─► UP ──────┘
 *              for the master                AUTH, … */
#include "common/redis.h"

#include "common/loop.h"
#include "common/redis_private.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	PAUSE_MIN_MS = 50,  /* the second try; the first is at once */
	PAUSE_MAX_MS = 800, /* so that work goes on within a second */
	LOOK_MS = 1000, /* how often the sentinels are asked whether the master is still the same */
	STABLE_MS = 1000, /* a connection that lived this long starts the pauses anew */
};

static void connect_now(struct timeout *t);
static void link_up(void *arg);
static void link_reply(void *arg, const redisReply *reply);
static void link_lost(void *arg, const struct error *err);

static const struct link_events link_events = {link_up, link_reply, link_lost};

/* The context is NULL if there is no TLS. */
static bool take_options(const struct redis_options *options, struct arena *a,
			 struct redis_target *target, struct ssl_ctx_st **tls, struct error *err)
{
	if (!redis_target_parse(target, options, a, err))
		return false;
	*tls = target->tls ? tls_context_new(target->ca_file, err) : NULL;
	return *tls || !target->tls;
}

bool redis_check_options(const struct redis_options *options, struct error *err)
{
	struct arena *a = arena_new();
	struct ssl_ctx_st *tls = NULL;
	struct redis_target target;
	bool good = take_options(options, a, &target, &tls, err);

	tls_context_free(tls);
	arena_free(a);
	return good;
}

struct redis *redis_new(struct loop *l, const struct redis_options *options)
{
	struct redis *r = xmalloc(sizeof(*r));

	r->loop = l;
	r->arena = arena_new();
	TAILQ_INIT(&r->sent);
	TAILQ_INIT(&r->waiting);
	TAILQ_INIT(&r->answered);
	if (take_options(options, r->arena, &r->target, &r->tls, &r->error))
		timeout_start(l, &r->timer, 0, connect_now);
	return r;
}

bool redis_is_connected(const struct redis *r)
{
	return r->state == UP;
}

void redis_on_change(struct redis *r, void (*fn)(void *arg, const struct error *err), void *arg)
{
	r->changed = fn;
	r->changed_arg = arg;
}

static void stop_looking(struct redis *r)
{
	timeout_stop(r->loop, &r->look_timer);
	redis_search_free(r->look);
	r->look = NULL;
}

void redis_free(struct redis *r)
{
	if (!r)
		return;
	redis_end_all(&r->answered, ERR_SHUTDOWN, "the connection is being closed");
	redis_end_all(&r->sent, ERR_SHUTDOWN, "the connection is being closed");
	redis_end_all(&r->waiting, ERR_SHUTDOWN, "the connection is being closed");
	timeout_stop(r->loop, &r->timer);
	redis_search_free(r->search);
	stop_looking(r);
	link_close(r->link);
	tls_context_free(r->tls);
	arena_free(r->arena);
	free(r);
}

/* ---- connecting ---- */

static void tell_change(struct redis *r, const struct error *err)
{
	if (r->changed)
		r->changed(r->changed_arg, err);
}

/* Half to all of a pause that doubles from try to try: many workers do not come back at once. */
static uint64_t pause_ms(unsigned tries)
{
	uint64_t pause = PAUSE_MIN_MS;
	uint32_t dice = 0;

	if (tries == 0)
		return 0;
	while (--tries > 0 && pause < PAUSE_MAX_MS)
		pause = u64_min(PAUSE_MAX_MS, pause * 2);
	(void)!getrandom(&dice, sizeof(dice), 0);
	return pause / 2 + dice % (pause / 2 + 1);
}

void redis_connect_again(struct redis *r, const struct error *err)
{
	struct error why = *err; /* it may point into what is freed here */
	bool is_news = r->state == UP || strcmp(r->error.text, why.text) != 0;

	if (r->state == UP && loop_now(r->loop) - r->up_since >= STABLE_MS)
		r->tries = 0;
	redis_search_free(r->search);
	r->search = NULL;
	stop_looking(r);
	link_close(r->link);
	r->link = NULL;
	r->state = RESTING;
	r->is_moving = false;
	r->error = why;
	timeout_start(r->loop, &r->timer, pause_ms(r->tries++), connect_now);
	redis_end_all(&r->answered, ERR_REDIS, why.text);
	redis_end_all(&r->sent, ERR_REDIS, why.text);
	if (is_news)
		tell_change(r, &r->error);
}

static void link_lost(void *arg, const struct error *err)
{
	redis_connect_again(arg, err);
}

static void open_link(struct redis *r, const struct redis_node *node)
{
	r->state = CONNECTING;
	r->link = link_open(r->loop, &(struct link_options){
					     .node = *node,
					     .tls = r->tls,
					     .connect_timeout_ms = r->target.connect_timeout_ms,
					     .events = &link_events,
					     .arg = r,
				     });
}

static void look_again(struct timeout *t);

static void name_node(const struct redis_node *node, char *text, size_t size)
{
	(void)snprintf(text, size, "%s:%u", node->host, node->port);
}

static void looked(void *arg, const struct redis_node *master, const struct error *err)
{
	struct redis *r = arg;
	char name[sizeof(r->master)];
	struct error other;

	(void)err; /* no sentinel answers: that is no reason to leave */
	if (master)
		name_node(master, name, sizeof(name));
	if (master && strcmp(name, r->master) != 0) {
		(void)fail(&other, ERR_REDIS, "the sentinels name another master now: %.280s",
			   name);
		redis_connect_again(r, &other);
		return;
	}
	redis_search_free(r->look);
	r->look = NULL;
	timeout_start(r->loop, &r->look_timer, LOOK_MS, look_again);
}

static void look_again(struct timeout *t)
{
	struct redis *r = container_of(t, struct redis, look_timer);

	r->look = redis_search_new(r->loop, &r->target, r->tls, looked, r);
}

static void search_over(void *arg, const struct redis_node *master, const struct error *err)
{
	struct redis *r = arg;
	struct redis_search *search = r->search;

	if (!master) {
		redis_connect_again(r, err);
		return;
	}
	r->search = NULL;
	name_node(master, r->master, sizeof(r->master));
	timeout_start(r->loop, &r->look_timer, LOOK_MS, look_again);
	open_link(r, master);
	redis_search_free(search); /* after the last use of master */
}

static void connect_now(struct timeout *t)
{
	struct redis *r = container_of(t, struct redis, timer);

	if (r->moved.host) {
		open_link(r, &r->moved);
		r->moved.host = NULL; /* where it cannot be reached, the others know better */
	} else if (r->target.sentinel_count) {
		r->state = SEARCHING;
		r->search = redis_search_new(r->loop, &r->target, r->tls, search_over, r);
	} else {
		open_link(r, &r->target.node);
	}
}

/* ---- greeting ---- */

void redis_silent_after_connect(struct timeout *t)
{
	struct redis *r = container_of(t, struct redis, timer);
	struct error err;

	(void)fail(&err, ERR_REDIS, "redis is connected but silent: no answer within %u ms",
		   r->target.connect_timeout_ms);
	redis_connect_again(r, &err);
}

static void greet_words(struct redis *r, enum redis_greeting what, size_t count,
			const struct str *words)
{
	link_send_words(r->link, count, words);
	r->greetings[r->greeting_count++] = what;
}

static void link_up(void *arg)
{
	struct redis *r = arg;
	const struct redis_target *t = &r->target;
	char db[16];

	r->state = GREETING;
	r->greeting_count = r->next_greeting = 0;
	if (link_send_login(r->link, &t->login))
		r->greetings[r->greeting_count++] = GREET_AUTH;
	if (t->client_name)
		greet_words(r, GREET_NAME, 3,
			    (struct str[]){STR("CLIENT"), STR("SETNAME"), str_of(t->client_name)});
	(void)snprintf(db, sizeof(db), "%d", t->db);
	if (t->db)
		greet_words(r, GREET_SELECT, 2, (struct str[]){STR("SELECT"), str_of(db)});
	if (t->sentinel_count)
		greet_words(r, GREET_ROLE, 1, (struct str[]){STR("ROLE")});
	/* PING is what a server that loads its data or has lost its master refuses. */
	greet_words(r, GREET_PING, 1, (struct str[]){STR("PING")});
	timeout_start(r->loop, &r->timer, t->connect_timeout_ms, redis_silent_after_connect);
}

void redis_is_up(struct redis *r)
{
	timeout_stop(r->loop, &r->timer);
	r->state = UP;
	r->up_since = loop_now(r->loop);
	r->error = (struct error){.code = ERR_OK};
	redis_send_waiting(r);
	tell_change(r, NULL);
}

/* true also for an error, which is told as such. */
static bool is_master(const redisReply *reply)
{
	return reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
	       reply->element[0]->type != REDIS_REPLY_STRING ||
	       strcmp(reply->element[0]->str, "master") == 0;
}

static bool check_greeting(enum redis_greeting what, const redisReply *reply, struct error *err)
{
	static const char *const commands[] = {
		[GREET_AUTH] = "AUTH", [GREET_NAME] = "CLIENT SETNAME", [GREET_SELECT] = "SELECT",
		[GREET_ROLE] = "ROLE", [GREET_PING] = "PING",
	};

	if (what == GREET_ROLE && !is_master(reply))
		return fail(err, ERR_REDIS, "what the sentinel calls the master is none yet");
	if (reply->type != REDIS_REPLY_ERROR)
		return true;
	(void)redis_fail_by_reply(err, commands[what], (struct str){reply->str, reply->len});
	switch (what) {
	case GREET_NAME:
		return true; /* a user may be forbidden to; it is for the operator's eyes only */
	case GREET_ROLE:
	case GREET_PING:
		return strcmp(err->detail, "NOPERM") == 0;
	case GREET_AUTH:
	case GREET_SELECT:
	case GREETINGS:
		break;
	}
	return false;
}

static void take_greeting(struct redis *r, const redisReply *reply)
{
	struct error err;

	if (!check_greeting(r->greetings[r->next_greeting], reply, &err))
		redis_connect_again(r, &err);
	else if (++r->next_greeting < r->greeting_count)
		return;
	else if (r->channel_count)
		redis_send_subscribe(r);
	else
		redis_is_up(r);
}

static void link_reply(void *arg, const redisReply *reply)
{
	struct redis *r = arg;

	if (r->state == GREETING)
		take_greeting(r, reply);
	else if (r->channel_count)
		redis_take_message(r, reply);
	else
		redis_take_reply(r, reply);
}
