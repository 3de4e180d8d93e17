#include "worker/admin/doctor.h"

#include "common/secrets.h"

#include <stdarg.h>
#include <stdio.h>

enum { FOUND_MAX = 600 };

PRINTF(4, 0)
static void add(struct doctor *d, enum doctor_level level, const char *fix, const char *format,
		va_list args)
{
	struct finding *f = arena_make(d->arena, struct finding);
	char text[FOUND_MAX];

	(void)vsnprintf(text, sizeof(text), format, args);
	f->check = d->check;
	f->level = level;
	f->found = secrets_mask_text(d->arena, arena_strdup(d->arena, text));
	f->fix = secrets_mask_text(d->arena, fix);
	*d->end = f;
	d->end = &f->next;
	d->bad += level == DOCTOR_BAD;
}

void doctor_good(struct doctor *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, DOCTOR_GOOD, NULL, format, args);
	va_end(args);
}

void doctor_skip(struct doctor *d, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, DOCTOR_SKIPPED, NULL, format, args);
	va_end(args);
}

void doctor_warn(struct doctor *d, const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, DOCTOR_WARNING, fix, format, args);
	va_end(args);
}

void doctor_bad(struct doctor *d, const char *fix, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(d, DOCTOR_BAD, fix, format, args);
	va_end(args);
}

static void run_table(struct doctor *d, const struct check *checks)
{
	for (; checks->id; checks++) {
		struct finding **before = d->end;

		d->check = checks->id;
		checks->run(d);
		if (d->end == before)
			doctor_good(d, "nothing wrong");
	}
}

/* What config_load() has said. */
static void check_variables(struct doctor *d)
{
	for (size_t i = 0; i < d->report.error_count; i++)
		doctor_bad(d, "correct it: `flow-worker config` lists all variables", "%s",
			   d->report.errors[i]);
	for (size_t i = 0; i < d->report.warning_count; i++)
		doctor_warn(d, "correct or remove it: `flow-worker config` lists all variables",
			    "%s", d->report.warnings[i]);
}

static const struct check first_checks[] = {
	{"variables", check_variables},
        {NULL,        NULL           }
};

static bool open_setup(struct doctor *d)
{
	struct error err;

	if (!d->config)
		return false;
	if (setup_make(&d->setup, d->config, d->arena, &err))
		return true;
	d->check = "variables";
	doctor_bad(d, "correct AI_MODELS, or the list of models that it names", "%s", err.text);
	return false;
}

void doctor_run(struct doctor *d)
{
	static const struct check *const tables[] = {doctor_process_checks, doctor_redis_checks,
						     doctor_directus_checks,
						     doctor_provider_checks};
	const struct config_options from = {.env_file = d->env_file};

	d->end = &d->first;
	d->config = config_load(d->arena, &from, &d->report);
	run_table(d, first_checks);
	if (!open_setup(d)) {
		d->config = NULL;
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		run_table(d, tables[i]);
}

void doctor_close(struct doctor *d)
{
	redis_free(d->redis);
	if (d->config)
		setup_close(&d->setup); /* and the arena */
	else
		arena_free(d->arena);
}
