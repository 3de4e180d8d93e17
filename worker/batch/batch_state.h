/* worker/batch/batch_state.h: how a batch is, as batch_look.lua tells it: for its driver and for people. */
#ifndef WORKER_BATCH_BATCH_STATE_H
#define WORKER_BATCH_BATCH_STATE_H

#include "common/json.h"
#include "common/redis.h"

struct batch_state {
	const char *id, *name, *collection, *flow;
	/* listing running paused budget done cancelled; failed: nobody drives it, `error` says why */
	const char *state, *job, *error;
	uint64_t created_ms, ended_ms;
	uint64_t length;      /* of the list, when it is complete */
	uint64_t again;       /* how many are on it a second time */
	uint64_t total;       /* items */
	uint64_t cursor, fed; /* looked at; given to the door */
	uint64_t ended;       /* items that have ended */
	uint64_t gone;        /* not there any more, or not matching, when they were looked at */
	uint64_t done, skipped, conflict, failed, cancelled; /* items, by what became of them */
	uint64_t active;                                     /* running now */
	uint64_t budget_nano;                                /* 0: none */
	uint64_t spent_nano, maybe_nano; /* maybe: calls whose answer never came */
	uint64_t tokens;
	uint64_t unkept;  /* writes that can not be reverted: there was no room */
	uint64_t workers; /* alive */
};

/* false: there is no such batch. Texts in the arena. */
bool batch_state_read(struct arena *a, const struct redis_value *reply, struct batch_state *s);
cJSON *batch_state_json(struct arena *a, const struct batch_state *s);

/* Whether nothing will happen any more unless somebody does something. */
bool batch_state_is_over(const struct batch_state *s);

/* For a notification. */
const char *batch_state_subject(struct arena *a, const struct batch_state *s);
const char *batch_state_message(struct arena *a, const struct batch_state *s);

#endif
