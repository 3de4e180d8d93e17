/* worker/cli/cli_show.h: a dry run's requests to providers on standard output: one JSON line
 * {"method","url","headers","body"} each, secrets masked. */
#ifndef WORKER_CLI_CLI_SHOW_H
#define WORKER_CLI_CLI_SHOW_H

#include "common/arena.h"
#include "operations/services.h"

struct cli_show {
	struct dry_run dry_run;
	struct arena *arena;
};

void cli_show_init(struct cli_show *s, struct arena *a);

#endif
