/* flow-worker jobs: look at jobs, and decide about those that wait for a person. */
#include "common/config.h"
#include "common/json.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_erase.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_table.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATE, ITEM, CODE, BATCH, TENANT, ROUTE, LIMIT, FRESH, DRY_RUN };

/* clang-format off */
static const struct cli_option options[] = {
	[STATE] = {"state", "STATE",
		"ready, active, delayed, parked, ambiguous, next, dead or quarantined"},
	[ITEM] = {"item", "TEXT", "jobs about an item: \"articles:12\", or a part of it"},
	[CODE] = {"code", "CODE", "jobs that ended with this error"},
	[BATCH] = {"batch", "ID", "jobs of a batch"},
	[TENANT] = {"tenant", "NAME", "jobs of a tenant; with pause and resume: only these"},
	[ROUTE] = {"route", "ROUTE", "with pause and resume: only this provider/model, or provider"},
	[LIMIT] = {"limit", "N", "how many at most; default 50 for list, 20000 else"},
	[FRESH] = {"fresh", NULL,
		"with retry: forget finished steps and answers; they are paid again"},
	[DRY_RUN] = {"dry-run", NULL, "with retry, cancel and purge: only say which jobs"},
	{0},
};
/* clang-format on */

/* As list.lua gives them. */
enum row {
	ROW_ID,
	ROW_STATE,
	ROW_LANE,
	ROW_ROUTE,
	ROW_TENANT,
	ROW_CODE,
	ROW_LOSSES,
	ROW_MAX,
	ROW_FILED,
	ROW_DUE,
	ROW_BATCH,
	ROW_ITEM,
	ROW_OWNER,
	ROW_NANO,
	ROW_PAUSED
};

enum { LIST_DEFAULT = 50, LIST_MOST = 20000, SEEN_AT_ONCE = 5000 };

static struct str given(const struct cli *cli, size_t option)
{
	return str_of(cli_option(cli, option));
}

static bool has_filter(const struct cli *cli)
{
	return cli_option(cli, STATE) || cli_option(cli, ITEM) || cli_option(cli, CODE) ||
	       cli_option(cli, BATCH) || cli_option(cli, TENANT);
}

/* Jobs that match the options, as list.lua gives them; NULL: it has been told why not. */
static const struct redis_value *find_jobs(struct cli_queue *q, const char *state, uint64_t most)
{
	const struct str words[] = {
		str_of(state),        given(q->cli, ITEM),   given(q->cli, CODE),
		given(q->cli, BATCH), given(q->cli, TENANT), word_of(q->arena, most),
	};
	const struct redis_value *reply = cli_queue_script(q, SCRIPT_LIST, ARRAY_LEN(words), words);

	return reply ? &reply->items[1] : NULL;
}

/* ---- list ---- */

static cJSON *job_json(struct arena *a, const struct redis_value *row)
{
	static const struct {
		const char *name;
		enum row at;
		bool is_number;
	} members[] = {
		{"id",       ROW_ID,     false},
                {"state",    ROW_STATE,  false},
		{"lane",     ROW_LANE,   true },
                {"route",    ROW_ROUTE,  false},
		{"tenant",   ROW_TENANT, false},
                {"code",     ROW_CODE,   false},
		{"losses",   ROW_LOSSES, true },
                {"max",      ROW_MAX,    true },
		{"filedMs",  ROW_FILED,  true },
                {"dueMs",    ROW_DUE,    true },
		{"batch",    ROW_BATCH,  false},
                {"item",     ROW_ITEM,   false},
		{"worker",   ROW_OWNER,  false},
                {"waitsFor", ROW_PAUSED, false},
	};
	cJSON *json = json_object(a);

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *text = cli_item_text(a, row, members[i].at);

		if (members[i].is_number)
			json_set_number(a, json, members[i].name,
					cli_item_number(row, members[i].at));
		else
			json_set(a, json, members[i].name,
				 *text ? json_text(a, text) : json_null(a));
	}
	json_set_number(a, json, "costUsd", cli_item_number(row, ROW_NANO) / 1e9);
	return json;
}

/* Of a job that waits for a moment: how long still; or that somebody has paused it. */
static const char *due_text(struct arena *a, const struct redis_value *row, uint64_t now)
{
	uint64_t due = (uint64_t)cli_item_number(row, ROW_DUE);
	const char *state = cli_item_text(a, row, ROW_STATE);
	bool waits = strcmp(state, "delayed") == 0 || strcmp(state, "parked") == 0 ||
		     strcmp(state, "ambiguous") == 0 || strcmp(state, "ready") == 0;

	if (*cli_item_text(a, row, ROW_PAUSED))
		return "paused";
	return waits && due > now ? cli_duration(a, due - now) : "";
}

static void print_rows(struct cli_queue *q, const struct redis_value *rows, uint64_t most)
{
	struct arena *a = q->arena;
	uint64_t now = wall_ms();
	struct cli_table t;

	cli_table_start(&t, a, "ID", "STATE", "AGE", "DUE IN", "LANE", "TENANT", "ROUTE", "LOST",
			"CODE", "ITEM", NULL);
	for (size_t i = 0; i < rows->count; i++) {
		const struct redis_value *row = &rows->items[i];
		uint64_t filed = (uint64_t)cli_item_number(row, ROW_FILED);

		cli_table_row(&t, cli_item_text(a, row, ROW_ID), cli_item_text(a, row, ROW_STATE),
			      cli_duration(a, now > filed ? now - filed : 0), due_text(a, row, now),
			      cli_item_text(a, row, ROW_LANE), cli_item_text(a, row, ROW_TENANT),
			      cli_item_text(a, row, ROW_ROUTE), cli_item_text(a, row, ROW_LOSSES),
			      cli_item_text(a, row, ROW_CODE), cli_item_text(a, row, ROW_ITEM),
			      NULL);
	}
	cli_table_print(&t);
	if (t.rows == 0)
		puts("(no job)");
	if (rows->count >= most)
		(void)fprintf(stderr, "the first %zu; --limit shows more\n", rows->count);
}

static void print_jobs(struct cli_queue *q, const struct redis_value *rows, uint64_t most)
{
	cJSON *all = json_array(q->arena);

	if (!q->cli->json) {
		print_rows(q, rows, most);
		return;
	}
	for (size_t i = 0; i < rows->count; i++)
		json_push(all, job_json(q->arena, &rows->items[i]));
	cli_print_json(q->arena, all);
}

/* A person has seen them. Where that can not be noted (Redis is full) the list matters more. */
static void tell_seen(struct cli_queue *q, const struct redis_value *rows)
{
	struct str *ids = arena_array(q->arena, struct str, rows->count + 1);
	size_t count = 0;

	for (size_t i = 0; i < rows->count && count < SEEN_AT_ONCE; i++) {
		const struct redis_value *state = &rows->items[i].items[ROW_STATE];

		if (str_is(state->text, "dead") || str_is(state->text, "quarantined"))
			ids[count++] = rows->items[i].items[ROW_ID].text;
	}
	if (count > 0)
		cli_queue_try(q, SCRIPT_SEEN, count, ids);
}

static int list(struct cli_queue *q)
{
	const char *state = cli_option(q->cli, STATE);
	uint64_t most = LIST_DEFAULT;
	const struct redis_value *rows;

	if (!cli_option_number(q->cli, LIMIT, 1, LIST_MOST, &most))
		return CLI_WRONG;
	rows = find_jobs(q, state ? state : "", most);
	if (!rows)
		return CLI_FAILED;
	tell_seen(q, rows);
	print_jobs(q, rows, most);
	return CLI_OK;
}

/* ---- show ---- */

static const struct redis_value *read_key(struct cli_queue *q, const char *command,
					  const char *kind, const char *id)
{
	const struct str words[] = {str_of(command), str_of(cli_queue_key(q, kind, id))};

	return cli_queue_command(q, ARRAY_LEN(words), words);
}

static void put_json(struct cli_queue *q, cJSON *into, const char *name, const char *kind,
		     const char *id)
{
	const struct redis_value *text = read_key(q, "GET", kind, id);
	struct error err;
	cJSON *value;

	if (!text || text->type != REDIS_TEXT)
		return;
	value = json_parse_rounding(q->arena, text->text, &err);
	json_set(q->arena, into, name, value ? value : json_str(q->arena, text->text));
}

/* What is stored for a job, by name, since answers and steps may be long; and how far it is: the keys
 * of the steps that are finished. */
static void put_stored(struct cli_queue *q, cJSON *into, const char *id)
{
	const struct redis_value *names = read_key(q, "HKEYS", "s:", id);
	cJSON *finished = json_array(q->arena), *stored = json_array(q->arena);
	const struct str prefix = STR("step:");

	for (size_t i = 0; names && i < names->count; i++) {
		struct str name = names->items[i].text;

		if (str_starts(name, prefix))
			json_push(finished,
				  json_str(q->arena, (struct str){name.ptr + prefix.len,
								  name.len - prefix.len}));
		else
			json_push(stored, json_str(q->arena, name));
	}
	if (json_count(finished) > 0)
		json_set(q->arena, into, "finished", finished);
	if (json_count(stored) > 0)
		json_set(q->arena, into, "stored", stored);
}

/* Else it waits no more for what it did. */
static bool is_waiting(const cJSON *job)
{
	const char *state = json_get_text(job, "state");

	return state && (strcmp(state, "ready") == 0 || strcmp(state, "parked") == 0);
}

static cJSON *describe_job(struct cli_queue *q, const char *id)
{
	const struct redis_value *h = read_key(q, "HGETALL", "j:", id);
	cJSON *json = json_object(q->arena);

	if (!h)
		return NULL;
	json_set_text(q->arena, json, "id", id);
	for (size_t i = 0; i + 1 < h->count; i += 2)
		json_set_str(q->arena, json, cli_item_text(q->arena, h, i), h->items[i + 1].text);
	if (!is_waiting(json))
		json_remove(json, "waits");
	put_json(q, json, "body", "b:", id);
	put_stored(q, json, id);
	put_json(q, json, "result", "res:", id);
	put_json(q, json, "steps", "log:", id);
	return json;
}

static bool is_time(const char *name)
{
	return strcmp(name, "filed") == 0 || strcmp(name, "claimed") == 0 ||
	       strcmp(name, "ended") == 0 || strcmp(name, "call_end") == 0;
}

static void print_job(struct cli_queue *q, const cJSON *job)
{
	const cJSON *member;

	json_each(member, job) {
		const char *text = cJSON_IsString(member) ? member->valuestring : NULL;

		if (text && is_time(member->string))
			text = cli_time(q->arena, (uint64_t)strtoull(text, NULL, 10));
		if (text)
			(void)printf("%-10s %s\n", member->string, text);
		else
			(void)printf("%-10s %s\n", member->string,
				     json_print_pretty(q->arena, member).ptr);
	}
}

static int show(struct cli_queue *q)
{
	for (size_t i = 1; i < q->cli->argument_count; i++) {
		const char *id = cli_argument(q->cli, i);
		cJSON *job = describe_job(q, id);

		if (!job)
			return CLI_FAILED;
		if (json_count(job) == 1) {
			(void)fprintf(stderr, "no job '%s': never seen, or its result is too old\n",
				      id);
			return CLI_FAILED;
		}
		cli_queue_try(q, SCRIPT_SEEN, 1, &(struct str){id, strlen(id)});
		if (q->cli->json)
			cli_print_json(q->arena, job);
		else
			print_job(q, job);
	}
	return CLI_OK;
}

/* ---- retry, cancel, purge ---- */

struct move {
	const char *name;
	enum script script;
	const char *state; /* of jobs found by options; NULL: whatever --state says */
	const char *done;  /* for people */
};

static const struct move moves[] = {
	{"retry",  SCRIPT_RETRY,  NULL, "wait again"   },
	{"cancel", SCRIPT_CANCEL, NULL, "are cancelled"},
	{"purge",  SCRIPT_PURGE,  NULL, "are forgotten"},
};

/* How the reply to a move says that it did something. */
static bool has_moved(const struct redis_value *reply)
{
	if (reply->type == REDIS_INTEGER)
		return reply->integer == 1;
	return str_is(reply->text, "waiting") || str_is(reply->text, "running");
}

static bool move_one(struct cli_queue *q, const struct move *move, const char *id, size_t *moved)
{
	struct str words[2] = {str_of(id), STR("0")};
	const struct redis_value *reply;

	if (move->script == SCRIPT_CANCEL)
		words[1] = word_of(q->arena, q->setup.config->result_ttl_ms);
	else if (move->script == SCRIPT_RETRY && cli_option(q->cli, FRESH))
		words[1] = STR("1");
	reply = cli_queue_script(q, move->script, ARRAY_LEN(words), words);
	if (!reply)
		return false;
	*moved += has_moved(reply);
	return true;
}

static bool move_found(struct cli_queue *q, const struct move *move, const char *state,
		       size_t *asked, size_t *moved)
{
	uint64_t most = LIST_MOST;
	const struct redis_value *rows = find_jobs(q, state, most);

	for (size_t i = 0; rows && i < rows->count; i++) {
		if (!move_one(q, move, cli_item_text(q->arena, &rows->items[i], ROW_ID), moved))
			return false;
		++*asked;
	}
	return rows != NULL;
}

/* Retry and purge are about jobs that have ended badly, whatever else is asked. */
static bool move_by_options(struct cli_queue *q, const struct move *move, size_t *asked,
			    size_t *moved)
{
	const char *state = cli_option(q->cli, STATE);

	if (state || move->script == SCRIPT_CANCEL)
		return move_found(q, move, state ? state : "", asked, moved);
	return move_found(q, move, "dead", asked, moved) &&
	       move_found(q, move, "quarantined", asked, moved);
}

/* The item and nothing else: then all that there is of it is meant, not dead jobs alone. */
static bool is_erasure(struct cli_queue *q, const struct move *move)
{
	return move->script == SCRIPT_PURGE && cli_option(q->cli, ITEM) &&
	       q->cli->argument_count == 1 && !cli_option(q->cli, STATE) &&
	       !cli_option(q->cli, CODE) && !cli_option(q->cli, BATCH) &&
	       !cli_option(q->cli, TENANT);
}

static int erase(struct cli_queue *q)
{
	const char *item = cli_option(q->cli, ITEM);

	if (!strchr(item, ':'))
		return cli_wrong_use(q->cli,
				     "--item %s: expected collection:key, such as articles:12 (a "
				     "part of it goes with --state dead)",
				     item);
	return cli_erase(q, item, cli_option(q->cli, DRY_RUN) != NULL);
}

/* The rows of both, as one list. */
static const struct redis_value *both(struct arena *a, const struct redis_value *first,
				      const struct redis_value *second)
{
	struct redis_value *all = arena_array(a, struct redis_value, 1);
	struct redis_value *rows =
		arena_array(a, struct redis_value, first->count + second->count + 1);

	for (size_t i = 0; i < first->count; i++)
		rows[i] = first->items[i];
	for (size_t i = 0; i < second->count; i++)
		rows[first->count + i] = second->items[i];
	*all = (struct redis_value){
		.type = REDIS_ARRAY, .items = rows, .count = first->count + second->count};
	return all;
}

/* The jobs that would be moved. */
static int show_moves(struct cli_queue *q, const struct move *move)
{
	const char *state = cli_option(q->cli, STATE);
	bool is_of_both = !state && move->script != SCRIPT_CANCEL;
	const struct redis_value *rows, *more;

	if (q->cli->argument_count > 1)
		return cli_wrong_use(q->cli, "--dry-run says which jobs the options mean: leave "
					     "the IDs away");
	rows = find_jobs(q, is_of_both ? "dead" : state ? state : "", LIST_MOST);
	more = rows && is_of_both ? find_jobs(q, "quarantined", LIST_MOST) : NULL;
	if (!rows || (is_of_both && !more))
		return CLI_FAILED;
	print_jobs(q, more ? both(q->arena, rows, more) : rows, LIST_MOST);
	return CLI_OK;
}

static int move_jobs(struct cli_queue *q, const struct move *move)
{
	size_t asked = q->cli->argument_count - 1, moved = 0;
	cJSON *told = json_object(q->arena);

	if (asked == 0 && !has_filter(q->cli))
		return cli_wrong_use(q->cli,
				     "which jobs? Name them, or use --state, --item, --code, "
				     "--batch or --tenant");
	if (is_erasure(q, move))
		return erase(q);
	if (cli_option(q->cli, DRY_RUN))
		return show_moves(q, move);
	for (size_t i = 1; i < q->cli->argument_count; i++)
		if (!move_one(q, move, cli_argument(q->cli, i), &moved))
			return CLI_FAILED;
	if (asked == 0 && !move_by_options(q, move, &asked, &moved))
		return CLI_FAILED;
	json_set_number(q->arena, told, "asked", (double)asked);
	json_set_number(q->arena, told, "moved", (double)moved);
	if (q->cli->json)
		cli_print_json(q->arena, told);
	else
		(void)printf("%zu of %zu jobs %s\n", moved, asked, move->done);
	return moved == asked ? CLI_OK : CLI_FAILED;
}

/* ---- pause, resume ---- */

/* What the options name, as it is called in Redis; "" for everything. */
static const char *what_to_pause(struct cli_queue *q)
{
	const char *route = cli_option(q->cli, ROUTE), *tenant = cli_option(q->cli, TENANT);

	if (route)
		return arena_printf(q->arena, "route:%s", route);
	return tenant ? arena_printf(q->arena, "tenant:%s", tenant) : "";
}

static int pause_jobs(struct cli_queue *q)
{
	const char *what = what_to_pause(q);
	const struct str words[] = {
		STR("HSET"), str_of(cli_queue_key(q, "cfg", "")),
		str_of(*what ? arena_printf(q->arena, "paused:%s", what) : "paused"), STR("1")};

	if (!cli_queue_command(q, ARRAY_LEN(words), words))
		return CLI_FAILED;
	(void)printf("%s is paused: what runs is finished up to its next call, nothing new is "
		     "begun\n",
		     *what ? what : "everything");
	return CLI_OK;
}

static int resume_jobs(struct cli_queue *q)
{
	const struct str words[] = {str_of(what_to_pause(q))};
	const struct redis_value *reply = cli_queue_script(q, SCRIPT_RESUME, 1, words);
	double woken = reply ? cli_item_number(reply, 0) : 0;

	if (!reply)
		return CLI_FAILED;
	(void)printf("%s goes on\n", words[0].len ? words[0].ptr : "everything");
	if (woken > 0)
		(void)printf("%.0f %s that had stopped by itself is asked again\n", woken,
			     woken > 1 ? "routes" : "route");
	for (size_t i = 1; i < reply->count; i++)
		(void)printf("still %s\n",
			     cli_paused_text(q->arena, cli_item_text(q->arena, reply, i)));
	return CLI_OK;
}

static int pause_or_resume(struct cli_queue *q, bool pause)
{
	if (cli_option(q->cli, ROUTE) && cli_option(q->cli, TENANT))
		return cli_wrong_use(q->cli, "--route or --tenant, not both at once");
	if (q->cli->argument_count > 1)
		return cli_wrong_use(q->cli, "pause and resume take no IDs: --route, --tenant, or "
					     "nothing for everything");
	return pause ? pause_jobs(q) : resume_jobs(q);
}

static int do_what(struct cli_queue *q)
{
	const char *what = cli_argument(q->cli, 0);

	if (strcmp(what, "list") == 0)
		return list(q);
	if (strcmp(what, "show") == 0 && q->cli->argument_count > 1)
		return show(q);
	if (strcmp(what, "pause") == 0 || strcmp(what, "resume") == 0)
		return pause_or_resume(q, strcmp(what, "pause") == 0);
	for (size_t i = 0; i < ARRAY_LEN(moves); i++)
		if (strcmp(what, moves[i].name) == 0)
			return move_jobs(q, &moves[i]);
	return cli_wrong_use(q->cli,
			     "jobs %s: expected list, show ID, retry, cancel, purge, pause "
			     "or resume",
			     what);
}

/* A misspelt state would find nothing, and look as if there were nothing. */
static bool is_state(const char *state)
{
	static const char *const states[] = {"ready",     "active", "delayed", "parked",
					     "ambiguous", "next",   "dead",    "quarantined"};

	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (strcmp(state, states[i]) == 0)
			return true;
	return false;
}

static int run(struct cli *cli)
{
	struct cli_queue q;
	const char *state = cli_option(cli, STATE);
	int status;

	if (state && !is_state(state))
		return cli_wrong_use(cli,
				     "--state %s: expected ready, active, delayed, parked, "
				     "ambiguous, next, dead or quarantined",
				     state);
	if (!cli_queue_open(&q, cli))
		return CLI_FAILED;
	status = do_what(&q);
	cli_queue_close(&q);
	return status;
}

const struct cli_command cli_jobs = {
	.name = "jobs",
	.help = "list, show, retry, cancel and purge jobs; pause and resume",
	.arguments = "list|show|retry|cancel|purge|pause|resume [ID…]",
	.arguments_min = 1,
	.arguments_max = CLI_ANY_NUMBER,
	.options = options,
	.more = "retry runs dead and quarantined jobs again; what they have paid for is kept.\n"
		"cancel ends waiting jobs and stops running ones; purge forgets dead and "
		"quarantined ones, and by ID any that has ended: with body, answers, result and "
		"steps.\n"
		"purge --item articles:12 alone: all that the queue holds for that item. Waiting "
		"jobs "
		"are cancelled and running ones stopped, results, steps, cached answers and old "
		"values "
		"of batches go; it says what it does not reach. With --dry-run it only says what.\n"
		"Instead of IDs: --state, --item, --code, --batch, --tenant.",
	.run = run,
};
