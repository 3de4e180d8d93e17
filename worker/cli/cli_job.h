/* worker/cli/cli_job.h: the job that a command line describes: a file, a flow file, a trigger file. */
#ifndef WORKER_CLI_CLI_JOB_H
#define WORKER_CLI_CLI_JOB_H

#include "common/json.h"

struct cli_job {
	const char *file;    /* a job; "-" is standard input; NULL: none */
	const char *flow;    /* a file with a flow, or with a list of operations; NULL: none */
	const char *trigger; /* a file with what becomes $trigger; NULL: none */
};

/* The text of the job: the file as it is, so that a signature holds, unless flow or trigger change
 * it. ERR_INVALID_PAYLOAD names the file that could not be read. */
bool cli_job_text(struct arena *a, const struct cli_job *job, struct str *text,
		  struct error *err) NODISCARD;

#endif
