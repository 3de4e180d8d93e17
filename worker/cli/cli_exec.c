/* flow-worker exec: one job here and now, without Redis. */
#include "common/config.h"
#include "common/digest.h"
#include "common/loop.h"
#include "common/secrets.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_job.h"
#include "worker/cli/cli_show.h"
#include "worker/cli/exec_journal.h"
#include "worker/cli/exec_spawner.h"
#include "worker/flow/flows.h"
#include "worker/flow/redact.h"
#include "worker/flow/run.h"
#include "worker/setup.h"

#include <stdio.h>

enum { FLOW, TRIGGER, FLOWS, DRY_RUN };

/* clang-format off */
static const struct cli_option options[] = {
	[FLOW] = {"flow", "FILE", "run the flow of this file; the job may then be left out"},
	[TRIGGER] = {"trigger", "FILE", "what becomes $trigger"},
	[FLOWS] = {"flows", "FILE", "flows to find by id or name here, not in Directus"},
	[DRY_RUN] = {"dry-run", NULL, "call no provider and write nothing: show the requests"},
	{0},
};
/* clang-format on */

/* ---- the run ---- */

static int print_result(const struct run *r, bool dry_run)
{
	struct arena *a = r->arena;
	const char *status = r->outcome == RUN_DONE        ? "done"
			     : r->outcome == RUN_CANCELLED ? "cancelled"
			     : r->outcome == RUN_HELD      ? "quarantined"
							   : "dead";
	const cJSON *env = json_get(r->chain.values, "$env");
	cJSON *result = run_result(r, status);

	json_set(a, result, "data", redact(a, chain_shown(&r->chain), env));
	json_set(a, result, "steps", redact(a, r->steps, env));
	if (!dry_run || r->outcome != RUN_DONE)
		cli_print_json(a, result);
	return r->outcome == RUN_DONE ? CLI_OK : CLI_FAILED;
}

static int refuse(struct arena *a, const char *id, const struct error *err)
{
	cJSON *result = run_refused(a, id, err, 1);

	json_set(a, result, "data", json_object(a));
	json_set(a, result, "steps", json_array(a));
	secrets_mask_json(a, result);
	cli_print_json(a, result);
	return CLI_FAILED;
}

static int exec_job(struct setup *s, struct str text, bool dry_run)
{
	struct cli_show shower;
	struct exec_journal journal;
	struct exec_spawner spawner;
	struct run_options with = {.use = &s->services, .attempt = 1};
	struct error err;
	struct run *r;
	char id[UUID_SIZE];
	int status;

	uuid_random(id);
	with.job = job_parse(text, id, s->config, &err);
	if (!with.job)
		return refuse(s->arena, id, &err);
	exec_journal_init(&journal, s->services.loop);
	cli_show_init(&shower, s->arena);
	if (dry_run)
		s->services.dry_run = &shower.dry_run;
	with.journal = &journal.journal;
	with.flows = s->flows;
	with.env = s->config->flow_env;
	exec_spawner_init(&spawner, &with);
	with.spawner = &spawner.spawner;
	r = run_new(&with);
	run_start(r, s->services.loop);
	setup_wait(s, &r->task.call);
	status = print_result(r, dry_run);
	job_free(with.job);
	return status;
}

static int exec_with(struct cli *cli, struct setup *s)
{
	struct cli_job job = {cli_argument(cli, 0), cli_option(cli, FLOW),
			      cli_option(cli, TRIGGER)};
	struct error err;
	struct str text;
	const cJSON *flows;

	if (!cli_job_text(s->arena, &job, &text, &err))
		return refuse(s->arena, "-", &err);
	if (cli_option(cli, FLOWS)) {
		flows = cli_file_json(s->arena, cli_option(cli, FLOWS), &err);
		if (!flows)
			return cli_failed(cli, &err);
		flows_free(s->flows);
		s->flows = flows_new_of(s->services.loop, s->arena, flows);
	}
	return exec_job(s, text, cli_option(cli, DRY_RUN) != NULL);
}

static int run(struct cli *cli)
{
	struct setup s;
	int status;

	if (!cli_argument(cli, 0) && !cli_option(cli, FLOW))
		return cli_wrong_use(cli, "which job? JOB is a file, or - for standard input");
	if (!setup_open(&s, cli))
		return CLI_FAILED;
	setup_import(&s);
	status = setup_count(&s, cli) ? exec_with(cli, &s) : CLI_FAILED;
	setup_close(&s);
	return status;
}

const struct cli_command cli_exec = {
	.name = "exec",
	.help = "run one job here and now, without Redis",
	.arguments = "[JOB|-]",
	.arguments_max = 1,
	.options = options,
	.more = "Prints one result object, with \"data\" (the data chain) and \"steps\", also "
		"when the job fails.\n"
		"With --dry-run: one line {\"method\",\"url\",\"headers\",\"body\"} for each "
		"request to a provider.",
	.run = run,
};
