/* The driver of a batch.
 *
 *	begin ─► (go on) found ─┐
 *	  └─────────────────────┴► know_flow ─► know_key ─► open ─► opened
 *	opened ─► counted ─► last_listed ─► list ─► listed ─► stored ─► list … ─► look
 *	look ─► looked ─► page ─► got_page ─► feed ─► fed ─► look …
 *	           ├── the window is full: parks, and looks again
 *	           ├── paused, no money, cancelled, driven by another: ends
 *	           └── all is over ─► told ─► closed                                              */
#include "common/directus.h"
#include "common/directus_key.h"
#include "common/loop.h"
#include "common/redis.h"
#include "operations/services.h"
#include "worker/batch/batch.h"
#include "worker/batch/batch_page.h"
#include "worker/batch/batch_state.h"
#include "worker/flow/flows.h"
#include "worker/flow/run.h"
#include "worker/queue/portion.h"
#include "worker/queue/queue_spawner.h"

#include <assert.h>
#include <stdlib.h>

enum {
	KEYS_AT_ONCE = 1000, /* listed by one request */
	ITEMS_AT_ONCE = 100, /* read by one request */
	PAGES_AT_ONCE = 20,  /* then others get the slot */
	FIRST_WAIT_MS = 100,
	LONGEST_WAIT_MS = 2000
};

struct state {
	struct op_call *op;
	struct queue_spawner *via;
	const struct config *config;
	struct batch batch;
	const struct job *source; /* the job that made it */
	const char *id;
	struct redis_call redis;
	struct directus_call ask;
	struct directus_key_call primary;
	struct flows_call flow;
	struct arena *page; /* of the page under way */
	size_t pages;

	/* the list */
	uint64_t length;
	const cJSON *last; /* the last key that is on it; NULL: none */
	bool is_all;

	/* the door */
	struct batch_state now;
	size_t at_once, keys_at_once;
	struct portion portion; /* items of a page */
	size_t count;
	struct batch_page items;
};

static task_step begin, found, know_flow, know_key, open_it, opened, counted, last_listed, list,
	listed, stored, look, looked, page, got_page, feed, fed, tell, told, closed;

static struct state *state_of(struct task *t)
{
	return op_of(t)->state;
}

static void script(struct state *s, struct arena *a, enum script which, size_t count,
		   const struct str *words)
{
	script_start(s->via->scripts, &s->redis, a, which, count, words);
}

static struct str key_of(struct state *s, const char *kind, const char *name)
{
	return str_of(arena_printf(s->op->arena, "%.*s%s%s", STR_ARGS(s->via->scripts->prefix),
				   kind, name));
}

static void free_page(void *state)
{
	arena_free(((struct state *)state)->page);
}

static struct arena *new_page(struct state *s)
{
	arena_free(s->page);
	s->page = arena_new();
	s->pages++;
	return s->page;
}

/* ---- what it is ---- */

static enum task_next begin(struct task *t)
{
	struct state *s = state_of(t);
	struct op_call *c = op_of(t);
	struct run *r = container_of(c, struct run, op);
	struct str words[] = {
		STR("HGET"), {NULL, 0},
                 STR("body")
        };
	struct error err;

	s->op = c;
	s->config = c->use->config;
	s->at_once = ITEMS_AT_ONCE;
	s->keys_at_once = KEYS_AT_ONCE;
	if (!r->with.lease)
		return task_fail(t, ERR_UNSUPPORTED_OPERATION,
				 "a batch needs the queue: `flow-worker batch create`");
	if (!batch_read(c->arena, c->options, &s->batch, &err))
		return task_fail_as(t, &err);
	arena_defer(c->arena, free_page, s);
	s->via = container_of(r->with.spawner, struct queue_spawner, spawner);
	s->source = r->with.job;
	s->id = s->batch.id ? s->batch.id : batch_id_of(c->job_id);
	if (!s->batch.id)
		return task_go(t, know_flow);
	words[1] = key_of(s, "bat:", s->id);
	redis_start_argv(s->via->scripts->redis, &s->redis, c->arena, 0, ARRAY_LEN(words), words);
	return task_await(t, &s->redis.call, found);
}

static void free_job(void *job)
{
	job_free(job);
}

static enum task_next found(struct task *t)
{
	struct state *s = state_of(t);
	struct op_call *c = s->op;
	struct job *source;
	struct error err;

	if (s->redis.reply->type != REDIS_TEXT)
		return task_fail(t, ERR_INVALID_JOB, "there is no batch '%.100s'", s->id);
	source = job_parse(s->redis.reply->text, s->id, s->config, &err);
	if (!source)
		return task_fail_as(t, &err);
	arena_defer(c->arena, free_job, source);
	s->source = source;
	if (!source->is_batch ||
	    !batch_read(c->arena, source->flow->first->options, &s->batch, &err))
		return task_fail(t, ERR_INVALID_JOB, "batch '%.100s' was not made by a batch",
				 s->id);
	return task_go(t, know_flow);
}

/* A flow that is not there is one error, not one for each item. */
static enum task_next know_flow(struct task *t)
{
	struct state *s = state_of(t);
	struct run *r = container_of(s->op, struct run, op);

	if (!cJSON_IsString(s->batch.flow))
		return task_go(t, know_key);
	if (!r->with.flows)
		return task_fail(t, ERR_FLOW_NOT_FOUND,
				 "flow '%.100s' is to be read from Directus, but DIRECTUS_URL is "
				 "not set",
				 s->batch.flow->valuestring);
	flows_start(r->with.flows, &s->flow, s->batch.flow->valuestring, s->op->arena);
	return task_await(t, &s->flow.call, know_key);
}

static enum task_next know_key(struct task *t)
{
	struct state *s = state_of(t);

	if (s->batch.is_input)
		return task_go(t, open_it);
	if (!s->op->use->directus)
		return task_fail(t, ERR_NOT_CONFIGURED,
				 "a batch reads items of Directus, but DIRECTUS_URL is not set");
	directus_key_start(s->op->use->directus, &s->primary, s->batch.collection, NULL,
			   s->op->arena);
	return task_await(t, &s->primary.task.call, open_it);
}

static enum task_next open_it(struct task *t)
{
	struct state *s = state_of(t);
	const struct batch *b = &s->batch;
	struct arena *a = s->op->arena;
	bool is_new = s->source == s->via->job;
	struct str words[] = {
		str_of(s->id),
		str_of(s->op->job_id),
		is_new ? s->via->lease->body : STR(""),
		str_of(b->collection ? b->collection : ""),
		str_of(batch_flow_label(b)),
		str_of(b->name ? b->name : ""),
		b->budget_nano ? word_of(a, b->budget_nano) : STR(""),
		b->is_input ? STR("1") : STR(""),
	};

	script(s, a, SCRIPT_BATCH_OPEN, ARRAY_LEN(words), words);
	return task_await(t, &s->redis.call, opened);
}

static enum task_next opened(struct task *t)
{
	struct state *s = state_of(t);
	const char *state = batch_reply(s->redis.reply, "state");
	struct str words[] = {str_of(s->id), str_of(s->op->job_id), STR("0"), STR("0")};

	if (!state || strcmp(state, "listing") != 0)
		return task_go(t, look);
	script(s, s->op->arena, SCRIPT_BATCH_KEYS, ARRAY_LEN(words), words);
	return task_await(t, &s->redis.call, counted);
}

/* ---- the list ---- */

static enum task_next counted(struct task *t)
{
	struct state *s = state_of(t);
	struct str words[] = {STR("LINDEX"), key_of(s, "bk:", s->id), STR("-1")};

	if (s->redis.reply->integer < 0)
		return task_go(t, look);
	s->length = (uint64_t)s->redis.reply->integer;
	redis_start_argv(s->via->scripts->redis, &s->redis, s->op->arena, 0, ARRAY_LEN(words),
			 words);
	return task_await(t, &s->redis.call, last_listed);
}

static enum task_next last_listed(struct task *t)
{
	struct state *s = state_of(t);
	struct error err;

	if (s->redis.reply->type == REDIS_TEXT)
		s->last = json_parse(s->op->arena, s->redis.reply->text, &err);
	return task_go(t, list);
}

static enum task_next ask(struct state *s, cJSON *query, task_step *then)
{
	struct directus_request req = {.method = "SEARCH", .repeatable = true, .is_bulk = true};
	cJSON *body = json_object(s->page);
	struct error err;

	if (!directus_collection_path(s->page, s->batch.collection, &req.path, &err))
		return task_fail_as(&s->op->task, &err);
	json_set(s->page, body, "query", query);
	req.body = body;
	directus_start(s->op->use->directus, &s->ask, &req, s->page);
	return task_await_either(&s->op->task, &s->ask.task.call, then);
}

static cJSON *one_text(struct arena *a, const char *text)
{
	cJSON *list_of_one = json_array(a);

	json_push(list_of_one, json_text(a, text));
	return list_of_one;
}

/* Behind the last key, so nothing that happens to the items in between leaves one out. Directus
 * compares no uuids by order ("_gt" is refused): those are listed by offset. */
static enum task_next list(struct task *t)
{
	struct state *s = state_of(t);
	struct arena *a = new_page(s);
	const char *primary = s->primary.key.name;
	bool by_offset = s->primary.key.is_uuid;
	uint64_t room = s->batch.limit - u64_min(s->length, s->batch.limit);
	cJSON *query = json_object(a);

	json_set(a, query, "fields", one_text(a, primary));
	json_set(a, query, "sort", one_text(a, primary));
	json_set_number(a, query, "limit", (double)u64_min(room, s->keys_at_once));
	json_set(a, query, "filter",
		 batch_filter(a, &s->batch, primary, "_gt", by_offset ? NULL : s->last));
	if (by_offset)
		json_set_number(a, query, "offset", (double)s->length);
	if (room == 0) {
		s->ask.data = NULL;
		return task_go(t, listed);
	}
	return ask(s, query, listed);
}

/* A short page need not be the last one (QUERY_LIMIT_MAX): an empty one is. */
static enum task_next listed(struct task *t)
{
	struct state *s = state_of(t);
	struct arena *a = s->page;
	const char *primary = s->primary.key.name;
	size_t count = 0, found_rows = json_count(s->ask.data);
	struct str *words = arena_array(a, struct str, 4 + found_rows);
	const cJSON *row;

	if (batch_page_is_too_large(&s->ask.task.call.err) && s->keys_at_once > 1) {
		s->keys_at_once /= 2;
		return task_go(t, list);
	}
	if (s->ask.task.call.err.code != ERR_OK)
		return task_fail_as(t, &s->ask.task.call.err);
	if (found_rows && !cJSON_IsArray(s->ask.data))
		return task_fail(
			t, ERR_INVALID_PAYLOAD,
			"collection '%.100s' is a singleton: it has one item, and no list of them",
			s->batch.collection);
	s->is_all = found_rows == 0 || s->length + found_rows >= s->batch.limit;
	words[count++] = str_of(s->id);
	words[count++] = str_of(s->op->job_id);
	words[count++] = word_of(a, s->length);
	words[count++] = s->is_all ? STR("1") : STR("0");
	json_each(row, found_rows ? s->ask.data : NULL) {
		const cJSON *key = json_get(row, primary);

		if (!key)
			return task_fail(t, ERR_FORBIDDEN,
					 "the key '%.100s' of collection '%.100s' can not be read",
					 primary, s->batch.collection);
		words[count++] = json_print(a, key);
		if (!row->next)
			s->last = json_copy(s->op->arena, key);
	}
	script(s, a, SCRIPT_BATCH_KEYS, count, words);
	return task_await(t, &s->redis.call, stored);
}

static enum task_next park(struct state *s, uint64_t ms)
{
	s->op->park_until_ms = wall_ms() + ms;
	return task_fail(&s->op->task, ERR_PARKED, "batch '%.100s': %llu of %llu items are over",
			 s->id, (unsigned long long)s->now.ended, (unsigned long long)s->now.total);
}

static enum task_next stored(struct task *t)
{
	struct state *s = state_of(t);

	if (s->redis.reply->integer < 0 || s->is_all)
		return task_go(t, look);
	s->length = (uint64_t)s->redis.reply->integer;
	return s->pages >= PAGES_AT_ONCE ? park(s, 0) : task_go(t, list);
}

/* ---- a look ---- */

static enum task_next look(struct task *t)
{
	struct state *s = state_of(t);
	struct str word = str_of(s->id);

	script(s, s->op->arena, SCRIPT_BATCH_LOOK, 1, &word);
	return task_await(t, &s->redis.call, looked);
}

/* Nothing to do but to wait for items: soon again while something moves. */
static enum task_next wait_for_items(struct state *s)
{
	struct arena *a = s->op->arena;
	double before = json_get_number(s->op->note, "ended", -1);
	double waited = json_get_number(s->op->note, "wait", FIRST_WAIT_MS);
	cJSON *note = json_object(a);
	uint64_t wait = FIRST_WAIT_MS;

	if (s->pages == 0 && before >= (double)s->now.ended)
		wait = u64_min((uint64_t)waited * 2, LONGEST_WAIT_MS);
	json_set_number(a, note, "ended", (double)s->now.ended);
	json_set_number(a, note, "wait", (double)wait);
	s->op->note = note;
	return park(s, wait);
}

static enum task_next looked(struct task *t)
{
	struct state *s = state_of(t);
	uint64_t open, room;

	if (!batch_state_read(s->op->arena, s->redis.reply, &s->now))
		return task_fail(t, ERR_INVALID_JOB, "there is no batch '%.100s'", s->id);
	s->op->result = batch_state_json(s->op->arena, &s->now);
	if (strcmp(s->now.job, s->op->job_id) != 0)
		return task_end(t);
	if (strcmp(s->now.state, "budget") == 0)
		return task_go(t, tell);
	if (strcmp(s->now.state, "running") != 0)
		return task_end(t);
	open = s->now.fed - u64_min(s->now.fed, s->now.ended);
	if (s->now.cursor >= s->now.length)
		return open == 0 ? task_go(t, tell) : wait_for_items(s);
	room = s->batch.concurrency - u64_min(open, s->batch.concurrency);
	/* Few at a time would cost a request of Directus for few items. */
	if (room * 4 < s->batch.concurrency)
		return wait_for_items(s);
	if (s->pages >= PAGES_AT_ONCE)
		return park(s, 0);
	room = u64_min(room, portion_next(&s->portion, s->at_once));
	s->count = (size_t)u64_min(room, s->now.length - s->now.cursor);
	return task_go(t, page);
}

/* ---- items ---- */

static enum task_next page(struct task *t)
{
	struct state *s = state_of(t);

	s->items = (struct batch_page){
		.batch = &s->batch,
		.id = s->id,
		.primary = s->batch.is_input ? NULL : s->primary.key.name,
		.directus = s->op->use->directus,
		.redis = s->via->scripts->redis,
		.prefix = s->via->scripts->prefix,
		.arena = new_page(s),
		.cursor = s->now.cursor,
		.want = s->count,
	};
	batch_page_start(&s->items, t->call.loop);
	return task_await(t, &s->items.task.call, got_page);
}

/* Items so large that a page of them is no answer that we take are read in smaller pages. */
static enum task_next got_page(struct task *t)
{
	struct state *s = state_of(t);

	if (!s->items.too_many)
		return task_go(t, feed);
	s->at_once = (s->count + 1) / 2;
	return task_go(t, look);
}

static enum task_next feed(struct task *t)
{
	struct state *s = state_of(t);
	const struct batch_page *p = &s->items;
	struct arena *a = s->page;
	struct str *words = arena_array(a, struct str, 7 + 2 * p->count);
	size_t n = 0, bytes = 0;

	words[n++] = str_of(s->id);
	words[n++] = str_of(s->op->job_id);
	words[n++] = word_of(a, p->cursor);
	words[n++] = word_of(a, p->after);
	words[n++] = word_of(a, p->gone);
	words[n++] = STR("2");
	words[n++] = str_of(s->via->lease->tenant);
	for (size_t i = 0; i < p->count; i++) {
		words[n++] = str_of(p->items[i].key);
		words[n] = batch_item_body(a, &s->batch, s->source, &p->items[i], s->config);
		bytes += words[n++].len;
	}
	portion_came(&s->portion, p->count, bytes);
	script(s, a, SCRIPT_BATCH_FEED, n, words);
	return task_await(t, &s->redis.call, fed);
}

static enum task_next fed(struct task *t)
{
	struct state *s = state_of(t);

	arena_free(s->page); /* not held while the items run */
	s->page = NULL;
	return task_go(t, look);
}

/* ---- the end ---- */

/* Tells the user who asked for it. That it can not be told is no reason to fail. */
static enum task_next tell(struct task *t)
{
	struct state *s = state_of(t);
	struct arena *a = s->op->arena;
	struct directus_request req = {.method = "POST", .path = "/notifications"};
	cJSON *body = json_object(a);

	if (!s->batch.notify || !s->op->use->directus)
		return task_go(t, told);
	json_set_text(a, body, "recipient", s->batch.notify);
	json_set_text(a, body, "subject", batch_state_subject(a, &s->now));
	json_set_text(a, body, "message", batch_state_message(a, &s->now));
	req.body = body;
	directus_start(s->op->use->directus, &s->ask, &req, a);
	return task_await_either(t, &s->ask.task.call, told);
}

static enum task_next told(struct task *t)
{
	struct state *s = state_of(t);
	const struct error *err = &s->ask.task.call.err;
	struct str words[] = {str_of(s->id), str_of(s->op->job_id)};

	if (s->ask.task.call.ended && err->code != ERR_OK)
		json_set_text(s->op->arena, s->op->result, "notifyError", err->text);
	if (strcmp(s->now.state, "running") != 0)
		return task_end(t);
	script(s, s->op->arena, SCRIPT_BATCH_END, ARRAY_LEN(words), words);
	return task_await(t, &s->redis.call, closed);
}

static enum task_next closed(struct task *t)
{
	struct state *s = state_of(t);

	if (s->redis.reply->integer == 1)
		json_set_text(s->op->arena, s->op->result, "state", "done");
	return task_end(t);
}

/* clang-format off */
static const struct option options[] = {
	{.name = "id", .types = OPTION_TEXT, .help = "of a batch that goes on"},
	{.name = "collection", .types = OPTION_TEXT, .help = "whose items"},
	{.name = "filter", .types = OPTION_OBJECT, .help = "which of them; default: all"},
	{.name = "flow", .types = OPTION_ANY,
	 .help = "id, name, flow object or list of operations"},
	{.name = "fields", .types = OPTION_ARRAY, .help = "what is read of each; default: *"},
	{.name = "limit", .types = OPTION_NUMBER, .help = "items at most"},
	{.name = "budget", .types = OPTION_NUMBER | OPTION_OBJECT, .help = "US dollars at most"},
	{.name = "concurrency", .types = OPTION_NUMBER, .help = "items at a time; at most 500"},
	{.name = "name", .types = OPTION_TEXT, .help = "for lists"},
	{.name = "onlyChanged", .types = OPTION_BOOL, .help = "not where the question is the same"},
	{.name = "ifUnchanged", .types = OPTION_BOOL, .help = "a newer change wins: CONFLICT"},
	{.name = "notify", .types = OPTION_TEXT, .help = "user to tell at the end"},
	{.name = "input", .types = OPTION_BOOL,
	 .help = "rows that `batch create --input` has sent"},
	{.name = NULL},
};
/* clang-format on */

const struct operation operation_batch = {
	.type = "batch",
	.options = options,
	.strict = true,
	.waits_out_outages = true,
	.state_size = sizeof(struct state),
	.first = begin,
};
