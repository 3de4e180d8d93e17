/* worker/queue/queue_own.h: what the queue*.c files and journal.c share; nobody else includes it.
 *
 *   queue.c         made, started, stopped; the server is checked; heartbeats, reaping
 *   queue_send.c    a script that is sent until it is answered; one that is sent once
 *   queue_joint.c   several such scripts as one command
 *   queue_door.c    entries of the door become jobs
 *   queue_claim.c   jobs become leases
 *   queue_lease.c   leases are renewed, lost, cancelled, and what is stored with them
 *   queue_finish.c  steps and ends
 *   queue_limits.c  the limits of all workers
 *   journal.c       permits and answers; journal_refusal.c: why there is no permit; journal_spool.c:
 *                   answers that Redis does not take */
#ifndef WORKER_QUEUE_QUEUE_OWN_H
#define WORKER_QUEUE_QUEUE_OWN_H

#include "common/loop.h"
#include "common/task.h"
#include "worker/queue/portion.h"
#include "worker/queue/queue.h"
#include "worker/queue/scripts.h"

enum { QUEUE_LAYOUT = 1 };

/* ---- queue_send.c ---- */

/* A script that is sent again until it is answered: while Redis is away, after a lost reply. It has
 * its own memory and does not need its starter. */
struct send {
	struct task task;
	struct queue *queue;
	struct arena *arena;
	enum script script;
	struct str *words; /* in the arena */
	size_t count, max;
	uint32_t tries;
	struct redis_call redis; /* the reply, when it was answered */
	struct joint *joint;     /* of which it is the reply; NULL: its own */
	struct sleep_call rest;
	/* From the top of the loop: answered, or task.call.err says why not (cancelled, or an error
	 * that no repetition helps). The send is freed when it returns. */
	void (*answered)(struct send *s);
	struct call *owner;      /* who waits for it; NULL: nobody (any more) */
	struct lease_own *lease; /* NULL: gone */
	struct arena *for_owner; /* what the owner is to keep goes there */
	uint64_t begun_ms;       /* loop time */
	uint64_t at_ms;          /* of a finish: when the job goes on, time of day; 0: not */
	struct timeout watch;    /* of journal_spool.c */
	bool spooled;
	struct spooling *spooling; /* NULL: no file of it is being written */
	struct send *next, **link;
};

struct send *send_new(struct queue *q, enum script script, size_t words_max);
/* Whoever waits for it stops waiting; it goes on. For the cancel() of a call. */
void send_detach(struct send *s);
void send_add(struct send *s, struct str word); /* copied */
void send_add_text(struct send *s, const char *text);
void send_add_number(struct send *s, uint64_t number);
void send_start(struct send *s, void (*answered)(struct send *s));
const struct redis_value *send_item(const struct send *s, size_t n); /* of an array reply */
bool send_is_refused(
	const struct send *s); /* the last try: by the script, not by the server's state */

/* ---- queue_joint.c ---- */

/* In place of script_start(), for what script_takes_several[]: s->redis.call ends. */
void joint_start(struct send *s);
void joint_leave(struct send *s); /* the reply is not needed any more */
void joint_go(struct queue *q);   /* what is gathered goes out now */

/* A script that is sent once at a time, and whose failure the next one makes up for. */
struct once {
	struct queue *queue;
	struct arena *arena; /* while it is under way */
	struct redis_call redis;
	void (*answered)(struct once *o);
	bool is_busy;
};

struct arena *once_begin(struct queue *q, struct once *o); /* not while it is busy */
void once_start(struct once *o, enum script script, size_t count, const struct str *words,
		void (*answered)(struct once *o));
void once_start_words(struct once *o, size_t count, const struct str *words, /* a command */
		      void (*answered)(struct once *o));
void once_give_up(struct once *o); /* begun, but there is nothing to send */

/* ---- queue.c ---- */

struct lease_own;
struct answer;

struct queue {
	struct loop *loop;
	const struct queue_options *with;
	struct scripts scripts;
	struct redis *redis, *wake, *ctl; /* commands; the door; the channel */
	const char *door, *channel;       /* keys */
	struct arena *arena;
	bool is_open, is_stopping, is_given_up, is_closed;
	struct queue_untold untold;
	uint64_t started_ms;
	uint64_t last_claim; /* loop time of the last claim that was answered */
	struct call *starting;
	struct task start;
	struct arena *start_arena;
	struct redis_call start_redis;
	struct sleep_call start_rest;
	bool start_noted;

	struct send *sends; /* under way */
	struct joint *gathering[SCRIPT_COUNT];
	struct timeout joint_timer;
	size_t joints;   /* that gather or are under way */
	size_t spooling; /* files of answers that are being written */
	size_t shots;    /* commands under way that nobody waits for */

	struct timeout tick_timer;
	struct once tick;
	bool is_full_of_dead; /* told */

	struct redis_call listen; /* XREADGROUP on wake */
	struct arena *listen_arena;
	struct timeout listen_again;
	bool is_listening;
	struct portion heard;         /* entries, and their bodies */
	struct once filing, refiling; /* what was heard; what tick.lua found */

	struct claim_call *claim; /* who waits for jobs */
	struct once claiming;
	uint64_t claim_number, claim_end; /* claim_end: of the leases that it gives */
	size_t claim_want;
	struct portion claimed;
	bool claim_again;
	struct timeout claim_timer;
	struct arena *handed_out; /* what the last claim_call was given, until its done() */

	struct lease_own *leases;
	size_t lease_count;
	struct once renewing;
	struct lease_own **renewed; /* in the order in which they were sent */
	size_t renewed_count;
	uint64_t renewed_end;
	struct timeout renew_timer;
	struct timeout ctl_timer; /* messages are looked at from the top of the loop */
	bool ctl_work, ctl_missed;

	const struct limits *limits; /* of all workers; in limits_arena */
	struct arena *limits_arena;
	struct str limits_seen, limits_asked; /* the digests that they are made of */
	char limits_digest[65];
	struct once limits_fetch;
	uint64_t limits_said;
	unsigned workers; /* live ones at the last tick; 0: not known yet */

	uint64_t permits; /* made so far, for their names */
	struct calibrations *calibrations;
};

void queue_note(struct queue *q, const struct error *err);
void queue_tick_soon(struct queue *q);            /* something may have been left behind */
uint32_t queue_command_ms(const struct queue *q); /* how long a reply may take */

/* ---- queue_door.c ---- */
void door_open(struct queue *q);
void door_close(struct queue *q);
/* filing must not be busy; filed runs when they are filed, or could not be. */
void door_file(struct queue *q, struct once *filing, const struct redis_value *entries,
	       void (*filed)(struct once *o));

void door_filed(struct once *o); /* for whom nothing is left to do then */

/* ---- queue_claim.c ---- */
void claim_poke(struct queue *q);                /* there may be work */
void claim_expect(struct queue *q, uint64_t ms); /* there will be work then */
void claim_probe(struct queue *q); /* proves that claims are answered, at least once a second */
void claim_end(struct queue *q);   /* whoever waits gets what there is, or nothing */

/* ---- queue_lease.c ---- */

/* A text that is stored with the job, as far as this run knows. */
struct stored {
	const char *name;
	struct str text; /* ptr NULL: not any more */
	struct stored *next;
};

struct lease_own {
	struct lease lease;
	struct queue *queue;
	struct stored *stored;
	struct lease_own *next, **link;
	uint64_t end_ms; /* loop time at which it is over if nobody renews it */
	size_t renewing; /* its place in queue.renewed, from 1; 0: none */
	bool lost_told, cancel_told;
	uint32_t calls;         /* to providers, under way: permitted and not yet settled */
	const char *full_scope; /* the last refusal of a permit: what is full, until when */
	uint64_t full_until_ms;
	bool tries_directus; /* many wait for what becomes of it */
};

static inline struct lease_own *lease_own(const struct lease *lease)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): whoever asks must not change it, whoever keeps it may */
	return (struct lease_own *)((uintptr_t)lease - offsetof(struct lease_own, lease));
}

struct lease_own *lease_new(struct queue *q, const struct redis_value *job, uint64_t end_ms);
void lease_set(struct lease_own *o, const char *name, struct str text); /* both copied */
void lease_renew_all(struct queue *q);
void lease_told_lost(struct lease_own *o);
void lease_look_soon(struct queue *q); /* renews and claims at the next turn: we were away */
void lease_open(struct queue *q);
void lease_close(struct queue *q);

/* ---- queue_limits.c ---- */
void queue_limits_open(struct queue *q);
void queue_limits_close(struct queue *q);
void queue_limits_seen(struct queue *q, const struct redis_value *digests);

/* ---- journal.c ---- */
extern const struct journal_methods queue_journal;
bool journal_is_answer(const struct send *s); /* of a SCRIPT_SETTLE: it brings one */
void journal_spool_open(struct queue *q);     /* sends what lies in the spool */

#endif
