/* flow-worker models: which models there are, what they take and cost, and which may be used. */
#include "common/config.h"
#include "common/loop.h"
#include "operations/models.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_table.h"

#include <stdio.h>
#include <strings.h>

enum { ALL };

/* clang-format off */
static const struct cli_option options[] = {
	[ALL] = {"all", NULL, "also the models of providers that are not configured"},
	{0},
};
/* clang-format on */

struct view {
	const struct cli *cli;
	struct arena *arena;
	struct models *models;
	struct cli_table table;
	cJSON *list;
	char today[11];
};

static cJSON *price_json(struct arena *a, const struct model *m)
{
	cJSON *cost = json_object(a);

	if (!m->price_known)
		return json_null(a);
	json_set_number(a, cost, "input", (double)m->price_input / 1e6);
	json_set_number(a, cost, "output", (double)m->price_output / 1e6);
	json_set_number(a, cost, "cachedInput", (double)m->price_cached / 1e6);
	json_set_number(a, cost, "cacheWrite", (double)m->price_cache_write / 1e6);
	return cost;
}

static cJSON *efforts_json(struct arena *a, const struct model *m)
{
	cJSON *list = json_array(a);

	for (int e = EFFORT_NONE; e <= (int)EFFORT_MAX; e++)
		if (m->efforts & (1U << e))
			json_push(list, json_text(a, effort_name((enum effort)e)));
	return list;
}

static cJSON *model_json(struct view *v, const struct model *m, bool allowed)
{
	struct arena *a = v->arena;
	cJSON *object = json_object(a), *limit = json_object(a);

	json_set_number(a, limit, "context", m->context);
	json_set_number(a, limit, "output", m->output);
	json_set_text(a, object, "provider", m->provider);
	json_set_text(a, object, "model", m->id);
	json_set_text(a, object, "name", m->name);
	json_set(a, object, "limit", limit);
	json_set(a, object, "cost", price_json(a, m));
	json_set_bool(a, object, "attachment", m->attachment);
	json_set_bool(a, object, "reasoning", m->reasoning);
	json_set(a, object, "efforts", efforts_json(a, m));
	json_set_bool(a, object, "temperature",
		      m->sampling == SAMPLING_ANY || m->sampling == SAMPLING_ONE);
	json_set_bool(a, object, "allowed", allowed);
	json_set_text(a, object, "retires", m->retires);
	json_set_bool(a, object, "retired", model_is_retired(m, v->today));
	return object;
}

static const char *price_text(struct arena *a, const struct model *m, uint64_t price)
{
	return m->price_known ? arena_printf(a, "%.4g", (double)price / 1e6) : "?";
}

static void add_row(struct view *v, const struct model *m, bool allowed)
{
	struct arena *a = v->arena;
	const char *retires = m->retires ? m->retires : "";

	if (model_is_retired(m, v->today))
		retires = arena_printf(a, "%s!", m->retires);
	cli_table_row(&v->table, m->provider, m->id, arena_printf(a, "%u", m->context),
		      arena_printf(a, "%u", m->output), price_text(a, m, m->price_input),
		      price_text(a, m, m->price_output), m->attachment ? "yes" : "",
		      m->reasoning ? "yes" : "", allowed ? "yes" : "no", retires, NULL);
}

static void warn(const struct view *v, const struct model *m)
{
	if (m->retires)
		(void)fprintf(stderr, "model '%s' %s %s\n", m->id,
			      model_is_retired(m, v->today) ? "was shut down on"
							    : "will be shut down on",
			      m->retires);
}

static void add_provider(struct view *v, const struct provider_config *p)
{
	const struct model *const *list = models_list(v->models, p, v->arena);
	struct error err;

	for (; *list; list++) {
		bool allowed = p->enabled && models_allowed(v->models, p, *list, v->arena, &err);

		json_push(v->list, model_json(v, *list, allowed));
		add_row(v, *list, allowed);
		/* Of models that nobody may use nobody needs to be warned. */
		if (allowed && p->allowed.set)
			warn(v, *list);
	}
}

static int show(struct view *v, const struct config *config)
{
	const char *only = cli_argument(v->cli, 0);
	bool all = only || cli_option(v->cli, ALL);
	bool found = false;

	cli_table_start(&v->table, v->arena, "PROVIDER", "MODEL", "CONTEXT", "OUTPUT", "$/M IN",
			"$/M OUT", "FILES", "REASONS", "ALLOWED", "SHUT DOWN", NULL);
	for (size_t i = 0; i < config->provider_count; i++) {
		const struct provider_config *p = &config->providers[i];

		if ((only && strcasecmp(only, p->id) != 0) || (!all && !p->enabled))
			continue;
		found = true;
		add_provider(v, p);
	}
	if (only && !found)
		return cli_wrong_use(v->cli, "there is no provider '%s'", only);
	if (v->cli->json)
		cli_print_json(v->arena, v->list);
	else if (v->table.rows)
		cli_table_print(&v->table);
	else
		(void)fprintf(stderr, "no provider is configured: set AI_OPENAI_API_KEY or another "
				      "key, or use --all\n");
	return CLI_OK;
}

static int run(struct cli *cli)
{
	struct view v = {.cli = cli, .arena = arena_new()};
	const struct config *config = cli_config_load(cli, v.arena);
	struct error err;
	int status = CLI_FAILED;

	if (config) {
		v.models = models_new(config, &err);
		v.list = json_array(v.arena);
		model_today(wall_ms(), v.today);
		status = v.models ? show(&v, config) : cli_failed(cli, &err);
	}
	models_free(v.models);
	arena_free(v.arena);
	return status;
}

const struct cli_command cli_models = {
	.name = "models",
	.help = "which models there are, what they take and cost, which may be used",
	.arguments = "[PROVIDER]",
	.arguments_max = 1,
	.options = options,
	.more = "Prices are in US dollars per million tokens; ? is unknown. AI_MODELS changes and "
		"adds.\n"
		"A date with ! has passed.",
	.run = run,
};
