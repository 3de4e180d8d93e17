#include "worker/cli/cli_queue.h"

#include "common/config.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_table.h"

#include <stdlib.h>

bool cli_queue_open(struct cli_queue *q, struct cli *cli)
{
	*q = (struct cli_queue){.cli = cli};
	if (!setup_open(&q->setup, cli))
		return false;
	q->arena = q->setup.arena;
	q->redis = redis_new(q->setup.services.loop, &q->setup.redis);
	scripts_init(&q->scripts, q->redis, q->setup.config->queue_prefix);
	return true;
}

void cli_queue_close(struct cli_queue *q)
{
	redis_free(q->redis);
	setup_close(&q->setup);
}

static const struct redis_value *wait_for(struct cli_queue *q, struct redis_call *c)
{
	setup_wait(&q->setup, &c->call);
	if (c->call.err.code != ERR_OK) {
		(void)cli_failed(q->cli, &c->call.err);
		return NULL;
	}
	return c->reply;
}

const struct redis_value *cli_queue_script(struct cli_queue *q, enum script script, size_t count,
					   const struct str *words)
{
	struct redis_call c;

	script_start(&q->scripts, &c, q->arena, script, count, words);
	return wait_for(q, &c);
}

void cli_queue_try(struct cli_queue *q, enum script script, size_t count, const struct str *words)
{
	struct redis_call c;

	script_start(&q->scripts, &c, q->arena, script, count, words);
	setup_wait(&q->setup, &c.call);
}

const struct redis_value *cli_queue_command(struct cli_queue *q, size_t count,
					    const struct str *words)
{
	struct redis_call c;

	redis_start_argv(q->redis, &c, q->arena, 0, count, words);
	return wait_for(q, &c);
}

const char *cli_queue_key(struct cli_queue *q, const char *kind, const char *name)
{
	return arena_printf(q->arena, "%s%s%s", q->setup.config->queue_prefix, kind, name);
}

const char *cli_item_text(struct arena *a, const struct redis_value *list, size_t n)
{
	if (n >= list->count)
		return "";
	if (list->items[n].type == REDIS_INTEGER)
		return arena_printf(a, "%lld", (long long)list->items[n].integer);
	return list->items[n].text.ptr ? list->items[n].text.ptr : "";
}

double cli_item_number(const struct redis_value *list, size_t n)
{
	if (n >= list->count)
		return 0;
	if (list->items[n].type == REDIS_INTEGER)
		return (double)list->items[n].integer;
	return list->items[n].text.ptr ? strtod(list->items[n].text.ptr, NULL) : 0;
}

static size_t place_of(const struct redis_value *list, const char *name)
{
	size_t i = 0;

	while (i + 1 < list->count && !str_is(list->items[i].text, name))
		i += 2;
	return i + 1;
}

const char *cli_reply_text(struct arena *a, const struct redis_value *list, const char *name)
{
	return cli_item_text(a, list, place_of(list, name));
}

double cli_reply_number(const struct redis_value *list, const char *name)
{
	return cli_item_number(list, place_of(list, name));
}

const char *cli_rest_cause(struct arena *a, const struct redis_value *rests, size_t i)
{
	const char *why = cli_item_text(a, rests, i + REST_WHY);

	return *why ? arena_strndup(a, why, strcspn(why, " ")) : "limit";
}

const char *cli_rest_text(struct arena *a, const struct redis_value *rests, size_t i)
{
	const char *route = cli_item_text(a, rests, i + REST_ROUTE);
	const char *why = cli_item_text(a, rests, i + REST_WHY);
	uint64_t until = (uint64_t)cli_item_number(rests, i + REST_UNTIL), now = wall_ms();
	const char *rest = until > now ? cli_duration(a, until - now) : "no time";
	double percent = cli_item_number(rests, i + REST_FACTOR) * 100;

	if (strncmp(why, "credit ", 7) == 0)
		return arena_printf(
			a,
			"%s: no credit is left there (%s), its jobs wait. Pay there, then "
			"`flow-worker jobs resume --route %s`; one call tries it out in %s",
			route, why + 7, route, rest);
	if (strcmp(why, "circuit") == 0)
		return arena_printf(a, "%s: does not work, one call tries it out in %s", route,
				    rest);
	if (until > now)
		return arena_printf(a, "%s: rests for %s at %.0f %% of its limits", route, rest,
				    percent);
	return arena_printf(a, "%s: at %.0f %% of its limits", route, percent);
}

const char *cli_paused_text(struct arena *a, const char *mark)
{
	static const struct {
		const char *mark, *option;
	} kinds[] = {
		{"paused:route:",  "--route" },
		{"paused:tenant:", "--tenant"},
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t len = strlen(kinds[i].mark);

		if (strncmp(mark, kinds[i].mark, len) == 0)
			return arena_printf(a,
					    "paused: %s: `flow-worker jobs resume %s %s` lets it "
					    "go on",
					    mark + strlen("paused:"), kinds[i].option, mark + len);
	}
	return arena_printf(a, "%s: `flow-worker jobs resume` lets it go on", mark);
}
