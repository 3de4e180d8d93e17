/* worker/cli/exec_spawner.h: flows started by flows in `exec`: at once, in this process. */
#ifndef WORKER_CLI_EXEC_SPAWNER_H
#define WORKER_CLI_EXEC_SPAWNER_H

#include "operations/spawner.h"
#include "worker/flow/run.h"

struct exec_spawner {
	struct spawner spawner;
	struct run_options with; /* of the children; the job is set for each */
};

void exec_spawner_init(struct exec_spawner *s, const struct run_options *with);

#endif
