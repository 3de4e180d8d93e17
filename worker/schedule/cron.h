/* worker/schedule/cron.h: cron expressions: when is the next time?
 *
 * Five fields (minute hour day month weekday), or six with the second first, as Directus' schedules
 * have them. A field is a comma list of `*`, `?`, numbers, names (JAN, MON), ranges (9-17, MON-FRI)
 * and steps (0-58/2, 5/15). Weekday 0 and 7 are Sunday. Where both day and weekday are restricted,
 * either is enough (as in Vixie cron and in Directus' library). Also @yearly @monthly @weekly @daily
 * @hourly.
 *
 * Time zones are those of the tz database. When clocks change:
 *   - forward: what would fire within the hour that is left out fires once, at the moment of the
 *     change; expressions whose hour is `*` go on by the real minutes
 *   - back: what fires within the hour that comes twice fires the first time only; expressions whose
 *     hour is `*` fire in both */
#ifndef WORKER_SCHEDULE_CRON_H
#define WORKER_SCHEDULE_CRON_H

#include "common/error.h"

struct cron {
	uint64_t seconds, minutes;              /* bits 0 to 59 */
	uint32_t hours, days, months, weekdays; /* bits; days from 1, months from 1 */
	bool any_day, any_weekday;              /* the field is not restricted */
	bool every_hour;                        /* the hour is `*` */
	char zone[64];
};

/* zone: "Europe/Berlin"; NULL or "" is UTC. ERR_INVALID_PAYLOAD: which field, what was found, what was
 * expected. */
bool cron_parse(struct cron *c, const char *expression, const char *zone,
		struct error *err) NODISCARD;

/* The first moment after `after_ms` (both since 1970); 0: there is none within eight years. */
uint64_t cron_next(const struct cron *c, uint64_t after_ms);

#endif
