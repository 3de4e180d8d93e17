/* operations/services.h: what an operation may use of the world. Made in main, the same for all. */
#ifndef OPERATIONS_SERVICES_H
#define OPERATIONS_SERVICES_H

struct config;
struct directus;
struct http;
struct loop;

struct services {
	const struct config *config;
	struct loop *loop;
	struct http *http;         /* for providers and the request operation */
	struct directus *directus; /* NULL: DIRECTUS_URL is not set */
};

#endif
