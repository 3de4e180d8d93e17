/* Entries of the door become jobs.
 *
 * All workers read the door as one consumer group, so each entry is given to one of them, which
 * looks at the body and files it. Nothing is acknowledged: filing removes the entry, and what a
 * dead worker was given is found by tick.lua. Filing twice is harmless. */
#include "common/crashpoint.h"
#include "common/json.h"
#include "worker/flow/run.h"
#include "worker/queue/queue_own.h"

#include <stdio.h>

enum {
	BLOCK_MS = 5000,
	ENTRIES_MOST = 64,
	LATE_MS = 3000, /* how long the reply may take beyond that */
	REST_MS = 500,
	NAME_MAX = 256,
	WORDS_HEAD = 3, /* what file.lua wants first, and for each entry */
	WORDS_EACH = 7
};

/* ---- one entry ---- */

struct entry {
	struct str sid; /* of the stream */
	struct str body;
	bool has_body;
	const char *id, *tenant, *lane, *run_at, *dedup, *dedup_mode, *dedup_ttl, *reply_to, *max,
		*batch; /* NULL: not given */
};

static const struct {
	const char *name;
	size_t at;
	enum { IS_NAME, IS_NUMBER, IS_LANE, IS_MODE, IS_STREAM } kind;
} entry_fields[] = {
	{"id",         offsetof(struct entry, id),         IS_NAME  },
	{"tenant",     offsetof(struct entry, tenant),     IS_NAME  },
	{"lane",       offsetof(struct entry, lane),       IS_LANE  },
	{"run_at",     offsetof(struct entry, run_at),     IS_NUMBER},
	{"dedup",      offsetof(struct entry, dedup),      IS_NAME  },
	{"dedup_mode", offsetof(struct entry, dedup_mode), IS_MODE  },
	{"dedup_ttl",  offsetof(struct entry, dedup_ttl),  IS_NUMBER},
	{"reply_to",   offsetof(struct entry, reply_to),   IS_STREAM},
	{"max",        offsetof(struct entry, max),        IS_NUMBER},
	{"batch",      offsetof(struct entry, batch),      IS_NAME  },
};

static const char *entry_field(const struct entry *e, size_t i)
{
	return *(const char *const *)(const void *)((const char *)e + entry_fields[i].at);
}

static struct entry read_entry(const struct redis_value *value, struct arena *a)
{
	struct entry e = {.sid = value->items[0].text};
	const struct redis_value *f = &value->items[1];

	for (size_t i = 0; i + 1 < f->count; i += 2) {
		struct str name = f->items[i].text, text = f->items[i + 1].text;

		if (str_is(name, "body")) {
			e.body = text;
			e.has_body = true;
		}
		for (size_t k = 0; k < ARRAY_LEN(entry_fields); k++)
			if (str_is(name, entry_fields[k].name) && text.len > 0)
				*(const char **)(void *)((char *)&e + entry_fields[k].at) =
					arena_strndup(a, text.ptr, text.len);
	}
	return e;
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits <= 15 && text[digits] == '\0';
}

static bool is_name(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return len <= NAME_MAX;
}

/* In a cluster a script may touch keys of one slot only: those with the prefix' hash tag. */
static bool has_our_tag(const char *prefix, const char *key)
{
	const char *open = strchr(prefix, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	const char *theirs = strchr(key, '{');

	if (!close)
		return true;
	return theirs && strncmp(theirs, open, (size_t)(close - open) + 1) == 0;
}

static bool check_field(const char *prefix, size_t i, const char *text, struct error *err)
{
	const char *name = entry_fields[i].name;

	switch (entry_fields[i].kind) {
	case IS_NUMBER:
		return is_number(text) ||
		       fail(err, ERR_INVALID_JOB, "field '%s' is '%.40s', expected a whole number",
			    name, text);
	case IS_LANE:
		return (strlen(text) == 1 && strchr("012", text[0])) ||
		       fail(err, ERR_INVALID_JOB, "field 'lane' is '%.40s', expected 0, 1 or 2",
			    text);
	case IS_MODE:
		return strcmp(text, "keep") == 0 || strcmp(text, "latest") == 0 ||
		       fail(err, ERR_INVALID_JOB,
			    "field 'dedup_mode' is '%.40s', expected 'keep' or 'latest'", text);
	case IS_STREAM:
		if (!has_our_tag(prefix, text))
			return fail(err, ERR_INVALID_JOB,
				    "field 'reply_to' is '%.80s', expected a key with the hash tag "
				    "of '%s'",
				    text, prefix);
		break;
	case IS_NAME:
		break;
	}
	return is_name(text) ||
	       fail(err, ERR_INVALID_JOB,
		    "field '%s' is too long or has control characters, expected at most %d bytes",
		    name, NAME_MAX);
}

bool queue_check_field(const char *prefix, const char *name, const char *text, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(entry_fields); i++)
		if (strcmp(entry_fields[i].name, name) == 0)
			return text[0] == '\0' || check_field(prefix, i, text, err);
	return fail(err, ERR_INVALID_JOB, "there is no field '%.40s'", name);
}

static bool check_entry(const struct queue *q, const struct entry *e, struct error *err)
{
	for (size_t i = 0; i < ARRAY_LEN(entry_fields); i++) {
		const char *text = entry_field(e, i);

		if (text && !check_field(q->with->prefix, i, text, err))
			return false;
	}
	if (!e->has_body)
		return fail(err, ERR_INVALID_JOB, "the entry has no field 'body'");
	if (e->body.len > q->with->job_max_bytes)
		return fail(err, ERR_INVALID_JOB,
			    "the body has %zu bytes, more than JOB_MAX_BYTES (%zu)", e->body.len,
			    q->with->job_max_bytes);
	return true;
}

/* A group is "<route>|<lane>|<tenant>": the route must not hold a bar. */
static const char *without_bars(struct arena *a, const char *route)
{
	char *copy = arena_strdup(a, route);

	for (char *c = copy; *c; c++)
		if (*c == '|' || (unsigned char)*c < ' ')
			*c = '_';
	return copy;
}

/* What file.lua wants to know of an entry. */
static void add_entry(struct queue *q, struct arena *a, const struct redis_value *value,
		      struct str words[WORDS_EACH])
{
	struct entry e = read_entry(value, a);
	struct job_description d = {.tenant = "-", .route = "-"};
	struct error err = {.code = ERR_OK};
	const char *id = e.id ? e.id : arena_strndup(a, e.sid.ptr, e.sid.len);

	if (check_entry(q, &e, &err))
		(void)q->with->describe(q->with->arg, e.body, a, &d, &err);
	words[0] = e.sid;
	words[1] = str_of(e.tenant && is_name(e.tenant) ? e.tenant : d.tenant);
	words[2] = err.code == ERR_OK && e.lane ? str_of(e.lane) : STR("1");
	words[3] = str_of(without_bars(a, d.route));
	words[4] = str_of(d.item);
	words[5] = words[6] = STR("");
	if (err.code != ERR_OK) {
		words[5] = str_of(error_name(&err));
		words[6] = json_print(a, run_refused(a, id, &err, 0));
		if (q->with->refused)
			q->with->refused(q->with->arg, id, words[1].ptr, &err);
	}
}

/* ---- filing ---- */

/* What could not be filed is still at the door; tick.lua finds it. Where the claim that went out behind the filing
 * has been answered before it, Redis had to be sent the script's source first: the claim came too early. */
static void look_at_the_rest(const struct once *o)
{
	if (o->redis.call.err.code != ERR_OK)
		queue_tick_soon(o->queue);
	else if (!o->queue->claiming.is_busy)
		claim_poke(o->queue);
}

void door_file(struct queue *q, struct once *filing, const struct redis_value *entries,
	       void (*filed)(struct once *o))
{
	struct arena *a = once_begin(q, filing);
	struct str *words = arena_array(a, struct str, WORDS_HEAD + WORDS_EACH * entries->count);
	size_t n = WORDS_HEAD;

	words[0] = word_of(a, q->claim ? q->claim->want : 0);
	words[1] = word_of(a, q->with->result_ttl_ms);
	words[2] = word_of(a, q->with->job_max_bytes);
	for (size_t i = 0; i < entries->count; i++) {
		add_entry(q, a, &entries->items[i], words + n);
		n += WORDS_EACH;
	}
	CRASH_POINT("before_filing");
	once_start(filing, SCRIPT_FILE, n, words, filed);
	claim_poke(q); /* in the same write */
}

void door_filed(struct once *o)
{
	look_at_the_rest(o);
}

/* ---- waiting at the door ---- */

static void listen_at_door(struct queue *q);

static void listen_again(struct timeout *t)
{
	listen_at_door(container_of(t, struct queue, listen_again));
}

static void filed_what_was_heard(struct once *o)
{
	CRASH_POINT("after_filing");
	look_at_the_rest(o);
	listen_at_door(o->queue);
}

static size_t bytes_of(const struct redis_value *entries)
{
	size_t bytes = 0;

	for (size_t i = 0; i < entries->count; i++)
		for (size_t k = 0; k < entries->items[i].items[1].count; k++)
			bytes += entries->items[i].items[1].items[k].text.len;
	return bytes;
}

static void file_what_was_heard(struct queue *q, const struct redis_value *entries)
{
	portion_came(&q->heard, entries->count, bytes_of(entries));
	door_file(q, &q->filing, entries, filed_what_was_heard);
}

static void heard(struct call *c)
{
	struct queue *q = container_of(c, struct queue, listen.call);
	const struct redis_value *reply = q->listen.reply;

	q->is_listening = false;
	if (q->is_closed || q->is_stopping)
		return;
	if (c->err.code != ERR_OK)
		timeout_start(q->loop, &q->listen_again, REST_MS, listen_again);
	else if (reply->type == REDIS_ARRAY && reply->count == 1 && reply->items[0].count == 2)
		file_what_was_heard(q, &reply->items[0].items[1]);
	else
		listen_at_door(q);
}

static void listen_at_door(struct queue *q)
{
	char count[24];

	if (q->is_listening || q->is_stopping)
		return;
	(void)snprintf(count, sizeof(count), "%zu", portion_next(&q->heard, ENTRIES_MOST));
	arena_free(q->listen_arena);
	q->listen_arena = arena_new();
	q->is_listening = true;
	q->listen.call.done = heard;
	redis_start(q->wake, &q->listen, q->listen_arena, BLOCK_MS + LATE_MS, "XREADGROUP", "GROUP",
		    "file", "worker", "COUNT", count, "BLOCK", "5000", "NOACK", "STREAMS", q->door,
		    ">", NULL);
}

void door_open(struct queue *q)
{
	q->wake = redis_new(q->loop, q->with->redis);
	listen_at_door(q);
}

void door_close(struct queue *q)
{
	timeout_stop(q->loop, &q->listen_again);
	redis_free(q->wake);
	q->wake = NULL;
}
