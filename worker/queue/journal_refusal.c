/* A permit is refused: what the job is told, and what it waits for. The reply is {0 or 2 (not in this
 * period), when to come back in ms, scope, kind, used, limit}: lua/permit.lua. */
#include "worker/door/queue_metrics.h"
#include "worker/queue/journal_own.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The whole route is not to be asked. A job that came by another route waits for itself. */
static bool is_shut(struct permit_call *c, struct send *s, const char *route, const char *until)
{
	const struct redis_value *kind = &s->redis.reply->items[3];

	if (str_is(kind->text, "circuit"))
		c->shut = ERR_UNAVAILABLE;
	if (!str_is(kind->text, "credit"))
		return false;
	c->shut = ERR_QUOTA;
	(void)fail(&c->call.err, ERR_PARKED,
		   "no credit is left for '%s': somebody has to pay there; it is tried again from "
		   "%s, or at once after `flow-worker jobs resume --route %s`",
		   route, until, route);
	return strcmp(route, s->lease->lease.route) != 0;
}

/* Somebody has paused it: no call begins until somebody lets it go on. */
static void wait_paused(struct permit_call *c, const struct redis_value *mark)
{
	(void)fail(&c->call.err, ERR_PARKED,
		   "%.*s: no call begins before `flow-worker jobs resume` lets it go on",
		   STR_ARGS(mark->text));
}

/* Nano-dollars as people write money: cents at least, and no digit more than it takes. */
static const char *dollars(struct arena *a, uint64_t nano)
{
	char *text = arena_printf(a, "$%llu.%09llu", (unsigned long long)(nano / 1000000000),
				  (unsigned long long)(nano % 1000000000));
	size_t len = strlen(text), least = len - 7;

	while (len > least && text[len - 1] == '0')
		len--;
	text[len] = '\0';
	return text;
}

/* "3 of 3"; of money also what the call may take, since that, and not a full budget, stops it. */
static const char *fullness(struct arena *a, const struct redis_value *item, uint64_t call_nano)
{
	uint64_t used, limit;

	if (!str_is(item[3].text, "budget"))
		return arena_printf(a, "%.*s of %.*s", STR_ARGS(item[4].text),
				    STR_ARGS(item[5].text));
	used = strtoull(arena_strndup(a, item[4].text.ptr, item[4].text.len), NULL, 10);
	limit = strtoull(arena_strndup(a, item[5].text.ptr, item[5].text.len), NULL, 10);
	return arena_printf(a, "%s of %s and about %s for this call", dollars(a, used),
			    dollars(a, limit), dollars(a, call_nano));
}

void journal_refused(struct permit_call *c, struct send *s)
{
	struct arena *a = s->lease->lease.arena;
	const struct redis_value *item = s->redis.reply->items;
	bool for_good = item[0].integer == 2;
	const char *scope = arena_strndup(a, item[2].text.ptr, item[2].text.len);
	bool is_slot = strncmp(scope, "slot:", 5) == 0;
	char until[32];
	time_t seconds = (time_t)(item[1].integer / 1000);
	struct tm tm;

	(void)strftime(until, sizeof(until), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
	(void)fail(&c->call.err, for_good ? ERR_BUDGET : ERR_PARKED,
		   "limit '%.*s' of '%s' is full: %s, room %s %s", STR_ARGS(item[3].text),
		   is_slot ? scope + 5 : scope, fullness(a, item, c->entry.cost_nano),
		   is_slot ? "before" : "from", until);
	count_refused(s->queue->with->metrics, c);
	c->retry_at_ms = (uint64_t)item[1].integer;
	if (is_shut(c, s, scope, until))
		return;
	if (str_is(item[3].text, "paused")) {
		wait_paused(c, &item[2]);
		return;
	}
	if (str_is(item[3].text, "cache")) { /* this job waits, not all of its kind */
		(void)fail(&c->call.err, ERR_PARKED, "another job is asking the same");
		return;
	}
	s->lease->full_scope = scope;
	s->lease->full_until_ms = c->retry_at_ms;
}
