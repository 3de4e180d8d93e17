/* flow-worker tokens: about how many tokens a text or a picture is, and what they cost. */
#include "common/config.h"
#include "operations/llm_target.h"
#include "operations/media.h"
#include "operations/services.h"
#include "operations/tokens.h"
#include "worker/cli.h"
#include "worker/cli_file.h"
#include "worker/cli_table.h"

#include <stdio.h>

enum { MODEL };

static const struct cli_option options[] = {
	[MODEL] = {"model",						    "PROVIDER:MODEL",
		   "count as this model does; otherwise all ways of counting"},
	{0},
};

static uint64_t count(const struct model *m, struct str bytes)
{
	struct media media = media_sniff(bytes);

	return media.width ? tokens_of_image(m, media.width, media.height, NULL)
			   : tokens_of_text(m->tokenizer, bytes);
}

static int count_for_all(const struct cli *cli, struct str bytes, struct arena *a)
{
	static const struct {
		enum tokenizer tokenizer;
		const char *name, *used_by;
	} all[] = {
		{TOKENIZER_O200K,      "o200k",      "gpt-4o and later; close to Gemini"},
		{TOKENIZER_CL100K,     "cl100k",     "gpt-4, gpt-3.5"                   },
		{TOKENIZER_CLAUDE,     "claude",     "Claude to 4.5"                    },
		{TOKENIZER_CLAUDE_NEW, "claude-new", "Claude 4.6 and later"             },
	};
	cJSON *result = json_object(a);
	struct cli_table table;

	if (media_sniff(bytes).width)
		return cli_wrong_use(cli, "for a picture say which model: --model PROVIDER:MODEL");
	cli_table_start(&table, a, "TOKENS", "COUNTED AS", "USED BY", NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		uint64_t tokens = tokens_of_text(all[i].tokenizer, bytes);

		json_set_number(a, result, all[i].name, (double)tokens);
		cli_table_row(&table, arena_printf(a, "%llu", (unsigned long long)tokens),
			      all[i].name, all[i].used_by, NULL);
	}
	if (cli->json)
		cli_print_json(a, result);
	else
		cli_table_print(&table);
	return CLI_OK;
}

static int count_for(const struct cli *cli, const struct config *config, const char *name,
		     struct str bytes, struct arena *a)
{
	const char *id = NULL;
	const struct provider_config *p = config_split_model(config, name, &id);
	struct error err;
	struct models *models = models_new(config, &err);
	cJSON *result = json_object(a);
	const struct model *m;
	struct llm_usage usage = {.known = true};
	struct cost cost;

	if (!models)
		return cli_failed(cli, &err);
	if (!p) {
		models_free(models);
		return cli_wrong_use(cli, "'%s' is not of the form PROVIDER:MODEL", name);
	}
	m = models_find(models, p, id, a);
	usage.input = count(m, bytes);
	cost = model_cost(m, &usage);
	json_set_text(a, result, "provider", p->id);
	json_set_text(a, result, "model", id);
	json_set_number(a, result, "tokens", (double)usage.input);
	json_set_number(a, result, "context", m->context);
	json_set(a, result, "costUsd",
		 cost.known ? json_number(a, (double)cost.input_nano / 1e9) : json_null(a));
	if (cli->json)
		cli_print_json(a, result);
	else
		(void)printf("about %llu tokens of %u, %s\n", (unsigned long long)usage.input,
			     m->context,
			     cost.known ? cli_dollars(a, (double)cost.input_nano)
					: "price unknown");
	models_free(models);
	return CLI_OK;
}

static int run(struct cli *cli)
{
	struct arena *a = arena_new();
	const struct config *config = cli_config_load(cli, a);
	const char *model = cli_option(cli, MODEL);
	struct error err;
	struct str bytes = {0};
	int status = CLI_FAILED;

	if (config && !cli_file_read(a, cli_argument(cli, 0), &bytes, &err))
		status = cli_failed(cli, &err);
	else if (config)
		status = model ? count_for(cli, config, model, bytes, a)
			       : count_for_all(cli, bytes, a);
	arena_free(a);
	return status;
}

const struct cli_command cli_tokens = {
	.name = "tokens",
	.help = "about how many tokens a text or a picture is",
	.arguments = "FILE|-",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
};
