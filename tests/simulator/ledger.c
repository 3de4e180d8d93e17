/* Every provider request that came, what was answered and how it ended: in memory, and as a line
 * in a file when it has ended. */
#include "simulator.h"

#include <stdlib.h>

static struct record **records;
static size_t count, cap, open_count, peak_open;
static uint64_t last_number;
static FILE *file;

static const char *const outcomes[] = {[OUTCOME_OPEN] = "open",
				       [OUTCOME_SENT] = "sent",
				       [OUTCOME_ABORTED] = "aborted",
				       [OUTCOME_CUT] = "cut",
				       [OUTCOME_RESET] = "reset"};

void ledger_open(void)
{
	if (!options.ledger_file)
		return;
	file = fopen(options.ledger_file, "ae");
	if (!file) {
		perror(options.ledger_file);
		exit(1);
	}
	setvbuf(file, NULL, _IOLBF, 64 * 1024);
}

/* Only its hash is kept: the key itself is nobody's business. */
static void hash_key(const struct request *r, char out[17])
{
	static const char *const names[] = {"authorization", "x-api-key", "x-goog-api-key",
					    "api-key"};
	const char *key = NULL;
	char hex[65];

	for (size_t i = 0; !key && i < ARRAY_LEN(names); i++)
		key = request_header(r, names[i]);
	out[0] = '\0';
	if (!key)
		return;
	if (strncmp(key, "Bearer ", 7) == 0)
		key += 7;
	sha256_hex(str_of(key), hex);
	memcpy(out, hex, 16);
	out[16] = '\0';
}

static char *start_members(const struct exchange *x, const struct record *r,
			   const struct question *q)
{
	struct buf *out = buf_in(x->arena);
	char hash[65];

	sha256_hex(x->request.body, hash);
	buf_printf(out, "\"number\":%llu,\"at\":%.3f,\"path\":", (unsigned long long)r->number,
		   r->at);
	add_quoted(out, str_of(x->request.path));
	buf_printf(out, ",\"format\":\"%s\",\"model\":", r->format);
	add_quoted(out, str_of(q->model));
	buf_add_text(out, ",\"call\":");
	add_quoted(out, str_of(r->call));
	buf_printf(out, ",\"key\":\"%s\",\"bytes\":%zu,\"sha256\":\"%s\",\"stream\":%s", r->key,
		   x->request.body.len, hash, q->is_stream ? "true" : "false");
	if (options.ledger_bodies && q->body) {
		buf_add_text(out, ",\"body\":");
		buf_add_str(out, x->request.body);
	}
	return xstrdup(buf_str(out).ptr);
}

struct record *ledger_add(const struct exchange *x, const char *format, const struct question *q)
{
	struct record *r = xmalloc(sizeof *r);
	const char *call = request_header(&x->request, "x-client-request-id");

	r->number = ++last_number;
	r->at = x->at;
	r->format = format;
	r->call = xstrdup(call ? call : "");
	hash_key(&x->request, r->key);
	r->start = start_members(x, r, q);
	if (count == cap) {
		cap = cap ? cap * 2 : 1024;
		records = xrealloc(records, cap * sizeof(struct record *));
	}
	records[count++] = r;
	open_count++;
	peak_open = open_count > peak_open ? open_count : peak_open;
	return r;
}

static void print(struct buf *out, const struct record *r)
{
	buf_printf(out, "{%s,\"status\":%d,\"outcome\":\"%s\",\"fault\":", r->start, r->status,
		   outcomes[r->outcome]);
	if (r->fault)
		add_quoted(out, str_of(r->fault));
	else
		buf_add_text(out, "null");
	buf_printf(out,
		   ",\"bytes_sent\":%llu,\"ended\":%.3f,\"usage\":{\"input\":%ld,\"cached\":%ld,"
		   "\"output\":%ld,\"reasoning\":%ld}}\n",
		   (unsigned long long)r->bytes_sent, r->ended, r->usage.input, r->usage.cached,
		   r->usage.output, r->usage.reasoning);
}

static void record_free(struct record *r)
{
	free(r->start);
	free(r->call);
	free(r);
}

void ledger_end(struct record *record, const struct exchange *x)
{
	struct buf line;

	record->outcome = x->outcome;
	record->bytes_sent = x->bytes_sent;
	record->ended = now_ms();
	limits_settle(record);
	open_count--;
	if (file) {
		buf_init(&line, REPLY_MAX);
		print(&line, record);
		(void)fwrite(line.ptr, 1, line.len, file);
		buf_clear(&line);
	}
	if (record->is_forgotten)
		record_free(record);
}

void ledger_print(struct buf *out, double since, const char *call_prefix)
{
	for (size_t i = 0; i < count; i++)
		if (records[i]->at >= since &&
		    strncmp(records[i]->call, call_prefix, strlen(call_prefix)) == 0)
			print(out, records[i]);
}

void ledger_stats(struct buf *out)
{
	long outcome_counts[ARRAY_LEN(outcomes)] = {0}, statuses[1000] = {0};
	struct usage sum = {0};
	const char *comma = "";

	for (size_t i = 0; i < count; i++) {
		const struct record *r = records[i];
		outcome_counts[r->outcome]++;
		statuses[r->status % 1000]++;
		sum.input += r->usage.input;
		sum.output += r->usage.output;
	}
	buf_printf(out, "\"requests\":%zu,\"open\":%zu,\"peak_open\":%zu,\"outcomes\":{", count,
		   open_count, peak_open);
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++, comma = ",")
		buf_printf(out, "%s\"%s\":%ld", comma, outcomes[i], outcome_counts[i]);
	buf_add_text(out, "},\"statuses\":{");
	comma = "";
	for (int i = 1; i < 1000; i++) {
		if (statuses[i])
			buf_printf(out, "%s\"%d\":%ld", comma, i, statuses[i]);
		comma = statuses[i] ? "," : comma;
	}
	buf_printf(out, "},\"usage\":{\"input\":%ld,\"output\":%ld}", sum.input, sum.output);
}

void ledger_reset(void)
{
	for (size_t i = 0; i < count; i++) {
		if (records[i]->outcome == OUTCOME_OPEN)
			records[i]->is_forgotten = true;
		else
			record_free(records[i]);
	}
	count = 0;
	peak_open = open_count;
}
