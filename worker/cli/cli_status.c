/* flow-worker status: how the queue is, who works on it, what it has cost. */
#include "common/config.h"
#include "common/json.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_ready.h"
#include "worker/cli/cli_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { COSTS, DAYS, READY };

/* clang-format off */
static const struct cli_option options[] = {
	[COSTS] = {"costs", NULL, "what each model and each flow has used and cost, by day"},
	[DAYS] = {"days", "N", "with --costs: how many days, today included; default 1"},
	[READY] = {"ready", NULL,
		"only whether the worker at WORKER_HTTP_ADDRESS takes jobs; exit status 1: no"},
	{0},
};
/* clang-format on */

/* As report.lua gives them. */
enum report {
	COUNTS,
	WORKERS,
	EVER,
	RECENT,
	PAUSED,
	COSTS_BY_DAY,
	RESTING,
	LANES,
	TENANTS,
	SLEEPING
};
/* One of SLEEPING. */
enum { SLEEP_ROUTE, SLEEP_LANE, SLEEP_TENANT, SLEEP_JOBS, SLEEP_UNTIL, SLEEP_WIDTH };

enum { RECENT_MINUTES = 5, DAYS_MOST = 100, DAY_SECONDS = 86400 };

/* A flat list of names and numbers as an object. */
static cJSON *numbers_json(struct arena *a, const struct redis_value *list)
{
	cJSON *json = json_object(a);

	for (size_t i = 0; i + 1 < list->count; i += 2)
		json_set_number(a, json, cli_item_text(a, list, i), cli_item_number(list, i + 1));
	return json;
}

static cJSON *workers_json(struct arena *a, const struct redis_value *list)
{
	cJSON *all = json_array(a);

	for (size_t i = 0; i + 1 < list->count; i += 2) {
		struct error err;
		cJSON *worker = json_parse_rounding(a, list->items[i + 1].text, &err);

		if (!cJSON_IsObject(worker))
			worker = json_object(a);
		json_set_str(a, worker, "name", list->items[i].text);
		json_push(all, worker);
	}
	return all;
}

static cJSON *resting_json(struct arena *a, const struct redis_value *list)
{
	cJSON *all = json_array(a);

	for (size_t i = 0; i + REST_WIDTH <= list->count; i += REST_WIDTH) {
		cJSON *route = json_object(a);

		json_set_text(a, route, "route", cli_item_text(a, list, i + REST_ROUTE));
		json_set_text(a, route, "cause", cli_rest_cause(a, list, i));
		json_set_number(a, route, "untilMs", cli_item_number(list, i + REST_UNTIL));
		json_set_number(a, route, "factor", cli_item_number(list, i + REST_FACTOR));
		json_set_text(a, route, "text", cli_rest_text(a, list, i));
		json_push(all, route);
	}
	return all;
}

/* ---- costs ---- */

/* One line of the books: a model ("openai/gpt-5") or a flow ("flow:9a1"), on one day. */
struct book {
	const char *who;
	double calls, in, cached, out, nano, hits, misses, saved;
	struct book *next;
};

static struct book *find_book(struct book **first, const char *who, struct arena *a)
{
	while (*first && strcmp((*first)->who, who) != 0)
		first = &(*first)->next;
	if (!*first) {
		*first = arena_make(a, struct book);
		(*first)->who = who;
	}
	return *first;
}

static void put_in_book(struct book *b, const char *what, double number)
{
	const struct {
		const char *what;
		double *where;
	} all[] = {
		{"calls",  &b->calls },
                {"in",     &b->in    },
                {"cached", &b->cached},
		{"out",    &b->out   },
                {"nano",   &b->nano  },
                {"hits",   &b->hits  },
		{"misses", &b->misses},
                {"saved",  &b->saved },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (strcmp(all[i].what, what) == 0)
			*all[i].where = number;
}

/* Fields are "<who>|calls", "<who>|in", ... */
static struct book *read_books(struct arena *a, const struct redis_value *h)
{
	struct book *first = NULL;

	for (size_t i = 0; i + 1 < h->count; i += 2) {
		const char *name = cli_item_text(a, h, i), *bar = strrchr(name, '|');
		double number = cli_item_number(h, i + 1);
		struct book *b;

		if (!bar)
			continue;
		b = find_book(&first, arena_strndup(a, name, (size_t)(bar - name)), a);
		put_in_book(b, bar + 1, number);
	}
	return first;
}

static const char *date_of(struct arena *a, double day)
{
	time_t seconds = (time_t)day * DAY_SECONDS;
	char text[16];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y-%m-%d", gmtime_r(&seconds, &tm));
	return arena_strdup(a, text);
}

static cJSON *costs_json(struct arena *a, const struct redis_value *days)
{
	cJSON *all = json_array(a);

	for (size_t i = 0; i + 1 < days->count; i += 2) {
		struct book *b = read_books(a, &days->items[i + 1]);

		for (; b; b = b->next) {
			cJSON *line = json_object(a);

			json_set_text(a, line, "day", date_of(a, cli_item_number(days, i)));
			json_set_text(a, line, "who", b->who);
			json_set_number(a, line, "calls", b->calls);
			json_set_number(a, line, "inputTokens", b->in);
			json_set_number(a, line, "cachedInputTokens", b->cached);
			json_set_number(a, line, "outputTokens", b->out);
			json_set_number(a, line, "costUsd", b->nano / 1e9);
			json_set_number(a, line, "cacheHits", b->hits);
			json_set_number(a, line, "cacheMisses", b->misses);
			json_set_number(a, line, "savedUsd", b->saved / 1e9);
			json_push(all, line);
		}
	}
	return all;
}

static const char *whole(struct arena *a, const cJSON *line, const char *name)
{
	return arena_printf(a, "%.0f", json_get_number(line, name, 0));
}

static void print_costs(struct arena *a, const cJSON *costs)
{
	const cJSON *line;
	struct cli_table t;

	cli_table_start(&t, a, "DAY (UTC)", "MODEL OR FLOW", "CALLS", "INPUT", "OF THAT CACHED",
			"OUTPUT", "COST", "CACHE HITS", "SAVED", NULL);
	json_each(line, costs) {
		bool is_flow = strncmp(json_get_text(line, "who"), "flow:", 5) == 0;

		cli_table_row(&t, json_get_text(line, "day"), json_get_text(line, "who"),
			      whole(a, line, "calls"), is_flow ? "" : whole(a, line, "inputTokens"),
			      is_flow ? "" : whole(a, line, "cachedInputTokens"),
			      is_flow ? "" : whole(a, line, "outputTokens"),
			      cli_dollars(a, json_get_number(line, "costUsd", 0) * 1e9),
			      is_flow ? "" : whole(a, line, "cacheHits"),
			      is_flow ? ""
				      : cli_dollars(a, json_get_number(line, "savedUsd", 0) * 1e9),
			      NULL);
	}
	cli_table_print(&t);
	if (t.rows == 0)
		puts("(nothing)");
}

/* ---- for people ---- */

static void print_counts(struct arena *a, const struct redis_value *counts)
{
	static const struct {
		const char *name, *text;
	} lines[] = {
		{"door",        "at the door, not filed yet"                },
		{"ready",       "waiting for a worker"                      },
		{"limited",     "waiting for room: `flow-worker limits`"    },
		{"paused",      "held back: somebody has paused them"       },
		{"later",       "waiting for a moment (delayed, parked)"    },
		{"next",        "waiting behind one with the same dedup key"},
		{"active",      "running"                                   },
		{"calls",       "calls under way to providers"              },
		{"dead",        "dead: `flow-worker jobs list --state dead`"},
		{"quarantined", "quarantined: a person has to decide"       },
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		(void)printf("%8s  %s\n", cli_reply_text(a, counts, lines[i].name), lines[i].text);
}

/* "shop 4000, blog 13" */
static const char *numbers_text(struct arena *a, const struct redis_value *list)
{
	const char *text = "";

	for (size_t i = 0; i + 1 < list->count; i += 2)
		text = arena_printf(a, "%s%s%s %.0f", text, *text ? ", " : "",
				    cli_item_text(a, list, i), cli_item_number(list, i + 1));
	return text;
}

static void print_waiting(struct arena *a, const struct redis_value *report)
{
	double oldest = cli_reply_number(&report->items[COUNTS], "oldestMs");

	if (report->items[LANES].count == 0)
		return;
	(void)printf(
		"\nwaiting by lane: %s\nwaiting by tenant: %s\nthe oldest of them came %s ago\n",
		numbers_text(a, &report->items[LANES]), numbers_text(a, &report->items[TENANTS]),
		cli_duration(a, (uint64_t)oldest));
}

/* Why nothing of theirs runs although workers are free. */
static void print_sleeping(struct arena *a, const struct redis_value *list)
{
	uint64_t now = wall_ms();
	struct cli_table t;

	if (list->count == 0)
		return;
	puts("");
	cli_table_start(&t, a, "ROUTE WITHOUT ROOM", "LANE", "TENANT", "JOBS", "NEXT IN", NULL);
	for (size_t i = 0; i + SLEEP_WIDTH <= list->count; i += SLEEP_WIDTH) {
		uint64_t until = (uint64_t)cli_item_number(list, i + SLEEP_UNTIL);

		cli_table_row(&t, cli_item_text(a, list, i + SLEEP_ROUTE),
			      cli_item_text(a, list, i + SLEEP_LANE),
			      cli_item_text(a, list, i + SLEEP_TENANT),
			      arena_printf(a, "%.0f", cli_item_number(list, i + SLEEP_JOBS)),
			      cli_duration(a, until > now ? until - now : 0), NULL);
	}
	cli_table_print(&t);
}

static cJSON *sleeping_json(struct arena *a, const struct redis_value *list)
{
	cJSON *all = json_array(a);

	for (size_t i = 0; i + SLEEP_WIDTH <= list->count; i += SLEEP_WIDTH) {
		cJSON *group = json_object(a);

		json_set_text(a, group, "route", cli_item_text(a, list, i + SLEEP_ROUTE));
		json_set_number(a, group, "lane", cli_item_number(list, i + SLEEP_LANE));
		json_set_text(a, group, "tenant", cli_item_text(a, list, i + SLEEP_TENANT));
		json_set_number(a, group, "jobs", cli_item_number(list, i + SLEEP_JOBS));
		json_set_number(a, group, "untilMs", cli_item_number(list, i + SLEEP_UNTIL));
		json_push(all, group);
	}
	return all;
}

static void print_workers(struct arena *a, const cJSON *workers)
{
	uint64_t now = wall_ms();
	const cJSON *w;
	struct cli_table t;

	puts("");
	cli_table_start(&t, a, "WORKER", "VERSION", "RUNNING", "SLOTS", "UP FOR", "", NULL);
	json_each(w, workers) {
		double started = json_get_number(w, "startedMs", (double)now);
		const char *version = json_get_text(w, "version");

		cli_table_row(&t, json_get_text(w, "name"), version ? version : "?",
			      whole(a, w, "busy"), whole(a, w, "slots"),
			      cli_duration(a, now - (uint64_t)started),
			      json_get_bool(w, "stopping", false) ? "stopping" : "", NULL);
	}
	cli_table_print(&t);
	if (t.rows == 0)
		puts("(no worker is alive)");
}

static void print_recent(const struct redis_value *recent)
{
	static const char *const names[] = {"filed",     "done",    "dead",         "calls",
					    "ambiguous", "refused", "rate_limited", "lost"};

	(void)printf("\nlast %d minutes:", RECENT_MINUTES);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)printf("%s %.0f %s", i ? "," : "", cli_reply_number(recent, names[i]),
			     names[i]);
	(void)printf(" (%.1f jobs done a minute)",
		     cli_reply_number(recent, "done") / RECENT_MINUTES);
	puts("");
}

static void print_dead(const struct redis_value *counts, uint64_t most)
{
	double bytes = cli_reply_number(counts, "deadBytes");

	if (most > 0 && bytes > (double)most * 0.8)
		(void)printf(
			"dead and quarantined jobs take %.1f MB of %.1f MB (QUEUE_DEAD_MAX_BYTES): "
			"look at them, then `flow-worker jobs retry` or `purge`\n",
			bytes / 1e6, (double)most / 1e6);
}

static void print_troubles(struct arena *a, const struct redis_value *report)
{
	const struct redis_value *paused = &report->items[PAUSED],
				 *resting = &report->items[RESTING];

	for (size_t i = 0; i + 1 < paused->count; i += 2)
		(void)printf("%s\n", cli_paused_text(a, cli_item_text(a, paused, i)));
	for (size_t i = 0; i + REST_WIDTH <= resting->count; i += REST_WIDTH)
		(void)printf("%s\n", cli_rest_text(a, resting, i));
}

static int status(struct cli_queue *q)
{
	struct arena *a = q->arena;
	bool costs = cli_option(q->cli, COSTS) != NULL;
	uint64_t days = 1;
	const struct redis_value *report;
	cJSON *json = json_object(a), *workers, *books;

	if (!cli_option_number(q->cli, DAYS, 1, DAYS_MOST, &days))
		return CLI_WRONG;
	const struct str words[] = {word_of(a, RECENT_MINUTES), word_of(a, costs ? days : 0)};

	report = cli_queue_script(q, SCRIPT_REPORT, ARRAY_LEN(words), words);
	if (!report)
		return CLI_FAILED;
	workers = workers_json(a, &report->items[WORKERS]);
	books = costs_json(a, &report->items[COSTS_BY_DAY]);
	if (q->cli->json) {
		json_set(a, json, "jobs", numbers_json(a, &report->items[COUNTS]));
		json_set(a, json, "workers", workers);
		json_set(a, json, "ever", numbers_json(a, &report->items[EVER]));
		json_set(a, json, "recent", numbers_json(a, &report->items[RECENT]));
		json_set(a, json, "paused", numbers_json(a, &report->items[PAUSED]));
		json_set(a, json, "waitingByLane", numbers_json(a, &report->items[LANES]));
		json_set(a, json, "waitingByTenant", numbers_json(a, &report->items[TENANTS]));
		json_set(a, json, "resting", resting_json(a, &report->items[RESTING]));
		json_set(a, json, "waitingForRoom", sleeping_json(a, &report->items[SLEEPING]));
		if (costs)
			json_set(a, json, "costs", books);
		cli_print_json(a, json);
	} else if (costs) {
		print_costs(a, books);
	} else {
		print_counts(a, &report->items[COUNTS]);
		print_waiting(a, report);
		print_sleeping(a, &report->items[SLEEPING]);
		print_workers(a, workers);
		print_recent(&report->items[RECENT]);
		print_dead(&report->items[COUNTS], q->setup.config->queue_dead_max_bytes);
		print_troubles(a, report);
	}
	return CLI_OK;
}

static int run(struct cli *cli)
{
	struct cli_queue q;
	int result;

	if (cli_option(cli, READY))
		return cli_ready(cli);
	if (!cli_queue_open(&q, cli))
		return CLI_FAILED;
	result = status(&q);
	cli_queue_close(&q);
	return result;
}

const struct cli_command cli_status = {
	.name = "status",
	.help = "how many jobs wait, run and failed; who works; what it has cost",
	.arguments = "",
	.options = options,
	.run = run,
};
