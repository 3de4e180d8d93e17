/* worker/admin/doctor.h: what can be wrong with a worker's surroundings, one function for each.
 *
 * A check is a function and a line in the table of its file; doctor_checks[] lists the tables in the
 * order in which they run and are printed. A check tells what it found by doctor_good(), _warn(),
 * _bad() or _skip(), as often as it likes: each is a line for people. What was found comes first, with
 * the value that was found; `fix` is what to do about it, in one or two sentences. Only _bad() makes
 * the exit status 1: a warning is something that works today.
 *
 * Checks change nothing, and cost nothing: a provider's key is tried on its list of models. They
 * see no secret but through rest.h, and texts are masked when they are printed. */
#ifndef WORKER_ADMIN_DOCTOR_H
#define WORKER_ADMIN_DOCTOR_H

#include "common/config.h"
#include "worker/admin/rest.h"
#include "worker/queue/scripts.h"
#include "worker/setup.h"

struct doctor;

struct check {
	const char *id; /* "redis-eviction" */
	void (*run)(struct doctor *d);
};

enum doctor_level { DOCTOR_GOOD, DOCTOR_SKIPPED, DOCTOR_WARNING, DOCTOR_BAD };

struct finding {
	const char *check;
	enum doctor_level level;
	const char *found, *fix; /* fix: NULL for good and skipped ones */
	struct finding *next;
};

struct doctor {
	struct arena *arena;
	const char *env_file;        /* as on the command line; or NULL */
	const struct config *config; /* NULL: it is wrong, and only the first check has run */
	struct config_report report;
	struct setup setup;

	/* doctor_redis.c's */
	struct redis *redis;
	struct error redis_err; /* why there is no connection */
	struct scripts scripts;
	bool has_redis;
	const char *info; /* the reply to INFO; NULL: refused */

	/* doctor_directus.c's */
	struct rest directus;
	bool has_directus;     /* it answers, and knows the token */
	const cJSON *about;    /* /server/info */
	const cJSON *may;      /* /permissions/me */
	const cJSON *settings; /* what the token sees of /settings; or NULL */
	const char *user;      /* the id of the worker's user */
	const char *date;      /* its clock */

	const char *check; /* under way */
	struct finding *first, **end;
	size_t bad;
};

/* Each table ends with {0}. */
extern const struct check doctor_process_checks[], doctor_redis_checks[], doctor_directus_checks[],
	doctor_provider_checks[];

PRINTF(2, 3) void doctor_good(struct doctor *d, const char *format, ...);
PRINTF(2, 3) void doctor_skip(struct doctor *d, const char *format, ...);
PRINTF(3, 4) void doctor_warn(struct doctor *d, const char *fix, const char *format, ...);
PRINTF(3, 4) void doctor_bad(struct doctor *d, const char *fix, const char *format, ...);

void doctor_run(struct doctor *d);
void doctor_close(struct doctor *d); /* what the checks have opened */

#endif
