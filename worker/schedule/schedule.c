#include "worker/schedule/schedule.h"

#include "common/config.h"

enum { ID_MAX = 128, DAY_MS = 86400000 };

static bool wrong(const cJSON *json, const char *name, const char *expected, struct error *err)
{
	const cJSON *found = json_get(json, name);

	return fail(err, ERR_INVALID_PAYLOAD, "schedule '%.64s': '%s' is %.64s, expected %s",
		    json_get_text(json, "id") ? json_get_text(json, "id") : "?", name,
		    cJSON_IsString(found) ? found->valuestring
		    : found               ? json_type_name(found)
					  : "missing",
		    expected);
}

/* The index of a member's text in choices ("one|skip|all"), 0 where it is not given. */
static bool read_choice(const cJSON *json, const char *name, const char *choices, size_t *choice,
			struct error *err)
{
	const char *text = json_get_text(json, name);
	struct str rest = str_of(choices);

	*choice = 0;
	if (!json_get(json, name))
		return true;
	for (size_t i = 0; text && rest.len; i++) {
		const char *bar = memchr(rest.ptr, '|', rest.len);
		struct str one = {rest.ptr, bar ? (size_t)(bar - rest.ptr) : rest.len};

		if (str_is(one, text)) {
			*choice = i;
			return true;
		}
		rest = bar ? (struct str){bar + 1, rest.len - one.len - 1} : (struct str){NULL, 0};
	}
	return wrong(json, name, choices, err);
}

static bool read_jitter(const cJSON *json, struct schedule *s, struct error *err)
{
	const cJSON *jitter = json_get(json, "jitter");

	if (!jitter)
		return true;
	if (cJSON_IsNumber(jitter) && jitter->valuedouble >= 0 && jitter->valuedouble <= DAY_MS)
		s->jitter_ms = (uint64_t)jitter->valuedouble;
	else if (!cJSON_IsString(jitter) || !config_duration(jitter->valuestring, &s->jitter_ms) ||
		 s->jitter_ms > DAY_MS)
		return wrong(json, "jitter", "a time up to a day: ms, 30s, 5m", err);
	return true;
}

static bool read_rest(const cJSON *json, struct schedule *s, struct error *err)
{
	double lane = json_get_number(json, "lane", 2);

	if (json_get(json, "lane") && !(lane == 0 || lane == 1 || lane == 2))
		return wrong(json, "lane", "0, 1 or 2", err);
	s->lane = (int)lane;
	s->tenant = json_get_text(json, "tenant");
	s->enabled = json_get_bool(json, "enabled", true);
	s->job = json_get(json, "job");
	if (!cJSON_IsObject(s->job))
		return wrong(json, "job", "a job", err);
	return read_jitter(json, s, err);
}

bool schedule_parse(const cJSON *json, struct schedule *s, struct error *err)
{
	struct schedule made = {.id = json_get_text(json, "id")};
	size_t choice;
	struct error why;

	made.expression = json_get_text(json, "cron");
	if (!made.id || !made.id[0] || strlen(made.id) > ID_MAX)
		return wrong(json, "id", "a name of at most 128 bytes", err);
	if (!made.expression)
		return wrong(json, "cron", "an expression like '15 2 * * *'", err);
	if (!cron_parse(&made.cron, made.expression, json_get_text(json, "timeZone"), &why))
		return fail(err, why.code, "schedule '%.64s': %s", made.id, why.text);
	if (!read_choice(json, "missed", "one|skip|all", &choice, err))
		return false;
	made.missed = choice == 0 ? MISSED_ONE : choice == 1 ? MISSED_SKIP : MISSED_ALL;
	if (!read_choice(json, "overlap", "skip|queue", &choice, err))
		return false;
	made.overlap_skip = choice == 0;
	if (!read_rest(json, &made, err))
		return false;
	*s = made;
	return true;
}

struct schedule_step schedule_step(const struct schedule *s, uint64_t tick_ms, uint64_t now_ms)
{
	bool is_missed = now_ms > tick_ms + SCHEDULE_MISSED_MS;
	uint64_t following = cron_next(&s->cron, tick_ms);

	if (!is_missed || s->missed == MISSED_ALL)
		return (struct schedule_step){true, following};
	/* The last tick that is due stands for all that were missed. */
	if (s->missed == MISSED_ONE)
		return (struct schedule_step){true, cron_next(&s->cron, now_ms)};
	return (struct schedule_step){false, cron_next(&s->cron, now_ms)};
}
