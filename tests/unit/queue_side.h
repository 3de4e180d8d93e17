/* tests/unit/queue_side.h: one worker's side of a queue on a real Redis, and what it tells. A test may have several sides
 * of one server; it fails when it has waited SIDE_PATIENCE_MS. */
#ifndef TESTS_UNIT_QUEUE_SIDE_H
#define TESTS_UNIT_QUEUE_SIDE_H

#include "common/loop.h"
#include "worker/queue/queue.h"

#include "tests/unit/redis_server.h"
#include "tests/unit/test.h"

enum { SIDE_PATIENCE_MS = 20000, SIDE_JOBS_MAX = 8 };

struct side {
	struct loop *loop;
	struct arena *arena;
	struct redis_options redis;
	struct queue_options options;
	struct queue *queue;
	struct timeout patience;
	struct claim_call claim;
	struct lease *jobs[SIDE_JOBS_MAX]; /* what claim() got */
	size_t job_count;
	struct lease *lost, *cancelled; /* NULL: none yet; a second one fails the test */
	char spool[64];
	struct queue_untold untold; /* what stop_side() was told of */
};

extern struct redis_server side_server; /* the program's one server; the keys begin with "{t}:" */
extern const struct finish side_done;   /* with a result */

/* NULL, or why the queue did not start: valid until the next call. `limits` is AI_LIMITS' JSON. */
const char *start_side(struct side *s, const char *name, const char *limits);
void stop_side(struct side *s); /* s->untold can be read after it */

void wait_for(struct side *s, struct call *c);
void run_until(struct side *s, struct lease **what); /* until it is there */

void enqueue(const char *id, const char *more); /* body {}; more: fields of the entry */
void claim(struct side *s, size_t want);        /* waits for jobs and keeps them */
enum error_code finish(struct side *s, struct lease *lease, const struct finish *how);

/* Answers that the side has put on disk, since Redis did not take them. */
size_t spooled(const struct side *s);
void remove_spool(const struct side *s);

/* For cmocka: the server of a group, and a test's set-up after which all keys are gone. */
int server_starts(void **state);
int server_stops(void **state);
int fresh(void **state);

#endif
