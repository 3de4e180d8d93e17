/* flow-worker check: is this a job, or a flow, that can run here? */
#include "common/config.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/flow/flow_check.h"
#include "worker/flow/job.h"

#include <stdio.h>

/* A flow says its kind of trigger with a word; in a job `trigger` is data. */
static bool is_flow(const cJSON *json)
{
	static const char *const kinds[] = {"event", "schedule", "manual", "webhook", "operation"};
	const char *trigger = json_get_text(json, "trigger");

	if (cJSON_IsArray(json))
		return true;
	for (size_t i = 0; trigger && i < ARRAY_LEN(kinds); i++)
		if (strcmp(trigger, kinds[i]) == 0)
			return true;
	return json_get(json, "operations") && (json_get(json, "name") || json_get(json, "status"));
}

static bool check_flow(struct arena *a, const struct flow *flow, struct error *err)
{
	return flow == NULL || flow_check_options(a, flow, err);
}

static bool check_text(struct arena *a, const struct config *config, struct str text,
		       const char **what, struct error *err)
{
	const cJSON *json = json_parse(a, text, err);
	struct flow *flow;
	struct job *job;
	bool good;

	if (!json)
		return false;
	if (cJSON_IsObject(json_get(json, "data")) &&
	    json_get(json_get(json, "data"), "operations"))
		json = json_get(json, "data");
	if (is_flow(json)) {
		*what = "flow";
		flow = flow_parse(a, json, FLOW_OF_JOB, err);
		return flow && check_flow(a, flow, err);
	}
	*what = "job";
	job = job_parse(text, "check", config, err);
	good = job && check_flow(a, job->flow, err);
	job_free(job);
	return good;
}

static bool check_file(const struct cli *cli, const struct config *config, const char *file)
{
	struct arena *a = arena_new();
	const char *what = "file";
	cJSON *line = json_object(a);
	struct error err;
	struct str text;
	bool good = cli_file_read(a, file, &text, &err) && check_text(a, config, text, &what, &err);

	if (cli->json) {
		json_set_text(a, line, "file", file);
		json_set_bool(a, line, "ok", good);
		json_set_text(a, line, "code", good ? NULL : error_name(&err));
		json_set_text(a, line, "message", good ? NULL : err.text);
		cli_print_json(a, line);
	} else if (good) {
		printf("%s: a %s that can run here\n", file, what);
	} else {
		printf("%s: %s: %s\n", file, error_name(&err), err.text);
	}
	arena_free(a);
	return good;
}

static int run(struct cli *cli)
{
	struct arena *a = arena_new();
	const struct config *config = cli_config_load(cli, a);
	int status = config ? CLI_OK : CLI_FAILED;

	for (size_t i = 0; config && i < cli->argument_count; i++)
		if (!check_file(cli, config, cli_argument(cli, i)))
			status = CLI_FAILED;
	arena_free(a);
	return status;
}

const struct cli_command cli_check = {
	.name = "check",
	.help = "look at job and flow files: can they run here?",
	.arguments = "FILE…",
	.arguments_min = 1,
	.arguments_max = CLI_ANY_NUMBER,
	.run = run,
};
