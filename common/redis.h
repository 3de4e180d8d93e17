/* common/redis.h: one connection to Redis that connects again by itself.
 *
 * hiredis (0.14.1 on Debian 12) is used for the protocol alone: its reader and its formatter. The
 * connection is ours, because its async part resolves names in the loop's thread, has no timeouts
 * and no TLS, and the packaged libuv adapter never tells a refused or reset connection.
 *
 * Commands go out in the order in which they were started, without waiting for each other's replies.
 * While there is no connection, commands wait for one up to their timeout. A command whose reply
 * does not come in time ends with ERR_TIMEOUT. Where so much time has gone by since it was sent, it
 * takes the connection down with it, since Redis' replies have no number: all others under way end
 * with ERR_REDIS. They may or may not have been
 * carried out, so only what is safe to repeat may be sent.
 *
 *   ERR_REDIS    an error reply (err.detail is its first word: "NOSCRIPT", "OOM", "READONLY", ...),
 *                or the connection was lost
 *   ERR_TIMEOUT  no reply in time
 *
 * READONLY, LOADING, MASTERDOWN, CLUSTERDOWN and UNBLOCKED mean that the server is in the middle of
 * a failover: the connection is dropped and made again (through Sentinel if there is one). So it is
 * when the sentinels, asked once a second, name another master: one that hangs, or that was replaced
 * and does not know it yet, says none of these words. The first try is at once, the others after a pause of at most a second. A command that a cluster answers
 * with MOVED is sent to the node that was named: all our keys share one hash tag, so the connection
 * moves there.
 *
 * Replication is asynchronous: what a master has acknowledged is lost when a replica that does not
 * have it yet is promoted. With wait_replicas, a command that was given to redis_confirm() ends well
 * only when so many replicas have it, too. The connection says WAIT after its reply, once for all
 * that were answered meanwhile; WAIT holds up the connection, so it is given wait_timeout_ms at most,
 * and no more than a third of the command's own timeout. Too few replicas in that time: ERR_REDIS
 * with detail "NOREPLICAS" (Redis' own word where min-replicas-to-write refuses). It was carried out
 * then, as far as this master goes; sent again, it waits for the replicas again. A confirmed command
 * survives a failover to any of N replicas if wait_replicas is N, and one to the replica that is
 * furthest ahead (which Sentinel takes among those that it reaches, of equal priority) if it is less.
 *
 * Limits: 100,000 commands or 256 MiB under way, replies of 64 MiB, arrays of a million items, nested
 * up to 7 deep. An error inside an array fails the whole command.
 *
 * In the callbacks (message, on_change) commands may be started; the connection must not be freed. */
#ifndef COMMON_REDIS_H
#define COMMON_REDIS_H

#include "common/arena.h"
#include "common/call.h"

struct redis;
struct redis_command;
struct loop;

enum redis_type { REDIS_NIL, REDIS_TEXT, REDIS_INTEGER, REDIS_ARRAY, REDIS_STATUS };

struct redis_value {
	enum redis_type type;
	struct str text; /* REDIS_TEXT, REDIS_STATUS; ended by NUL */
	int64_t integer;
	const struct redis_value *items; /* REDIS_ARRAY */
	size_t count;
};

struct redis_call {
	struct call call;
	const struct redis_value *reply; /* in the arena given at the start */
	struct redis_command *command;   /* redis.c's own */
};

/* Where it is and who we are. All strings must stay as long as the connection. */
struct redis_options {
	const char *url; /* redis://user:password@host:port/db, rediss://…, unix:/path?db=0; */
	/* or the parts, which stand over those of the URL where set: */
	const char *host, *username, *password;
	uint16_t port;
	int db;
	const char *ca_file; /* TLS: trusted certificates; NULL: the system's */
	/* "host:port,host:port": ask them for the master; the host of the URL is not used.
	 * With rediss:// the sentinels are spoken to in TLS, too. */
	const char *sentinels;
	const char *sentinel_name, *sentinel_username, *sentinel_password;
	uint32_t connect_timeout_ms; /* 0: 5 s */
	uint32_t timeout_ms;         /* for commands without their own; 0: 10 s */
	const char *client_name;
	uint32_t wait_replicas;   /* for redis_confirm(); 0: it does nothing */
	uint32_t wait_timeout_ms; /* 0: 500 ms */
};

struct redis *redis_new(struct loop *l, const struct redis_options *options);
void redis_free(struct redis *r); /* ends what is under way with ERR_SHUTDOWN, at the next turn */

/* Looks at options without connecting: ERR_CONFIG says what is wrong with them. */
bool redis_check_options(const struct redis_options *options, struct error *err) NODISCARD;

/* A command of words: redis_start(r, &c, a, 0, "SET", key, value, NULL). */
void redis_start(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		 const char *word, ...) SENTINEL;
void redis_start_argv(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		      size_t count, const struct str *words);

/* A script: sent as EVALSHA, and once more as EVAL when the server does not know it. */
struct redis_script {
	const char *name; /* for error texts */
	const char *source;
	char sha1[41]; /* filled in at the first use */
};
void redis_eval(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		struct redis_script *script, size_t key_count, size_t count,
		const struct str *keys_and_arguments);

/* Directly after the start of a command that writes: its end waits for the replicas, too. */
void redis_confirm(struct redis_call *c);

/* A connection that only listens (SUBSCRIBE): message() is called with each one; it subscribes
 * again after each reconnect, and calls message with channel NULL then, because messages may have
 * been missed. Such a connection takes no other commands. */
void redis_subscribe(struct redis *r, const char *const *channels, size_t count,
		     void (*message)(void *arg, const char *channel, struct str text), void *arg);

bool redis_is_connected(const struct redis *r);
/* Called, for the log, when the connection is made (err is NULL), when it is lost, and when a try
 * fails for another reason than the one before. */
void redis_on_change(struct redis *r, void (*fn)(void *arg, const struct error *err), void *arg);

#endif
