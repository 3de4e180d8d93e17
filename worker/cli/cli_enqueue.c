/* flow-worker enqueue: one job into the queue, as any Redis client could, but checked first. */
#include "common/config.h"
#include "common/digest.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_job.h"
#include "worker/flow/job.h"
#include "worker/queue/queue.h"
#include "worker/setup.h"

#include <stdio.h>

enum {
	FLOW,
	TRIGGER,
	WAIT,
	ID,
	TENANT,
	LANE,
	RUN_AT,
	DEDUP,
	DEDUP_MODE,
	DEDUP_TTL,
	REPLY_TO,
	MAX,
	BATCH
};

/* clang-format off */
static const struct cli_option options[] = {
	[FLOW] = {"flow", "FILE", "the flow of this file; the job may then be left out"},
	[TRIGGER] = {"trigger", "FILE", "what becomes $trigger"},
	[WAIT] = {"wait", "SECONDS", "wait for the result and print it"},
	[ID] = {"id", "TEXT", "the job's own name; the same again does not run again"},
	[TENANT] = {"tenant", "NAME", "the unit of fairness; default: flow, collection, -"},
	[LANE] = {"lane", "0|1|2", "0 interactive, 1 normal (default), 2 bulk"},
	[RUN_AT] = {"run-at", "MS", "not before this moment (milliseconds since 1970)"},
	[DEDUP] = {"dedup", "KEY", "one waiting job for each key"},
	[DEDUP_MODE] = {"dedup-mode", "MODE",
		"keep (default): the first one; latest: the newest one"},
	[DEDUP_TTL] = {"dedup-ttl", "MS", "how long the key is held at most"},
	[REPLY_TO] = {"reply-to", "STREAM", "where the end is told; same hash tag as the queue"},
	[MAX] = {"max", "N", "how many lost leases and outages the job outlives; default 10"},
	[BATCH] = {"batch", "ID", "the batch it is counted in"},
	{0},
};
/* clang-format on */

/* Options that are fields of the entry, and their names there. */
static const struct {
	size_t option;
	const char *field;
} fields[] = {
	{TENANT,     "tenant"    },
	{LANE,       "lane"      },
	{RUN_AT,     "run_at"    },
	{DEDUP,      "dedup"     },
	{DEDUP_MODE, "dedup_mode"},
	{DEDUP_TTL,  "dedup_ttl" },
	{REPLY_TO,   "reply_to"  },
	{MAX,        "max"       },
	{BATCH,      "batch"     }
};

enum { POLL_MS = 50, WORDS_MAX = 8 + 2 * ARRAY_LEN(fields) };

struct enqueuer {
	struct cli *cli;
	struct setup setup;
	struct redis *redis;
	char id[UUID_SIZE];
	const char *name;
};

/* What a worker would say of it when it is too late. */
static bool check_fields(const struct enqueuer *e, struct error *err)
{
	const char *prefix = e->setup.config->queue_prefix;

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		const char *text = cli_option(e->cli, fields[i].option);

		if (text && !queue_check_field(prefix, fields[i].field, text, err))
			return false;
	}
	return queue_check_field(prefix, "id", e->name, err);
}

static bool add_entry(struct enqueuer *e, struct str body, struct error *err)
{
	struct arena *a = e->setup.arena;
	struct str words[WORDS_MAX];
	struct redis_call call;
	size_t count = 0;

	words[count++] = STR("XADD");
	words[count++] = str_of(arena_printf(a, "%sin", e->setup.config->queue_prefix));
	words[count++] = STR("*");
	words[count++] = STR("body");
	words[count++] = body;
	words[count++] = STR("id");
	words[count++] = str_of(e->name);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (cli_option(e->cli, fields[i].option)) {
			words[count++] = str_of(fields[i].field);
			words[count++] = str_of(cli_option(e->cli, fields[i].option));
		}
	redis_start_argv(e->redis, &call, a, 0, count, words);
	redis_confirm(&call);
	setup_wait(&e->setup, &call.call);
	*err = call.call.err;
	return err->code == ERR_OK;
}

/* Polls for the result; false: an error, or the time is over. */
static bool wait_for_result(struct enqueuer *e, uint64_t seconds, const cJSON **result,
			    struct error *err)
{
	struct arena *a = e->setup.arena;
	const char *key = arena_printf(a, "%sres:%s", e->setup.config->queue_prefix, e->name);
	struct loop *l = e->setup.services.loop;
	uint64_t until = loop_now(l) + seconds * 1000;
	struct redis_call call;
	struct sleep_call nap;

	for (;;) {
		redis_start(e->redis, &call, a, 0, "GET", key, NULL);
		setup_wait(&e->setup, &call.call);
		if (call.call.err.code != ERR_OK) {
			*err = call.call.err;
			return false;
		}
		if (call.reply->type == REDIS_TEXT)
			return (*result = json_parse_rounding(a, call.reply->text, err)) != NULL;
		if (loop_now(l) >= until)
			return fail(
				err, ERR_TIMEOUT,
				"no result of job '%s' within %llu s; it goes on, ask again with "
				"`flow-worker jobs show %s`",
				e->name, (unsigned long long)seconds, e->name);
		sleep_start(l, &nap, POLL_MS);
		setup_wait(&e->setup, &nap.call);
	}
}

static int enqueue(struct enqueuer *e)
{
	struct cli_job from = {cli_argument(e->cli, 0), cli_option(e->cli, FLOW),
			       cli_option(e->cli, TRIGGER)};
	struct arena *a = e->setup.arena;
	cJSON *told = json_object(a);
	const cJSON *result = NULL;
	uint64_t seconds = 0;
	struct error err;
	struct job *job;
	struct str text;

	if (!cli_option_number(e->cli, WAIT, 1, 86400, &seconds))
		return CLI_WRONG;
	if (!cli_job_text(a, &from, &text, &err))
		return cli_failed(e->cli, &err);
	job = job_parse(text, e->name, e->setup.config, &err);
	if (!job)
		return cli_failed(e->cli, &err);
	job_free(job);
	if (!check_fields(e, &err) || !add_entry(e, text, &err))
		return cli_failed(e->cli, &err);
	if (!seconds) {
		json_set_text(a, told, "id", e->name);
		if (e->cli->json)
			cli_print_json(a, told);
		else
			puts(e->name);
		return CLI_OK;
	}
	if (!wait_for_result(e, seconds, &result, &err))
		return cli_failed(e->cli, &err);
	cli_print_json(a, result);
	return strcmp(json_get_text(result, "status"), "done") == 0 ? CLI_OK : CLI_FAILED;
}

static int run(struct cli *cli)
{
	struct enqueuer e = {.cli = cli, .name = cli_option(cli, ID)};
	int status;

	if (!cli_argument(cli, 0) && !cli_option(cli, FLOW))
		return cli_wrong_use(cli, "which job? JOB is a file, or - for standard input");
	if (!setup_open(&e.setup, cli))
		return CLI_FAILED;
	uuid_random(e.id);
	e.name = e.name && e.name[0] ? e.name : e.id;
	e.redis = redis_new(e.setup.services.loop, &e.setup.redis);
	status = enqueue(&e);
	redis_free(e.redis);
	setup_close(&e.setup);
	return status;
}

const struct cli_command cli_enqueue = {
	.name = "enqueue",
	.help = "put a job into the queue",
	.arguments = "[JOB|-]",
	.arguments_max = 1,
	.options = options,
	.run = run,
};
