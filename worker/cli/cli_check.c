/* flow-worker check: is this a job, or a flow, that can run here? */
#include "common/config.h"
#include "common/nearest.h"
#include "common/template.h"
#include "operations/llm_target.h"
#include "operations/operation.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/flow/flow_check.h"
#include "worker/flow/job.h"
#include "worker/setup.h"

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

/* One file that is looked at. */
struct check {
	const struct setup *setup;
	struct arena *arena;
	const char *what; /* "job", "flow" */
	cJSON *notes;     /* what hinders nothing: texts */
};

/* NULL: it is not given, and an empty one is none either. */
static const char *text_of(const cJSON *options, const char *name)
{
	const char *text = json_get_text(options, name);

	return text && text[0] ? text : NULL;
}

/* Whether what a run alone can know decides: a template, a key in the options, another model. */
static bool is_left_to_the_run(const struct check *c, const cJSON *options)
{
	static const char *const names[] = {"provider", "aiProvider", "model", "credential"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (template_is_in(json_get(options, names[i])))
			return true;
	return c->setup->config->ai_allow_inline_keys || json_get(options, "fallback");
}

/* Whether the model may be asked here. */
static bool check_model(const struct check *c, const struct flow_node *n, struct error *err)
{
	const char *other_name = text_of(n->options, "aiProvider");
	const char *provider = text_of(n->options, "provider");
	struct llm_choice choice = {.provider = provider ? provider : other_name,
				    .model = text_of(n->options, "model"),
				    .credential = text_of(n->options, "credential")};
	struct llm_target target;
	struct error why;

	if (is_left_to_the_run(c, n->options) ||
	    llm_target(&c->setup->services, &choice, c->arena, &target, &why))
		return true;
	return fail(err, why.code, "operation '%.64s' (%s): %s", n->key, n->type, why.text);
}

/* An option that nobody reads hinders nothing: the Studio leaves some behind. One that is spelled
 * almost like one that counts is another matter. */
static void note_options(const struct check *c, const struct flow_node *n)
{
	const cJSON *given;

	json_each(given, n->options) {
		struct nearest near = {.word = given->string};

		for (const struct option *o = n->op->options; o && o->name; o++)
			nearest_try(&near, o->name);
		if (near.best && near.distance > 0)
			json_push(
				c->notes,
				json_text(c->arena,
					  arena_printf(c->arena,
						       "operation '%.64s' (%s): no option '%.64s', "
						       "did you mean '%s'?",
						       n->key, n->type, given->string, near.best)));
	}
}

static bool check_flow(const struct check *c, const struct flow *flow, struct error *err)
{
	for (size_t i = 0; i < flow->count; i++)
		if (flow->nodes[i].op)
			note_options(c, &flow->nodes[i]);
	if (!flow_check_options(c->arena, flow, err))
		return false;
	for (size_t i = 0; i < flow->count; i++) {
		const struct flow_node *n = &flow->nodes[i];

		if (!n->op)
			continue;
		if (n->op->needs_directus && !c->setup->services.directus)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "operation '%.64s' (%s) needs Directus: set DIRECTUS_URL and "
				    "DIRECTUS_TOKEN",
				    n->key, n->type);
		if (strncmp(n->type, "ai-", 3) == 0 && !check_model(c, n, err))
			return false;
	}
	return true;
}

static bool check_job(const struct check *c, const struct job *job, struct error *err)
{
	if (job->flow)
		return check_flow(c, job->flow, err);
	if (job->flow_name && !c->setup->services.directus)
		return fail(err, ERR_FLOW_NOT_FOUND,
			    "flow '%.100s' is to be read from Directus, but DIRECTUS_URL is not "
			    "set",
			    job->flow_name);
	return true;
}

static bool check_text(struct check *c, struct str text, struct error *err)
{
	const cJSON *json = json_parse(c->arena, text, err);
	struct flow *flow;
	struct job *job;
	bool good;

	if (!json)
		return false;
	if (cJSON_IsObject(json_get(json, "data")) &&
	    json_get(json_get(json, "data"), "operations"))
		json = json_get(json, "data");
	if (is_flow(json)) {
		c->what = "flow";
		flow = flow_parse(c->arena, json, FLOW_OF_JOB, err);
		return flow && check_flow(c, flow, err);
	}
	c->what = "job";
	job = job_parse(text, "check", c->setup->config, err);
	good = job && check_job(c, job, err);
	job_free(job);
	return good;
}

static bool check_file(const struct cli *cli, const struct setup *s, const char *file)
{
	struct arena *a = arena_new();
	struct check c = {.setup = s, .arena = a, .notes = json_array(a)};
	cJSON *line = json_object(a);
	const cJSON *note;
	struct error err;
	struct str text;
	bool good = cli_file_read(a, file, &text, &err) && check_text(&c, text, &err);

	if (cli->json) {
		json_set_text(a, line, "file", file);
		json_set_bool(a, line, "ok", good);
		json_set_text(a, line, "code", good ? NULL : error_name(&err));
		json_set_text(a, line, "message", good ? NULL : err.text);
		json_set(a, line, "notes", c.notes);
		cli_print_json(a, line);
	} else if (good) {
		printf("%s: a %s that can run here\n", file, c.what);
	} else {
		printf("%s: %s: %s\n", file, error_name(&err), err.text);
	}
	json_each(note, c.notes)
		if (!cli->json)
			printf("%s: %s\n", file, note->valuestring);
	arena_free(a);
	return good;
}

static int run(struct cli *cli)
{
	struct setup s;
	int status = CLI_OK;

	if (!setup_open(&s, cli))
		return CLI_FAILED;
	setup_import(&s);
	for (size_t i = 0; i < cli->argument_count; i++)
		if (!check_file(cli, &s, cli_argument(cli, i)))
			status = CLI_FAILED;
	setup_close(&s);
	return status;
}

const struct cli_command cli_check = {
	.name = "check",
	.help = "look at job and flow files: can they run here?",
	.arguments = "FILE…",
	.more = "With the configuration that is in force: operations and their options, what "
		"leads\n"
		"where, models and providers, whether there is a Directus. Asks no provider. What\n"
		"only a run can know (templates) is left out.",
	.arguments_min = 1,
	.arguments_max = CLI_ANY_NUMBER,
	.run = run,
};
