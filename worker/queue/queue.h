/* worker/queue/queue.h: the queue: what goes in at the door, who runs what, and what became of it.
 *
 * Everything that matters is in Redis (worker/queue/lua: one script for each move, so a move is whole or
 * did not happen), and every script may be sent again. A worker holds only leases.
 *
 * GLOSSARY
 *   door      the stream <prefix>in. Programs put jobs there with one XADD.
 *   filing    reading an entry of the door, looking at its body once, and making it a waiting job.
 *   group     waiting jobs of one route, lane and tenant. Groups take turns by weight.
 *   lease     the right to run a job, for a while; renewed here for all jobs at once, by one timer.
 *   fence     the number of the lease. Each claim raises it; what comes with an older one is refused,
 *             except an answer that was paid for: that is kept for the next owner.
 *   parked    back in the queue until a moment, with its finished steps and its note.
 *   held      quarantined: a person looks at it (`flow-worker jobs`).
 *
 * THE WAY OF A JOB
 *   queue_start()         once: checks the server, then files, reaps and renews by itself
 *   queue_claim_start()   waits until there is work; gives up to `want` leases
 *   lease->stored         what earlier runs of the job left: finished steps, notes; its answers are
 *                         behind lease->journal
 *   queue_step_start()    stores a finished step; nothing may use it before that has ended well
 *   queue_finish_start()  the end of this run: done, dead, parked, ...
 *   lease_free()          always, after the finish has ended or when the lease is lost
 *
 * What is sent here is sent again while Redis is away. Steps and finishes end only when they are
 * carried out, refused (ERR_LEASE_LOST), cancelled, or given up (ERR_SHUTDOWN, by queue_give_up() and
 * queue_free()). Answers are kept beyond that: in memory, and as files in spool_dir when Redis stays
 * away. */
#ifndef WORKER_QUEUE_QUEUE_H
#define WORKER_QUEUE_QUEUE_H

#include "common/arena.h"
#include "common/call.h"
#include "common/redis.h"
#include "operations/journal.h"

struct lease;
struct limits;
struct loop;
struct metrics;
struct queue;

/* What a body says about its job, found while filing. Texts in the arena. */
struct job_description {
	const char *tenant; /* used if the entry names none: the flow, the collection, or "-" */
	const char *route;  /* "<provider>/<model>" of the first AI step; "-": none */
	const char *item;   /* "<flow>:<collection>:<key>" if the job is about one item, else NULL:
	                       what failed too often under this text is quarantined */
};

/* What a queue had to leave untold. Nothing is lost with it but answers_lost: leases run out, and
 * other workers take the jobs over. */
struct queue_untold {
	size_t jobs;  /* were still ours: how they ended, or that they are given back */
	size_t steps; /* finished ones: they are run again */
	size_t calls; /* to providers that ended without an answer: they count as ambiguous */
	size_t answers_kept; /* in spool_dir: the next process that uses it brings them */
	size_t answers_lost; /* spool_dir is NULL or can not be written: they count as ambiguous */
};

struct queue_options {
	const struct redis_options *redis;
	const char *prefix;          /* "{flow-worker}:" */
	const char *worker;          /* unique among all processes: host, pid and a random part */
	const char *version;         /* of the program; for people */
	uint32_t slots;              /* how many jobs run here at once; for people */
	uint32_t lease_ms;           /* WORKER_LEASE */
	uint32_t ambiguous_wait_ms;  /* WORKER_AMBIGUOUS_WAIT */
	uint64_t result_ttl_ms;      /* RESULT_TTL */
	uint64_t dead_max_bytes;     /* QUEUE_DEAD_MAX_BYTES */
	uint64_t log_ttl_ms;         /* of the step log; 0: as long as the result */
	size_t job_max_bytes;        /* JOB_MAX_BYTES */
	const char *spool_dir;       /* for answers that Redis does not take; NULL: memory only */
	bool allow_eviction;         /* start although Redis may throw keys away */
	const struct limits *limits; /* worker/queue/limits.h; NULL: none of our own */
	struct metrics *metrics;     /* NULL: calls are not counted */

	void *arg; /* of the functions below, which are called from the top of the loop */
	/* Looks at a body. false and ERR_INVALID_JOB: it is no job; it ends dead there. */
	bool (*describe)(void *arg, struct str body, struct arena *a, struct job_description *out,
			 struct error *err);
	/* What ends without having run here, or NULL: what came in at the door and was no job (dead),
	 * or was lost too often (ERR_STALLED: quarantined). May be told twice. */
	void (*refused)(void *arg, const char *id, const char *tenant, const struct error *err);
	/* Another worker has the job, or may have: stop, write nothing, lease_free(). Told once, and not
	 * while a call to a provider is under way: what it answers was paid for and is kept for the next
	 * owner. Its settle ends with ERR_LEASE_LOST then. */
	void (*lost)(void *arg, struct lease *lease);
	/* Somebody wants the job to stop: end it with QUEUE_CANCELLED. Told once. */
	void (*cancel)(void *arg, struct lease *lease);
	/* For the log: what went wrong inside (err->code ERR_OK: it is good again). */
	void (*note)(void *arg, const struct error *err);
	/* For the log, at the end of queue_free(), or NULL: what was left untold, if anything was. */
	void (*untold)(void *arg, const struct queue_untold *what);
};

/* Options and what they point to must stay. Claims and files nothing before queue_start(). */
struct queue *queue_new(struct loop *l, const struct queue_options *options);
/* No lease may be left. Answers not yet stored are spooled. */
void queue_free(struct queue *q);

/* ERR_CONFIG: the server is older than Redis 6.2, may evict keys, or holds a layout that this
 * program does not know. Keeps trying while nobody answers (cancel it to stop). */
void queue_start(struct queue *q, struct call *c);

/* ---- jobs ---- */

/* One job, ours for a while. Its arena may serve the whole run; lease_free() frees it. */
struct lease {
	struct arena *arena;
	const char *id;
	uint64_t fence;
	uint32_t attempt;                              /* from 1; parking does not count */
	struct str body;                               /* until lease_drop_body() */
	struct arena *body_arena;                      /* NULL: it is gone */
	const char *tenant, *route, *batch, *reply_to; /* "" if there is none */
	int lane;
	uint64_t filed_ms; /* when it came in, time of day */
	uint32_t steps;    /* how many steps are stored */
	bool cancelled;    /* somebody wants it to stop; also true if that was so at the claim */
	bool lost;         /* nothing is written any more, except answers */
	void *run;         /* the owner's */
	struct journal journal; /* for operations (operations/journal.h) */

	/* Set by the run before its first permit: whose limits count. NULL: unknown. */
	const char *flow, *collection, *user;
};

/* The body has been read and is not needed any more: it may be the largest thing that a job has. */
void lease_drop_body(struct lease *lease);

/* Gives up to `want` leases, at least one: it waits until there is work. Ends without any when
 * queue_stop_claiming() was called. `want` may be changed while it waits. One at a time. */
struct claim_call {
	struct call call;
	size_t want;
	struct lease **leases; /* valid until done() returns */
	size_t count;
	struct queue *queue; /* queue_claim.c's */
};
void queue_claim_start(struct queue *q, struct claim_call *c, size_t want);

/* No more claims, no more filing: a claim under way ends without a job, or with the jobs that it has
 * already got. Leases go on being renewed. */
void queue_stop_claiming(struct queue *q);

/* Redis is waited for no longer: a claim ends without a job, and steps, finishes and settles, also those
 * that are started later, with ERR_SHUTDOWN. Answers go to spool_dir. After queue_stop_claiming(). */
void queue_give_up(struct queue *q);

/* What is stored for the job under a name: the JSON of a finished step ("step:<key>"), a note
 * ("note:<key>"), or whatever queue_step_start() was given. false: nothing. */
bool lease_stored(const struct lease *lease, const char *name, struct str *text);

/* Stores texts under names with the job, all or none, before anybody uses them; NULL ptr: forget it.
 * Ends with ERR_LEASE_LOST if the job is no longer ours. */
struct stored_text {
	const char *name;
	struct str text;
};
struct step_call {
	struct call call;
	struct send *send; /* queue_send.c's */
};
void queue_step_start(struct lease *lease, struct step_call *c, const struct stored_text *texts,
		      size_t count);

enum queue_outcome {
	QUEUE_DONE,
	QUEUE_DEAD, /* failed for good; kept for `jobs retry` */
	QUEUE_CANCELLED,
	QUEUE_HOLD,  /* quarantined: a person has to decide */
	QUEUE_PARK,  /* again at at_ms, with its steps and notes; not an attempt. Where a limit is
	                what it waits for (the last refusal of its journal), its whole group waits */
	QUEUE_RETRY, /* again at at_ms because a part is out of order; counts towards `max`, and
	                    ends dead (with `result`) when that is reached. See also directus_is_away */
	QUEUE_RETURN /* again at once, by anybody: we are stopping; not an attempt */
};

struct finish {
	enum queue_outcome outcome;
	struct str result; /* JSON for <prefix>res:<id>: with DONE, DEAD, CANCELLED, HOLD, RETRY;
			    * with PARK what it waits for, in words for people, or empty */
	struct str log;    /* JSON for <prefix>log:<id>, or empty */
	struct str item;   /* JSON for the record of an item of a batch, or empty */
	const char *code;  /* of the error, for lists and counters; NULL: none */
	uint64_t at_ms;    /* time of day; PARK, RETRY */
	/* RETRY: nothing is wrong with the job, Directus is away. It waits with all others of which that
	 * is so, until one that tries finds it back, which none does before not_before_ms (time of day).
	 * It is an attempt only if at_ms of the last one is over. */
	bool directus_is_away;
	uint64_t not_before_ms;
	const char *route;               /* PARK: the route it goes on with; NULL: unchanged */
	const struct stored_text *texts; /* PARK, RETURN, RETRY: stored in the same move */
	size_t text_count;
};

/* Everything in `finish` is copied. Ends with ERR_OK, or ERR_LEASE_LOST: nothing was written. The
 * lease is over either way: call lease_free(). */
struct finish_call {
	struct call call;
	bool became_dead;  /* a RETRY that was one too many */
	struct send *send; /* queue_send.c's */
};
void queue_finish_start(struct lease *lease, struct finish_call *c, const struct finish *finish);

void lease_free(struct lease *lease); /* takes NULL; calls under way for it are ended before */

/* In the last second of a lease nothing new is begun: no call, no write. */
bool lease_may_begin(const struct lease *lease);

/* Fire and forget: a piece of a streamed answer for reply_to. */
void queue_piece(struct lease *lease, uint64_t seq, struct str text);

/* ---- the process ---- */

/* Whether a field of an entry at the door holds what it may, else ERR_INVALID_JOB: for whoever puts a
 * job in and wants to know before it is filed. Empty is as if it were not there. */
bool queue_check_field(const char *prefix, const char *name, const char *text,
		       struct error *err) NODISCARD;

/* How long ago a claim (also one for no job) was last answered: the proof that we are at work. */
uint64_t queue_last_claim_age_ms(const struct queue *q);
bool queue_is_connected(const struct queue *q);
/* How many work on this queue, by their heartbeats; 0: not known yet. */
unsigned queue_workers(const struct queue *q);
size_t queue_lease_count(const struct queue *q);

/* For the HTTP door and for counters: the connection for commands, and the key `prefix + name`. */
struct redis *queue_redis(struct queue *q);
const char *queue_key(const struct queue *q, struct arena *a, const char *name);

#endif
