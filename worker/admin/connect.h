/* worker/admin/connect.h: the worker's own user in Directus, with a policy and a role of its own, made by an
 * administrator's token. All three have one name, by which they are found again: made twice, nothing
 * is there twice. Rights are added, never taken away. */
#ifndef WORKER_ADMIN_CONNECT_H
#define WORKER_ADMIN_CONNECT_H

#include "worker/admin/rest.h"

/* One right: {"collection","action","fields":[…]}. */
struct connect {
	struct rest admin;
	const char *name;
	cJSON *rights;
	bool dry_run;            /* say what would be done */
	bool new_token;          /* also if there is one */
	const char *known_token; /* of an earlier time; NULL: none */

	/* what came of it; NULL in a dry run where it would be new */
	const char *policy, *role, *user;
	const char *token;     /* NULL: there is one that nobody can read any more */
	cJSON *steps;          /* texts: what was done, or would be */
	bool fields_refused;   /* rights on single fields need a licence: all fields were given */
	const char *version;   /* of Directus; "" */
	const cJSON *existing; /* the policy's rights that are there already */
};

/* The token is good, its user is an administrator, Directus is one that we know. */
bool connect_check_admin(struct connect *c, struct error *err) NODISCARD;

/* Adds a right. `fields` is an array, NULL stands for all. */
void connect_want(struct connect *c, const char *collection, const char *action,
		  const cJSON *fields);
/* Whether all collections and fields of the rights are there; says what was meant. */
bool connect_check_wishes(struct connect *c, struct error *err) NODISCARD;

bool connect_make(struct connect *c, struct error *err) NODISCARD;

/* Whether a list of fields holds all of another. */
bool connect_covers(const cJSON *fields, const cJSON *wanted);

#endif
