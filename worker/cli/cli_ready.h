/* worker/cli/cli_ready.h: `flow-worker status --ready`: whether the worker of this machine takes jobs. For
 * health checks where no other HTTP client is at hand, as in the container image. */
#ifndef WORKER_CLI_READY_H
#define WORKER_CLI_READY_H

struct cli;

/* Asks /ready at WORKER_HTTP_ADDRESS; what the command returns. */
int cli_ready(struct cli *cli);

#endif
