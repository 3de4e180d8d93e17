#include "common/directus_turns.h"

#include <assert.h>

enum { CUT_EVERY_MS = 1000, FORGET_MS = 10 * 60 * 1000, LEAST_EASE = 32, EASE_STEPS = 64 };

void directus_turns_init(struct directus_turns *t, struct loop *l, unsigned most,
			 unsigned share_percent)
{
	*t = (struct directus_turns){
		.loop = l,
		.most = most,
		.limit = most,
		.share = share_percent / 100.0,
		.ease = 1,
		.workers = 1,
	};
	t->others.last = &t->others.first;
	t->bulk.last = &t->bulk.first;
}

void directus_turns_clear(struct directus_turns *t)
{
	assert(t->under_way == 0 && !t->others.first && !t->bulk.first);
	timeout_stop(t->loop, &t->opening);
}

void directus_turns_share(struct directus_turns *t, unsigned workers)
{
	t->workers = workers ? workers : 1;
}

static double share_now(const struct directus_turns *t)
{
	return t->share * t->ease / t->workers;
}

/* ---- whose turn it is ---- */

static void give(struct directus_turns *t, struct turn_list *list)
{
	struct directus_turn *turn = list->first;

	list->first = turn->next;
	if (!list->first)
		list->last = &list->first;
	turn->is_taken = true;
	turn->taken_ms = loop_now(t->loop);
	t->under_way++;
	t->bulk_under_way += turn->is_bulk;
	t->bulk_was_last = turn->is_bulk;
	call_end(&turn->call);
}

static bool may_bulk(const struct directus_turns *t)
{
	return t->bulk.first && loop_now(t->loop) >= t->bulk_from &&
	       (t->bulk_under_way == 0 || t->bulk_under_way < share_now(t));
}

static void give_turns(struct directus_turns *t);

static void open_again(struct timeout *timeout)
{
	give_turns(container_of(timeout, struct directus_turns, opening));
}

static void give_turns(struct directus_turns *t)
{
	uint64_t now = loop_now(t->loop);
	uint64_t next;

	while (t->closed_until <= now && t->under_way < (unsigned)t->limit) {
		if (may_bulk(t) && !(t->bulk_was_last && t->others.first))
			give(t, &t->bulk);
		else if (t->others.first)
			give(t, &t->others);
		else
			break;
	}
	next = t->others.first ? t->closed_until : u64_max(t->closed_until, t->bulk_from);
	if ((t->others.first || t->bulk.first) && next > now)
		timeout_start(t->loop, &t->opening, next - now, open_again);
}

static void turn_cancel(struct call *c)
{
	struct directus_turn *turn = container_of(c, struct directus_turn, call);
	struct turn_list *list = turn->is_bulk ? &turn->turns->bulk : &turn->turns->others;
	struct directus_turn **at = &list->first;

	while (*at != turn)
		at = &(*at)->next;
	*at = turn->next;
	if (!turn->next)
		list->last = at;
	call_end(c);
}

void directus_turn_start(struct directus_turns *t, struct directus_turn *turn, bool is_bulk,
			 bool goes_on)
{
	struct turn_list *list = is_bulk ? &t->bulk : &t->others;
	struct directus_turn **at = goes_on ? &list->first : list->last;

	call_begin(&turn->call, t->loop, turn_cancel);
	turn->turns = t;
	turn->is_bulk = is_bulk;
	turn->is_taken = false;
	turn->next = *at;
	*at = turn;
	if (!turn->next)
		list->last = &turn->next;
	give_turns(t);
}

/* What a call of bulk jobs took is paid for with time in which none begins. Nothing is saved up. */
static void pay(struct directus_turns *t, const struct directus_turn *turn)
{
	uint64_t latest = loop_now(t->loop) + BULK_REST_MAX_MS;
	double began = (double)u64_max(t->bulk_from, turn->taken_ms);
	double took = (double)(loop_now(t->loop) - turn->taken_ms);
	double from = began + took / share_now(t);

	t->bulk_under_way--;
	t->bulk_from = from < (double)latest ? (uint64_t)from : latest;
}

void directus_turn_give_back(struct directus_turn *turn)
{
	if (!turn->is_taken)
		return;
	turn->is_taken = false;
	turn->turns->under_way--;
	if (turn->is_bulk)
		pay(turn->turns, turn);
	give_turns(turn->turns);
}

/* ---- how much Directus can take ---- */

static void cut(struct directus_turns *t)
{
	uint64_t now = loop_now(t->loop);

	if (t->last_cut && now - t->last_cut < CUT_EVERY_MS)
		return; /* those that were under way at the last cut */
	t->last_cut = now;
	t->limit = t->limit / 2 > 1 ? t->limit / 2 : 1;
	t->ease = t->ease / 2 > 1.0 / LEAST_EASE ? t->ease / 2 : 1.0 / LEAST_EASE;
}

static void grow(double *value, double by, double most)
{
	*value = *value + by < most ? *value + by : most;
}

/* An answer is slow beside the fastest ones, which are forgotten within minutes, however many calls
 * there are. Eight calls at once on one thread take eight times as long: that is no overload. */
void directus_turns_good(struct directus_turns *t, const struct directus_turn *turn, double ms)
{
	uint64_t now = loop_now(t->loop);

	t->fastest_ms *= 1 + (double)(now - t->fastest_at) / FORGET_MS;
	t->fastest_at = now;
	if (t->fastest_ms <= 0 || ms < t->fastest_ms)
		t->fastest_ms = ms;
	if (t->usual_ms <= 0)
		t->usual_ms = ms;
	ms = ms < 2 * t->usual_ms + 200 ? ms : 2 * t->usual_ms + 200; /* one alone says little */
	t->usual_ms += (ms - t->usual_ms) / 8;
	if (t->usual_ms > 8 * t->fastest_ms + 500) {
		cut(t);
		return;
	}
	grow(&t->limit, 1 / t->limit, t->most);
	if (turn->is_bulk)
		grow(&t->ease, 1.0 / EASE_STEPS, 1);
}

void directus_turns_overload(struct directus_turns *t, uint64_t retry_after_ms)
{
	t->closed_until = u64_max(t->closed_until, loop_now(t->loop) + retry_after_ms);
	cut(t);
}
