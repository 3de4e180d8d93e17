/* common/directus_turns.h: who may call Directus when, so that the worker never takes the site down.
 *
 * Two numbers, since two kinds of callers want different things:
 *
 *	limit   how many calls are under way at the same time, in the order in which they were
 *	        started. Halved when Directus says that it is overloaded (429, 503) or answers become
 *	        slow; grows again by one for each round of good answers.
 *	share   of the time, in which a call of bulk jobs (lane 2: batches, schedules) is under way. After
 *	        a call that took t the next one begins t / share after it began; nobody waits for them.
 *
 * Directus is one thread: while it works for a batch, one call after another, whoever else asks
 * takes turns with the batch and waits twice as long, however few calls are under way. So the share
 * of time is what counts for others. It needs no idea of how fast Directus should be: where it
 * becomes slow, for whatever reason, calls take longer and there are fewer of them.
 *
 * The share is halved at each sign of overload, too, down to a 32nd, and comes back by a 64th with
 * each good answer to a bulk call. It is that of all workers together: directus_turns_share(). Two
 * calls of bulk jobs are never further apart than BULK_REST_MAX_MS plus the time of a call (unless
 * Directus says when to come back), so a batch goes on at the slowest site. Where the share is more
 * than one, as many calls of bulk jobs may be under way at a time. Where both kinds wait, they
 * take turns. */
#ifndef COMMON_DIRECTUS_TURNS_H
#define COMMON_DIRECTUS_TURNS_H

#include "common/loop.h"

enum { BULK_REST_MAX_MS = 5000 };

struct directus_turns;

struct directus_turn {
	struct call call; /* ends when it is its turn */

	/* directus_turns.c's own */
	struct directus_turns *turns;
	struct directus_turn *next;
	bool is_bulk, is_taken;
	uint64_t taken_ms;
};

struct directus_turns {
	struct loop *loop;
	double most, limit; /* calls under way at the same time */
	double share;       /* of bulk jobs */
	double ease;        /* what is left of the share after signs of overload: a 32nd to 1 */
	unsigned workers;   /* that the share is divided among */
	unsigned under_way, bulk_under_way;
	struct turn_list {
		struct directus_turn *first, **last;
	} others, bulk; /* who waits */
	bool bulk_was_last;
	uint64_t bulk_from;    /* no call of bulk jobs before */
	uint64_t closed_until; /* no call at all before: Retry-After holds for all */
	struct timeout opening;
	uint64_t last_cut;
	double fastest_ms, usual_ms;
	uint64_t fastest_at;
};

void directus_turns_init(struct directus_turns *t, struct loop *l, unsigned most,
			 unsigned share_percent);
void directus_turns_clear(struct directus_turns *t); /* nobody may wait */
void directus_turns_share(struct directus_turns *t, unsigned workers);

/* `goes_on`: follows a call that has just been made, and goes before those who begin: what was read
 * must not be old when the write comes. */
void directus_turn_start(struct directus_turns *t, struct directus_turn *turn, bool is_bulk,
			 bool goes_on);
/* After its call; harmless if the turn never came, or was given back already. */
void directus_turn_give_back(struct directus_turn *turn);

/* What the call was answered. */
void directus_turns_good(struct directus_turns *t, const struct directus_turn *turn, double ms);
void directus_turns_overload(struct directus_turns *t, uint64_t retry_after_ms);

#endif
