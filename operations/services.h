/* operations/services.h: what an operation may use of the world. Made in main, the same for all. */
#ifndef OPERATIONS_SERVICES_H
#define OPERATIONS_SERVICES_H

struct config;
struct directus;
struct http;
struct http_request;
struct loop;
struct models;

/* A dry run calls no provider: it shows what would be sent, and goes on as if the answer were an
 * empty text. Operations that write are left out by the run. */
struct dry_run {
	void (*show)(struct dry_run *d, const struct http_request *request);
};

struct services {
	const struct config *config;
	struct loop *loop;
	struct http *http;         /* for providers and the request operation */
	struct models *models;     /* the model table */
	struct directus *directus; /* NULL: DIRECTUS_URL is not set */
	struct dry_run *dry_run;   /* NULL: this is not one */
};

#endif
