/*	check ─► one ─► got                      a single key: an object
 *	          └── as it was before the event ─► rest ─► one
 *	     └─► some ─► got                     keys, or a query: an array
 *	     └─► page ─► got_page ─► page …      more than PAGE rows: in pages                */
#include "common/loop.h"
#include "operations/items.h"
#include "operations/services.h"

#include <math.h>
#include <stdlib.h>

enum {
	PAGE = 200,
	DEFAULT_LIMIT = 100,
	QUERY_TEXT_MAX = 4000, /* a longer one does not go into a URL */
	ROWS_MAX_BYTES = 32 * 1024 * 1024,
	OLD_READS_MAX = 5, /* 50, 100, … 800 ms: what is old then was changed since */
	OLD_REST_MS = 50
};

struct state {
	struct items items;
	unsigned old_reads;
	struct sleep_call rest;
	double wanted; /* rows; infinity: all */
	double offset;
	cJSON *rows;
	size_t bytes;
	bool pages_are_full; /* the server gives as many rows as it is asked for */
};

static task_step check, ask_one, got_one, ask_some, got_some, ask_page, got_page;

static struct state *state_of(struct task *t)
{
	return op_of(t)->state;
}

static double number_of(const cJSON *query, const char *name, double otherwise)
{
	const cJSON *value = json_get(query, name);

	if (cJSON_IsString(value))
		return strtod(value->valuestring, NULL);
	return cJSON_IsNumber(value) ? value->valuedouble : otherwise;
}

/* How many rows were asked for, where that is more than one answer should hold. */
static bool wants_pages(struct state *s)
{
	const cJSON *query = s->items.query;
	double limit = number_of(query, "limit", DEFAULT_LIMIT);

	if (json_get(query, "aggregate") || json_get(query, "group") || json_get(query, "groupBy"))
		return false;
	s->wanted = limit < 0 ? (double)INFINITY : limit;
	s->offset = number_of(query, "offset", 0);
	if (limit > 0 && json_get(query, "page"))
		s->offset = (number_of(query, "page", 1) - 1) * limit;
	return s->wanted > PAGE;
}

static enum task_next check(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct error err;

	if (!items_prepare(op_of(t), it, &err))
		return task_fail_as(t, &err);
	if (it->key_count == 1)
		return task_go(t, ask_one);
	if (it->by_extension)
		return items_delegate(it, NULL, true, NULL);
	if (it->key_count > 1 || !wants_pages(s))
		return task_go(t, ask_some);
	s->rows = json_array(it->op->arena);
	return task_go(t, ask_page);
}

/* ---- one item ---- */

/* Directus tells of an event before the transaction that has caused it is over (a list of updates,
 * nested items): who asks at once sees what was there before. So an item that has none of the values
 * that the event says it was given is read again, for a while. */
static bool is_the_events_item(const struct items *it, const cJSON *trigger)
{
	const char *collection = json_get_text(trigger, "collection"), *asked;
	const cJSON *key = json_get(trigger, "key");

	if (!it->may_be_new || !collection || strcmp(collection, it->collection) != 0)
		return false;
	if (json_count(json_get(trigger, "keys")) == 1)
		key = json_get(trigger, "keys")->child;
	asked = items_key_text(it->op->arena, it->keys->child);
	return (cJSON_IsString(key) || cJSON_IsNumber(key)) &&
	       strcmp(items_key_text(it->op->arena, key), asked) == 0;
}

static bool is_old(const struct items *it, const cJSON *row)
{
	const cJSON *trigger = json_get(it->op->chain, "$trigger"), *given;
	size_t differing = 0;

	if (!cJSON_IsObject(row) || !is_the_events_item(it, trigger))
		return false;
	json_each(given, json_get(trigger, "payload")) {
		const cJSON *now = json_get(row, given->string);

		if (!now || cJSON_IsObject(given) || cJSON_IsArray(given))
			continue;
		if (json_equal(now, given))
			return false;
		differing++;
	}
	return differing > 0;
}

static enum task_next ask_one(struct task *t)
{
	struct items *it = &state_of(t)->items;
	const char *query = directus_query(it->op->arena, it->query), *path;
	struct error err;

	if (it->by_extension)
		return items_delegate(it, NULL, true, got_one);
	if (!items_key_path(it, it->keys->child, &path, &err))
		return task_fail_as(t, &err);
	if (strlen(query) > QUERY_TEXT_MAX)
		return items_ask(it, "SEARCH", it->path, NULL,
				 items_body(it, it->keys, it->query, NULL), got_one);
	return items_ask(it, "GET", path, query, NULL, got_one);
}

static enum task_next got_one(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	const cJSON *data = it->ask.data;
	struct error err;

	if (items_failed(it))
		return items_fail(it);
	if (cJSON_IsArray(data) && !data->child) { /* what GET says of an item that is not there */
		(void)fail(&err, ERR_NAMED, "You don't have permission to access this.");
		(void)memcpy(err.name, "FORBIDDEN", sizeof("FORBIDDEN"));
		err.status = 403;
		return task_fail_as(t, &err);
	}
	data = cJSON_IsArray(data) ? data->child : data;
	if (s->old_reads < OLD_READS_MAX && is_old(it, data)) {
		sleep_start(it->op->use->loop, &s->rest, OLD_REST_MS << s->old_reads++);
		return task_await(t, &s->rest.call, ask_one);
	}
	it->op->result = data ? json_share(it->op->arena, data) : NULL;
	return task_end(t);
}

/* ---- several ---- */

static enum task_next ask_some(struct task *t)
{
	struct items *it = &state_of(t)->items;
	cJSON *nothing = json_object(it->op->arena);

	return items_ask(it, "SEARCH", it->path, NULL,
			 items_body(it, it->key_count ? it->keys : NULL,
				    it->query ? it->query : nothing, NULL),
			 got_some);
}

static enum task_next got_some(struct task *t)
{
	struct items *it = &state_of(t)->items;

	if (items_failed(it))
		return items_fail(it);
	it->op->result = it->ask.data ? json_share(it->op->arena, it->ask.data) : NULL;
	return task_end(t);
}

/* ---- many ---- */

static double page_size(const struct state *s)
{
	double rest = s->wanted - (double)json_count(s->rows);

	return rest < PAGE ? rest : PAGE;
}

/* Directus sorts by the key where the query does not say how, so pages do not overlap. */
static enum task_next ask_page(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	struct arena *a = it->op->arena;
	cJSON *query = json_object(a);
	const cJSON *member;

	json_each(member, it->query)
		if (strcmp(member->string, "page") != 0)
			json_set(a, query, member->string, json_share(a, member));
	json_set_number(a, query, "limit", page_size(s));
	json_set_number(a, query, "offset", s->offset);
	return items_ask(it, "SEARCH", it->path, NULL, items_body(it, NULL, query, NULL), got_page);
}

/* A short page is the last one, unless the server's own limit (QUERY_LIMIT_MAX) made it short: only a
 * full page shows that there is none, so a first page that is short is asked behind. */
static enum task_next got_page(struct task *t)
{
	struct state *s = state_of(t);
	struct items *it = &s->items;
	double count, asked = page_size(s);
	const cJSON *row;

	if (items_failed(it))
		return items_fail(it);
	if (!cJSON_IsArray(it->ask.data)) { /* a singleton */
		it->op->result = it->ask.data ? json_share(it->op->arena, it->ask.data) : NULL;
		return task_end(t);
	}
	count = (double)json_count(it->ask.data);
	json_each(row, it->ask.data)
		json_push(s->rows, json_share(it->op->arena, row));
	s->offset += count;
	s->bytes += it->ask.reply_bytes;
	s->pages_are_full = s->pages_are_full || count >= asked;
	if (s->bytes > ROWS_MAX_BYTES)
		return items_refuse(it,
				    "the items are more than 32 MiB: ask for fewer fields or rows "
				    "in option 'query'");
	if (page_size(s) > 0 && count > 0 && !(s->pages_are_full && count < asked))
		return task_go(t, ask_page);
	it->op->result = s->rows;
	return task_end(t);
}

/* clang-format off */
static const struct option options[] = {
	ITEMS_OPTIONS,
	{.name = "key", .types = OPTION_ANY, .help = "one key: an object; several: a list"},
	{.name = "query", .types = OPTION_ANY,
	 .help = "fields, filter, sort, limit (default 100, -1: all), …"},
	{.name = NULL},
};
/* clang-format on */

const struct operation operation_item_read = {
	.type = "item-read",
	.options = options,
	.waits_out_outages = true,
	.needs_directus = true,
	.state_size = sizeof(struct state),
	.first = check,
};
