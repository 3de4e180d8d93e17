#include "worker/batch/batch_page.h"

#include "common/loop.h"
#include "worker/queue/scripts.h"

static task_step rows, got_rows, read_items, got_items, questions, got_questions;

static struct batch_page *page_of(struct task *t)
{
	return container_of(t, struct batch_page, task);
}

static struct str key_of(struct batch_page *p, const char *kind, const char *name)
{
	return str_of(arena_printf(p->arena, "%.*s%s%s", STR_ARGS(p->prefix), kind, name));
}

static const char *text_of_key(struct arena *a, const cJSON *key)
{
	char number[JSON_NUMBER_MAX];

	if (cJSON_IsString(key))
		return key->valuestring;
	return cJSON_IsNumber(key) ? arena_strdup(a, json_number_text(key->valuedouble, number))
				   : "";
}

static enum task_next rows(struct task *t)
{
	struct batch_page *p = page_of(t);
	const struct str words[] = {STR("LRANGE"), key_of(p, "bk:", p->id),
				    word_of(p->arena, p->cursor),
				    word_of(p->arena, p->cursor + p->want - 1)};

	redis_start_argv(p->redis, &p->command, p->arena, 0, ARRAY_LEN(words), words);
	return task_await(t, &p->command.call, got_rows);
}

/* {"n":1,"row":{…}} */
static void take_row(struct batch_page *p, const cJSON *row)
{
	struct batch_item *item = &p->items[p->count++];
	const cJSON *primary = json_path(row, "row", "id", NULL);

	item->key = text_of_key(p->arena, json_get(row, "n"));
	item->value = json_get(row, "row");
	item->primary = cJSON_IsString(primary) || cJSON_IsNumber(primary) ? primary : NULL;
}

static enum task_next got_rows(struct task *t)
{
	struct batch_page *p = page_of(t);
	const struct redis_value *list = p->command.reply;
	struct error err;

	if (list->count == 0)
		return task_fail(t, ERR_INVALID_JOB, "the list of batch '%.100s' is cut short",
				 p->id);
	p->after = p->cursor + list->count;
	p->items = arena_array(p->arena, struct batch_item, list->count + 1);
	p->missing = json_array(p->arena);
	for (size_t i = 0; i < list->count; i++) {
		cJSON *row = json_parse(p->arena, list->items[i].text, &err);

		if (!row)
			return task_fail(t, ERR_INVALID_JOB, "the list of batch '%.100s': %.200s",
					 p->id, err.text);
		if (p->primary)
			json_push(p->missing, row);
		else
			take_row(p, row);
	}
	return task_go(t, p->primary ? read_items : questions);
}

/* By the filter again: what does not match any more has been dealt with by somebody else. */
static enum task_next read_items(struct task *t)
{
	struct batch_page *p = page_of(t);
	struct arena *a = p->arena;
	struct directus_request req = {.method = "SEARCH", .repeatable = true, .is_bulk = true};
	cJSON *body = json_object(a), *query = json_object(a);
	cJSON *fields = json_copy(a, p->batch->fields);
	struct error err;

	if (!directus_collection_path(a, p->batch->collection, &req.path, &err))
		return task_fail_as(t, &err);
	json_push(fields, json_text(a, p->primary));
	json_set(a, query, "fields", fields);
	json_set_number(a, query, "limit", (double)json_count(p->missing));
	json_set(a, query, "filter", batch_filter(a, p->batch, p->primary, "_in", p->missing));
	json_set(a, body, "query", query);
	req.body = body;
	directus_start(p->directus, &p->ask, &req, a);
	return task_await_either(t, &p->ask.task.call, got_items);
}

bool batch_page_is_too_large(const struct error *err)
{
	return err->code == ERR_INVALID_RESPONSE ||
	       (err->code == ERR_NAMED && strcmp(err->name, "INVALID_QUERY") == 0);
}

static bool is_among(const struct batch_page *p, size_t from, const cJSON *key)
{
	const char *text = text_of_key(p->arena, key);

	for (size_t i = from; i < p->count; i++)
		if (strcmp(p->items[i].key, text) == 0)
			return true;
	return false;
}

/* Fewer than were asked for: some are gone, or Directus gives no more at once (QUERY_LIMIT_MAX). The
 * rest is asked for again, until nothing comes. */
static enum task_next got_items(struct task *t)
{
	struct batch_page *p = page_of(t);
	size_t before = p->count, asked = json_count(p->missing);
	cJSON *missing = json_array(p->arena);
	const cJSON *row, *key;

	if (batch_page_is_too_large(&p->ask.task.call.err) && p->want > 1) {
		p->too_many = true;
		return task_end(t);
	}
	if (p->ask.task.call.err.code != ERR_OK)
		return task_fail_as(t, &p->ask.task.call.err);
	json_each(row, p->ask.data) {
		if (p->count - before == asked)
			break;
		p->items[p->count].value = row;
		p->items[p->count].primary = json_get(row, p->primary);
		p->items[p->count].key = text_of_key(p->arena, json_get(row, p->primary));
		p->count++;
	}
	json_each(key, p->missing)
		if (!is_among(p, before, key))
			json_push(missing, json_share(p->arena, key));
	p->missing = missing;
	p->gone = json_count(missing);
	return task_go(t, p->gone && p->count > before ? read_items : questions);
}

static enum task_next questions(struct task *t)
{
	struct batch_page *p = page_of(t);
	struct arena *a = p->arena;
	struct str *words = arena_array(a, struct str, 2 + p->count);
	const char *from = p->batch->collection ? p->batch->collection : "input";

	if (!p->batch->only_changed || p->count == 0)
		return task_end(t);
	words[0] = STR("HMGET");
	words[1] = key_of(p, "bh:", batch_flow_label(p->batch));
	for (size_t i = 0; i < p->count; i++)
		words[2 + i] = str_of(arena_printf(a, "%s:%s", from, p->items[i].key));
	redis_start_argv(p->redis, &p->command, a, 0, 2 + p->count, words);
	return task_await(t, &p->command.call, got_questions);
}

static enum task_next got_questions(struct task *t)
{
	struct batch_page *p = page_of(t);

	for (size_t i = 0; i < p->count && i < p->command.reply->count; i++)
		p->items[i].question = p->command.reply->items[i].text.ptr;
	return task_end(t);
}

void batch_page_start(struct batch_page *p, struct loop *l)
{
	task_start(&p->task, l, rows);
}
