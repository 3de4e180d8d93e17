#include "worker/cli/cli_job.h"

#include "worker/cli/cli_file.h"

static bool add_flow(struct arena *a, cJSON *job, const char *file, struct error *err)
{
	cJSON *json = cli_file_json(a, file, err);

	if (!json)
		return false;
	/* What Directus' API has answered holds the flow in `data`. */
	if (cJSON_IsObject(json_get(json, "data")) && !json_get(json, "operations"))
		json = json_share(a, json_get(json, "data"));
	json_set(a, job, cJSON_IsArray(json) ? "operations" : "flow", json);
	return true;
}

static bool add_trigger(struct arena *a, cJSON *job, const char *file, struct error *err)
{
	cJSON *json = cli_file_json(a, file, err);

	if (!json)
		return false;
	json_set(a, job, "trigger", json);
	return true;
}

bool cli_job_text(struct arena *a, const struct cli_job *from, struct str *text, struct error *err)
{
	cJSON *job;

	if (from->file && !cli_file_read(a, from->file, text, err))
		return false;
	if (from->file && !from->flow && !from->trigger)
		return true;
	job = from->file ? json_parse(a, *text, err) : json_object(a);
	if (!job)
		return false;
	if (!cJSON_IsObject(job))
		return fail(err, ERR_INVALID_JOB, "%s: a job is an object, found %s", from->file,
			    json_type_name(job));
	if (from->flow && !add_flow(a, job, from->flow, err))
		return false;
	if (from->trigger && !add_trigger(a, job, from->trigger, err))
		return false;
	*text = json_print(a, job);
	return true;
}
