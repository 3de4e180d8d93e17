#include "operations/answer_cache.h"

#include "operations/services.h"

#include <inttypes.h>

static const char *full_key(const struct services *use, const char *key, struct arena *a)
{
	return arena_printf(a, "%scache:%s", use->cache_prefix, key);
}

void answer_cache_find(const struct services *use, const char *key, struct redis_call *c,
		       struct arena *a)
{
	redis_start(use->cache, c, a, 0, "GET", full_key(use, key, a), NULL);
}

struct str answer_cache_found(const struct redis_call *c)
{
	if (c->call.err.code != ERR_OK || c->reply->type != REDIS_TEXT)
		return (struct str){NULL, 0};
	return c->reply->text;
}

struct store {
	struct redis_call redis;
	struct arena *arena;
};

static void stored(struct call *c)
{
	struct store *s =
		container_of(container_of(c, struct redis_call, call), struct store, redis);

	arena_free(s->arena);
}

void answer_cache_store(const struct services *use, const char *key, struct str answer,
			uint64_t for_ms)
{
	struct arena *a = arena_new();
	struct store *s = arena_make(a, struct store);
	const struct str words[] = {STR("SET"), str_of(full_key(use, key, a)), arena_str(a, answer),
				    STR("PX"), str_of(arena_printf(a, "%" PRIu64, for_ms))};

	s->arena = a;
	s->redis.call.done = stored;
	redis_start_argv(use->cache, &s->redis, a, 0, ARRAY_LEN(words), words);
}
