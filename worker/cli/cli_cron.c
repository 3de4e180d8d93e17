/* flow-worker cron: schedules. */
#include "common/config.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_table.h"
#include "worker/flow/job.h"
#include "worker/schedule/schedule.h"
#include "worker/schedule/schedules.h"

#include <stdio.h>
#include <stdlib.h>

enum { CRON, TIME_ZONE, JOB, FLOW, TRIGGER, MISSED, OVERLAP, JITTER, LANE, TENANT, COUNT };

static const struct cli_option options[] = {
  /* clang-format off */
	[CRON]      = {"cron", "EXPR", "add, next: five fields, or six with the second first"},
	[TIME_ZONE] = {"time-zone", "NAME", "add, next: of the tz database; default: UTC"},
	[JOB]       = {"job", "FILE", "add: the job of this file"},
	[FLOW]      = {"flow", "ID|FILE", "add: this flow of Directus, or of a file (*.json)"},
	[TRIGGER]   = {"trigger", "FILE", "add: what becomes $trigger; default: null"},
	[MISSED]    = {"missed", "one|skip|all", "add: ticks that came while nothing ran; default: one"},
	[OVERLAP]   = {"overlap", "skip|queue", "add: a tick while the last job is alive; default: skip"},
	[JITTER]    = {"jitter", "TIME", "add: put each firing off by up to so long"},
	[LANE]      = {"lane", "0|1|2", "add: priority; default: 2, bulk"},
	[TENANT]    = {"tenant", "NAME", "add: the unit of fairness"},
	[COUNT]     = {"count", "N", "next: how many times; default: 5"},
	{0},
  /* clang-format on */
};

static bool is_file(const char *flow)
{
	size_t length = strlen(flow);

	return length > 5 && strcmp(flow + length - 5, ".json") == 0;
}

static cJSON *job_of(struct cli *cli, struct arena *a, struct error *err)
{
	const char *flow = cli_option(cli, FLOW), *file = cli_option(cli, JOB);
	const char *trigger = cli_option(cli, TRIGGER);
	cJSON *job = file ? cli_file_json(a, file, err) : json_object(a), *value;

	if (!job)
		return NULL;
	if (flow) {
		value = is_file(flow) ? cli_file_json(a, flow, err) : json_text(a, flow);
		if (!value)
			return NULL;
		json_set(a, job, cJSON_IsArray(value) ? "operations" : "flow", value);
	}
	if (trigger) {
		value = cli_file_json(a, trigger, err);
		if (!value)
			return NULL;
		json_set(a, job, "trigger", value);
	}
	return job;
}

/* The schedule as the command line describes it. */
static cJSON *schedule_json(struct cli *cli, struct arena *a, const char *id, uint64_t lane,
			    struct error *err)
{
	static const struct {
		size_t option;
		const char *member;
	} texts[] = {
		{CRON,      "cron"    },
                {TIME_ZONE, "timeZone"},
                {MISSED,    "missed"  },
		{OVERLAP,   "overlap" },
                {JITTER,    "jitter"  },
                {TENANT,    "tenant"  }
        };
	cJSON *json = json_object(a), *job = job_of(cli, a, err);

	if (!job)
		return NULL;
	json_set_text(a, json, "id", id);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (cli_option(cli, texts[i].option))
			json_set_text(a, json, texts[i].member, cli_option(cli, texts[i].option));
	if (cli_option(cli, LANE))
		json_set_number(a, json, "lane", (double)lane);
	json_set(a, json, "job", job);
	return json;
}

/* A job that is none would be found out in the night. */
static bool check_job(struct cli_queue *q, const cJSON *json, struct error *err)
{
	struct job *job = job_parse(json_print(q->arena, json), "-", q->setup.config, err);
	bool good = job != NULL;

	job_free(job);
	return good;
}

static int add(struct cli_queue *q, const char *id)
{
	struct schedule schedule;
	uint64_t lane = 2;
	struct str words[5];
	struct error err;
	cJSON *json;

	if (!cli_option(q->cli, JOB) && !cli_option(q->cli, FLOW))
		return cli_wrong_use(q->cli, "which job? --job FILE or --flow ID|FILE");
	if (!cli_option_number(q->cli, LANE, 0, 2, &lane))
		return CLI_WRONG;
	json = schedule_json(q->cli, q->arena, id, lane, &err);
	if (!json || !schedule_parse(json, &schedule, &err) || !check_job(q, schedule.job, &err))
		return cli_failed(q->cli, &err);
	schedule_words(q->arena, json, &schedule, "cli", words);
	if (!cli_queue_script(q, SCRIPT_CRON_SET, ARRAY_LEN(words), words))
		return CLI_FAILED;
	printf("%s: next at %s\n", id, cli_time(q->arena, strtoull(words[3].ptr, NULL, 10)));
	return CLI_OK;
}

static const struct redis_value *rows_of(struct cli_queue *q, const char *id)
{
	struct str word = str_of(id);

	return cli_queue_script(q, SCRIPT_CRON_LIST, 1, &word);
}

static cJSON *row_json(struct arena *a, const struct redis_value *row)
{
	struct error err;
	cJSON *json = json_parse_rounding(a, row->items[2].text, &err);

	if (!json)
		json = json_object(a);
	json_set_number(a, json, "nextMs", cli_item_number(row, 1));
	json_set_text(a, json, "origin", cli_item_text(a, row, 3));
	json_set_text(a, json, "lastJob", cli_item_text(a, row, 4));
	json_set_number(a, json, "fired", cli_item_number(row, 5));
	json_set_number(a, json, "passed", cli_item_number(row, 6));
	return json;
}

static int list(struct cli_queue *q)
{
	const struct redis_value *rows = rows_of(q, "");
	struct arena *a = q->arena;
	cJSON *all = json_array(a);
	struct cli_table table;

	if (!rows)
		return CLI_FAILED;
	cli_table_start(&table, a, "SCHEDULE", "CRON", "ZONE", "NEXT", "FIRED", "PASSED", "FROM",
			NULL);
	for (size_t i = 0; i < rows->count; i++) {
		const struct redis_value *row = &rows->items[i];
		cJSON *json = row_json(a, row);
		const char *zone = json_get_text(json, "timeZone");
		const char *cron = json_get_text(json, "cron");
		uint64_t next = (uint64_t)cli_item_number(row, 1);

		json_push(all, json);
		cli_table_row(&table, cli_item_text(a, row, 0), cron ? cron : "?",
			      zone ? zone : "UTC", next ? cli_time(a, next) : "never",
			      cli_item_text(a, row, 5), cli_item_text(a, row, 6),
			      cli_item_text(a, row, 3), NULL);
	}
	if (q->cli->json)
		cli_print_json(a, all);
	else
		cli_table_print(&table);
	return CLI_OK;
}

static int unknown(struct cli_queue *q, const char *id)
{
	struct error err;

	(void)fail(&err, ERR_INVALID_PAYLOAD,
		   "there is no schedule '%.64s': `flow-worker cron list` names them", id);
	return cli_failed(q->cli, &err);
}

static int remove_one(struct cli_queue *q, const char *id)
{
	struct str word = str_of(id);
	const struct redis_value *reply = cli_queue_script(q, SCRIPT_CRON_REMOVE, 1, &word);

	if (!reply)
		return CLI_FAILED;
	return reply->integer ? CLI_OK : unknown(q, id);
}

/* Fires it now, beside its ticks. */
static int run_now(struct cli_queue *q, const char *id)
{
	const struct redis_value *rows = rows_of(q, id);
	struct arena *a = q->arena;
	struct schedule s;
	struct error err;
	const char *job;

	if (!rows)
		return CLI_FAILED;
	if (rows->count == 0)
		return unknown(q, id);
	if (!schedule_parse(row_json(a, &rows->items[0]), &s, &err))
		return cli_failed(q->cli, &err);
	job = arena_printf(a, "cron:%s:now:%llu", id, (unsigned long long)wall_ms());
	struct str words[] = {STR("XADD"),
			      str_of(arena_printf(a, "%sin", q->setup.config->queue_prefix)),
			      STR("*"),
			      STR("id"),
			      str_of(job),
			      STR("lane"),
			      word_of(a, (uint64_t)s.lane),
			      STR("body"),
			      json_print(a, s.job)};

	if (!cli_queue_command(q, ARRAY_LEN(words), words))
		return CLI_FAILED;
	puts(job);
	return CLI_OK;
}

/* ---- next: needs no Redis ---- */

static int next(struct cli *cli)
{
	struct arena *a = arena_new();
	uint64_t count = 5, at = wall_ms();
	struct error err;
	struct cron cron;
	int status = CLI_OK;

	if (!cli_option(cli, CRON))
		status = cli_wrong_use(cli, "which expression? --cron EXPR");
	else if (!cli_option_number(cli, COUNT, 1, 1000, &count))
		status = CLI_WRONG;
	else if (!cron_parse(&cron, cli_option(cli, CRON), cli_option(cli, TIME_ZONE), &err))
		status = cli_failed(cli, &err);
	for (uint64_t i = 0; status == CLI_OK && i < count && at; i++) {
		at = cron_next(&cron, at);
		puts(at ? cli_time(a, at) : "never");
	}
	arena_free(a);
	return status;
}

static bool is_known(const char *what)
{
	static const char *const known[] = {"add", "list", "remove", "run-now"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcmp(what, known[i]) == 0)
			return true;
	return false;
}

static int run(struct cli *cli)
{
	const char *what = cli_argument(cli, 0), *id = cli_argument(cli, 1);
	struct cli_queue q;
	int status;

	if (strcmp(what, "next") == 0)
		return next(cli);
	if (!is_known(what))
		return cli_wrong_use(cli, "cron %.80s: expected add, list, remove, run-now or next",
				     what);
	if (!id && strcmp(what, "list") != 0)
		return cli_wrong_use(cli, "cron %s: which schedule? Say its ID", what);
	if (!cli_queue_open(&q, cli))
		return CLI_FAILED;
	if (strcmp(what, "add") == 0)
		status = add(&q, id);
	else if (strcmp(what, "list") == 0)
		status = list(&q);
	else if (strcmp(what, "remove") == 0)
		status = remove_one(&q, id);
	else
		status = run_now(&q, id);
	cli_queue_close(&q);
	return status;
}

const struct cli_command cli_cron = {
	.name = "cron",
	.help = "schedules: add, list, remove, run now, show the next times",
	.arguments = "add ID|list|remove ID|run-now ID|next",
	.arguments_min = 1,
	.arguments_max = 2,
	.options = options,
	.run = run,
};
