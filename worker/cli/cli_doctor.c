/* flow-worker doctor: looks at everything that can be wrong, and says what to do about it. */
#include "common/json.h"
#include "common/secrets.h"
#include "worker/admin/doctor.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"

#include <stdio.h>

static const char *const words[] = {[DOCTOR_GOOD] = "ok",
				    [DOCTOR_SKIPPED] = "-",
				    [DOCTOR_WARNING] = "warn",
				    [DOCTOR_BAD] = "FAIL"};

static void print_table(const struct doctor *d)
{
	size_t warnings = 0;

	for (const struct finding *f = d->first; f; f = f->next) {
		printf("%-5s %-20s %s\n", words[f->level], f->check, f->found);
		if (f->fix)
			printf("%-5s %-20s fix: %s\n", "", "", f->fix);
		warnings += f->level == DOCTOR_WARNING;
	}
	printf("\n%zu wrong, %zu warnings\n", d->bad, warnings);
}

static void print_json(const struct doctor *d)
{
	static const char *const statuses[] = {[DOCTOR_GOOD] = "good",
					       [DOCTOR_SKIPPED] = "skipped",
					       [DOCTOR_WARNING] = "warning",
					       [DOCTOR_BAD] = "bad"};
	cJSON *list = json_array(d->arena), *json = json_object(d->arena);

	for (const struct finding *f = d->first; f; f = f->next) {
		cJSON *line = json_object(d->arena);

		json_set_text(d->arena, line, "check", f->check);
		json_set_text(d->arena, line, "status", statuses[f->level]);
		json_set_text(d->arena, line, "found", f->found);
		json_set_text(d->arena, line, "fix", f->fix);
		json_push(list, line);
	}
	json_set_bool(d->arena, json, "good", d->bad == 0);
	json_set(d->arena, json, "checks", list);
	cli_print_json(d->arena, json);
}

static int run(struct cli *cli)
{
	struct doctor d = {.arena = arena_new(), .env_file = cli->env_file};
	int status;

	secrets_protect_process();
	doctor_run(&d);
	if (cli->json)
		print_json(&d);
	else
		print_table(&d);
	status = d.bad ? CLI_FAILED : CLI_OK;
	doctor_close(&d);
	return status;
}

const struct cli_command cli_doctor = {
	.name = "doctor",
	.help = "look at everything that can be wrong, and say what to do",
	.arguments = "",
	.more = "Redis, Directus, each provider's key (by a free call), the process. Changes "
		"nothing.\n"
		"The exit status is 1 if something is wrong; warnings alone are 0.",
	.run = run,
};
