/* `flow-worker version`: which release this is. */
#include "worker/cli/cli.h"

#include <stdio.h>

static int print_version(struct cli *cli)
{
	if (cli->json)
		printf("{\"version\":\"%s\"}\n", FLOW_WORKER_VERSION);
	else
		puts(FLOW_WORKER_VERSION);
	return CLI_OK;
}

const struct cli_command cli_version = {
	.name = "version",
	.help = "print the version",
	.arguments = "",
	.run = print_version,
};
