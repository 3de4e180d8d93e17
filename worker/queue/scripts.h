/* worker/queue/scripts.h: the queue's scripts (worker/queue/lua), for whoever moves jobs: the queue, the journal
 * and the command line. Each takes the prefix as its only key and says in its first lines what its
 * arguments and its reply are, and what happens when it is sent twice.
 *
 * Some count only when as many replicas as REDIS_WAIT_REPLICAS have what they did (scripts.c says
 * which): what somebody else builds upon, and what is told to somebody as done. What a failover to
 * an older copy takes back of the others is done again by the queue itself: a lost claim is a waiting
 * job, a lost filing an entry at the door, and both are in the order in which they were written.
 *
 * To add one: a file in worker/queue/lua and a line here. Of those that are told of several things at once
 * (queue_joint.c) what is gathered in a turn goes out in the order in which they stand here: what became of a
 * job's calls and steps is told before its next call, and before its end, since nobody may have waited for the
 * answer. */
#ifndef WORKER_QUEUE_SCRIPTS_H
#define WORKER_QUEUE_SCRIPTS_H

#include "common/redis.h"

#define QUEUE_SCRIPTS(X)            \
	X(HELLO, hello)             \
	X(BYE, bye)                 \
	X(FILE, file)               \
	X(CLAIM, claim)             \
	X(RENEW, renew)             \
	X(TICK, tick)               \
	X(SETTLE, settle)           \
	X(STORE, store)             \
	X(PERMIT, permit)           \
	X(FINISH, finish)           \
	X(BACK, back)               \
	X(CANCEL, cancel)           \
	X(RETRY, retry)             \
	X(PURGE, purge)             \
	X(ERASE, erase)             \
	X(LIST, list)               \
	X(SCOPES, scopes)           \
	X(REPORT, report)           \
	X(RESUME, resume)           \
	X(SEEN, seen)               \
	X(CHAIN, chain)             \
	X(SPAWN, spawn)             \
	X(CRON_SET, cron_set)       \
	X(CRON_DUE, cron_due)       \
	X(CRON_FIRE, cron_fire)     \
	X(CRON_LIST, cron_list)     \
	X(CRON_REMOVE, cron_remove) \
	X(BATCH_OPEN, batch_open)   \
	X(BATCH_KEYS, batch_keys)   \
	X(BATCH_FEED, batch_feed)   \
	X(BATCH_LOOK, batch_look)   \
	X(BATCH_END, batch_end)     \
	X(BATCH_SET, batch_set)     \
	X(BATCH_RETRY, batch_retry) \
	X(BATCH_KEEP, batch_keep)

enum script {
#define X(constant, name) SCRIPT_##constant,
	QUEUE_SCRIPTS(X)
#undef X
		SCRIPT_COUNT
};

/* Generated from the files. Of some the words are those of several things, each behind how many they
 * are, and the reply is an array of replies (lua/each.lua). */
extern const char *const script_sources[SCRIPT_COUNT];
extern const bool script_takes_several[SCRIPT_COUNT];

/* The scripts of one connection; redis_eval() notes their digests in it. */
struct scripts {
	struct redis *redis;
	struct str prefix;
	uint32_t timeout_ms; /* how long a reply may take; 0: the connection's default */
	struct redis_script of[SCRIPT_COUNT];
};

void scripts_init(struct scripts *s, struct redis *redis,
		  const char *prefix); /* prefix must stay */

/* Sends one. */
void script_start(struct scripts *s, struct redis_call *c, struct arena *a, enum script script,
		  size_t count, const struct str *words);

/* A number as a word. */
struct str word_of(struct arena *a, uint64_t number);

#endif
