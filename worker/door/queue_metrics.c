#include "worker/door/queue_metrics.h"

#include "operations/journal.h"
#include "worker/door/metrics.h"

#include <stdlib.h>

/* ---- calls ---- */

void count_refused(struct metrics *m, const struct permit_call *c)
{
	metric_add(m, METRIC_CALLS_REFUSED, 1,
		   LABELS(c->entry.provider, c->call.err.code == ERR_BUDGET ? "budget" : "limit"));
}

void count_cache(struct metrics *m, const struct journal_entry *e, const struct redis_value *saved)
{
	metric_add(m, METRIC_CACHE, 1, LABELS(e->provider, e->model, saved ? "hit" : "miss"));
	if (saved)
		metric_add(m, METRIC_CACHE_SAVED, (double)saved->integer / 1e9,
			   LABELS(e->provider, e->model));
}

static void count_tokens(struct metrics *m, const struct settle_call *c, const char *kind,
			 uint64_t tokens)
{
	metric_add(m, METRIC_TOKENS, (double)tokens,
		   LABELS(c->entry.provider, c->entry.model, kind));
}

void count_settled(struct metrics *m, const struct settle_call *c)
{
	static const char *const outcomes[] = {
		[SETTLE_ANSWER] = "answer",
		[SETTLE_FAILED] = "failed",
		[SETTLE_UNKNOWN] = "unknown",
		[SETTLE_CANCELLED] = "cancelled",
	};
	const char *provider = c->entry.provider, *model = c->entry.model;

	metric_add(m, METRIC_CALLS, 1, LABELS(provider, model, outcomes[c->outcome]));
	if (c->rate_limited)
		metric_add(m, METRIC_RATE_LIMITED, 1, LABELS(provider, model));
	if (c->outcome != SETTLE_ANSWER)
		return;
	metric_add(m, METRIC_CALL_SECONDS, (double)c->ms / 1000, LABELS(provider, model));
	count_tokens(m, c, "input", c->input_tokens);
	count_tokens(m, c, "cached", c->cached_tokens);
	count_tokens(m, c, "output", c->output_tokens);
	metric_add(m, METRIC_COST, (double)c->cost_nano / 1e9, LABELS(provider, model));
}

/* ---- the queue ---- */

enum { REPORT_RESTING = 6 }; /* of report.lua's reply */

/* A number of report.lua's flat list of names and numbers. */
static double number_of(const struct redis_value *list, const char *name)
{
	for (size_t i = 0; i + 1 < list->count; i += 2) {
		const struct redis_value *value = &list->items[i + 1];

		if (str_is(list->items[i].text, name))
			return value->type == REDIS_INTEGER ? (double)value->integer
							    : strtod(value->text.ptr, NULL);
	}
	return 0;
}

/* report.lua: {route, until, factor, why} */
static void count_resting(struct metrics *m, const struct redis_value *list)
{
	double credit = 0, circuit = 0, limit = 0;

	for (size_t i = 3; i < list->count; i += 4) {
		bool is_credit = str_starts(list->items[i].text, STR("credit"));
		bool is_circuit = str_is(list->items[i].text, "circuit");

		credit += is_credit;
		circuit += is_circuit;
		limit += !is_credit && !is_circuit;
	}
	metric_set(m, METRIC_ROUTES_RESTING, credit, LABELS("credit"));
	metric_set(m, METRIC_ROUTES_RESTING, circuit, LABELS("circuit"));
	metric_set(m, METRIC_ROUTES_RESTING, limit, LABELS("limit"));
}

static void reported(struct call *c)
{
	static const char *const states[] = {"door",  "ready",  "limited", "paused",
					     "later", "active", "dead",    "quarantined"};
	struct queue_metrics *q = container_of(c, struct queue_metrics, report.call);
	const struct redis_value *counts = NULL;

	if (c->err.code == ERR_OK && q->report.reply->count > REPORT_RESTING)
		counts = &q->report.reply->items[0];
	for (size_t i = 0; counts && i < ARRAY_LEN(states); i++)
		metric_set(q->metrics, METRIC_QUEUE_JOBS, number_of(counts, states[i]),
			   LABELS(states[i]));
	if (counts) {
		metric_set(q->metrics, METRIC_QUEUE_DEAD_BYTES, number_of(counts, "deadBytes"),
			   NO_LABELS);
		count_resting(q->metrics, &q->report.reply->items[REPORT_RESTING]);
		metric_set(q->metrics, METRIC_QUEUE_CALLS, number_of(counts, "calls"), NO_LABELS);
		metric_set(q->metrics, METRIC_QUEUE_DOOR_AGE, number_of(counts, "doorAgeMs") / 1000,
			   NO_LABELS);
	}
	arena_free(q->arena);
	q->arena = NULL;
}

void queue_metrics_init(struct queue_metrics *q, struct metrics *m, struct redis *redis,
			const char *prefix)
{
	*q = (struct queue_metrics){.metrics = m, .redis = redis};
	scripts_init(&q->scripts, q->redis, prefix);
}

void queue_metrics_refresh(struct queue_metrics *q)
{
	/* No minutes to sum up, no days of costs. */
	static const struct str words[] = {
		{"0", 1},
                {"0", 1}
        };

	if (q->arena)
		return;
	q->arena = arena_new();
	q->report.call.done = reported;
	script_start(&q->scripts, &q->report, q->arena, SCRIPT_REPORT, ARRAY_LEN(words), words);
}

void queue_metrics_clear(struct queue_metrics *q)
{
	arena_free(q->arena);
	q->arena = NULL;
}
