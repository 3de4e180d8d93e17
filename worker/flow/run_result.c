/* What is told of a run: its result and its log. */
#include "common/secrets.h"
#include "worker/flow/failure.h"
#include "worker/flow/redact.h"
#include "worker/flow/run.h"
#include "worker/flow/run_record.h"

#include <stdio.h>

static cJSON *shared_or_null(struct arena *a, const cJSON *value)
{
	return value ? json_share(a, value) : json_null(a);
}

cJSON *run_result(const struct run *r, const char *status)
{
	struct arena *a = r->arena;
	cJSON *json = json_object(a), *masked;

	json_set_text(a, json, "id", r->with.job->id);
	json_set_text(a, json, "status", status);
	json_set(a, json, "last", shared_or_null(a, chain_last(&r->chain)));
	json_set(a, json, "return", shared_or_null(a, r->returned));
	json_set(a, json, "error", shared_or_null(a, r->failure));
	json_set(a, json, "usage", run_usage_json(a, &r->usage));
	json_set(a, json, "cost", run_cost_json(a, &r->usage));
	json_set_number(a, json, "attempts", r->with.attempt);
	json_set_number(a, json, "ms", (double)(r->ended_ms - r->started_ms));
	masked = json_copy(a, json);
	secrets_mask_json(a, masked);
	return masked;
}

cJSON *run_refused(struct arena *a, const char *id, const struct error *err, uint32_t attempts)
{
	cJSON *json = json_object(a);

	json_set_text(a, json, "id", id);
	json_set_text(a, json, "status", "dead");
	json_set(a, json, "last", json_null(a));
	json_set(a, json, "return", json_null(a));
	json_set(a, json, "error", failure_json(a, err, NULL));
	json_set(a, json, "usage", json_null(a));
	json_set(a, json, "cost", json_null(a));
	json_set_number(a, json, "attempts", attempts);
	json_set_number(a, json, "ms", 0);
	return json;
}

/* ---- the log ---- */

static size_t character_start(const char *text, size_t at)
{
	while (at > 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
		at--;
	return at;
}

/* A copy in which no text is longer than max. */
static cJSON *shortened(struct arena *a, const cJSON *v, size_t max)
{
	cJSON *copy;
	const cJSON *item;

	if (cJSON_IsString(v) && strlen(v->valuestring) > max)
		return json_text(a, arena_printf(a, "%.*s… (%zu bytes)",
						 (int)character_start(v->valuestring, max),
						 v->valuestring, strlen(v->valuestring)));
	if (cJSON_IsArray(v)) {
		copy = json_array(a);
		json_each(item, v)
			json_push(copy, shortened(a, item, max));
		return copy;
	}
	if (cJSON_IsObject(v)) {
		copy = json_object(a);
		json_each(item, v)
			json_set(a, copy, item->string, shortened(a, item, max));
		return copy;
	}
	return json_copy(a, v);
}

/* The Studio finds a step's operation by its id. */
static const char *id_of(const struct run *r, const char *key)
{
	for (size_t i = 0; r->flow && key && i < r->flow->count; i++)
		if (strcmp(r->flow->nodes[i].key, key) == 0)
			return r->flow->nodes[i].id;
	return NULL;
}

/* As Directus writes its own runs down: the steps with their options, and the chain at the end. */
static cJSON *report(const struct run *r, size_t text_max)
{
	struct arena *a = r->arena;
	cJSON *steps = json_array(a), *data = json_object(a), *json = json_object(a);
	const char *user = json_get_text(r->with.job->accountability, "user");
	const cJSON *step;

	json_set(a, data, "$trigger",
		 shortened(a, json_get(r->chain.values, "$trigger"), text_max));
	json_set(a, data, "$accountability", shared_or_null(a, r->with.job->accountability));
	json_each(step, r->steps) {
		cJSON *entry = json_object(a);

		json_set_text(a, entry, "operation", id_of(r, json_get_text(step, "key")));
		json_set_text(a, entry, "key", json_get_text(step, "key"));
		json_set_text(a, entry, "status", json_get_text(step, "status"));
		json_set(a, entry, "options", shortened(a, json_get(step, "options"), text_max));
		json_push(steps, entry);
		json_set(a, data, json_get_text(step, "key"),
			 shortened(a, json_get(step, "result"), text_max));
	}
	json_set(a, data, "$last", shortened(a, chain_last(&r->chain), text_max));
	json_set_text(a, json, "flow", r->origin.flow_id);
	json_set_text(a, json, "job", r->with.job->id);
	json_set(a, json, "user", user ? json_text(a, user) : json_null(a));
	json_set(a, json, "steps", steps);
	json_set(a, json, "data", data);
	secrets_mask_json(a, json);
	return json;
}

cJSON *run_report(const struct run *r, size_t max_bytes)
{
	static const size_t text_max[] = {65536, 4096, 256, 16};
	cJSON *json = NULL;

	for (size_t i = 0; i < ARRAY_LEN(text_max); i++) {
		json = report(r, text_max[i]);
		if (json_print(r->arena, json).len <= max_bytes)
			return json;
	}
	json_set(r->arena, json, "data", json_object(r->arena));
	json_set(r->arena, json, "steps", json_array(r->arena));
	return json;
}

/* The steps without options and results: what is left when nothing else fits. */
static cJSON *outlines(struct arena *a, const cJSON *steps)
{
	cJSON *list = json_array(a), *copy;
	const cJSON *step;

	json_each(step, steps) {
		copy = json_copy(a, step);
		json_set(a, copy, "options", json_null(a));
		json_set(a, copy, "result", json_null(a));
		json_set_bool(a, copy, "cut", true);
		json_push(list, copy);
	}
	return list;
}

/* The longest texts that fit; in a short-lived arena, since there may be several tries. */
static struct str short_log(struct arena *a, const struct run *r, size_t max_bytes)
{
	static const size_t text_max[] = {16384, 4096, 1024, 256, 64};
	const cJSON *redacted = redact(a, r->steps, json_get(r->chain.values, "$env"));
	cJSON *steps = NULL;
	struct str text;

	for (size_t i = 0; i < ARRAY_LEN(text_max); i++) {
		steps = shortened(a, redacted, text_max[i]);
		text = json_print(a, steps);
		if (text.len <= max_bytes)
			return text;
	}
	text = json_print(a, outlines(a, steps));
	return text.len <= max_bytes ? text : STR("[]");
}

struct str run_log(const struct run *r, size_t max_bytes)
{
	struct arena *own = arena_new();
	struct str text = arena_str(r->arena, short_log(own, r, max_bytes));

	arena_free(own);
	return text;
}
