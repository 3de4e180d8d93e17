/* worker/setup.h: what a command that runs jobs or talks to Redis needs, made from the configuration
 * and taken down again. */
#ifndef WORKER_SETUP_H
#define WORKER_SETUP_H

#include "common/arena.h"
#include "common/redis.h"
#include "operations/services.h"

struct cli;
struct flows;

struct setup {
	struct arena *arena;
	const struct config *config;
	struct services services; /* loop, http, directus */
	struct flows *flows;      /* NULL: no Directus */
	struct redis_options redis;
};

/* false: what is wrong has been told; nothing is left open. */
bool setup_open(struct setup *s, const struct cli *cli) NODISCARD;
/* The same with a configuration that is there already, in the arena, which becomes the setup's. On
 * failure the arena stays the caller's. */
bool setup_make(struct setup *s, const struct config *config, struct arena *a,
		struct error *err) NODISCARD;
void setup_close(struct setup *s);

/* The tokenizers' files, for commands that count; false: what is wrong has been told. */
bool setup_count(struct setup *s, const struct cli *cli) NODISCARD;

/* With AI_SETTINGS_IMPORT: which models Directus' own AI settings allow. A Directus that does not
 * answer within seconds, or does not let us, is told in the log and changes nothing. */
void setup_import(struct setup *s);

/* Runs the loop until the call has ended; for commands that do one thing after another. */
struct call;
void setup_wait(struct setup *s, struct call *c);

#endif
