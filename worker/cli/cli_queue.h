/* worker/cli/cli_queue.h: for commands that look at the queue or move jobs in it: a connection, and its
 * scripts one after another. */
#ifndef WORKER_CLI_CLI_QUEUE_H
#define WORKER_CLI_CLI_QUEUE_H

#include "worker/queue/scripts.h"
#include "worker/setup.h"

struct cli_queue {
	struct cli *cli;
	struct setup setup;
	struct arena *arena; /* the setup's */
	struct redis *redis;
	struct scripts scripts;
};

/* false: what is wrong has been told. */
bool cli_queue_open(struct cli_queue *q, struct cli *cli) NODISCARD;
void cli_queue_close(struct cli_queue *q);

/* The reply, or NULL: what is wrong has been told. */
const struct redis_value *cli_queue_script(struct cli_queue *q, enum script script, size_t count,
					   const struct str *words);
/* Where the reply does not matter, and a failure no more. */
void cli_queue_try(struct cli_queue *q, enum script script, size_t count, const struct str *words);
const struct redis_value *cli_queue_command(struct cli_queue *q, size_t count,
					    const struct str *words);
const char *cli_queue_key(struct cli_queue *q, const char *kind, const char *name);

/* Of a flat list of names and values: the value as text, "" if it is not there. */
const char *cli_reply_text(struct arena *a, const struct redis_value *list, const char *name);
double cli_reply_number(const struct redis_value *list, const char *name);

/* One item as text, "" if there is none; as a number. */
const char *cli_item_text(struct arena *a, const struct redis_value *list, size_t n);
double cli_item_number(const struct redis_value *list, size_t n);

/* "paused:tenant:shop", as report.lua gives it: what it is, and what ends it. */
const char *cli_paused_text(struct arena *a, const char *mark);

/* Routes that rest, of a list of report.lua or scopes.lua: each is one of these many items. */
enum rest_item { REST_ROUTE, REST_UNTIL, REST_FACTOR, REST_WHY, REST_WIDTH };

/* Why the one at i rests, for programs: "credit", "circuit", "limit". */
const char *cli_rest_cause(struct arena *a, const struct redis_value *rests, size_t i);
/* For people: why, until when, and what to do about it. */
const char *cli_rest_text(struct arena *a, const struct redis_value *rests, size_t i);

#endif
