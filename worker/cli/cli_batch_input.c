/* Rows of a file for a batch: CSV with a line of names, or JSON lines. */
#include "common/config.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/csv.h"

#include <stdio.h>

enum { ROWS_AT_ONCE = 500 };

static bool ends_with(const char *path, const char *end)
{
	size_t length = strlen(path), of_end = strlen(end);

	return length >= of_end && strcmp(path + length - of_end, end) == 0;
}

static bool check_names(const struct csv_row *names, struct error *err)
{
	for (size_t i = 0; i < names->count; i++) {
		if (names->fields[i].len == 0)
			return fail(err, ERR_INVALID_PAYLOAD, "line 1: column %zu has no name",
				    i + 1);
		for (size_t k = 0; k < i; k++)
			if (str_equal(names->fields[i], names->fields[k]))
				return fail(err, ERR_INVALID_PAYLOAD,
					    "line 1: two columns are called '%.60s'",
					    names->fields[i].ptr);
	}
	return true;
}

static cJSON *read_csv(struct arena *a, struct str text, struct error *err)
{
	cJSON *rows = json_array(a), *object;
	struct csv_row names, row;
	struct csv csv;

	csv_start(&csv, text);
	if (!csv_row(&csv, a, &names, err))
		return err->code == ERR_OK ? rows : NULL;
	if (!check_names(&names, err))
		return NULL;
	while (csv_row(&csv, a, &row, err)) {
		if (row.count != names.count) {
			(void)fail(err, ERR_INVALID_PAYLOAD,
				   "line %zu: found %zu fields, expected %zu", csv.line, row.count,
				   names.count);
			return NULL;
		}
		object = json_object(a);
		for (size_t i = 0; i < row.count; i++)
			json_append(a, object, names.fields[i].ptr, json_str(a, row.fields[i]));
		json_push(rows, object);
	}
	return err->code == ERR_OK ? rows : NULL;
}

static cJSON *read_lines(struct arena *a, struct str text, struct error *err)
{
	cJSON *rows = json_array(a), *row;
	size_t number = 0;
	struct error why;

	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t length = end ? (size_t)(end - text.ptr) : text.len;
		struct str line = {text.ptr, length};

		text = (struct str){text.ptr + length + (end != NULL),
				    text.len - length - (end != NULL)};
		number++;
		if (line.len == 0 || str_is(line, "\r"))
			continue;
		row = json_parse(a, line, &why);
		if (!row || !cJSON_IsObject(row)) {
			(void)fail(err, ERR_INVALID_PAYLOAD, "line %zu: %s", number,
				   row ? "expected a JSON object" : why.text);
			return NULL;
		}
		json_push(rows, row);
	}
	return rows;
}

cJSON *cli_batch_rows(struct arena *a, const char *path, struct error *err)
{
	struct error why = {.code = ERR_OK};
	struct str text;
	cJSON *rows;

	if (!cli_file_read(a, path, &text, err))
		return NULL;
	if (ends_with(path, ".jsonl") || ends_with(path, ".ndjson"))
		rows = read_lines(a, text, &why);
	else
		rows = read_csv(a, text, &why);
	if (!rows)
		(void)fail(err, why.code, "%.100s: %s", path, why.text);
	if (!rows || json_count(rows) > 0)
		return rows;
	(void)fail(err, ERR_INVALID_PAYLOAD, "%.100s: there are no rows", path);
	return NULL;
}

static struct str row_text(struct arena *a, const cJSON *row, uint64_t number)
{
	cJSON *json = json_object(a);

	json_set_number(a, json, "n", (double)number);
	json_set(a, json, "row", json_share(a, row));
	return json_print(a, json);
}

/* How many are there already, when a former run was interrupted; -1: told. */
static int64_t count_sent(struct cli_queue *q, const char *key)
{
	const struct str words[] = {STR("LLEN"), str_of(key)};
	const struct redis_value *reply = cli_queue_command(q, ARRAY_LEN(words), words);

	return reply ? reply->integer : -1;
}

static bool send_rows(struct cli_queue *q, const char *key, const cJSON **row, uint64_t *number,
		      uint64_t limit)
{
	struct arena *lasting = q->arena, *a = arena_new();
	struct str words[2 + ROWS_AT_ONCE] = {STR("RPUSH"), str_of(key)};
	size_t count = 2;
	bool good;

	for (; *row && *number < limit && count < ARRAY_LEN(words); *row = (*row)->next)
		words[count++] = row_text(a, *row, ++*number);
	q->arena = a;
	good = count == 2 || cli_queue_command(q, count, words);
	q->arena = lasting;
	arena_free(a);
	return good;
}

bool cli_batch_upload(struct cli_queue *q, const struct cli_batch_plan *plan)
{
	const char *key = cli_queue_key(q, "bk:", plan->id);
	const struct str keep[] = {STR("EXPIRE"), str_of(key), STR("86400")};
	const cJSON *row = plan->rows->child;
	int64_t sent = count_sent(q, key);
	uint64_t number = sent > 0 ? (uint64_t)sent : 0;

	if (sent < 0)
		return false;
	for (uint64_t i = 0; i < number && row; i++)
		row = row->next;
	while (row && number < plan->batch.limit)
		if (!send_rows(q, key, &row, &number, plan->batch.limit) ||
		    !cli_queue_command(q, ARRAY_LEN(keep), keep))
			return false;
	return true;
}
