/* Covers worker/flow/job.c, flow.c and flow_check.c: any bytes are a job whose flow is whole, or are refused
 * with a reason. */
#include "common/config.h"
#include "worker/flow/flow_check.h"
#include "worker/flow/job.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void check_job(struct job *job, const struct config *config)
{
	struct error err;

	if (!job_tenant(job)[0] || !job_route(job, config)[0])
		abort();
	(void)job_item(job);
	if (!job->flow)
		return;
	if (!job->flow->first)
		abort();
	for (size_t i = 0; i < job->flow->count; i++)
		if (!job->flow->nodes[i].op || !job->flow->nodes[i].key)
			abort();
	(void)flow_check_options(job->arena, job->flow, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct config config = {.job_max_bytes = 1 << 20,
					     .worker_job_secret = "job-secret",
					     .ai_default_model = "openai:gpt-4.1"};
	struct error err = {.code = ERR_OK};
	struct job *job = job_parse((struct str){(const char *)bytes, size}, "fuzz", &config, &err);

	if (job)
		check_job(job, &config);
	else if (err.code == ERR_OK || !err.text[0])
		abort();
	job_free(job);
	return 0;
}
