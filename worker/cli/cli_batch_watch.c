/* Progress of a batch: a bar on a terminal, else a line now and then. On standard error; the numbers at the
 * end are on standard output. */
#include "common/loop.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/cli_table.h"

#include <stdio.h>
#include <unistd.h>

enum {
	TERMINAL_MS = 300,
	LINES_MS = 1000,
	LINE_EVERY_MS = 10000,
	RATE_SAMPLES = 32,
	BAR_WIDTH = 24
};

struct watch {
	struct cli_queue *q;
	bool terminal;
	struct {
		uint64_t at_ms, ended;
	} samples[RATE_SAMPLES]; /* a ring */
	size_t count;
	uint64_t told_ms;
	bool told_no_worker;
};

static uint64_t over(const struct batch_state *s)
{
	return s->ended + s->gone;
}

/* Items a second over the last samples; 0: not known. */
static double rate(struct watch *w, const struct batch_state *s, uint64_t now_ms)
{
	uint64_t since;
	size_t oldest;

	w->samples[w->count % RATE_SAMPLES].at_ms = now_ms;
	w->samples[w->count % RATE_SAMPLES].ended = over(s);
	w->count++;
	oldest = w->count <= RATE_SAMPLES ? 0 : w->count % RATE_SAMPLES;
	since = now_ms - w->samples[oldest].at_ms;
	if (since == 0 || over(s) < w->samples[oldest].ended)
		return 0;
	return (double)(over(s) - w->samples[oldest].ended) * 1000 / (double)since;
}

static const char *bar(struct arena *a, double part)
{
	char text[BAR_WIDTH + 1];

	for (size_t i = 0; i < BAR_WIDTH; i++)
		text[i] = (double)i < part * BAR_WIDTH ? '#' : '.';
	text[BAR_WIDTH] = '\0';
	return arena_strdup(a, text);
}

static const char *line(struct watch *w, const struct batch_state *s, uint64_t now_ms)
{
	struct arena *a = w->q->arena;
	uint64_t failed = s->failed + s->conflict;
	double per_second = rate(w, s, now_ms), total = (double)s->total;
	double left = total > (double)over(s) ? total - (double)over(s) : 0;
	double part = total > 0 ? (double)over(s) / total : 0;
	const char *rest =
		per_second > 0 && left > 0
			? arena_printf(a, ", %s left",
				       cli_duration(a, (uint64_t)(left / per_second * 1000)))
			: "";
	const char *budget =
		s->budget_nano ? arena_printf(a, " of %s", cli_dollars(a, (double)s->budget_nano))
			       : "";

	if (strcmp(s->state, "listing") == 0)
		return "listing items";
	return arena_printf(a,
			    "%s%3.0f %%  %llu of %llu: %llu done, %llu unchanged, %llu failed, "
			    "%llu running; %.1f/s, %s%s%s",
			    w->terminal ? arena_printf(a, "[%s] ", bar(a, part)) : "", part * 100,
			    (unsigned long long)over(s), (unsigned long long)s->total,
			    (unsigned long long)s->done, (unsigned long long)s->skipped,
			    (unsigned long long)failed, (unsigned long long)s->active, per_second,
			    cli_dollars(a, (double)s->spent_nano), budget, rest);
}

static void tell(struct watch *w, const struct batch_state *s)
{
	uint64_t now_ms = loop_now(w->q->setup.services.loop);
	const char *text = line(w, s, now_ms);

	if (s->workers == 0 && !w->told_no_worker) {
		(void)fprintf(stderr, "no worker is running: start one with `flow-worker`\n");
		w->told_no_worker = true;
	}
	if (w->terminal) {
		(void)fprintf(stderr, "\r%s\033[K", text);
	} else if (w->told_ms == 0 || now_ms - w->told_ms >= LINE_EVERY_MS) {
		(void)fprintf(stderr, "%s\n", text);
		w->told_ms = now_ms;
	}
}

static void rest(struct watch *w)
{
	struct sleep_call nap;

	sleep_start(w->q->setup.services.loop, &nap, w->terminal ? TERMINAL_MS : LINES_MS);
	setup_wait(&w->q->setup, &nap.call);
}

static int status_of(const struct batch_state *s)
{
	bool good = strcmp(s->state, "done") == 0 && s->failed == 0 && s->conflict == 0;

	return good ? CLI_OK : CLI_FAILED;
}

static void say_how_to_go_on(const struct batch_state *s)
{
	if (strcmp(s->state, "budget") == 0)
		(void)fprintf(stderr,
			      "the budget is spent: `flow-worker batch resume %s --budget USD`\n",
			      s->id);
	else if (strcmp(s->state, "paused") == 0)
		(void)fprintf(stderr, "paused: `flow-worker batch resume %s`\n", s->id);
	else if (s->failed + s->conflict > 0)
		(void)fprintf(stderr,
			      "some failed: `flow-worker batch export %s` says why, `flow-worker "
			      "batch retry-failed %s` runs them again\n",
			      s->id, s->id);
}

int cli_batch_watch(struct cli_queue *q, const char *id)
{
	struct watch w = {.q = q, .terminal = isatty(STDERR_FILENO) != 0};
	struct arena *lasting = q->arena;
	struct batch_state s;
	bool is_over = false;

	while (!is_over) {
		q->arena = arena_new();
		if (!cli_batch_look(q, id, &s)) {
			arena_free(q->arena);
			q->arena = lasting;
			return CLI_FAILED;
		}
		tell(&w, &s);
		is_over = batch_state_is_over(&s);
		arena_free(q->arena);
		if (!is_over)
			rest(&w);
	}
	q->arena = lasting;
	if (w.terminal)
		(void)fputc('\n', stderr);
	if (!cli_batch_look(q, id, &s))
		return CLI_FAILED;
	say_how_to_go_on(&s);
	(void)cli_batch_print(q, &s);
	return status_of(&s);
}
