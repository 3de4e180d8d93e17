/* worker/notice/run_logs.h: each run's steps in a collection of the user's own (WORKER_RUN_LOG_COLLECTION), in the
 * shape that the Studio's log reads:
 *
 *	{"flow","job","status","date","data":{"steps":[{"operation","key","status","options"}],
 *	                                      "data":{"$trigger","$last","$accountability",<key>: …}}}
 *
 * Secrets are masked as Directus masks them in its own log. What fails is logged, and changes nothing. */
#ifndef WORKER_NOTICE_RUN_LOGS_H
#define WORKER_NOTICE_RUN_LOGS_H

struct config;
struct outbox;
struct run;
struct run_logs;

/* NULL if there is no collection. */
struct run_logs *run_logs_new(const struct config *config, struct outbox *outbox);
void run_logs_free(struct run_logs *l); /* after the outbox; takes NULL */
/* A run has ended for good. l may be NULL. */
void run_logs_write(struct run_logs *l, const struct run *run, const char *status);

#endif
