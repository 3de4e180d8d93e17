#include "worker/flow/run_record.h"

#include "common/loop.h"

#include <math.h>

static const cJSON *stored_json(struct lease *lease, struct arena *a, const char *kind,
				const char *key)
{
	struct error err;
	struct str text;

	if (!lease_stored(lease, arena_printf(a, "%s:%s", kind, key), &text))
		return NULL;
	return json_parse_rounding(a, text, &err); /* ours: it was printed by json_print() */
}

bool run_record_find(struct lease *lease, struct arena *a, const char *key,
		     struct run_record *record)
{
	record->json = stored_json(lease, a, "step", key);
	return record->json != NULL;
}

const cJSON *run_note_find(struct lease *lease, struct arena *a, const char *key)
{
	return stored_json(lease, a, "note", key);
}

bool run_note_text(const struct run *r, struct stored_text *note)
{
	if (!r->note)
		return false;
	note->name = arena_printf(r->arena, "note:%s", r->node->key);
	note->text = json_print(r->arena, r->note);
	return true;
}

/* ---- usage ---- */

void run_add_usage(struct op_usage *sum, const struct op_usage *more)
{
	sum->input_tokens += more->input_tokens;
	sum->output_tokens += more->output_tokens;
	sum->reasoning_tokens += more->reasoning_tokens;
	sum->cached_tokens += more->cached_tokens;
	sum->cost_nano += more->cost_nano;
	sum->cost_unknown = sum->cost_unknown || more->cost_unknown;
	sum->calls += more->calls;
}

cJSON *run_usage_json(struct arena *a, const struct op_usage *u)
{
	cJSON *json = json_object(a);

	if (u->calls == 0)
		return json_null(a);
	json_set_number(a, json, "inputTokens", (double)u->input_tokens);
	json_set_number(a, json, "outputTokens", (double)u->output_tokens);
	json_set_number(a, json, "reasoningTokens", (double)u->reasoning_tokens);
	json_set_number(a, json, "cachedInputTokens", (double)u->cached_tokens);
	json_set_number(a, json, "totalTokens", (double)(u->input_tokens + u->output_tokens));
	return json;
}

cJSON *run_cost_json(struct arena *a, const struct op_usage *u)
{
	cJSON *json = json_object(a);

	if (u->calls == 0)
		return json_null(a);
	json_set_number(a, json, "total", (double)u->cost_nano / 1e9);
	json_set_text(a, json, "currency", "USD");
	json_set_bool(a, json, "known", !u->cost_unknown);
	return json;
}

static cJSON *usage_record(struct arena *a, const struct op_usage *u)
{
	cJSON *json = run_usage_json(a, u);

	if (u->calls == 0)
		return json;
	json_set_number(a, json, "calls", u->calls);
	json_set_number(a, json, "costNano", (double)u->cost_nano);
	json_set_bool(a, json, "costUnknown", u->cost_unknown);
	return json;
}

static uint64_t whole(const cJSON *json, const char *name)
{
	return (uint64_t)llround(json_get_number(json, name, 0));
}

static struct op_usage usage_of_record(const cJSON *json)
{
	return (struct op_usage){
		.input_tokens = whole(json, "inputTokens"),
		.output_tokens = whole(json, "outputTokens"),
		.reasoning_tokens = whole(json, "reasoningTokens"),
		.cached_tokens = whole(json, "cachedInputTokens"),
		.cost_nano = whole(json, "costNano"),
		.cost_unknown = json_get_bool(json, "costUnknown", false),
		.calls = (uint32_t)whole(json, "calls"),
	};
}

/* ---- steps ---- */

void run_log_step(struct run *r, const cJSON *left)
{
	cJSON *step = json_object(r->arena);
	/* As written, where a template could not be resolved; as Directus logs it. */
	const cJSON *options = r->op.options ? r->op.options : r->node->options;

	if (options)
		options = operation_shown_options(r->arena, r->node->op, options);
	json_set_text(r->arena, step, "key", r->node->key);
	json_set_text(r->arena, step, "type", r->node->type);
	json_set_text(r->arena, step, "status", r->failed ? "reject" : "resolve");
	json_set(r->arena, step, "options",
		 options ? json_share(r->arena, options) : json_null(r->arena));
	json_set(r->arena, step, "result", left ? json_share(r->arena, left) : json_null(r->arena));
	json_set_number(r->arena, step, "ms", (double)(wall_ms() - r->step_started));
	json_set(r->arena, step, "usage", run_usage_json(r->arena, &r->op.usage));
	json_set(r->arena, step, "cost", run_cost_json(r->arena, &r->op.usage));
	json_push(r->steps, step);
}

static const cJSON *last_item(const cJSON *array)
{
	const cJSON *item = array->child;

	while (item && item->next)
		item = item->next;
	return item;
}

void run_record_store(struct run *r, struct step_call *c)
{
	const cJSON *step = last_item(r->steps);
	const char *key = json_get_text(step, "key");
	struct arena *own = arena_new(); /* what is stored is copied */
	cJSON *record = json_object(own);
	struct stored_text texts[2] = {{.name = NULL}};

	json_set_text(own, record, "status", json_get_text(step, "status"));
	json_set(own, record, "usage", usage_record(own, &r->op.usage));
	json_set(own, record, "step", json_share(own, step));
	texts[0].name = arena_printf(own, "step:%s", key);
	texts[0].text = json_print(own, record);
	texts[1].name = arena_printf(own, "note:%s", key);
	queue_step_start(r->with.lease, c, texts, r->op.note ? 2 : 1);
	arena_free(own);
}

void run_record_apply(struct run *r, const struct run_record *record)
{
	const cJSON *step = json_get(record->json, "step");
	const cJSON *left = json_get(step, "result");
	const char *status = json_get_text(record->json, "status");
	struct op_usage usage = usage_of_record(json_get(record->json, "usage"));
	const struct flow_node *node = r->node;

	run_add_usage(&r->usage, &usage);
	json_push(r->steps, json_share(r->arena, step));
	chain_add(&r->chain, node->key, left);
	r->failed = status && strcmp(status, "reject") == 0;
	r->node = r->failed ? node->reject : node->resolve;
}
