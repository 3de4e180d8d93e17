/* `flow-worker config`: every variable, what is in force and where it came from. */
#include "worker/cli/cli.h"

#include "common/buf.h"
#include "common/config.h"
#include "common/secrets.h"

#include <stdio.h>

enum { MARKDOWN };
enum { OUTPUT_MAX = 1024 * 1024 };

/* clang-format off */
static const struct cli_option options[] = {
	[MARKDOWN] = {"markdown", NULL, "the table of all variables as the README has it"},
	{0},
};
/* clang-format on */

const struct config *cli_config_load(const struct cli *cli, struct arena *a)
{
	const struct config_options from = {.env_file = cli->env_file};
	struct config_report report;
	const struct config *c;

	secrets_protect_process();
	c = config_load(a, &from, &report);
	if (c)
		log_configure(c->log_level, c->log_style);
	for (size_t i = 0; i < report.warning_count; i++)
		log_write(LOG_WARN, "configuration", LOG_TEXT("warning", report.warnings[i]),
			  LOG_END);
	for (size_t i = 0; i < report.error_count; i++)
		fprintf(stderr, "flow-worker: %s\n", report.errors[i]);
	return c;
}

static void print(struct str text)
{
	(void)fwrite(text.ptr, 1, text.len, stdout);
}

static int run(struct cli *cli)
{
	struct arena *a = arena_new();
	const struct config *c = NULL;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	if (cli_option(cli, MARKDOWN)) {
		config_print_markdown(&out);
	} else {
		c = cli_config_load(cli, a);
		if (c && cli->json)
			(void)buf_add_str(&out, json_print_pretty(a, config_print_json(c, a)));
		else if (c)
			config_print_table(c, &out);
		if (c && cli->json)
			(void)buf_add_char(&out, '\n');
	}
	print(buf_str(&out));
	buf_clear(&out);
	arena_free(a);
	return c || cli_option(cli, MARKDOWN) ? CLI_OK : CLI_FAILED;
}

const struct cli_command cli_config = {
	.name = "config",
	.help = "show every variable with the value in force",
	.arguments = "",
	.options = options,
	.run = run,
};
