#include "worker/batch/batch_state.h"

#include "worker/batch/batch.h"

#include <stdlib.h>

/* As in the reply. */
enum {
	LOOK_BATCH,
	LOOK_JOBS,
	LOOK_ENDED,
	LOOK_SPENT,
	LOOK_RESERVED,
	LOOK_MAYBE,
	LOOK_WORKERS,
	LOOK_DRIVER,
	LOOK_RESULT
};

static const char *text_of(struct arena *a, const struct redis_value *list, const char *name)
{
	const char *text = batch_reply(list, name);

	return arena_strdup(a, text ? text : "");
}

static uint64_t number_of(const struct redis_value *list, const char *name)
{
	const char *text = batch_reply(list, name);
	double number = text ? strtod(text, NULL) : 0;

	return number > 0 ? (uint64_t)number : 0;
}

static const struct {
	const char *name;
	size_t at;
} counts[] = {
	{"created",     offsetof(struct batch_state, created_ms) },
	{"ended",       offsetof(struct batch_state, ended_ms)   },
	{"cursor",      offsetof(struct batch_state, cursor)     },
	{"fed",         offsetof(struct batch_state, fed)        },
	{"gone",        offsetof(struct batch_state, gone)       },
	{"total",       offsetof(struct batch_state, length)     },
	{"budget",      offsetof(struct batch_state, budget_nano)},
	{"unkept",      offsetof(struct batch_state, unkept)     },
	{"again",       offsetof(struct batch_state, again)      },
	{"n:done",      offsetof(struct batch_state, done)       },
	{"n:skipped",   offsetof(struct batch_state, skipped)    },
	{"n:conflict",  offsetof(struct batch_state, conflict)   },
	{"n:failed",    offsetof(struct batch_state, failed)     },
	{"n:cancelled", offsetof(struct batch_state, cancelled)  },
};

/* A batch that wants to go on, but whose driver is gone. */
static void find_failure(struct arena *a, const struct redis_value *reply, struct batch_state *s)
{
	struct str driver = reply->items[LOOK_DRIVER].text, result = reply->items[LOOK_RESULT].text;
	struct error err;
	const cJSON *json;
	const char *text;

	if (strcmp(s->state, "running") != 0 && strcmp(s->state, "listing") != 0)
		return;
	if (driver.len && !str_is(driver, "dead") && !str_is(driver, "quarantined"))
		return;
	json = result.len ? json_parse_rounding(a, result, &err) : NULL;
	text = json_get_text(json_get(json, "error"), "message");
	s->state = "failed";
	s->error = text ? text : "nobody looks after it: `batch resume` lets it go on";
}

bool batch_state_read(struct arena *a, const struct redis_value *reply, struct batch_state *s)
{
	const struct redis_value *batch, *jobs;

	if (reply->count <= LOOK_RESULT)
		return false;
	*s = (struct batch_state){.error = NULL};
	batch = &reply->items[LOOK_BATCH];
	jobs = &reply->items[LOOK_JOBS];
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		*(uint64_t *)(void *)((char *)s + counts[i].at) = number_of(batch, counts[i].name);
	s->total = s->length - u64_min(s->length, s->again);
	s->id = text_of(a, batch, "id");
	s->name = text_of(a, batch, "name");
	s->collection = text_of(a, batch, "collection");
	s->flow = text_of(a, batch, "flow");
	s->state = text_of(a, batch, "state");
	s->job = text_of(a, batch, "job");
	s->active = number_of(jobs, "active");
	s->tokens = number_of(jobs, "tokens");
	s->ended = (uint64_t)reply->items[LOOK_ENDED].integer;
	s->spent_nano = number_of(jobs, "nano");
	s->maybe_nano = (uint64_t)reply->items[LOOK_MAYBE].integer;
	s->workers = (uint64_t)reply->items[LOOK_WORKERS].integer;
	find_failure(a, reply, s);
	return true;
}

bool batch_state_is_over(const struct batch_state *s)
{
	return strcmp(s->state, "running") != 0 && strcmp(s->state, "listing") != 0;
}

static void set_count(struct arena *a, cJSON *json, const char *name, uint64_t number)
{
	json_set_number(a, json, name, (double)number);
}

cJSON *batch_state_json(struct arena *a, const struct batch_state *s)
{
	cJSON *json = json_object(a);

	json_set_text(a, json, "batch", s->id);
	json_set_text(a, json, "name", s->name);
	json_set_text(a, json, "state", s->state);
	json_set_text(a, json, "error", s->error);
	json_set_text(a, json, "collection", s->collection);
	json_set_text(a, json, "flow", s->flow);
	set_count(a, json, "total", s->total);
	set_count(a, json, "done", s->done);
	set_count(a, json, "skipped", s->skipped);
	set_count(a, json, "conflict", s->conflict);
	set_count(a, json, "failed", s->failed);
	set_count(a, json, "cancelled", s->cancelled);
	set_count(a, json, "gone", s->gone);
	set_count(a, json, "active", s->active);
	set_count(a, json, "tokens", s->tokens);
	json_set_number(a, json, "costUsd", (double)s->spent_nano / 1e9);
	json_set_number(a, json, "maybeUsd", (double)s->maybe_nano / 1e9);
	json_set(a, json, "budgetUsd",
		 s->budget_nano ? json_number(a, (double)s->budget_nano / 1e9) : json_null(a));
	set_count(a, json, "createdMs", s->created_ms);
	json_set(a, json, "endedMs",
		 s->ended_ms ? json_number(a, (double)s->ended_ms) : json_null(a));
	return json;
}

const char *batch_state_subject(struct arena *a, const struct batch_state *s)
{
	uint64_t failed = s->failed + s->conflict;
	const char *name = s->name[0] ? s->name : s->collection[0] ? s->collection : s->id;

	if (strcmp(s->state, "budget") == 0)
		return arena_printf(a, "Batch %s has stopped: its budget is spent", name);
	return arena_printf(a, "Batch %s is over: %llu done, %llu failed", name,
			    (unsigned long long)s->done, (unsigned long long)failed);
}

const char *batch_state_message(struct arena *a, const struct batch_state *s)
{
	uint64_t over = s->ended + s->gone;

	return arena_printf(
		a,
		"%llu of %llu items are over: %llu done, %llu unchanged, %llu changed by "
		"somebody else, %llu failed, %llu gone. %llu tokens, %.4f USD.",
		(unsigned long long)over, (unsigned long long)s->total, (unsigned long long)s->done,
		(unsigned long long)s->skipped, (unsigned long long)s->conflict,
		(unsigned long long)s->failed, (unsigned long long)s->gone,
		(unsigned long long)s->tokens, (double)s->spent_nano / 1e9);
}
