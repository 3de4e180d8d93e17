/* flow-worker tokens: about how many tokens a text or a picture is, and what they cost. */
#include "common/config.h"
#include "operations/llm_target.h"
#include "operations/media.h"
#include "operations/services.h"
#include "operations/tokens.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_table.h"
#include "worker/queue/calibrations.h"

#include <stdio.h>

enum { MODEL, STEP };

static const struct cli_option options[] = {
	[MODEL] = {"model",						    "PROVIDER:MODEL",
		   "count as this model does; otherwise all ways of counting"},
	[STEP] = {"step", "[FLOW#]KEY",
		   "as past calls of this step to the model have shown; needs Redis"},
	{0						    },
};

/* Plain text, or a picture. */
static struct token_count count(const struct model *m, struct str bytes, bool *is_picture)
{
	struct media media = media_sniff(bytes);

	*is_picture = media.width > 0;
	if (*is_picture)
		return (struct token_count){tokens_of_image(m, media.width, media.height, NULL), 0};
	return (struct token_count){tokens_of_text(m->tokenizer, bytes), bytes.len};
}

/* What the queue knows of a step; false: what is wrong has been told. */
static bool look_up(struct cli *cli, const char *provider, const char *model,
		    struct calibration *known)
{
	const struct redis_value *line;
	struct cli_queue q;
	const char *step = cli_option(cli, STEP);

	*known = (struct calibration){.calls = 0};
	if (!step)
		return true;
	if (!cli_queue_open(&q, cli))
		return false;
	line = cli_queue_command(
		&q, 3,
		(const struct str[]){
			STR("HGET"),
			str_of(cli_queue_key(
				&q, "cal:", calibration_name(q.arena, provider, model, "", step))),
			STR("line")});
	if (line && line->type == REDIS_TEXT)
		(void)calibration_parse(line->text, known);
	cli_queue_close(&q);
	return line != NULL;
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

static void tell(const struct cli *cli, const struct model *m, cJSON *result, struct arena *a)
{
	double calls = json_get_number(result, "calls", 0);
	const cJSON *usd = json_get(result, "costUsd");

	(void)printf(
		"about %.0f tokens of %u, %s\n", json_get_number(result, "tokens", 0), m->context,
		cJSON_IsNumber(usd) ? cli_dollars(a, usd->valuedouble * 1e9) : "price unknown");
	if (calls > 0)
		(void)printf(
			"calibrated by %.0f calls of step '%s'; %.0f by classes of characters\n",
			calls, cli_option(cli, STEP), json_get_number(result, "estimate", 0));
	else
		(void)printf("%s\n", strcmp(json_get_text(result, "method"), "picture") == 0
					     ? "by the model's rule for pictures"
					     : "by classes of characters, not calibrated");
	if (json_get(result, "outputTokens"))
		(void)printf("95 %% of the answers had %.0f tokens or fewer\n",
			     json_get_number(result, "outputTokens", 0));
}

static void print_count(const struct cli *cli, const struct model *m, struct str bytes,
			const struct calibration *known, cJSON *result, struct arena *a)
{
	bool is_picture;
	struct token_count counted = count(m, bytes, &is_picture);
	struct calibration of_texts = *known;
	struct llm_usage usage = {.known = true};
	struct cost cost;

	if (is_picture)
		of_texts.calls = 0; /* what was learned is of texts */
	usage.input = calibration_input(&of_texts, &counted, counted.tokens);
	cost = model_cost(m, &usage);
	json_set_number(a, result, "tokens", (double)usage.input);
	json_set_text(a, result, "method",
		      is_picture           ? "picture"
		      : of_texts.calls > 0 ? "calibrated"
					   : "classes");
	json_set_number(a, result, "estimate", (double)counted.tokens);
	json_set_number(a, result, "calls", of_texts.calls);
	if (of_texts.output_p95)
		json_set_number(a, result, "outputTokens", (double)of_texts.output_p95);
	json_set_number(a, result, "context", m->context);
	json_set(a, result, "costUsd",
		 cost.known ? json_number(a, (double)cost.input_nano / 1e9) : json_null(a));
	if (cli->json)
		cli_print_json(a, result);
	else
		tell(cli, m, result, a);
}

static int count_for(struct cli *cli, const struct config *config, const char *name,
		     struct str bytes, struct arena *a)
{
	const char *id = NULL;
	const struct provider_config *p = config_split_model(config, name, &id);
	struct error err;
	struct models *models;
	struct calibration known;
	cJSON *result = json_object(a);

	if (!p)
		return cli_wrong_use(cli, "'%s' is not of the form PROVIDER:MODEL", name);
	if (!look_up(cli, p->id, id, &known))
		return CLI_FAILED;
	models = models_new(config, &err);
	if (!models)
		return cli_failed(cli, &err);
	json_set_text(a, result, "provider", p->id);
	json_set_text(a, result, "model", id);
	print_count(cli, models_find(models, p, id, a), bytes, &known, result, a);
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
		status = !model && cli_option(cli, STEP)
				 ? cli_wrong_use(cli, "--step needs --model PROVIDER:MODEL")
			 : model ? count_for(cli, config, model, bytes, a)
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
