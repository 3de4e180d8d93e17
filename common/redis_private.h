/* common/redis_private.h: what the redis*.c files share; nobody else includes it.
 *
 *   redis.c           the connection: made, greeted, lost, made again
 *   redis_command.c   commands and what comes of them
 *   redis_subscribe.c a connection that only listens
 *   redis_reply.c     replies as values, error replies as errors
 *   redis_url.c       struct redis_options -> struct redis_target
 *   redis_sentinel.c  asks the sentinels who is the master
 *   redis_link.c      one connection, made once: bytes out, replies in
 *   redis_tls.c       TLS between a link and its socket */
#ifndef COMMON_REDIS_PRIVATE_H
#define COMMON_REDIS_PRIVATE_H

#include "common/arena.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/loop.h"

#include <sys/queue.h>

struct redis_options;
struct redisReply;

/* ---- redis_url.c ---- */

struct redis_node {
	const char *host;
	const char *path; /* of a Unix socket; host is NULL then */
	uint16_t port;
};

struct redis_login {
	const char *username, *password; /* NULL: none */
};

/* Options, taken apart and checked. */
struct redis_target {
	struct redis_node node;
	struct redis_login login;
	int db;
	bool tls;
	const char *ca_file, *client_name;
	struct redis_node *sentinels;
	size_t sentinel_count; /* 0: node is the server */
	const char *sentinel_name;
	struct redis_login sentinel_login;
	uint32_t connect_timeout_ms, timeout_ms;
	uint32_t wait_replicas, wait_timeout_ms;
};

bool redis_target_parse(struct redis_target *t, const struct redis_options *options,
			struct arena *a, struct error *err) NODISCARD;

/* "host:port" or "[::1]:port"; the port may be missing if there is a default (not 0). */
bool redis_node_parse(struct redis_node *n, struct str text, uint16_t default_port, struct arena *a,
		      struct error *err) NODISCARD;

/* ---- redis_tls.c ---- */

struct tls;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* NULL: the certificates cannot be read. */
struct ssl_ctx_st *tls_context_new(const char *ca_file, struct error *err);
/* Another owner of the same context; each frees it. Both take NULL. */
struct ssl_ctx_st *tls_context_share(struct ssl_ctx_st *context);
void tls_context_free(struct ssl_ctx_st *context);

struct tls *tls_new(struct ssl_ctx_st *context, const char *host);
void tls_free(struct tls *t); /* takes NULL */
bool tls_is_ready(const struct tls *t);
/* Bytes from the socket; what they say is added to plain. false: it is over. */
bool tls_read(struct tls *t, struct str bytes, struct buf *plain, struct error *err) NODISCARD;
bool tls_write(struct tls *t, struct str plain, struct error *err) NODISCARD;
void tls_take(struct tls *t, struct buf *wire); /* all that must go to the socket */

/* ---- redis_link.c ---- */

struct redis_link;

/* None is called from inside link_open(), link_send() or link_close(); in each of them the link
 * may be closed. After lost() nothing more comes, and the link waits to be closed. */
struct link_events {
	void (*up)(void *arg);
	void (*reply)(void *arg, const struct redisReply *reply);
	void (*lost)(void *arg, const struct error *err); /* ERR_REDIS; also if it was never up */
};

struct link_options {
	struct redis_node node;
	struct ssl_ctx_st *tls; /* NULL: none */
	uint32_t connect_timeout_ms;
	const struct link_events *events;
	void *arg;
};

/* The options are copied; the context may be freed before the link. */
struct redis_link *link_open(struct loop *l, const struct link_options *options);
void link_close(struct redis_link *link); /* at once, without an event; takes NULL */

/* A formatted command. It goes out with all others of this turn of the loop. false: more than
 * REDIS_HELD_MAX bytes wait for the server already; nothing was added. */
bool link_send(struct redis_link *link, struct str command) NODISCARD;
/* A command of words, for what is short and our own. */
void link_send_words(struct redis_link *link, size_t count, const struct str *words);

/* Formats a command; to be freed with free_command(). */
struct str format_command(size_t count, const struct str *words);
void free_command(struct str command);

/* AUTH, if there is somebody to log in as; says whether it was sent. */
bool link_send_login(struct redis_link *link, const struct redis_login *login);

enum {
	REDIS_HELD_MAX = 256 * 1024 * 1024,
	REDIS_REPLY_MAX = 64 * 1024 * 1024,
	REDIS_ITEMS_MAX = 1024 * 1024, /* of one array */
};

/* ---- redis_sentinel.c ---- */

struct redis_search;

/* Calls found() once, never from inside: with the master, or with err. The search may be freed in
 * it, and at any time. It moves the sentinel that knew it to the front of target->sentinels. */
struct redis_search *
redis_search_new(struct loop *l, struct redis_target *target, struct ssl_ctx_st *tls,
		 void (*found)(void *arg, const struct redis_node *master, const struct error *err),
		 void *arg);
void redis_search_free(struct redis_search *s); /* takes NULL */

/* ---- redis_reply.c ---- */

struct redis_value;

/* false: there is an error in it (or it is one), whose text is in *error. */
bool redis_copy_reply(struct redis_value *v, const struct redisReply *reply, struct arena *a,
		      struct str *error) NODISCARD;

/* An error reply as an error: ERR_REDIS; detail is the word that says what kind it is. */
bool redis_fail_by_reply(struct error *err, const char *command, struct str text);

/* ---- redis.c ---- */

struct redis_command;
TAILQ_HEAD(command_list, redis_command);

enum redis_state { RESTING, SEARCHING, CONNECTING, GREETING, SUBSCRIBING, UP };

/* What is said first on a connection, in this order. */
enum redis_greeting { GREET_AUTH, GREET_NAME, GREET_SELECT, GREET_ROLE, GREET_PING, GREETINGS };

struct redis {
	struct loop *loop;
	struct arena *arena; /* of target */
	struct redis_target target;
	struct redis_node moved; /* a cluster's node that was named by MOVED; host NULL: none */
	char moved_host[256];
	struct error error; /* why there is no connection; ERR_CONFIG: there never will be one */

	enum redis_state state;
	struct ssl_ctx_st *tls; /* NULL: none */
	struct redis_search *search;
	struct redis_link *link;
	struct timeout timer;
	char master[300]; /* "host:port", as the sentinels named it */
	struct redis_search *look;
	struct timeout look_timer; /* whether they still do */
	unsigned tries;            /* since the last stable connection */
	uint64_t up_since;
	bool is_moving; /* sends nothing more; goes to `moved` when all replies are there */
	enum redis_greeting greetings[GREETINGS];
	size_t greeting_count, next_greeting;

	/* A command goes from one to the next: it waits for the connection, for its reply, for the
	 * replicas. */
	struct command_list waiting, sent, answered;
	bool is_confirming;            /* WAIT is among the sent */
	size_t pending, pending_bytes; /* in all lists */
	uint64_t order;

	struct str *subscribe; /* the command; in the arena */
	size_t channel_count;  /* 0: takes commands */
	size_t confirmed;
	bool was_subscribed, heard;
	void (*message)(void *arg, const char *channel, struct str text);
	void *message_arg;

	void (*changed)(void *arg, const struct error *err);
	void *changed_arg;
};

/* The connection is no more: what was sent has failed, what waits waits on. */
void redis_connect_again(struct redis *r, const struct error *err);
void redis_is_up(struct redis *r);
void redis_silent_after_connect(struct timeout *t); /* for r->timer, until it is up */

/* ---- redis_command.c ---- */

void redis_send_waiting(struct redis *r);
void redis_take_reply(struct redis *r, const struct redisReply *reply);
void redis_end_all(struct command_list *list, enum error_code code, const char *why);

/* ---- redis_subscribe.c ---- */

void redis_send_subscribe(struct redis *r);
void redis_take_message(struct redis *r, const struct redisReply *reply);

#endif
