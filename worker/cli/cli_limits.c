/* flow-worker limits: every limit, how full it is, and when there is room. */
#include "common/config.h"
#include "common/json.h"
#include "common/loop.h"
#include "operations/models.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_queue.h"
#include "worker/cli/cli_table.h"
#include "worker/queue/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* As scopes.lua gives them. */
enum { WINDOWS, SLOTS, BUDGETS, SCOPES, ROOMS, RESTS };

enum { WORDS_MAX = 3000 };

struct view {
	struct cli_queue *q;
	struct arena *a;
	struct limit_rule *rules; /* as written */
	size_t count;
	const struct redis_value *used;
	cJSON *lines;
};

/* "flow:*" stands for "flow:9a1"; anything else for itself. */
static bool stands_for(const char *written, const char *scope)
{
	size_t len = strlen(written);

	if (strcmp(written, scope) == 0)
		return true;
	return len > 2 && strcmp(written + len - 2, ":*") == 0 &&
	       strncmp(written, scope, len - 1) == 0;
}

static bool is_money(enum limit_kind kind)
{
	return kind == LIMIT_BUDGET || kind == LIMIT_SOFT;
}

/* The number at `value` of the flat list whose items of `width` begin with these texts; -1: none. */
static double find(struct view *v, size_t list, size_t width, const char *first, const char *second,
		   size_t value)
{
	const struct redis_value *items = &v->used->items[list];

	for (size_t i = 0; i + width <= items->count; i += width)
		if (str_is(items->items[i].text, first) &&
		    (!second || str_is(items->items[i + 1].text, second)))
			return cli_item_number(items, i + value);
	return -1;
}

enum { SPENT = 2, RESERVED, UNCONFIRMED, BUDGET_WIDTH };

static double budget_part(struct view *v, const char *scope, const struct limit_rule *rule,
			  size_t part)
{
	double nano = find(v, BUDGETS, BUDGET_WIDTH, scope, rule->period, part);

	return nano < 0 ? 0 : nano;
}

/* "openai" holds for "openai/gpt-5", too. */
static bool is_of(const struct redis_value *route, const char *scope)
{
	size_t len = strlen(scope);

	return route->text.len >= len && memcmp(route->text.ptr, scope, len) == 0 &&
	       (route->text.len == len || route->text.ptr[len] == '/');
}

/* What providers' 429s have taught: the least of the scope's routes. */
static double factor_of(struct view *v, const char *scope)
{
	const struct redis_value *rests = &v->used->items[RESTS];
	double least = 1;

	for (size_t i = 0; i + REST_WIDTH <= rests->count; i += REST_WIDTH)
		if (is_of(&rests->items[i + REST_ROUTE], scope))
			least = fmin(least, cli_item_number(rests, i + REST_FACTOR));
	return least;
}

/* Until when its routes rest; of several the one that may be used first. 0: none does. */
static double rest_of(struct view *v, const char *scope)
{
	const struct redis_value *rests = &v->used->items[RESTS];
	double first = 0;

	for (size_t i = 0; i + REST_WIDTH <= rests->count; i += REST_WIDTH) {
		double until = cli_item_number(rests, i + REST_UNTIL);

		if (is_of(&rests->items[i + REST_ROUTE], scope) && until > (double)wall_ms())
			first = first > 0 ? fmin(first, until) : until;
	}
	return first;
}

/* Why one of its routes rests: "credit" before "circuit" before "limit"; NULL: none does. */
static const char *cause_of(struct view *v, const char *scope)
{
	const struct redis_value *rests = &v->used->items[RESTS];
	const char *worst = NULL;

	for (size_t i = 0; i + REST_WIDTH <= rests->count; i += REST_WIDTH) {
		const char *cause = cli_rest_cause(v->a, rests, i);

		if (is_of(&rests->items[i + REST_ROUTE], scope) &&
		    (!worst || strcmp(cause, "credit") == 0 || strcmp(worst, "limit") == 0))
			worst = cause;
	}
	return worst;
}

/* When there is room for one more; 0: now, or, of a budget without a period, when somebody raises it. Of slots
 * that are all taken it is when the first one is free at the latest, if nobody renews it. */
static double room_of(struct view *v, const char *scope, const struct limit_rule *rule, double left)
{
	if (rule->kind == LIMIT_SOFT || (left > 0 && is_money(rule->kind)))
		return 0;
	if (rule->kind == LIMIT_BUDGET)
		return (double)rule->ends_ms;
	if (rule->kind == LIMIT_CONCURRENCY)
		return left > 0 ? 0 : find(v, SLOTS, 3, scope, NULL, 2);
	return fmax(0, find(v, ROOMS, 3, scope, limit_kind_word(rule->kind), 2));
}

static void add_line(struct view *v, const char *scope, const struct limit_rule *rule)
{
	double unit = is_money(rule->kind) ? 1e9 : 1;
	cJSON *line = json_object(v->a);
	double used, left;

	if (is_money(rule->kind)) {
		used = budget_part(v, scope, rule, SPENT) + budget_part(v, scope, rule, RESERVED) +
		       budget_part(v, scope, rule, UNCONFIRMED);
		json_set_number(v->a, line, "unconfirmedUsd",
				budget_part(v, scope, rule, UNCONFIRMED) / unit);
	} else if (rule->kind == LIMIT_CONCURRENCY) {
		used = find(v, SLOTS, 3, scope, NULL, 1);
	} else {
		used = find(v, WINDOWS, 3, scope, limit_kind_word(rule->kind), 2);
	}
	json_set_text(v->a, line, "scope", scope);
	json_set_text(v->a, line, "limit", limit_kind_name(rule->kind));
	json_set_number(v->a, line, "used", (used < 0 ? 0 : used) / unit);
	json_set_number(v->a, line, "of", (double)rule->limit / unit);
	left = fmax(0, (double)rule->limit - fmax(0, used));
	json_set_number(v->a, line, "remaining", left / unit);
	json_set_number(v->a, line, "factor", factor_of(v, scope));
	json_set_number(v->a, line, "roomAtMs",
			fmax(rest_of(v, scope), room_of(v, scope, rule, left)));
	json_set_text(v->a, line, "rests", cause_of(v, scope));
	json_set_number(v->a, line, "endsMs", (double)rule->ends_ms);
	json_push(v->lines, line);
}

/* A rule for each of many has a line for each that was seen, and one as written if there is none. */
static void add_lines(struct view *v, const struct limit_rule *rule)
{
	const struct redis_value *scopes = &v->used->items[SCOPES];
	size_t seen = 0;

	for (size_t i = 0; i < scopes->count; i++) {
		const char *scope = cli_item_text(v->a, scopes, i);

		if (stands_for(rule->scope, scope)) {
			add_line(v, scope, rule);
			seen++;
		}
	}
	if (seen == 0)
		add_line(v, rule->scope, rule);
}

static const char *room_from(struct view *v, const cJSON *line)
{
	uint64_t room = (uint64_t)json_get_number(line, "roomAtMs", 0);

	if (room)
		return cli_time(v->a, room);
	return json_get_number(line, "remaining", 0) > 0 ||
			       strcmp(json_get_text(line, "limit"), "budgetUsd") != 0
		       ? "now"
		       : "when it is raised";
}

static void print_lines(struct view *v)
{
	const cJSON *line;
	struct cli_table t;

	cli_table_start(&t, v->a, "SCOPE", "LIMIT", "USED", "OF", "LEFT", "FULL", "FACTOR",
			"ROOM FROM", "STARTS ANEW", NULL);
	json_each(line, v->lines) {
		double used = json_get_number(line, "used", 0), of = json_get_number(line, "of", 0);
		uint64_t ends = (uint64_t)json_get_number(line, "endsMs", 0);
		bool is_usd = strstr(json_get_text(line, "limit"), "Usd") != NULL;
		char text[3][32];

		(void)snprintf(text[0], sizeof(text[0]), is_usd ? "%.4f" : "%.0f", used);
		(void)snprintf(text[1], sizeof(text[1]), is_usd ? "%.4f" : "%.0f", of);
		(void)snprintf(text[2], sizeof(text[2]), is_usd ? "%.4f" : "%.0f",
			       json_get_number(line, "remaining", 0));
		cli_table_row(&t, json_get_text(line, "scope"), json_get_text(line, "limit"),
			      text[0], text[1], text[2],
			      arena_printf(v->a, "%.0f %%", of > 0 ? 100 * used / of : 100),
			      arena_printf(v->a, "%.2f", json_get_number(line, "factor", 1)),
			      room_from(v, line), cli_time(v->a, ends), NULL);
	}
	cli_table_print(&t);
	if (t.rows == 0)
		puts("(AI_LIMITS sets none)");
}

static void print_rests(struct view *v)
{
	const struct redis_value *rests = &v->used->items[RESTS];

	for (size_t i = 0; i + REST_WIDTH <= rests->count; i += REST_WIDTH)
		(void)printf("%s\n", cli_rest_text(v->a, rests, i));
}

/* What scopes.lua is to look at: each scope that was seen with each of its windows and periods. */
static size_t what_to_look_at(struct view *v, const struct redis_value *scopes, struct str *words)
{
	size_t n = 0;

	for (size_t i = 0; i < v->count; i++) {
		if (v->rules[i].kind == LIMIT_CONCURRENCY)
			continue;
		for (size_t k = 0; k < scopes->count && n + 3 <= WORDS_MAX; k++) {
			const char *scope = cli_item_text(v->a, scopes, k);

			if (!stands_for(v->rules[i].scope, scope))
				continue;
			words[n++] = str_of(scope);
			words[n++] = str_of(limit_kind_word(v->rules[i].kind));
			words[n++] = is_money(v->rules[i].kind) ? str_of(v->rules[i].period)
								: word_of(v->a, v->rules[i].limit);
		}
	}
	return n;
}

static int limits(struct view *v)
{
	const struct config *c = v->q->setup.config;
	struct str text = json_print(v->a, models_limits(c, v->a));
	struct str *words = arena_array(v->a, struct str, WORDS_MAX);
	struct error err;
	const struct limits *rules = limits_parse(v->a, text, &err);

	if (!rules)
		return cli_failed(v->q->cli, &err);
	v->count = limits_list(rules, wall_ms(), v->a, &v->rules);
	v->used = cli_queue_script(v->q, SCRIPT_SCOPES, 0, NULL);
	if (!v->used)
		return CLI_FAILED;
	v->used = cli_queue_script(v->q, SCRIPT_SCOPES,
				   what_to_look_at(v, &v->used->items[SCOPES], words), words);
	if (!v->used)
		return CLI_FAILED;
	for (size_t i = 0; i < v->count; i++)
		add_lines(v, &v->rules[i]);
	if (v->q->cli->json)
		cli_print_json(v->a, v->lines);
	else {
		print_lines(v);
		print_rests(v);
	}
	return CLI_OK;
}

static int run(struct cli *cli)
{
	struct cli_queue q;
	struct view v = {.q = &q};
	int status;

	if (!cli_queue_open(&q, cli))
		return CLI_FAILED;
	v.a = q.arena;
	v.lines = json_array(v.a);
	status = limits(&v);
	cli_queue_close(&q);
	return status;
}

const struct cli_command cli_limits = {
	.name = "limits",
	.help = "every limit of AI_LIMITS, how full it is, when it starts anew",
	.arguments = "",
	.run = run,
};
