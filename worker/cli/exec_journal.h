/* worker/cli/exec_journal.h: the journal of `exec`, which runs without Redis: every call is admitted, and
 * nothing is remembered when the process has ended. */
#ifndef WORKER_CLI_EXEC_JOURNAL_H
#define WORKER_CLI_EXEC_JOURNAL_H

#include "operations/journal.h"

struct loop;

struct exec_journal {
	struct journal journal;
	struct loop *loop;
};

void exec_journal_init(struct exec_journal *j, struct loop *l);

#endif
