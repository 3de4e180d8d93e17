/* flow-worker tokens: about how many tokens a text or a picture is, and what they cost. */
#include "common/config.h"
#include "operations/journal.h"
#include "operations/media.h"
#include "operations/services.h"
#include "operations/tokens.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_table.h"
#include "worker/queue/calibrations.h"
#include "worker/tokenizers.h"

#include <stdio.h>
#include <unistd.h>

enum { MODEL, STEP };

/* clang-format off */
static const struct cli_option options[] = {
	[MODEL] = {"model", "PROVIDER:MODEL",
		"count as this model does; otherwise all ways of counting"},
	[STEP] = {"step", "[FLOW#]KEY",
		"as past calls of this step to the model have shown; needs Redis"},
	{0},
};
/* clang-format on */

static const char *method_words(const struct model *m)
{
	if (!m->byte_pairs)
		return "classes of characters";
	return tokens_are_exact(m) ? "byte pairs" : "byte pairs of a tokenizer that is near";
}

/* Plain text, or a picture. */
static struct token_count count(const struct model *m, struct str bytes, bool *is_picture)
{
	struct media media = media_sniff(bytes);
	struct token_count counted;

	*is_picture = media.width > 0;
	if (!*is_picture)
		return tokens_of_text(m, bytes);
	counted =
		(struct token_count){.tokens = tokens_of_image(m, media.width, media.height, NULL)};
	counted.guess = counted.tokens;
	return counted;
}

/* What the queue knows of a step; false: what is wrong has been told. */
static bool look_up(struct cli *cli, const struct model *m, const struct token_count *counted,
		    struct calibration *known)
{
	const struct journal_entry e = {.provider = m->provider,
					.model = m->id,
					.step = cli_option(cli, STEP),
					.count = *counted};
	const struct redis_value *rows;
	const char *name;
	struct calibrations *told;
	struct cli_queue q;

	*known = (struct calibration){.calls = 0};
	if (!e.step)
		return true;
	if (!cli_queue_open(&q, cli))
		return false;
	name = calibration_name(q.arena, &e, "");
	rows = cli_queue_command(&q, 4,
				 (const struct str[]){STR("LRANGE"),
						      str_of(cli_queue_key(&q, "past:", name)),
						      STR("0"), STR("-1")});
	told = calibrations_new(q.arena);
	calibrations_told(told, name, rows);
	*known = calibrations_find(told, name, counted);
	cli_queue_close(&q);
	return rows != NULL;
}

/* ---- all ways of counting ---- */

static int count_for_all(const struct cli *cli, const struct models *models, struct str bytes,
			 struct arena *a)
{
	static const struct {
		enum tokenizer tokenizer;
		const char *name, *used_by;
	} all[] = {
		{TOKENIZER_O200K,      "o200k",      "gpt-4o and later"    },
		{TOKENIZER_CL100K,     "cl100k",     "gpt-4, gpt-3.5"      },
		{TOKENIZER_CLAUDE,     "claude",     "Claude to 4.5"       },
		{TOKENIZER_CLAUDE_NEW, "claude-new", "Claude 4.6 and later"},
		{TOKENIZER_GEMMA,      "gemma",      "Gemini; Gemma 3"     },
		{TOKENIZER_LLAMA3,     "llama3",     "Llama 3"             },
		{TOKENIZER_QWEN,       "qwen",       "Qwen 2.5 and 3"      },
		{TOKENIZER_DEEPSEEK,   "deepseek",   "DeepSeek V3, R1"     },
		{TOKENIZER_MISTRAL,    "mistral",    "Mistral from Nemo on"},
	};
	cJSON *result = json_object(a);
	struct cli_table table;

	if (media_sniff(bytes).width)
		return cli_wrong_use(cli, "for a picture say which model: --model PROVIDER:MODEL");
	cli_table_start(&table, a, "TOKENS", "COUNTED AS", "USED BY", "METHOD", NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct model m = {.tokenizer = all[i].tokenizer, .tokenizer_known = true};
		uint64_t tokens;

		models_count_with(models, &m);
		tokens = tokens_of_text(&m, bytes).guess;

		json_set_number(a, result, all[i].name, (double)tokens);
		cli_table_row(&table, arena_printf(a, "%llu", (unsigned long long)tokens),
			      all[i].name, all[i].used_by, method_words(&m), NULL);
	}
	if (cli->json)
		cli_print_json(a, result);
	else
		cli_table_print(&table);
	return CLI_OK;
}

/* ---- a model ---- */

static void tell(const struct cli *cli, const struct model *m, cJSON *result, struct arena *a)
{
	const char *method = json_get_text(result, "method");
	const char *how =
		strcmp(method, "picture") == 0 ? "the model's rule for pictures" : method_words(m);
	const cJSON *usd = json_get(result, "costUsd");

	(void)printf(
		"about %.0f tokens of %u, %s\n", json_get_number(result, "tokens", 0), m->context,
		cJSON_IsNumber(usd) ? cli_dollars(a, usd->valuedouble * 1e9) : "price unknown");
	if (strcmp(method, "calibrated") == 0)
		(void)printf("calibrated by %.0f calls of step '%s', of which %.0f %% were within "
			     "5 %% of what was expected; %.0f by %s\n",
			     json_get_number(result, "calls", 0), cli_option(cli, STEP),
			     json_get_number(result, "within", 0) * 100,
			     json_get_number(result, "estimate", 0), how);
	else
		(void)printf("by %s, not calibrated\n", how);
	if (json_get(result, "outputTokens"))
		(void)printf("95 %% of the answers had %.0f tokens or fewer\n",
			     json_get_number(result, "outputTokens", 0));
}

static const char *method_of(const struct model *m, bool is_picture, bool is_calibrated)
{
	if (is_picture)
		return "picture";
	if (is_calibrated)
		return "calibrated";
	return !m->byte_pairs ? "classes" : tokens_are_exact(m) ? "byte-pairs" : "near-byte-pairs";
}

static int count_for(struct cli *cli, const struct model *m, struct str bytes, struct arena *a)
{
	bool is_picture, is_calibrated;
	struct token_count counted = count(m, bytes, &is_picture);
	struct calibration known;
	struct llm_usage usage = {.known = true};
	cJSON *result = json_object(a);
	struct cost cost;

	if (!look_up(cli, m, &counted, &known))
		return CLI_FAILED;
	is_calibrated = known.input > 0 && !is_picture; /* what was learned is of texts */
	usage.input = is_calibrated ? known.input : counted.guess;
	cost = model_cost(m, &usage);
	json_set_text(a, result, "provider", m->provider);
	json_set_text(a, result, "model", m->id);
	json_set_number(a, result, "tokens", (double)usage.input);
	json_set_text(a, result, "method", method_of(m, is_picture, is_calibrated));
	json_set_number(a, result, "estimate", (double)counted.guess);
	json_set_number(a, result, "calls", is_calibrated ? known.calls : 0);
	if (is_calibrated)
		json_set_number(a, result, "within", known.within);
	if (known.output)
		json_set_number(a, result, "outputTokens", (double)known.output);
	json_set_number(a, result, "context", m->context);
	json_set(a, result, "costUsd",
		 cost.known ? json_number(a, (double)cost.input_nano / 1e9) : json_null(a));
	if (cli->json)
		cli_print_json(a, result);
	else
		tell(cli, m, result, a);
	return CLI_OK;
}

/* PROVIDER:MODEL, or a model that only one of the providers has. NULL: none; that has been told. */
static const struct model *find_model(const struct cli *cli, struct models *models,
				      const struct config *config, struct arena *a)
{
	const char *name = cli_option(cli, MODEL), *id = name;
	const struct provider_config *p = config_split_model(config, name, &id);

	if (!p)
		p = models_provider(models, id = name);
	if (!p)
		(void)cli_wrong_use(cli,
				    "'%s' is not of the form PROVIDER:MODEL, nor a model that one "
				    "of the providers set up here has",
				    name);
	return p ? models_find(models, p, id, a) : NULL;
}

/* A file; or words, which are the text themselves. */
static bool read_text(const struct cli *cli, struct arena *a, struct str *bytes, struct error *err)
{
	const char *argument = cli_argument(cli, 0);

	if (strpbrk(argument, " \n") && access(argument, F_OK) != 0) {
		*bytes = str_of(argument);
		return true;
	}
	return cli_file_read(a, argument, bytes, err);
}

static int count_with(struct cli *cli, struct models *models, const struct config *config,
		      struct arena *a)
{
	const struct model *m;
	struct str bytes;
	struct error err;
	unsigned files;

	if (!tokenizers_load(models, config, true, &files, &err) ||
	    !read_text(cli, a, &bytes, &err))
		return cli_failed(cli, &err);
	if (!cli_option(cli, MODEL))
		return count_for_all(cli, models, bytes, a);
	m = find_model(cli, models, config, a);
	return m ? count_for(cli, m, bytes, a) : CLI_WRONG;
}

static int run(struct cli *cli)
{
	struct arena *a = arena_new();
	const struct config *config = cli_config_load(cli, a);
	struct models *models = NULL;
	struct error err;
	int status = CLI_FAILED;

	if (!cli_option(cli, MODEL) && cli_option(cli, STEP))
		status = cli_wrong_use(cli, "--step needs --model PROVIDER:MODEL");
	else if (config && !(models = models_new(config, &err)))
		status = cli_failed(cli, &err);
	else if (config)
		status = count_with(cli, models, config, a);
	models_free(models);
	arena_free(a);
	return status;
}

const struct cli_command cli_tokens = {
	.name = "tokens",
	.help = "about how many tokens a text or a picture is",
	.arguments = "TEXT|FILE|-",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.run = run,
};
