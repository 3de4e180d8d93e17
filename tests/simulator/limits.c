/* The provider's limits, enforced at its door over a true sliding window: a request is admitted only
 * if the 60 seconds (rpd: 24 hours) that end with it hold no more than the limit. Refused requests
 * count as requests, as they do at OpenAI, and each is a violation by the client.
 *
 * A request came when the kernel had all of it, however late this process reads it. So one that came earlier than
 * another may be read later: it takes its place among those that were read.
 *
 * What a request takes: input tokens of its text; output tokens reserved from its maximum and
 * corrected when it ends; of tpm max(input, maximum), kept, or with charge=usage its input, and
 * input + output when it has ended. */
#include "simulator.h"

#include <math.h>
#include <stdlib.h>

enum { MINUTE_MS = 60000, DAY_MS = 86400000 };

enum kind { REQUESTS, DAY_REQUESTS, TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, KINDS };

static const struct {
	const char *name, *openai, *anthropic;
	double window_ms;
} kinds[KINDS] = {
	[REQUESTS] = {"rpm",  "requests", "requests",      MINUTE_MS},
	[DAY_REQUESTS] = {"rpd",  NULL,       NULL,            DAY_MS   },
	[TOKENS] = {"tpm",  "tokens",   "tokens",        MINUTE_MS},
	[INPUT_TOKENS] = {"itpm", NULL,       "input-tokens",  MINUTE_MS},
	[OUTPUT_TOKENS] = {"otpm", NULL,       "output-tokens", MINUTE_MS},
};

struct taking {
	double at;
	long amount[KINDS];
	bool is_over[KINDS]; /* it has left the window */
};

struct limit_bucket {
	struct limit_bucket *next;
	char *name;
	struct taking **takings; /* in the order of their times; places before `first` are over */
	size_t count, cap, forgotten; /* so many of them were before limits_reset() */
	size_t first[KINDS];          /* in the window of that kind that ends with the newest */
	long sum[KINDS], peak[KINDS];
	long open, peak_open, admitted, violations;
};

static struct limit_bucket *buckets;

static long limit_of(enum kind kind)
{
	const struct limits *l = &options.limits;
	const long limits[KINDS] = {l->rpm, l->rpd, l->tpm, l->itpm, l->otpm};

	return limits[kind];
}

static bool is_limited(void)
{
	for (int i = 0; i < KINDS; i++)
		if (limit_of((enum kind)i))
			return true;
	return options.limits.concurrency > 0;
}

static struct limit_bucket *bucket_find(const char *name)
{
	struct limit_bucket *b = buckets;

	while (b && strcmp(b->name, name) != 0)
		b = b->next;
	if (b)
		return b;
	b = xmalloc(sizeof *b);
	b->name = xstrdup(name);
	b->next = buckets;
	buckets = b;
	return b;
}

/* Lets go of what has left the windows. */
static void slide(struct limit_bucket *b, double now)
{
	for (int k = 0; k < KINDS; k++)
		while (b->first[k] < b->count &&
		       b->takings[b->first[k]]->at <= now - kinds[k].window_ms) {
			struct taking *t = b->takings[b->first[k]++];

			t->is_over[k] = true;
			b->sum[k] -= t->amount[k];
		}
}

/* The most that a window holds which ends at that moment, or with one of those that came later and were read already. */
static long fullest(const struct limit_bucket *b, enum kind kind, double at)
{
	size_t first = b->first[kind], end = b->count;
	long sum = b->sum[kind], most;

	while (end > first && b->takings[end - 1]->at > at)
		sum -= b->takings[--end]->amount[kind];
	while (first > b->forgotten && b->takings[first - 1]->at > at - kinds[kind].window_ms)
		sum += b->takings[--first]->amount[kind];
	for (most = sum; end < b->count; end++) {
		const struct taking *last = b->takings[end];

		sum += last->amount[kind];
		for (; b->takings[first]->at <= last->at - kinds[kind].window_ms; first++)
			sum -= b->takings[first]->amount[kind];
		most = sum > most ? sum : most;
	}
	return most;
}

/* Milliseconds until `amount` more fit; 0: they do. */
static double wait_for(const struct limit_bucket *b, enum kind kind, long amount, double now)
{
	long sum = fullest(b, kind, now), limit = limit_of(kind);

	if (!limit || sum + amount <= limit)
		return 0;
	for (size_t i = b->first[kind]; i < b->count; i++) {
		sum -= b->takings[i]->amount[kind];
		if (sum + amount <= limit)
			return b->takings[i]->at + kinds[kind].window_ms - now;
	}
	return kinds[kind].window_ms;
}

static struct taking *take(struct limit_bucket *b, const struct taking *taking)
{
	struct taking *t = xmalloc(sizeof *t);
	size_t place = b->count;

	*t = *taking;
	if (b->count == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 1024;
		b->takings = xrealloc(b->takings, b->cap * sizeof(struct taking *));
	}
	for (; place > b->forgotten && b->takings[place - 1]->at > t->at; place--)
		b->takings[place] = b->takings[place - 1];
	b->takings[place] = t;
	b->count++;
	for (int k = 0; k < KINDS; k++) {
		long most;

		t->is_over[k] = place < b->first[k];
		if (t->is_over[k])
			b->first[k]++;
		else
			b->sum[k] += t->amount[k];
		most = fullest(b, (enum kind)k, t->at);
		b->peak[k] = most > b->peak[k] ? most : b->peak[k];
	}
	return t;
}

/* Go's way to print a duration, as OpenAI's headers have it. */
static const char *duration(struct arena *a, double ms)
{
	if (ms < 1000)
		return arena_printf(a, "%.0fms", ceil(ms));
	if (ms < 60000)
		return arena_printf(a, "%gs", ceil(ms) / 1000);
	return arena_printf(a, "%.0fm%gs", floor(ms / 60000), ceil(fmod(ms, 60000)) / 1000);
}

static const char *instant(struct arena *a, double at)
{
	time_t seconds = (time_t)ceil(at / 1000);
	char text[32];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	(void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return arena_strdup(a, text);
}

/* The headers that tell the state of one limit. */
static void add_headers(const struct limit_bucket *b, enum kind kind, const struct format *f,
			struct reply *reply, double now)
{
	struct arena *a = reply->arena;
	bool is_anthropic = f == &format_messages;
	const char *name = is_anthropic ? kinds[kind].anthropic : kinds[kind].openai;
	long left = limit_of(kind) - b->sum[kind];
	/* full again when the newest taking has left the window */
	double full = b->sum[kind] ? b->takings[b->count - 1]->at + kinds[kind].window_ms : now;

	if (!name || !limit_of(kind) || f == &format_gemini)
		return;
	left = left > 0 ? left : 0;
	if (is_anthropic)
		buf_printf(reply->headers,
			   "anthropic-ratelimit-%s-limit: %ld\r\nanthropic-ratelimit-%s-remaining: "
			   "%ld\r\n"
			   "anthropic-ratelimit-%s-reset: %s\r\n",
			   name, limit_of(kind), name, left, name, instant(a, full));
	else
		buf_printf(reply->headers,
			   "x-ratelimit-limit-%s: %ld\r\nx-ratelimit-remaining-%s: %ld\r\n"
			   "x-ratelimit-reset-%s: %s\r\n",
			   name, limit_of(kind), name, left, name, duration(a, full - now));
}

static const char *bucket_name(const struct record *record, const struct question *q)
{
	switch (options.limits.per) {
	case PER_MODEL:
		return q->model;
	case PER_KEY:
		return record->key;
	case PER_ALL:
		break;
	}
	return "*";
}

static void refuse(struct limit_bucket *b, enum kind kind, double wait, const struct question *q,
		   struct refusal *refusal)
{
	bool is_tokens = kind != REQUESTS && kind != DAY_REQUESTS;
	const char *in = duration(q->arena, wait);

	b->violations++;
	*refusal = (struct refusal){.kind = is_tokens ? "rate_limit_tokens" : "rate_limit",
				    .retry_after_ms = wait};
	refusal->message = arena_printf(
		q->arena,
		"SIMULATED: Rate limit reached for %s in organization org-simulated on %s per min "
		"(%s): Limit %ld, Used %ld. Please try again in %s.",
		q->model, is_tokens ? "tokens" : "requests", is_tokens ? "TPM" : "RPM",
		limit_of(kind), b->sum[kind], in);
}

static bool check(struct limit_bucket *b, const struct taking *t, const struct question *q,
		  struct refusal *refusal)
{
	double longest = 0;
	enum kind worst = REQUESTS;

	for (int k = 0; k < KINDS; k++) {
		double wait = wait_for(b, (enum kind)k, t->amount[k], t->at);
		if (wait > longest) {
			longest = wait;
			worst = (enum kind)k;
		}
	}
	if (longest > 0) {
		refuse(b, worst, longest, q, refusal);
		return false;
	}
	if (!options.limits.concurrency || b->open < options.limits.concurrency)
		return true;
	b->violations++;
	*refusal = (struct refusal){"rate_limit", "SIMULATED: too many concurrent requests", NULL,
				    0, 100};
	return false;
}

bool limits_admit(struct record *record, const struct question *q, const struct format *f,
		  struct reply *reply, struct refusal *refusal)
{
	struct limit_bucket *b;
	long input = question_tokens(q), most = q->max_tokens ? q->max_tokens : 16;
	struct taking t = {
		.at = record->at,
		.amount = {[REQUESTS] = 1,
			   [DAY_REQUESTS] = 1,
			   [TOKENS] = input > most ? input : most,
			   [INPUT_TOKENS] = input,
			   [OUTPUT_TOKENS] = most}
        };

	if (!is_limited())
		return true;
	if (options.limits.charge_usage)
		t.amount[TOKENS] = input;
	b = bucket_find(bucket_name(record, q));
	slide(b, t.at);
	record->bucket = b;
	record->is_admitted = check(b, &t, q, refusal);
	if (record->is_admitted) {
		b->admitted++;
		b->open++;
		b->peak_open = b->open > b->peak_open ? b->open : b->peak_open;
	} else {
		t.amount[TOKENS] = t.amount[INPUT_TOKENS] = t.amount[OUTPUT_TOKENS] = 0;
	}
	record->taking = take(b, &t);
	for (int k = 0; k < KINDS; k++)
		add_headers(b, (enum kind)k, f, reply, t.at);
	return record->is_admitted;
}

static void correct(struct limit_bucket *b, struct taking *t, enum kind kind, long amount)
{
	if (!t->is_over[kind])
		b->sum[kind] += amount - t->amount[kind];
	t->amount[kind] = amount;
}

void limits_settle(struct record *record)
{
	struct limit_bucket *b = record->bucket;

	if (!b || !record->is_admitted)
		return;
	b->open--;
	record->bucket = NULL;
	correct(b, record->taking, OUTPUT_TOKENS, record->usage.output);
	if (options.limits.charge_usage)
		correct(b, record->taking, TOKENS, record->usage.input + record->usage.output);
}

void limits_reset(void)
{
	for (struct limit_bucket *b = buckets; b; b = b->next) {
		b->admitted = b->violations = b->peak_open = 0;
		for (; b->forgotten < b->count; b->forgotten++)
			for (int k = 0; k < KINDS; k++) /* those under way must not come back in */
				b->takings[b->forgotten]->is_over[k] = true;
		for (int k = 0; k < KINDS; k++) {
			b->first[k] = b->count;
			b->sum[k] = b->peak[k] = 0;
		}
	}
}

void limits_print(struct buf *out)
{
	buf_add_char(out, '{');
	for (const struct limit_bucket *b = buckets; b; b = b->next) {
		add_quoted(out, str_of(b->name));
		buf_printf(out,
			   ":{\"admitted\":%ld,\"violations\":%ld,\"open\":%ld,\"peak_open\":%ld",
			   b->admitted, b->violations, b->open, b->peak_open);
		for (int k = 0; k < KINDS; k++)
			buf_printf(out, ",\"peak_%s\":%ld", kinds[k].name, b->peak[k]);
		buf_add_text(out, b->next ? "}," : "}");
	}
	buf_add_char(out, '}');
}
