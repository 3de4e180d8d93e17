/* What became of each item of a batch: CSV or JSON, in the order of the keys. */
#include "common/buf.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* As record_item() of lib.lua writes it. */
enum { REC_STATUS, REC_CODE, REC_NANO, REC_MS, REC_TOKENS, REC_MESSAGE, REC_COUNT };

struct record {
	struct str item;
	const cJSON *fields[REC_COUNT];
};

struct records {
	struct arena *arena;
	struct record *all;
	size_t count, room;
};

static bool take(void *arg, struct str item, struct str text)
{
	struct records *r = arg;
	struct record *record;
	struct error err;
	const cJSON *json = json_parse(r->arena, text, &err), *field;
	size_t i = 0;

	if (r->count == r->room) {
		r->room = r->room ? 2 * r->room : 1000;
		r->all = xrealloc(r->all, r->room * sizeof(*r->all));
	}
	record = &r->all[r->count++];
	*record = (struct record){.item = arena_str(r->arena, item)};
	json_each(field, json)
		if (i < REC_COUNT)
			record->fields[i++] = field;
	return true;
}

/* Numbers by size, texts by bytes. */
static int by_item(const void *a, const void *b)
{
	const struct record *x = a, *y = b;
	bool numbers = strspn(x->item.ptr, "0123456789") == x->item.len &&
		       strspn(y->item.ptr, "0123456789") == y->item.len;

	if (numbers && x->item.len != y->item.len)
		return x->item.len < y->item.len ? -1 : 1;
	return strcmp(x->item.ptr, y->item.ptr);
}

static const char *text_of(const struct record *r, size_t i)
{
	return cJSON_IsString(r->fields[i]) ? r->fields[i]->valuestring : "";
}

static double number_of(const struct record *r, size_t i)
{
	return cJSON_IsNumber(r->fields[i]) ? r->fields[i]->valuedouble : 0;
}

static void print_csv(FILE *out, const struct record *r)
{
	struct buf line;

	buf_init(&line, 65536);
	csv_print(&line, r->item);
	for (size_t i = REC_STATUS; i <= REC_CODE; i++) {
		(void)buf_add_char(&line, ',');
		csv_print(&line, str_of(text_of(r, i)));
	}
	(void)buf_printf(&line, ",%.9f,%.0f,%.0f,", number_of(r, REC_NANO) / 1e9,
			 number_of(r, REC_MS), number_of(r, REC_TOKENS));
	csv_print(&line, str_of(text_of(r, REC_MESSAGE)));
	(void)buf_add_text(&line, "\r\n");
	(void)fwrite(line.ptr, 1, line.len, out);
	buf_clear(&line);
}

static void print_json(FILE *out, const struct record *r, bool is_last)
{
	struct arena *a = arena_new();
	cJSON *json = json_object(a);
	struct str text;

	json_set_str(a, json, "item", r->item);
	json_set_text(a, json, "status", text_of(r, REC_STATUS));
	json_set_text(a, json, "code", *text_of(r, REC_CODE) ? text_of(r, REC_CODE) : NULL);
	json_set_text(a, json, "message",
		      *text_of(r, REC_MESSAGE) ? text_of(r, REC_MESSAGE) : NULL);
	json_set_number(a, json, "costUsd", number_of(r, REC_NANO) / 1e9);
	json_set_number(a, json, "ms", number_of(r, REC_MS));
	json_set_number(a, json, "tokens", number_of(r, REC_TOKENS));
	text = json_print(a, json);
	(void)fwrite(text.ptr, 1, text.len, out);
	(void)fputs(is_last ? "\n" : ",\n", out);
	arena_free(a);
}

static void print_all(FILE *out, const struct records *r, bool json)
{
	(void)fputs(json ? "[\n" : "item,status,code,cost_usd,ms,tokens,message\r\n", out);
	for (size_t i = 0; i < r->count; i++) {
		if (i && strcmp(r->all[i].item.ptr, r->all[i - 1].item.ptr) == 0)
			continue; /* HSCAN may tell one twice */
		if (json)
			print_json(out, &r->all[i], i + 1 == r->count);
		else
			print_csv(out, &r->all[i]);
	}
	if (json)
		(void)fputs("]\n", out);
}

static int write_out(struct cli_queue *q, const struct records *r, bool json)
{
	const char *path = cli_option(q->cli, BATCH_OUTPUT);
	FILE *out = path ? fopen(path, "wb") : stdout;
	struct error err;
	bool good;

	if (out)
		print_all(out, r, json);
	good = out && fflush(out) == 0 && !ferror(out);
	if (out && path)
		good = fclose(out) == 0 && good;
	if (good)
		return CLI_OK;
	(void)fail(&err, ERR_INVALID_PAYLOAD, "%s: %s", path ? path : "standard output",
		   strerror(errno));
	return cli_failed(q->cli, &err);
}

int cli_batch_export(struct cli_queue *q, const char *id)
{
	const char *format = cli_option(q->cli, BATCH_FORMAT);
	bool json = q->cli->json || (format && strcmp(format, "json") == 0);
	struct records r = {.arena = q->arena};
	struct batch_state s;
	int status = CLI_FAILED;

	if (format && !json && strcmp(format, "csv") != 0)
		return cli_wrong_use(q->cli, "--format: found '%.20s', expected csv or json",
				     format);
	if (!cli_batch_look(q, id, &s))
		return CLI_FAILED;
	if (cli_batch_scan(q, "bi:", id, take, &r)) {
		if (r.count)
			qsort(r.all, r.count, sizeof(*r.all), by_item);
		status = write_out(q, &r, json);
	}
	free(r.all);
	return status;
}
