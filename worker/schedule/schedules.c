#include "worker/schedule/schedules.h"

#include "common/digest.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/task.h"
#include "worker/queue/scripts.h"
#include "worker/schedule/schedule.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOK_MS = 1000, DUE_AT_ONCE = 50 };

struct schedules {
	struct task task; /* one look at what is due; runs again and again */
	struct loop *loop;
	struct redis *redis;
	struct scripts scripts;
	struct timeout timer;
	struct arena *arena; /* of the look under way */
	struct redis_call call;
	const cJSON *file;  /* still to be put into Redis; NULL: that is done */
	const cJSON *entry; /* ... its entry under way */
	const struct redis_value *due;
	size_t at;    /* in due */
	uint64_t now; /* the server's */
	int64_t next; /* the next tick, or -1 */
	bool looking, stopped;
};

static task_step begin, next_entry, listed, forget_next, look, looked, fire_next, fired;

static struct schedules *schedules_of(struct task *t)
{
	return container_of(t, struct schedules, task);
}

static void ask(struct schedules *s, enum script script, const struct str *words, size_t count)
{
	script_start(&s->scripts, &s->call, s->arena, script, count, words);
}

static enum task_next begin(struct task *t)
{
	struct schedules *s = schedules_of(t);

	s->arena = arena_new();
	s->entry = s->file ? s->file->child : NULL;
	return s->file ? task_go(t, next_entry) : task_go(t, look);
}

/* ---- the file ---- */

static struct str when_of(struct arena *a, const struct schedule *s)
{
	return str_of(arena_printf(a, "%s|%s|%d", s->expression, s->cron.zone, s->enabled));
}

void schedule_words(struct arena *a, const cJSON *json, const struct schedule *s,
		    const char *origin, struct str words[5])
{
	words[0] = str_of(s->id);
	words[1] = json_print(a, json);
	words[2] = when_of(a, s);
	words[3] = word_of(a, s->enabled ? cron_next(&s->cron, wall_ms()) : 0);
	words[4] = str_of(origin);
}

static enum task_next next_entry(struct task *t)
{
	struct schedules *s = schedules_of(t);
	const cJSON *json = s->entry;
	struct schedule schedule;
	struct str words[5], all = STR("");
	struct error err;

	if (!json) {
		ask(s, SCRIPT_CRON_LIST, &all, 1);
		return task_await_either(t, &s->call.call, listed);
	}
	if (s->call.call.err.code != ERR_OK || !schedule_parse(json, &schedule, &err))
		return task_end(t); /* Redis is away: the next look begins with the file again */
	s->entry = json->next;
	schedule_words(s->arena, json, &schedule, "file", words);
	ask(s, SCRIPT_CRON_SET, words, ARRAY_LEN(words));
	return task_await_either(t, &s->call.call, next_entry);
}

static bool is_in_file(const struct schedules *s, struct str id)
{
	const cJSON *json;

	json_each(json, s->file)
		if (str_is(id, json_get_text(json, "id")))
			return true;
	return false;
}

static enum task_next listed(struct task *t)
{
	struct schedules *s = schedules_of(t);

	if (s->call.call.err.code != ERR_OK)
		return task_end(t);
	s->due = s->call.reply;
	s->at = 0;
	return task_go(t, forget_next);
}

static enum task_next forget_next(struct task *t)
{
	struct schedules *s = schedules_of(t);

	if (s->call.call.err.code != ERR_OK)
		return task_end(t);
	for (; s->at < s->due->count; s->at++) {
		const struct redis_value *row = &s->due->items[s->at];

		if (str_is(row->items[3].text, "file") && !is_in_file(s, row->items[0].text)) {
			s->at++;
			ask(s, SCRIPT_CRON_REMOVE, &row->items[0].text, 1);
			return task_await_either(t, &s->call.call, forget_next);
		}
	}
	s->file = NULL;
	return task_go(t, look);
}

/* ---- what is due ---- */

static enum task_next look(struct task *t)
{
	struct schedules *s = schedules_of(t);
	struct str most = word_of(s->arena, DUE_AT_ONCE);

	ask(s, SCRIPT_CRON_DUE, &most, 1);
	return task_await_either(t, &s->call.call, looked);
}

static enum task_next looked(struct task *t)
{
	struct schedules *s = schedules_of(t);
	const struct redis_value *reply = s->call.reply;

	if (s->call.call.err.code != ERR_OK)
		return task_end(t);
	s->now = (uint64_t)reply->items[0].integer;
	s->next = reply->items[1].integer;
	s->due = &reply->items[2];
	s->at = 0;
	return task_go(t, fire_next);
}

/* The same for whoever asks: up to jitter_ms, by the name of the tick. */
static uint64_t put_off(const struct schedule *s, uint64_t tick_ms)
{
	char name[256], hex[DIGEST_HEX_SIZE];

	if (s->jitter_ms == 0)
		return 0;
	(void)snprintf(name, sizeof(name), "%s:%llu", s->id, (unsigned long long)tick_ms);
	sha256_hex(str_of(name), hex);
	hex[12] = '\0';
	return strtoull(hex, NULL, 16) % (s->jitter_ms + 1);
}

static void fire(struct schedules *s, const struct schedule *schedule, struct str tick)
{
	struct arena *a = s->arena;
	uint64_t tick_ms = strtoull(tick.ptr, NULL, 10);
	struct schedule_step step = schedule_step(schedule, tick_ms, s->now);
	struct str words[] = {
		str_of(schedule->id),
		tick,
		word_of(a, step.next_ms),
		str_of(step.fires ? "1" : "0"),
		str_of(schedule->overlap_skip ? "1" : "0"),
		word_of(a, put_off(schedule, tick_ms)),
		word_of(a, (uint64_t)schedule->lane),
		str_of(schedule->tenant ? schedule->tenant : ""),
		json_print(a, schedule->job),
	};

	log_write(LOG_DEBUG, "schedule is due", LOG_TEXT("schedule", schedule->id),
		  LOG_BOOL("fires", step.fires), LOG_END);
	ask(s, SCRIPT_CRON_FIRE, words, ARRAY_LEN(words));
}

static enum task_next fire_next(struct task *t)
{
	struct schedules *s = schedules_of(t);
	const struct redis_value *items = s->due->items;
	struct schedule schedule;
	const cJSON *json;
	struct error err;

	for (; s->at + 2 < s->due->count; s->at += 3) {
		json = json_parse_rounding(s->arena, items[s->at + 2].text, &err);
		if (json && schedule_parse(json, &schedule, &err)) {
			fire(s, &schedule, items[s->at + 1].text);
			s->at += 3;
			return task_await_either(t, &s->call.call, fired);
		}
		log_write(LOG_ERROR, "schedule can not be read: remove it, and add it again",
			  LOG_STR("schedule", items[s->at].text), LOG_FAILURE(&err), LOG_END);
	}
	return task_end(t);
}

static enum task_next fired(struct task *t)
{
	struct schedules *s = schedules_of(t);

	if (s->call.call.err.code == ERR_OK && s->call.reply->integer == 1)
		log_write(LOG_INFO, "schedule fired",
			  LOG_STR("schedule", s->due->items[s->at - 3].text), LOG_END);
	return task_go(t, fire_next);
}

/* ---- again and again ---- */

static void look_again(struct timeout *timer);

static void look_over(struct call *c)
{
	struct schedules *s = container_of(c, struct schedules, task.call);
	uint64_t rest = LOOK_MS;

	if (c->err.code == ERR_OK && s->next >= 0 && (uint64_t)s->next < s->now + LOOK_MS)
		rest = (uint64_t)s->next > s->now ? (uint64_t)s->next - s->now : 0;
	if (s->due && s->due->count >= 3 * (size_t)DUE_AT_ONCE)
		rest = 0;
	s->due = NULL;
	arena_free(s->arena);
	s->arena = NULL;
	s->looking = false;
	if (!s->stopped)
		timeout_start(s->loop, &s->timer, rest, look_again);
}

static void look_again(struct timeout *timer)
{
	struct schedules *s = container_of(timer, struct schedules, timer);

	s->looking = true;
	s->next = -1;
	s->call.call.err.code = ERR_OK;
	s->task.call.done = look_over;
	task_start(&s->task, s->loop, begin);
}

struct schedules *schedules_new(struct loop *l, struct redis *redis, const char *prefix)
{
	struct schedules *s = xmalloc(sizeof(*s));

	s->loop = l;
	s->redis = redis;
	scripts_init(&s->scripts, redis, prefix);
	return s;
}

void schedules_start(struct schedules *s, const cJSON *file)
{
	s->file = file;
	timeout_start(s->loop, &s->timer, 0, look_again);
}

void schedules_stop(struct schedules *s)
{
	s->stopped = true;
	timeout_stop(s->loop, &s->timer);
	if (s->looking)
		call_cancel(&s->task.call, ERR_SHUTDOWN);
}

void schedules_free(struct schedules *s)
{
	if (!s)
		return;
	timeout_stop(s->loop, &s->timer);
	arena_free(s->arena);
	free(s);
}

bool schedules_check_file(const cJSON *file, struct error *err)
{
	struct schedule schedule;
	const cJSON *json;

	if (!cJSON_IsArray(file))
		return fail(err, ERR_INVALID_PAYLOAD, "schedules: found %s, expected an array",
			    json_type_name(file));
	json_each(json, file)
		if (!schedule_parse(json, &schedule, err))
			return false;
	return true;
}
