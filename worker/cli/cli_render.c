/* flow-worker render: a template and a data chain in, what an operation would get out. */
#include "common/template.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"

enum { TEMPLATE, DATA };

/* clang-format off */
static const struct cli_option options[] = {
	[TEMPLATE] = {"template", "FILE",
		"a JSON value with templates in it; - for standard input"},
	[DATA] = {"data", "FILE", "the data chain: an object with $trigger, $last, …"},
	{0},
};
/* clang-format on */

static int render(struct cli *cli, struct arena *a)
{
	struct template_options with = {.where = NULL};
	struct error err;
	cJSON *value, *resolved;

	value = cli_file_json(a, cli_option(cli, TEMPLATE), &err);
	if (!value)
		return cli_failed(cli, &err);
	with.chain = cli_option(cli, DATA) ? cli_file_json(a, cli_option(cli, DATA), &err)
					   : json_object(a);
	if (!with.chain)
		return cli_failed(cli, &err);
	if (!cJSON_IsObject(with.chain))
		return cli_wrong_use(cli, "the data chain must be an object, found %s",
				     json_type_name(with.chain));
	resolved = template_resolve(a, value, &with, &err);
	if (!resolved)
		return cli_failed(cli, &err);
	cli_print_json(a, resolved);
	return CLI_OK;
}

static int run(struct cli *cli)
{
	struct arena *a;
	int status;

	if (!cli_option(cli, TEMPLATE))
		return cli_wrong_use(cli, "which template? --template FILE");
	a = arena_new();
	status = render(cli, a);
	arena_free(a);
	return status;
}

const struct cli_command cli_render = {
	.name = "render",
	.help = "resolve the templates of a JSON value against a data chain",
	.arguments = "",
	.options = options,
	.run = run,
};
