/* operations/filter_parts.h: filter.c's own: what its files share. */
#ifndef OPERATIONS_FILTER_PARTS_H
#define OPERATIONS_FILTER_PARTS_H

#include "operations/filter.h"

enum { FILTER_STEPS_MAX = 200000 };

/* A fault: what the rule says of the value. */
struct filter_fault {
	struct filter_fault *next;
	cJSON *extensions; /* NULL: Directus has no words for it */
};

struct filter_run {
	struct arena *arena;
	const struct filter_input *in;
	const cJSON *data; /* an object, whatever came in */
	size_t steps;
	struct filter_fault *faults, **last;
	cJSON *thrown; /* an error that ends it all; or NULL */
};

/* The value at a rule, which is there. */
struct filter_leaf {
	struct filter_run *run;
	const cJSON *path; /* an array of keys */
	const cJSON *value;
};

/* Ends it with an error of that name; returns false. */
bool filter_throw(struct filter_run *r, const char *name, const char *format, ...) PRINTF(3, 4);

/* filter_parse.c: $NOW and such are filled in, a bare value is _eq, several members become _and, and
 * _and and _or come to the top. NULL: thrown, or the filter is null. */
const cJSON *filter_prepare(struct filter_run *r, const cJSON *filter);

/* A date within a prepared filter is a node of cJSON's type Raw with the milliseconds in it. */
cJSON *filter_date(struct arena *a, double ms);
bool filter_is_date(const cJSON *value);

/* filter_rules.c: adds the faults. An operator that is not known lets everything pass. */
void filter_apply_rule(struct filter_leaf *leaf, const char *operator, const cJSON * compare);

/* type and, where the name is not NULL, one more member. */
void filter_add_fault(struct filter_run *r, const cJSON *path, const char *type, const char *name,
		      const cJSON *value);
void filter_add_unknown(struct filter_run *r);

#endif
