/* worker/cli/cli_erase.h: `flow-worker jobs purge --item`: all that the queue holds for an item. */
#ifndef WORKER_CLI_CLI_ERASE_H
#define WORKER_CLI_CLI_ERASE_H

#include "worker/cli/cli_queue.h"

/* only_look: tells what would go, and changes nothing. -> the exit status. */
int cli_erase(struct cli_queue *q, const char *item, bool only_look);

#endif
