/* Failures are collected in a digest; when it is sent the next one begins. */
#include "worker/notice/on_dead.h"

#include "common/json.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/secrets.h"
#include "worker/notice/outbox.h"

#include <stdlib.h>
#include <time.h>

enum {
	BETWEEN_MS = 60 * 1000,
	JOBS_SHOWN = 20,
	NAMES_MAX = 20, /* codes and flows that are counted apart */
	TRIES_MAX = 5
};

static const char in_directus[] = "directus:";

struct digest {
	struct arena *arena;
	uint64_t since_ms;
	double count;
	cJSON *jobs;          /* the first of them */
	cJSON *codes, *flows; /* {"RATE_LIMIT_EXCEEDED": 3} */
};

struct on_dead {
	struct on_dead_options with;
	struct timeout timer;     /* running: not yet */
	struct digest *collected; /* NULL: nothing */
	struct digest *sent;      /* under way; NULL: none */
	unsigned failures;        /* in a row */
	bool is_closing;          /* no minute is waited for */
};

struct on_dead *on_dead_new(const struct on_dead_options *options)
{
	struct on_dead *o;

	if (!options->whom)
		return NULL;
	o = xmalloc(sizeof(*o));
	o->with = *options;
	return o;
}

/* ---- collecting ---- */

static struct digest *digest_new(void)
{
	struct arena *a = arena_new();
	struct digest *d = arena_make(a, struct digest);

	d->arena = a;
	d->since_ms = wall_ms();
	d->jobs = json_array(a);
	d->codes = json_object(a);
	d->flows = json_object(a);
	return d;
}

static void digest_free(struct digest *d)
{
	if (d)
		arena_free(d->arena);
}

static void count(struct digest *d, cJSON *counts, const char *name, double more)
{
	if (!json_get(counts, name) && json_count(counts) >= NAMES_MAX)
		name = "(others)";
	json_set_number(d->arena, counts, name, json_get_number(counts, name, 0) + more);
}

static void add_job(struct digest *d, const struct dead_job *job)
{
	cJSON *line = json_object(d->arena);

	d->count++;
	count(d, d->codes, job->code, 1);
	count(d, d->flows, job->flow, 1);
	if (json_count(d->jobs) >= JOBS_SHOWN)
		return;
	json_set_text(d->arena, line, "id", job->id);
	json_set_text(d->arena, line, "flow", job->flow);
	json_set_text(d->arena, line, "status", job->status);
	json_set_text(d->arena, line, "code", job->code);
	json_set_text(d->arena, line, "message", secrets_mask_text(d->arena, job->message));
	json_push(d->jobs, line);
}

static void join(struct digest *d, const struct digest *later)
{
	const cJSON *item;

	d->count += later->count;
	json_each(item, later->codes)
		count(d, d->codes, item->string, item->valuedouble);
	json_each(item, later->flows)
		count(d, d->flows, item->string, item->valuedouble);
	json_each(item, later->jobs)
		if (json_count(d->jobs) < JOBS_SHOWN)
			json_push(d->jobs, json_copy(d->arena, item));
}

/* ---- telling ---- */

static const char *time_text(struct arena *a, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
	return arena_strdup(a, text);
}

static const char *counts_text(struct arena *a, const cJSON *counts)
{
	const char *text = "";
	const cJSON *item;

	json_each(item, counts)
		text = arena_printf(a, "%s%s%s (%.0f)", text, *text ? ", " : "", item->string,
				    item->valuedouble);
	return text;
}

static bool is_pause(const struct digest *d)
{
	const char *status = json_get_text(json_first(d->jobs), "status");

	return status && strcmp(status, "paused") == 0;
}

static const char *subject(struct arena *a, const struct digest *d)
{
	if (is_pause(d))
		return "flow-worker: no credit is left";
	return arena_printf(a, "flow-worker: %.0f %s failed", d->count,
			    d->count > 1 ? "jobs" : "job");
}

static const char *message(struct arena *a, const struct digest *d)
{
	const cJSON *first = json_first(d->jobs);

	if (is_pause(d))
		return arena_printf(a, "flow-worker: %s", json_get_text(first, "message"));
	return arena_printf(a,
			    "%s since %s: %s; flows: %s. The first: job %s: %s. What to do: "
			    "`flow-worker jobs show %s`; when it is mended: "
			    "`flow-worker jobs retry --code %s`",
			    subject(a, d), time_text(a, d->since_ms), counts_text(a, d->codes),
			    counts_text(a, d->flows), json_get_text(first, "id"),
			    json_get_text(first, "message"), json_get_text(first, "id"),
			    json_get_text(first, "code"));
}

static cJSON *notification(const struct on_dead *o, struct arena *a, const struct digest *d)
{
	cJSON *body = json_object(a);

	json_set_text(a, body, "recipient", o->with.whom + sizeof(in_directus) - 1);
	json_set_text(a, body, "subject", subject(a, d));
	json_set_text(a, body, "message", message(a, d));
	return body;
}

static cJSON *report(const struct on_dead *o, struct arena *a, const struct digest *d)
{
	cJSON *body = json_object(a);

	json_set_text(a, body, "event", is_pause(d) ? "route.paused" : "jobs.failed");
	json_set_text(a, body, "text", message(a, d)); /* what chat programs show */
	json_set_text(a, body, "worker", o->with.worker);
	json_set_text(a, body, "since", time_text(a, d->since_ms));
	json_set_number(a, body, "count", d->count);
	json_set(a, body, "codes", json_copy(a, d->codes));
	json_set(a, body, "flows", json_copy(a, d->flows));
	json_set(a, body, "jobs", json_copy(a, d->jobs));
	return body;
}

static void send_now(struct on_dead *o);

static void time_to_send(struct timeout *t)
{
	send_now(container_of(t, struct on_dead, timer));
}

/* What came in the meantime joins it, for the next time. */
static void not_told(struct on_dead *o, struct digest *d, const struct error *err)
{
	o->failures++;
	if (o->failures >= TRIES_MAX) {
		log_write(LOG_ERROR, "failed jobs could not be told of: WORKER_ON_DEAD",
			  LOG_NUMBER("jobs", d->count), LOG_FAILURE(err), LOG_END);
		o->failures = 0;
		digest_free(d);
		return;
	}
	log_write(LOG_WARN, "failed jobs are told of later: WORKER_ON_DEAD", LOG_FAILURE(err),
		  LOG_END);
	if (o->collected)
		join(d, o->collected);
	digest_free(o->collected);
	o->collected = d;
}

static void was_sent(void *arg, const struct error *err)
{
	struct on_dead *o = arg;
	struct digest *d = o->sent;

	o->sent = NULL;
	if (err->code == ERR_OK) {
		o->failures = 0;
		digest_free(d);
	} else {
		not_told(o, d, err);
	}
	if (o->is_closing && err->code == ERR_OK)
		send_now(o);
	else if (o->collected && !timeout_is_running(&o->timer))
		timeout_start(o->with.loop, &o->timer, BETWEEN_MS, time_to_send);
}

/* Also begins the minute in which nothing more is sent. */
static void send_now(struct on_dead *o)
{
	struct arena *a;
	bool is_directus = strncmp(o->with.whom, in_directus, sizeof(in_directus) - 1) == 0;
	struct outbox_message m = {.sent = was_sent, .arg = o};
	struct error err;

	if (!o->collected || o->sent)
		return;
	a = arena_new();
	o->sent = o->collected;
	o->collected = NULL;
	timeout_start(o->with.loop, &o->timer, BETWEEN_MS, time_to_send);
	m.url = is_directus ? NULL : o->with.whom;
	m.path = is_directus ? "/notifications" : NULL;
	m.body = is_directus ? notification(o, a, o->sent) : report(o, a, o->sent);
	if (outbox_send(o->with.outbox, a, &m))
		return;
	(void)fail(&err, ERR_CONFIG, "too much is under way, or DIRECTUS_URL is not set");
	was_sent(o, &err);
}

void on_dead_tell(struct on_dead *o, const struct dead_job *job)
{
	if (!o)
		return;
	if (!o->collected)
		o->collected = digest_new();
	add_job(o->collected, job);
	if (!timeout_is_running(&o->timer))
		send_now(o);
}

void on_dead_flush(struct on_dead *o)
{
	if (!o)
		return;
	o->is_closing = true;
	send_now(o);
}

void on_dead_free(struct on_dead *o)
{
	if (!o)
		return;
	timeout_stop(o->with.loop, &o->timer);
	if (o->collected)
		log_write(LOG_ERROR, "failed jobs were not told of: WORKER_ON_DEAD",
			  LOG_NUMBER("jobs", o->collected->count), LOG_END);
	digest_free(o->collected);
	digest_free(o->sent);
	free(o);
}
