/* worker/schedule/schedule.h: one schedule: when, what, and what about the times that were missed.
 *
 *	{"id":"nightly","cron":"15 2 * * *","timeZone":"Europe/Berlin",
 *	 "job":{"flow":"Nightly summaries"},          any job; its trigger is null unless it has one
 *	 "missed":"one","overlap":"skip","jitter":"5m","lane":2,"tenant":"editors","enabled":true}
 *
 * missed: ticks that came while no worker ran: "one" (default) fires once for all of them, "skip"
 * none, "all" each. overlap: what a tick does while the job of the last one is alive: "skip"
 * (default) or "queue". jitter: each firing is put off by up to so long, so that many schedules of
 * the same minute do not start together. */
#ifndef WORKER_SCHEDULE_SCHEDULE_H
#define WORKER_SCHEDULE_SCHEDULE_H

#include "common/json.h"
#include "worker/schedule/cron.h"

enum missed { MISSED_ONE, MISSED_SKIP, MISSED_ALL };

/* A tick that is later than this counts as missed. */
enum { SCHEDULE_MISSED_MS = 60000 };

struct schedule {
	const char *id, *expression;
	struct cron cron;
	const cJSON *job; /* an object */
	enum missed missed;
	bool overlap_skip, enabled;
	uint64_t jitter_ms;
	int lane;           /* 0 to 2 */
	const char *tenant; /* NULL: as for any job */
};

/* json must stay as long as the schedule. ERR_INVALID_PAYLOAD says which member, what was found and
 * what was expected. The job itself is looked at when it is filed. */
bool schedule_parse(const cJSON *json, struct schedule *s, struct error *err) NODISCARD;

/* What a tick that is due means now: whether it fires, and which tick is next (0: none). */
struct schedule_step {
	bool fires;
	uint64_t next_ms;
};
struct schedule_step schedule_step(const struct schedule *s, uint64_t tick_ms, uint64_t now_ms);

#endif
