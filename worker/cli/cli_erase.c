/* All that the queue holds for an item goes, and what it does not find is told.
 *
 *	look through ─► something runs? it has been told to stop ─► a moment later once more ─► … ─► tell
 *
 * Jobs move while they are looked for, so it is looked through until nothing is found any more. */
#include "worker/cli/cli_erase.h"

#include "common/config.h"
#include "common/json.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_table.h"

#include <stdio.h>

enum { PASSES_MAX = 20, REST_MS = 500 };

/* As erase.lua names them. */
static const struct {
	const char *kind, *what, *would;
} kinds[] = {
	{"waiting",  "job that waited: cancelled, gone",
	 "job that waits: would be cancelled, and go"									    },
	{"running",  "job that runs: told to stop",                                "job that runs: would be told to stop, and go"},
	{"dead",     "dead or quarantined job: gone",                              "dead or quarantined job: would go"           },
	{"ended",    "result and steps: gone",                                     "result and steps: would go"                  },
	{"cached",   "answer in the cache: gone",                                  "answer in the cache: would go"               },
	{"replaced", "old value kept by this batch: gone, it can not be reverted",
	 "old value kept by this batch: would go"										},
	{"told",     "error of the item in this batch: its text is gone",
	 "error of the item in this batch: its text would go"								    },
};

static const char *const left[] = {
	"what Directus holds: the item, the log of flows, WORKER_RUN_LOG_COLLECTION",
	"what a batch runs for (keys, rows of an input): it goes 30 days after the last run",
	"pieces of streamed answers, in the streams of those who asked for them",
	"ids of jobs in the list of events, numbers in counters and costs",
	"answers in WORKER_STATE_DIRECTORY of a worker that Redis has not taken yet",
};

struct erase {
	struct cli_queue *q;
	const char *item;
	bool only_look;
	cJSON *found;
	size_t gone, running; /* running: seen in the last pass */
	size_t news;          /* found in the last pass */
};

static const char *text_of(const struct erase *e, const char *kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return e->only_look ? kinds[i].would : kinds[i].what;
	return kind;
}

static void take(struct erase *e, const struct redis_value *found)
{
	struct arena *a = e->q->arena;

	for (size_t i = 0; i + 1 < found->count; i += 2) {
		const char *kind = cli_item_text(a, found, i);
		bool runs = strcmp(kind, "running") == 0;
		cJSON *one = json_object(a);

		e->running += runs;
		if (runs && !e->only_look)
			continue; /* it is found again when it has ended */
		json_set_text(a, one, "kind", kind);
		json_set_str(a, one, "name", found->items[i + 1].text);
		json_push(e->found, one);
		e->gone++;
		e->news++;
	}
}

static bool look_through(struct erase *e)
{
	struct arena *a = e->q->arena;
	const char *cursor = "";

	e->running = e->news = 0;
	do {
		const struct str words[] = {str_of(e->item), word_of(a, e->only_look),
					    str_of(cursor),
					    word_of(a, e->q->setup.config->result_ttl_ms)};
		const struct redis_value *reply =
			cli_queue_script(e->q, SCRIPT_ERASE, ARRAY_LEN(words), words);

		if (!reply)
			return false;
		take(e, &reply->items[1]);
		cursor = cli_item_text(a, reply, 0);
	} while (*cursor);
	return true;
}

static void rest(struct erase *e)
{
	struct sleep_call nap;

	sleep_start(e->q->setup.services.loop, &nap, REST_MS);
	setup_wait(&e->q->setup, &nap.call);
}

static bool look_until_nothing_is_left(struct erase *e)
{
	for (int i = 0; i < PASSES_MAX; i++) {
		if (!look_through(e))
			return false;
		if (e->only_look || (e->running == 0 && e->news == 0))
			return true;
		if (e->running > 0)
			rest(e);
	}
	return true;
}

static double at_the_door(struct erase *e)
{
	const struct str words[] = {STR("XLEN"), str_of(cli_queue_key(e->q, "in", ""))};
	const struct redis_value *reply = cli_queue_command(e->q, ARRAY_LEN(words), words);

	return reply ? (double)reply->integer : 0;
}

static void print_json(struct erase *e, double door)
{
	struct arena *a = e->q->arena;
	cJSON *json = json_object(a), *list = json_array(a);

	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		json_push(list, json_text(a, left[i]));
	json_set_text(a, json, "item", e->item);
	json_set_bool(a, json, "dryRun", e->only_look);
	json_set(a, json, "found", e->found);
	json_set_number(a, json, "running", (double)e->running);
	json_set_number(a, json, "atTheDoor", door);
	json_set(a, json, "notLookedAt", list);
	cli_print_json(a, json);
}

static void print_text(struct erase *e, double door)
{
	const cJSON *one;
	struct cli_table t;

	cli_table_start(&t, e->q->arena, "NAME", "WHAT", NULL);
	json_each(one, e->found)
		cli_table_row(&t, json_get_text(one, "name"),
			      text_of(e, json_get_text(one, "kind")), NULL);
	if (t.rows)
		cli_table_print(&t);
	(void)printf("%zu found for %s%s\n", e->gone, e->item,
		     e->only_look ? ": nothing was changed" : "");
	if (!e->only_look && e->running)
		(void)printf("%zu still run: they have been told to stop; purge again then\n",
			     e->running);
	if (door > 0)
		(void)printf("%.0f at the door, which no worker has looked at yet, may be more\n",
			     door);
	puts("not looked at:");
	for (size_t i = 0; i < ARRAY_LEN(left); i++)
		(void)printf("  %s\n", left[i]);
}

int cli_erase(struct cli_queue *q, const char *item, bool only_look)
{
	struct erase e = {
		.q = q, .item = item, .only_look = only_look, .found = json_array(q->arena)};
	double door;

	if (!look_until_nothing_is_left(&e))
		return CLI_FAILED;
	door = at_the_door(&e);
	if (q->cli->json)
		print_json(&e, door);
	else
		print_text(&e, door);
	return only_look || (e.running == 0 && door == 0) ? CLI_OK : CLI_FAILED;
}
