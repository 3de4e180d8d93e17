/* A few items of a batch here and now: real questions, nothing written. What would be written is shown
 * beside what is there, and from what they have cost comes the price of all. Or no questions at all:
 * the prompts. */
#include "common/config.h"
#include "common/directus.h"
#include "common/loop.h"
#include "common/secrets.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_show.h"
#include "worker/cli/cli_table.h"
#include "worker/cli/estimate.h"
#include "worker/cli/exec_journal.h"
#include "worker/cli/exec_spawner.h"
#include "worker/flow/failure.h"
#include "worker/flow/job.h"
#include "worker/flow/run.h"

#include <stdio.h>
#include <unistd.h>

enum { PROMPTS_SHOWN = 3, TEXT_SHOWN = 300 };

struct trial {
	const struct batch_item *item;
	struct exec_spawner spawner;
	struct run_options with;
	struct run *run;
	size_t *left; /* trials that still run */
};

static void ended(struct call *c)
{
	struct run *r = container_of(c, struct run, task.call);
	struct trial *t = r->owner;

	if (--*t->left == 0)
		loop_stop(c->loop);
}

static bool start(struct cli_queue *q, const struct cli_batch_plan *plan, struct trial *t,
		  struct journal *journal, struct error *err)
{
	struct str body =
		batch_item_body(q->arena, &plan->batch, plan->source, t->item, q->setup.config);

	t->with = (struct run_options){.use = &q->setup.services,
				       .journal = journal,
				       .flows = q->setup.flows,
				       .attempt = 1,
				       .env = q->setup.config->flow_env,
				       .leave_writes = true};
	t->with.job = job_parse(body, arena_printf(q->arena, "%s#%s", plan->id, t->item->key),
				q->setup.config, err);
	if (!t->with.job)
		return false;
	exec_spawner_init(&t->spawner, &t->with);
	t->with.spawner = &t->spawner.spawner;
	t->run = run_new(&t->with);
	t->run->owner = t;
	t->run->task.call.done = ended;
	run_start(t->run, q->setup.services.loop);
	return true;
}

/* All at once. NULL: told. The jobs are to be freed. */
static struct trial *run_all(struct cli_queue *q, const struct cli_batch_plan *plan,
			     const struct batch_item *items, size_t count)
{
	struct trial *trials = arena_array(q->arena, struct trial, count + 1);
	struct exec_journal *journal = arena_make(q->arena, struct exec_journal);
	size_t left = 0;
	struct error err = {.code = ERR_OK};

	exec_journal_init(journal, q->setup.services.loop);
	for (size_t i = 0; i < count && err.code == ERR_OK; i++) {
		trials[i].item = &items[i];
		trials[i].left = &left;
		left += start(q, plan, &trials[i], &journal->journal, &err);
	}
	if (left)
		loop_run(q->setup.services.loop);
	if (err.code == ERR_OK)
		return trials;
	(void)cli_failed(q->cli, &err);
	return NULL;
}

static void free_all(struct trial *trials, size_t count)
{
	for (size_t i = 0; trials && i < count; i++)
		job_free(trials[i].with.job);
}

/* ---- what would be written ---- */

/* The one key of a write as text; NULL: it has none, or several. */
static const char *key_of(struct arena *a, const cJSON *options)
{
	const cJSON *key = json_get(options, "key");

	if (cJSON_IsArray(key))
		key = json_count(key) == 1 ? key->child : NULL;
	if (!key)
		return NULL;
	if (cJSON_IsNumber(key)) {
		char number[JSON_NUMBER_MAX];

		return arena_strdup(a, json_number_text(key->valuedouble, number));
	}
	return cJSON_IsString(key) ? key->valuestring : NULL;
}

/* Fields of an item as they are now; NULL: it could not be read. */
static const cJSON *read_fields(struct cli_queue *q, const char *collection, const char *key,
				cJSON *fields)
{
	struct directus_request req = {.method = "GET", .repeatable = true};
	struct directus_call *c = arena_make(q->arena, struct directus_call);
	cJSON *query = json_object(q->arena);
	struct error err;

	if (!q->setup.services.directus ||
	    !directus_item_path(q->arena, collection, key, &req.path, &err))
		return NULL;
	json_set(q->arena, query, "fields", fields);
	req.query = directus_query(q->arena, query);
	directus_start(q->setup.services.directus, c, &req, q->arena);
	setup_wait(&q->setup, &c->task.call);
	return c->task.call.err.code == ERR_OK ? c->data : NULL;
}

/* What a write would replace. Of the item itself what was read with it; the rest is read as the batch
 * will read it before it writes, whatever its `fields` are. */
static cJSON *before_of(struct cli_queue *q, const struct trial *t, const struct batch *b,
			const cJSON *options)
{
	struct arena *a = q->arena;
	const char *collection = json_get_text(options, "collection"), *key = key_of(a, options);
	const cJSON *payload = json_get(options, "payload"), *field, *now = NULL, *value;
	cJSON *before = json_object(a), *missing = json_array(a);
	bool is_item = b->collection && collection && key &&
		       strcmp(collection, b->collection) == 0 && strcmp(key, t->item->key) == 0;

	if (!collection || !key || !cJSON_IsObject(payload))
		return before;
	json_each(field, payload)
		if (!is_item || !json_get(t->item->value, field->string))
			json_push(missing, json_text(a, field->string));
	if (missing->child)
		now = read_fields(q, collection, key, missing);
	json_each(field, payload) {
		value = is_item ? json_get(t->item->value, field->string) : NULL;
		value = value ? value : json_get(now, field->string);
		if (value)
			json_set(a, before, field->string, json_share(a, value));
	}
	return before;
}

static cJSON *write_json(struct cli_queue *q, const struct trial *t, const struct batch *b,
			 const cJSON *step)
{
	struct arena *a = q->arena;
	const cJSON *options = json_get(step, "options"), *key = json_get(options, "key"),
		    *payload = json_get(options, "payload");
	bool is_new = strcmp(json_get_text(step, "type"), "item-create") == 0;
	cJSON *json = json_object(a);

	json_set_text(a, json, "collection", json_get_text(options, "collection"));
	json_set(a, json, "key", key && !is_new ? json_share(a, key) : json_null(a));
	json_set(a, json, "before", is_new ? json_null(a) : before_of(q, t, b, options));
	json_set(a, json, "after", payload ? json_share(a, payload) : json_null(a));
	return json;
}

static cJSON *trial_json(struct cli_queue *q, const struct trial *t, const struct batch *b)
{
	struct arena *a = q->arena;
	const struct run *r = t->run;
	cJSON *json = json_object(a), *writes = json_array(a), *masked;
	const cJSON *step;

	json_set_text(a, json, "item", t->item->key);
	json_set_text(a, json, "status", r->outcome == RUN_DONE ? "done" : "failed");
	if (r->outcome != RUN_DONE) {
		json_set_text(a, json, "code", failure_code(&r->err));
		json_set_text(a, json, "message", r->err.text);
	}
	json_each(step, r->steps) {
		const char *type = json_get_text(step, "type"),
			   *status = json_get_text(step, "status");

		if ((strcmp(type, "item-update") == 0 || strcmp(type, "item-create") == 0) &&
		    strcmp(status, "resolve") == 0)
			json_push(writes, write_json(q, t, b, step));
	}
	json_set(a, json, "writes", writes);
	if (!writes->child)
		json_set(a, json, "last", json_copy(a, chain_last(&r->chain)));
	json_set_number(a, json, "tokens",
			(double)(r->usage.input_tokens + r->usage.output_tokens));
	json_set(a, json, "costUsd",
		 r->usage.cost_unknown ? json_null(a)
				       : json_number(a, (double)r->usage.cost_nano / 1e9));
	json_set_number(a, json, "ms", (double)(r->ended_ms - r->started_ms));
	masked = json_copy(a, json);
	secrets_mask_json(a, masked);
	return masked;
}

static const char *shown(struct arena *a, const cJSON *value)
{
	const char *text = cJSON_IsString(value) ? value->valuestring
			   : value               ? json_print(a, value).ptr
						 : "(could not be read)";
	size_t cut = strlen(text);

	if (cut <= TEXT_SHOWN)
		return text;
	for (cut = TEXT_SHOWN; cut > 0 && ((unsigned char)text[cut] & 0xC0) == 0x80;)
		cut--;
	return arena_printf(a, "%.*s…", (int)cut, text);
}

static void print_trial(struct arena *a, const cJSON *json)
{
	const cJSON *write, *field, *before, *cost = json_get(json, "costUsd");

	(void)printf("item %s: %s, %.0f tokens, %s, %s\n", json_get_text(json, "item"),
		     json_get_text(json, "status"), json_get_number(json, "tokens", 0),
		     cJSON_IsNumber(cost) ? cli_dollars(a, cost->valuedouble * 1e9)
					  : "price unknown",
		     cli_duration(a, (uint64_t)json_get_number(json, "ms", 0)));
	if (json_get_text(json, "message"))
		(void)printf("  %s: %s\n", json_get_text(json, "code"),
			     json_get_text(json, "message"));
	else if (json_get(json, "last"))
		(void)printf("  result: %s\n", shown(a, json_get(json, "last")));
	json_each(write, json_get(json, "writes")) {
		before = json_get(write, "before");
		json_each(field, json_get(write, "after"))
			(void)printf("  %s.%s\n    before: %s\n    after:  %s\n",
				     json_get_text(write, "collection"),
				     field->string ? field->string : "",
				     cJSON_IsNull(before)
					     ? "(a new item)"
					     : shown(a, json_get(before, field->string)),
				     shown(a, field));
	}
}

/* ---- the price ---- */

static cJSON *range_json(struct arena *a, struct estimate e)
{
	cJSON *json = json_object(a);

	json_set_number(a, json, "expected", e.expected);
	json_set_number(a, json, "low", e.low);
	json_set_number(a, json, "high", e.high);
	return json;
}

static cJSON *price(struct arena *a, const struct trial *trials, size_t count, double total)
{
	double *dollars = arena_array(a, double, count), *tokens = arena_array(a, double, count);
	cJSON *json = json_object(a);
	bool known = true;

	for (size_t i = 0; i < count; i++) {
		const struct op_usage *u = &trials[i].run->usage;

		dollars[i] = (double)u->cost_nano / 1e9;
		tokens[i] = (double)(u->input_tokens + u->output_tokens);
		known = known && !u->cost_unknown;
	}
	json_set_number(a, json, "items", total);
	json_set(a, json, "tokens", range_json(a, estimate_sum(tokens, count, total)));
	json_set(a, json, "costUsd",
		 known ? range_json(a, estimate_sum(dollars, count, total)) : json_null(a));
	return json;
}

static void print_price(struct arena *a, const cJSON *json)
{
	const cJSON *cost = json_get(json, "costUsd"), *tokens = json_get(json, "tokens");

	(void)printf("\nall %.0f items: about %.0f tokens (%.0f to %.0f)",
		     json_get_number(json, "items", 0), json_get_number(tokens, "expected", 0),
		     json_get_number(tokens, "low", 0), json_get_number(tokens, "high", 0));
	if (cJSON_IsObject(cost))
		(void)printf(", about %s (%s to %s)\n",
			     cli_dollars(a, json_get_number(cost, "expected", 0) * 1e9),
			     cli_dollars(a, json_get_number(cost, "low", 0) * 1e9),
			     cli_dollars(a, json_get_number(cost, "high", 0) * 1e9));
	else
		(void)puts("; the model's price is not known");
}

static int show(struct cli_queue *q, const struct cli_batch_plan *plan, const struct trial *trials,
		size_t count)
{
	struct arena *a = q->arena;
	cJSON *all = json_object(a), *tries = json_array(a);
	const cJSON *json;
	bool good = true;

	for (size_t i = 0; i < count; i++) {
		json_push(tries, trial_json(q, &trials[i], &plan->batch));
		good = good && trials[i].run->outcome == RUN_DONE;
	}
	json_set(a, all, "tries", tries);
	json_set(a, all, "estimate", price(a, trials, count, plan->total));
	if (q->cli->json) {
		cli_print_json(a, all);
		return good ? CLI_OK : CLI_FAILED;
	}
	json_each(json, tries)
		print_trial(a, json);
	print_price(a, json_get(all, "estimate"));
	(void)puts("nothing was written");
	(void)fflush(stdout);
	return good ? CLI_OK : CLI_FAILED;
}

int cli_batch_try(struct cli_queue *q, const struct cli_batch_plan *plan, size_t count)
{
	struct batch_item *items;
	struct trial *trials;
	int status = CLI_FAILED;

	if (!cli_batch_sample(q, plan, count, &items, &count))
		return CLI_FAILED;
	trials = run_all(q, plan, items, count);
	if (trials)
		status = show(q, plan, trials, count);
	free_all(trials, count);
	return status;
}

int cli_batch_dry_run(struct cli_queue *q, const struct cli_batch_plan *plan)
{
	struct batch_item *items;
	struct trial *trials;
	struct cli_show shower;
	size_t count;
	bool good = true;

	if (!cli_batch_sample(q, plan, PROMPTS_SHOWN, &items, &count))
		return CLI_FAILED;
	cli_show_init(&shower, q->arena);
	q->setup.services.dry_run = &shower.dry_run;
	trials = run_all(q, plan, items, count);
	for (size_t i = 0; trials && i < count; i++) {
		const struct run *r = trials[i].run;

		if (r->outcome != RUN_DONE)
			(void)fprintf(stderr, "item %s: %s: %s\n", trials[i].item->key,
				      failure_code(&r->err), r->err.text);
		good = good && r->outcome == RUN_DONE;
	}
	free_all(trials, count);
	return trials && good ? CLI_OK : CLI_FAILED;
}
