#include "worker/queue/scripts.h"

#include <inttypes.h>

/* What is not to be taken back by a failover. */
static const bool confirmed[SCRIPT_COUNT] = {
	[SCRIPT_PERMIT] = true,     /* the intent: before money is spent */
	[SCRIPT_SETTLE] = true,     /* the answer: before anything uses it */
	[SCRIPT_STORE] = true,      /* a finished step: before the next one */
	[SCRIPT_FINISH] = true,     /* the end: before the worker forgets the job */
	[SCRIPT_BATCH_KEEP] = true, /* an old value: before it is overwritten */
	/* what a person or a program was told */
	[SCRIPT_CANCEL] = true,
	[SCRIPT_RETRY] = true,
	[SCRIPT_PURGE] = true,
	[SCRIPT_ERASE] = true,
	[SCRIPT_CRON_SET] = true,
	[SCRIPT_CRON_REMOVE] = true,
	[SCRIPT_BATCH_OPEN] = true,
	[SCRIPT_BATCH_KEYS] = true,
	[SCRIPT_BATCH_SET] = true,
	[SCRIPT_BATCH_RETRY] = true,
};

void scripts_init(struct scripts *s, struct redis *redis, const char *prefix)
{
	static const char *const names[] = {
#define X(constant, name) [SCRIPT_##constant] = #name,
		QUEUE_SCRIPTS(X)
#undef X
	};

	s->redis = redis;
	s->prefix = str_of(prefix);
	s->timeout_ms = 0;
	for (size_t i = 0; i < SCRIPT_COUNT; i++)
		s->of[i] = (struct redis_script){.name = names[i], .source = script_sources[i]};
}

void script_start(struct scripts *s, struct redis_call *c, struct arena *a, enum script script,
		  size_t count, const struct str *words)
{
	struct str *all = arena_array(a, struct str, count + 1);

	all[0] = s->prefix;
	if (count)
		memcpy(all + 1, words, count * sizeof(*words));
	redis_eval(s->redis, c, a, s->timeout_ms, &s->of[script], 1, count + 1, all);
	if (confirmed[script])
		redis_confirm(c);
}

struct str word_of(struct arena *a, uint64_t number)
{
	return str_of(arena_printf(a, "%" PRIu64, number));
}
