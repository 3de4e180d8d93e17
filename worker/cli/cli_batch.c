/* flow-worker batch: a flow for each item of a collection, or each row of a file. */
#include "worker/cli/cli_batch.h"

#include "common/config.h"
#include "common/loop.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIST_MOST = 100, RETRY_AT_ONCE = 200, SCAN_COUNT = 200, CURSOR_MAX = 32 };

static const struct cli_option options[] = {
  /* clang-format off */
	[BATCH_COLLECTION]   = {"collection", "NAME", "create: whose items"},
	[BATCH_INPUT]        = {"input", "FILE", "create: rows of a .csv or .jsonl file instead of items"},
	[BATCH_FILTER]       = {"filter", "JSON|FILE", "create: which items, as in Directus; default: all"},
	[BATCH_FLOW]         = {"flow", "FILE|ID", "create: what is run for each; a file is named *.json"},
	[BATCH_FIELDS]       = {"fields", "A,B", "create: what is read of each item; default: *"},
	[BATCH_LIMIT]        = {"limit", "N", "create: items at most"},
	[BATCH_BUDGET]       = {"budget", "USD", "create, resume: it stops when so much is spent"},
	[BATCH_CONCURRENCY]  = {"concurrency", "N", "create: items at a time; default and most: 500"},
	[BATCH_NAME]         = {"name", "TEXT", "create: its id for the other commands; default: a new uuid"},
	[BATCH_ONLY_CHANGED] = {"only-changed", NULL, "create: nothing for items whose question is the same as last time"},
	[BATCH_IF_UNCHANGED] = {"if-unchanged", NULL, "create: an item that somebody changes meanwhile is left: CONFLICT"},
	[BATCH_NOTIFY]       = {"notify", "USER", "create: a user of Directus who is told the numbers at the end"},
	[BATCH_TRY]          = {"try", "N", "create: first N items here, nothing written, and the price of all"},
	[BATCH_DRY_RUN]      = {"dry-run", NULL, "create: show three rendered prompts, ask nobody"},
	[BATCH_YES]          = {"yes", NULL, "create: do not ask"},
	[BATCH_DETACH]       = {"detach", NULL, "create, resume: do not watch it"},
	[BATCH_FRESH]        = {"fresh", NULL, "retry-failed: also ask again what was answered, and paid"},
	[BATCH_FORMAT]       = {"format", "csv|json", "export: default csv"},
	[BATCH_OUTPUT]       = {"output", "FILE", "export: default standard output"},
	{0},
  /* clang-format on */
};

/* ---- for all ---- */

static bool look(struct cli_queue *q, const char *id, struct batch_state *s, bool *found)
{
	struct str word = str_of(id);
	const struct redis_value *reply = cli_queue_script(q, SCRIPT_BATCH_LOOK, 1, &word);

	*found = reply && batch_state_read(q->arena, reply, s);
	return reply != NULL;
}

static int unknown(struct cli_queue *q, const char *id)
{
	struct error err;

	(void)fail(
		&err, ERR_INVALID_PAYLOAD,
		"there is no batch '%.100s'; they are kept for 30 days: `flow-worker batch list`",
		id);
	return cli_failed(q->cli, &err);
}

bool cli_batch_look(struct cli_queue *q, const char *id, struct batch_state *s)
{
	bool found;

	if (!look(q, id, s, &found))
		return false;
	if (!found)
		(void)unknown(q, id);
	return found;
}

bool cli_batch_budget(struct cli *cli, uint64_t *nano)
{
	const char *text = cli_option(cli, BATCH_BUDGET);
	char *end;
	double dollars;

	if (!text)
		return true;
	dollars = strtod(text, &end);
	if (end == text || *end || !(dollars > 0) || dollars > 1e6) {
		(void)cli_wrong_use(cli, "--budget: found '%.40s', expected US dollars: 12.50",
				    text);
		return false;
	}
	*nano = (uint64_t)llround(dollars * 1e9);
	return true;
}

static bool scan_page(struct cli_queue *q, const char *key, char cursor[CURSOR_MAX],
		      bool (*fn)(void *arg, struct str field, struct str value), void *arg)
{
	const struct str words[] = {STR("HSCAN"), str_of(key), str_of(cursor), STR("COUNT"),
				    word_of(q->arena, SCAN_COUNT)};
	const struct redis_value *reply = cli_queue_command(q, ARRAY_LEN(words), words), *list;
	size_t length;

	if (!reply)
		return false;
	length = size_min(reply->items[0].text.len, CURSOR_MAX - 1);
	memcpy(cursor, reply->items[0].text.ptr, length);
	cursor[length] = '\0';
	list = &reply->items[1];
	for (size_t i = 0; i + 1 < list->count; i += 2)
		if (!fn(arg, list->items[i].text, list->items[i + 1].text))
			return false;
	return true;
}

bool cli_batch_scan(struct cli_queue *q, const char *kind, const char *id,
		    bool (*fn)(void *arg, struct str field, struct str value), void *arg)
{
	const char *key = cli_queue_key(q, kind, id);
	struct arena *lasting = q->arena;
	char cursor[CURSOR_MAX] = "0";
	bool good;

	do {
		q->arena = arena_new();
		good = scan_page(q, key, cursor, fn, arg);
		arena_free(q->arena);
	} while (good && strcmp(cursor, "0") != 0);
	q->arena = lasting;
	return good;
}

/* ---- list, show ---- */

static const char *count_text(struct arena *a, uint64_t n)
{
	return arena_printf(a, "%llu", (unsigned long long)n);
}

static void add_row(struct cli_table *t, const struct batch_state *s)
{
	struct arena *a = t->arena;

	cli_table_row(t, s->id, s->state, s->collection[0] ? s->collection : "(input)", s->flow,
		      count_text(a, s->total), count_text(a, s->done), count_text(a, s->skipped),
		      count_text(a, s->failed + s->conflict), cli_dollars(a, (double)s->spent_nano),
		      cli_time(a, s->created_ms), NULL);
}

static int list(struct cli_queue *q)
{
	const struct str words[] = {STR("ZREVRANGE"), str_of(cli_queue_key(q, "bats", "")),
				    STR("0"), word_of(q->arena, LIST_MOST - 1)};
	const struct redis_value *ids = cli_queue_command(q, ARRAY_LEN(words), words);
	cJSON *all = json_array(q->arena);
	struct batch_state s;
	struct cli_table t;
	bool found;

	if (!ids)
		return CLI_FAILED;
	cli_table_start(&t, q->arena, "BATCH", "STATE", "COLLECTION", "FLOW", "ITEMS", "DONE",
			"UNCHANGED", "FAILED", "COST", "CREATED", NULL);
	for (size_t i = 0; i < ids->count; i++) {
		if (!look(q, cli_item_text(q->arena, ids, i), &s, &found))
			return CLI_FAILED;
		if (!found)
			continue;
		add_row(&t, &s);
		json_push(all, batch_state_json(q->arena, &s));
	}
	if (q->cli->json)
		cli_print_json(q->arena, all);
	else
		cli_table_print(&t);
	return CLI_OK;
}

/* Without the unit, where the value is shown as a date. */
static const char *name_for_people(struct arena *a, const char *name)
{
	bool is_time = strcmp(name, "createdMs") == 0 || strcmp(name, "endedMs") == 0;

	return is_time ? arena_strndup(a, name, strlen(name) - 2) : name;
}

int cli_batch_print(struct cli_queue *q, const struct batch_state *s)
{
	struct arena *a = q->arena;
	cJSON *json = batch_state_json(a, s);
	const cJSON *member;

	if (q->cli->json) {
		cli_print_json(a, json);
		return CLI_OK;
	}
	json_set_text(a, json, "createdMs", cli_time(a, s->created_ms));
	json_set_text(a, json, "endedMs", cli_time(a, s->ended_ms));
	json_each(member, json)
		if (!cJSON_IsNull(member) && !(cJSON_IsString(member) && !*member->valuestring))
			(void)printf("%-11s %s\n", name_for_people(a, member->string),
				     cJSON_IsString(member) ? member->valuestring
							    : json_print(a, member).ptr);
	return CLI_OK;
}

static int show(struct cli_queue *q, const char *id)
{
	struct batch_state s;

	return cli_batch_look(q, id, &s) ? cli_batch_print(q, &s) : CLI_FAILED;
}

/* ---- pause, resume, cancel ---- */

static bool set(struct cli_queue *q, const char *id, const char *what, const char **state)
{
	uint64_t budget = 0;
	struct str words[4] = {str_of(id), str_of(what), STR(""), STR("2")};
	const struct redis_value *reply;

	if (!cli_batch_budget(q->cli, &budget))
		return false;
	if (budget)
		words[2] = word_of(q->arena, budget);
	reply = cli_queue_script(q, SCRIPT_BATCH_SET, ARRAY_LEN(words), words);
	if (!reply)
		return false;
	*state = reply->text.ptr;
	if (reply->text.len == 0)
		(void)unknown(q, id);
	return reply->text.len > 0;
}

static int change(struct cli_queue *q, const char *id, const char *what)
{
	struct batch_state s;
	const char *state;

	if (!set(q, id, what, &state))
		return CLI_FAILED;
	if (strcmp(what, "resume") == 0 && !cli_option(q->cli, BATCH_DETACH))
		return cli_batch_watch(q, id);
	return cli_batch_look(q, id, &s) ? cli_batch_print(q, &s) : CLI_FAILED;
}

/* ---- retry-failed ---- */

struct retry {
	struct cli_queue *q;
	struct arena *arena;
	struct str words[2 + RETRY_AT_ONCE];
	size_t count;
	int64_t again;
};

static bool send_retry(struct retry *r)
{
	const struct redis_value *reply;

	if (r->count == 2)
		return true;
	reply = cli_queue_script(r->q, SCRIPT_BATCH_RETRY, r->count, r->words);
	if (!reply)
		return false;
	r->again += reply->integer;
	r->count = 2;
	arena_free(r->arena);
	r->arena = arena_new();
	return true;
}

static bool retry_item(void *arg, struct str item, struct str record)
{
	static const char *const badly[] = {"[\"failed\"", "[\"conflict\"", "[\"cancelled\""};
	struct retry *r = arg;

	for (size_t i = 0; i < ARRAY_LEN(badly); i++)
		if (str_starts(record, str_of(badly[i])))
			r->words[r->count++] = arena_str(r->arena, item);
	return r->count < ARRAY_LEN(r->words) || send_retry(r);
}

static int retry_failed(struct cli_queue *q, const char *id)
{
	struct retry r = {.q = q, .count = 2};
	struct batch_state s;
	bool good;

	if (!cli_batch_look(q, id, &s))
		return CLI_FAILED;
	r.words[0] = str_of(id);
	r.words[1] = cli_option(q->cli, BATCH_FRESH) ? STR("1") : STR("0");
	r.arena = arena_new();
	good = cli_batch_scan(q, "bi:", id, retry_item, &r) && send_retry(&r);
	arena_free(r.arena);
	if (!good)
		return CLI_FAILED;
	(void)fprintf(stderr, "%lld items run again\n", (long long)r.again);
	return r.again ? change(q, id, "resume") : cli_batch_print(q, &s);
}

/* ---- the command ---- */

static int about_one(struct cli_queue *q, const char *what, const char *id)
{
	static const struct {
		const char *name;
		int (*run)(struct cli_queue *q, const char *id);
	} commands[] = {
		{"show",         show            },
		{"retry-failed", retry_failed    },
		{"export",       cli_batch_export},
		{"revert",       cli_batch_revert},
		{"watch",        cli_batch_watch }
        };

	bool is_change = strcmp(what, "pause") == 0 || strcmp(what, "resume") == 0 ||
			 strcmp(what, "cancel") == 0;
	size_t i = 0;

	while (i < ARRAY_LEN(commands) && strcmp(what, commands[i].name) != 0)
		i++;
	if (!is_change && i == ARRAY_LEN(commands))
		return cli_wrong_use(q->cli,
				     "batch %.80s: expected create, list, show, watch, pause, "
				     "resume, cancel, retry-failed, revert or export",
				     what);
	if (!id)
		return cli_wrong_use(q->cli, "batch %s: which one? `flow-worker batch list`", what);
	return is_change ? change(q, id, what) : commands[i].run(q, id);
}

static int run(struct cli *cli)
{
	const char *what = cli_argument(cli, 0);
	struct cli_queue q;
	int status;

	if (!cli_queue_open(&q, cli))
		return CLI_FAILED;
	if (strcmp(what, "create") == 0)
		status = cli_batch_create(&q);
	else if (strcmp(what, "list") == 0)
		status = list(&q);
	else
		status = about_one(&q, what, cli_argument(cli, 1));
	cli_queue_close(&q);
	return status;
}

const struct cli_command cli_batch = {
	.name = "batch",
	.help = "a flow for each item of a collection, or each row of a file",
	.arguments =
		"create|list|show|watch|pause|resume|cancel|retry-failed|revert|export [BATCH]",
	.arguments_min = 1,
	.arguments_max = 2,
	.options = options,
	.more = "create asks before a big run unless told --yes: it tries some items with nothing\n"
		"written, shows before and after, and what all of them will cost.\n"
		"A batch goes on without this program; workers run it. Exit status 0: every item "
		"is done.",
	.run = run,
};
