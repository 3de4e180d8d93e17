/* worker/schedule/schedules.h: fires what is due, in every worker, without a leader.
 *
 * The times are in Redis: each worker looks once a second, or earlier when a tick is near, and for a
 * tick that is due one script moves the schedule on and puts the job at the door, if nobody did
 * before. So each tick fires exactly once however many workers run, and by the server's clock
 * whatever theirs say. The job is cron:<schedule>:<tick>. */
#ifndef WORKER_SCHEDULE_SCHEDULES_H
#define WORKER_SCHEDULE_SCHEDULES_H

#include "common/json.h"

struct loop;
struct redis;
struct schedules;

struct schedules *schedules_new(struct loop *l, struct redis *redis, const char *prefix);
void schedules_free(struct schedules *s); /* takes NULL */

/* Schedules of a file (an array), kept in step: made, changed, and those that the file named before
 * and no longer names are removed. ERR_INVALID_PAYLOAD: what is wrong; nothing has been changed. */
bool schedules_check_file(const cJSON *file, struct error *err) NODISCARD;
void schedules_start(struct schedules *s, const cJSON *file); /* file: NULL for none; must stay */
/* Then run the loop once more before schedules_free(). */
void schedules_stop(struct schedules *s);

/* The arguments of the script cron_set, for the command line. origin: "cli" or "file". */
struct schedule;
void schedule_words(struct arena *a, const cJSON *json, const struct schedule *s,
		    const char *origin, struct str words[5]);

#endif
