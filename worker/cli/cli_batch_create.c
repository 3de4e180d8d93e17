/* flow-worker batch create: what is to be done, what it will cost, and its way into the queue. */
#include "common/config.h"
#include "common/digest.h"
#include "common/directus.h"
#include "common/directus_key.h"
#include "common/loop.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/cli_file.h"
#include "worker/flow/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BIG = 100, TRY_DEFAULT = 5, TRY_MOST = 100, ID_MAX = 100, LOOK_MS = 200 };

/* ---- the batch as the command line describes it ---- */

static bool is_json_file(const char *text)
{
	size_t length = strlen(text);

	return length > 5 && strcmp(text + length - 5, ".json") == 0;
}

static cJSON *words_of(struct arena *a, const char *text)
{
	cJSON *list = json_array(a);

	for (const char *end; *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, ',');
		if (end > text)
			json_push(list, json_text(a, arena_strndup(a, text, (size_t)(end - text))));
	}
	return list;
}

static bool put_json(struct cli_queue *q, cJSON *batch, const char *name, const char *text,
		     struct error *err)
{
	struct arena *a = q->arena;
	struct error why;
	cJSON *value;

	if (!text)
		return true;
	value = is_json_file(text) ? cli_file_json(a, text, err)
				   : json_parse(a, str_of(text), &why);
	if (!value && !is_json_file(text))
		return fail(err, ERR_INVALID_PAYLOAD, "--%s: %.200s", name, why.text);
	if (value)
		json_set(a, batch, name, value);
	return value != NULL;
}

static bool put_numbers(struct cli_queue *q, cJSON *batch)
{
	uint64_t limit = 0, concurrency = 0, budget = 0;

	if (!cli_option_number(q->cli, BATCH_LIMIT, 1, BATCH_ITEMS_MAX, &limit) ||
	    !cli_option_number(q->cli, BATCH_CONCURRENCY, 1, BATCH_WINDOW, &concurrency) ||
	    !cli_batch_budget(q->cli, &budget))
		return false;
	if (limit)
		json_set_number(q->arena, batch, "limit", (double)limit);
	if (concurrency)
		json_set_number(q->arena, batch, "concurrency", (double)concurrency);
	if (budget)
		json_set_number(q->arena, batch, "budget", (double)budget / 1e9);
	return true;
}

static bool put_flow(struct cli_queue *q, cJSON *batch, struct error *err)
{
	const char *flow = cli_option(q->cli, BATCH_FLOW);
	cJSON *value;

	if (!flow)
		return fail(err, ERR_INVALID_PAYLOAD, "which flow? --flow FILE.json or --flow ID");
	value = is_json_file(flow) ? cli_file_json(q->arena, flow, err) : json_text(q->arena, flow);
	if (value)
		json_set(q->arena, batch, "flow", value);
	return value != NULL;
}

static cJSON *describe(struct cli_queue *q, struct error *err)
{
	static const struct {
		size_t option;
		const char *member;
	} texts[] =
		{
			{BATCH_COLLECTION, "collection"},
			{BATCH_NAME,       "name"      },
			{BATCH_NOTIFY,     "notify"    }
        },
	  switches[] = {{BATCH_ONLY_CHANGED, "onlyChanged"},
			{BATCH_IF_UNCHANGED, "ifUnchanged"},
			{BATCH_INPUT, "input"}};
	struct arena *a = q->arena;
	cJSON *batch = json_object(a);

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (cli_option(q->cli, texts[i].option))
			json_set_text(a, batch, texts[i].member,
				      cli_option(q->cli, texts[i].option));
	for (size_t i = 0; i < ARRAY_LEN(switches); i++)
		if (cli_option(q->cli, switches[i].option))
			json_set_bool(a, batch, switches[i].member, true);
	if (cli_option(q->cli, BATCH_FIELDS))
		json_set(a, batch, "fields", words_of(a, cli_option(q->cli, BATCH_FIELDS)));
	if (!put_json(q, batch, "filter", cli_option(q->cli, BATCH_FILTER), err) ||
	    !put_flow(q, batch, err))
		return NULL;
	return batch;
}

/* Part of names of jobs and keys: letters, digits, and a few signs. */
static bool is_id(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= ID_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       length;
}

/* 2: wrong use, and told; 1: told; 0: good. */
static int make_plan(struct cli_queue *q, struct cli_batch_plan *plan)
{
	struct arena *a = q->arena;
	const char *name = cli_option(q->cli, BATCH_NAME), *input = cli_option(q->cli, BATCH_INPUT);
	cJSON *job = json_object(a), *batch;
	struct error err;
	char uuid[UUID_SIZE];

	uuid_random(uuid);
	*plan = (struct cli_batch_plan){.id = arena_strdup(a, name ? name : uuid)};
	if (!is_id(plan->id))
		return cli_wrong_use(q->cli, "--name: letters, digits, '.', '_' and '-' only");
	batch = describe(q, &err);
	if (!batch)
		return cli_failed(q->cli, &err);
	if (!put_numbers(q, batch))
		return CLI_WRONG;
	json_set(a, job, "batch", batch);
	plan->body = json_print(a, job);
	plan->source =
		job_parse(plan->body, arena_printf(a, "batch:%s", plan->id), q->setup.config, &err);
	if (!plan->source || !batch_read(a, plan->source->flow->first->options, &plan->batch, &err))
		return cli_failed(q->cli, &err);
	plan->rows = input ? cli_batch_rows(a, input, &err) : NULL;
	return input && !plan->rows ? cli_failed(q->cli, &err) : CLI_OK;
}

/* ---- what Directus has ---- */

static bool ask(struct cli_queue *q, const struct cli_batch_plan *plan, cJSON *query,
		struct directus_call *c)
{
	struct directus_request req = {.method = "SEARCH", .repeatable = true};
	cJSON *body = json_object(q->arena);
	struct error err;

	if (!directus_collection_path(q->arena, plan->batch.collection, &req.path, &err))
		return cli_failed(q->cli, &err) == CLI_OK;
	json_set(q->arena, body, "query", query);
	req.body = body;
	directus_start(q->setup.services.directus, c, &req, q->arena);
	setup_wait(&q->setup, &c->task.call);
	if (c->task.call.err.code != ERR_OK)
		(void)cli_failed(q->cli, &c->task.call.err);
	return c->task.call.err.code == ERR_OK;
}

static double count_of(const cJSON *data)
{
	const cJSON *count = json_get(json_first(data), "count");

	if (cJSON_IsObject(count))
		count = count->child;
	return cJSON_IsString(count)   ? strtod(count->valuestring, NULL)
	       : cJSON_IsNumber(count) ? count->valuedouble
				       : 0;
}

static bool count_items(struct cli_queue *q, struct cli_batch_plan *plan)
{
	struct arena *a = q->arena;
	cJSON *query = json_object(a), *aggregate = json_object(a), *all = json_array(a);
	struct directus_key_call *key = arena_make(a, struct directus_key_call);
	struct directus_call *c = arena_make(a, struct directus_call);
	struct error err;

	if (!q->setup.services.directus) {
		(void)fail(&err, ERR_NOT_CONFIGURED,
			   "items are read from Directus: set DIRECTUS_URL and DIRECTUS_TOKEN");
		return cli_failed(q->cli, &err) == CLI_OK;
	}
	directus_key_start(q->setup.services.directus, key, plan->batch.collection, NULL, a);
	setup_wait(&q->setup, &key->task.call);
	if (key->task.call.err.code != ERR_OK)
		return cli_failed(q->cli, &key->task.call.err) == CLI_OK;
	plan->primary = arena_strdup(a, key->key.name);
	json_push(all, json_text(a, "*"));
	json_set(a, aggregate, "count", all);
	json_set(a, query, "aggregate", aggregate);
	json_set(a, query, "filter", batch_filter(a, &plan->batch, plan->primary, NULL, NULL));
	if (!ask(q, plan, query, c))
		return false;
	plan->total = count_of(c->data);
	return true;
}

static bool count(struct cli_queue *q, struct cli_batch_plan *plan)
{
	if (plan->rows)
		plan->total = (double)json_count(plan->rows);
	else if (!count_items(q, plan))
		return false;
	if (plan->total > (double)plan->batch.limit)
		plan->total = (double)plan->batch.limit;
	return true;
}

static const char *key_text(struct arena *a, const cJSON *key)
{
	char number[JSON_NUMBER_MAX];

	if (cJSON_IsNumber(key))
		return arena_strdup(a, json_number_text(key->valuedouble, number));
	return cJSON_IsString(key) ? key->valuestring : "?";
}

bool cli_batch_sample(struct cli_queue *q, const struct cli_batch_plan *plan, size_t count_wanted,
		      struct batch_item **items, size_t *found)
{
	struct arena *a = q->arena;
	struct directus_call *c = arena_make(a, struct directus_call);
	cJSON *query = json_object(a), *fields = json_copy(a, plan->batch.fields), *sort;
	const cJSON *row = json_first(plan->rows);

	*items = arena_array(a, struct batch_item, count_wanted + 1);
	*found = 0;
	if (!plan->rows) {
		sort = json_array(a);
		json_push(sort, json_text(a, plan->primary));
		json_push(fields, json_text(a, plan->primary));
		json_set(a, query, "fields", fields);
		json_set(a, query, "sort", sort);
		json_set_number(a, query, "limit", (double)count_wanted);
		json_set(a, query, "filter",
			 batch_filter(a, &plan->batch, plan->primary, NULL, NULL));
		if (!ask(q, plan, query, c))
			return false;
		row = json_first(c->data);
	}
	for (; row && *found < count_wanted; row = row->next) {
		struct batch_item *item = &(*items)[(*found)++];

		item->value = row;
		item->primary = json_get(row, plan->rows ? "id" : plan->primary);
		item->key =
			plan->rows ? arena_printf(a, "%zu", *found) : key_text(a, item->primary);
	}
	return true;
}

/* ---- into the queue ---- */

static bool is_there(struct cli_queue *q, const char *id, bool *there)
{
	struct str word = str_of(id);
	const struct redis_value *reply = cli_queue_script(q, SCRIPT_BATCH_LOOK, 1, &word);

	*there = reply && reply->count > 0;
	return reply != NULL;
}

static int refuse_name(struct cli_queue *q, const char *id)
{
	struct error err;

	(void)fail(&err, ERR_INVALID_PAYLOAD,
		   "there is a batch '%.100s' already: `flow-worker batch show %.100s`, or another "
		   "--name",
		   id, id);
	return cli_failed(q->cli, &err);
}

/* The driver makes the batch when it runs; until then there is only the job. */
static bool wait_until_there(struct cli_queue *q, const struct cli_batch_plan *plan)
{
	const struct str words[] = {STR("GET"), str_of(cli_queue_key(q, "res:batch:", plan->id))};
	struct sleep_call nap;
	bool there = false;

	for (size_t i = 0; !there; i++) {
		const struct redis_value *result = cli_queue_command(q, ARRAY_LEN(words), words);
		struct error err;

		if (!result || !is_there(q, plan->id, &there))
			return false;
		if (!there && result->type == REDIS_TEXT) {
			const cJSON *json = json_parse_rounding(q->arena, result->text, &err);
			const char *why = json_get_text(json_get(json, "error"), "message");

			(void)fail(&err, ERR_INVALID_JOB, "%s", why ? why : "the batch has failed");
			return cli_failed(q->cli, &err) == CLI_OK;
		}
		if (i == 10 && !there)
			(void)fprintf(stderr,
				      "waiting for a worker: start one with `flow-worker`\n");
		if (there)
			break;
		sleep_start(q->setup.services.loop, &nap, LOOK_MS);
		setup_wait(&q->setup, &nap.call);
	}
	return true;
}

static int enqueue(struct cli_queue *q, const struct cli_batch_plan *plan)
{
	const struct str words[] = {STR("XADD"),
				    str_of(cli_queue_key(q, "in", "")),
				    STR("*"),
				    STR("id"),
				    str_of(arena_printf(q->arena, "batch:%s", plan->id)),
				    STR("lane"),
				    STR("2"),
				    STR("body"),
				    plan->body};

	if (plan->rows && !cli_batch_upload(q, plan))
		return CLI_FAILED;
	if (!cli_queue_command(q, ARRAY_LEN(words), words))
		return CLI_FAILED;
	if (cli_option(q->cli, BATCH_DETACH)) {
		puts(plan->id);
		return CLI_OK;
	}
	(void)fprintf(stderr, "batch %s: it goes on when this program is stopped\n", plan->id);
	return wait_until_there(q, plan) ? cli_batch_watch(q, plan->id) : CLI_FAILED;
}

/* ---- asking ---- */

static bool says_yes(const char *question, bool otherwise)
{
	char answer[16] = "";

	(void)fprintf(stderr, "%s [%s] ", question, otherwise ? "Y/n" : "y/N");
	(void)fflush(stderr);
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return answer[0] == '\n' ? otherwise : answer[0] == 'y' || answer[0] == 'Y';
}

/* Tries some, if that was said or is wanted. *go_on: whether the batch is to be made then. */
static int try_first(struct cli_queue *q, const struct cli_batch_plan *plan, bool *go_on)
{
	bool yes = cli_option(q->cli, BATCH_YES) != NULL;
	bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	bool is_big = plan->total >= BIG;
	uint64_t tries = 0;
	struct arena *a = q->arena;

	*go_on = false;
	if (!cli_option_number(q->cli, BATCH_TRY, 1, TRY_MOST, &tries))
		return CLI_WRONG;
	if (!tries && !yes && is_big && !terminal)
		return cli_wrong_use(
			q->cli,
			"%.0f items: say --yes to run them all, or --try %d to see some "
			"and the price first",
			plan->total, TRY_DEFAULT);
	if (!tries && !yes && is_big &&
	    says_yes(arena_printf(a, "%.0f items. Try %d first?", plan->total, TRY_DEFAULT), true))
		tries = TRY_DEFAULT;
	if (tries && cli_batch_try(q, plan, (size_t)tries) != CLI_OK)
		return CLI_FAILED;
	*go_on =
		yes || (!tries && !is_big) ||
		(terminal &&
		 says_yes(arena_printf(a, "Run the flow for all %.0f items?", plan->total), false));
	return CLI_OK;
}

static int go(struct cli_queue *q, struct cli_batch_plan *plan)
{
	bool go_on, there;
	int status;

	if (!count(q, plan))
		return CLI_FAILED;
	if (plan->total == 0) {
		(void)fprintf(stderr, "no item matches: nothing to do\n");
		return CLI_OK;
	}
	if (cli_option(q->cli, BATCH_DRY_RUN))
		return cli_batch_dry_run(q, plan);
	status = try_first(q, plan, &go_on);
	if (status != CLI_OK || !go_on)
		return status;
	if (!is_there(q, plan->id, &there))
		return CLI_FAILED;
	return there ? refuse_name(q, plan->id) : enqueue(q, plan);
}

int cli_batch_create(struct cli_queue *q)
{
	struct cli_batch_plan plan;
	int status = make_plan(q, &plan);

	if (status == CLI_OK)
		status = go(q, &plan);
	job_free(plan.source);
	return status;
}
