/* An entry is one definition: first it is being read, and calls wait in its list; then it is kept,
 * counted by the arenas that use it. One that is forgotten while it is in use lives on until the
 * last arena is gone. */
#include "worker/flow/flows.h"

#include "common/directus.h"
#include "common/loop.h"

#include <ctype.h>
#include <stdlib.h>

struct entry {
	struct flows *flows;
	struct entry *next; /* in flows->first, while it is findable */
	struct arena *arena;
	const char *name;
	struct flow *flow; /* NULL: being read */
	size_t users;      /* arenas, the list, and the reading */
	uint64_t until;
	struct flows_call *waiting;
	struct directus_call reading;
};

struct flows {
	struct loop *loop;
	struct directus *directus; /* NULL: of a file */
	const cJSON *given;        /* of a file */
	struct entry *first;
};

static void entry_release(void *arg)
{
	struct entry *e = arg;

	if (--e->users == 0) { /* NOLINT(clang-analyzer-unix.Malloc): the list is a user too */
		arena_free(e->arena);
		free(e);
	}
}

static void entry_forget(struct flows *f, struct entry *e)
{
	for (struct entry **at = &f->first; *at; at = &(*at)->next)
		if (*at == e) {
			*at = e->next;
			entry_release(e);
			return;
		}
}

static struct entry *entry_find(struct flows *f, const char *name)
{
	for (struct entry *e = f->first, *next; e; e = next) {
		next = e->next;
		if (e->flow && e->until <= loop_now(f->loop))
			entry_forget(f, e);
		else if (strcmp(e->name, name) == 0)
			return e;
	}
	return NULL;
}

static struct entry *entry_new(struct flows *f, const char *name)
{
	struct entry *e = xmalloc(sizeof(*e));

	e->flows = f;
	e->arena = arena_new();
	e->name = arena_strdup(e->arena, name);
	e->users = 1;
	e->next = f->first;
	f->first = e;
	return e;
}

/* ---- telling ---- */

static void give(struct flows_call *c, struct entry *e)
{
	c->flow = e->flow;
	e->users++;
	arena_defer(c->arena, entry_release, e);
}

static void tell_all(struct entry *e, const struct error *err)
{
	struct flows_call *c;

	while ((c = e->waiting)) {
		e->waiting = c->next;
		c->entry = NULL;
		if (err)
			c->call.err = *err;
		else
			give(c, e);
		call_end(&c->call);
	}
}

static void wait_cancel(struct call *call)
{
	struct flows_call *c = container_of(call, struct flows_call, call);

	for (struct flows_call **at = c->entry ? &c->entry->waiting : NULL; at && *at;
	     at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			break;
		}
	call_end(call);
}

/* ---- reading ---- */

static bool is_uuid(const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-'
							    : !isxdigit((unsigned char)text[i]))
			return false;
	return n == 36;
}

static const cJSON *pick_one(const char *name, const cJSON *found, struct error *err)
{
	size_t count = json_count(found);

	if (count == 0)
		(void)fail(err, ERR_FLOW_NOT_FOUND,
			   "there is no active flow '%.100s' in Directus, or the worker's user "
			   "may not read flows",
			   name);
	else if (count > 1)
		(void)fail(err, ERR_FLOW_NOT_FOUND,
			   "%zu active flows are named '%.100s': give the id of the one you mean",
			   count, name);
	return count == 1 ? found->child : NULL;
}

static void entry_read(struct call *call)
{
	struct entry *e = container_of(call, struct entry, reading.task.call);
	struct error err = call->err;
	const cJSON *json = NULL;

	if (err.code == ERR_OK)
		json = pick_one(e->name, e->reading.data, &err);
	if (json)
		e->flow = flow_parse(e->arena, json, FLOW_OF_DIRECTUS, &err);
	if (e->flow) {
		e->until = loop_now(e->flows->loop) + FLOWS_KEEP_MS;
		tell_all(e, NULL);
	} else {
		tell_all(e, &err);
		entry_forget(e->flows, e);
	}
	entry_release(e);
}

static void entry_start(struct entry *e)
{
	struct directus_request request = {.method = "GET", .path = "/flows"};

	request.query = arena_printf(e->arena,
				     "fields=*,operations.*&limit=2&deep[operations][_limit]=-1&"
				     "filter[status][_eq]=active&filter[%s][_eq]=%s",
				     is_uuid(e->name) ? "id" : "name",
				     directus_encode(e->arena, str_of(e->name)));
	e->users++;
	e->reading.task.call.done = entry_read;
	directus_start(e->flows->directus, &e->reading, &request, e->arena);
}

/* ---- flows of a file ---- */

static bool is_named(const cJSON *flow, const char *name)
{
	const char *id = json_get_text(flow, "id"), *called = json_get_text(flow, "name");
	const char *status = json_get_text(flow, "status");

	return (!status || strcmp(status, "active") == 0) &&
	       ((id && strcmp(id, name) == 0) || (called && strcmp(called, name) == 0));
}

static void find_given(struct flows *f, struct flows_call *c, const char *name)
{
	const cJSON *flow;

	json_each(flow, f->given)
		if (is_named(flow, name)) {
			c->flow = flow_parse(c->arena, flow, FLOW_OF_DIRECTUS, &c->call.err);
			call_end(&c->call);
			return;
		}
	(void)fail(&c->call.err, ERR_FLOW_NOT_FOUND, "no flow of the file is '%.100s'", name);
	call_end(&c->call);
}

/* ---- the interface ---- */

struct flows *flows_new(struct loop *l, struct directus *directus)
{
	struct flows *f = xmalloc(sizeof(*f));

	f->loop = l;
	f->directus = directus;
	return f;
}

struct flows *flows_new_of(struct loop *l, struct arena *a, const cJSON *flows)
{
	struct flows *f = flows_new(l, NULL);
	cJSON *one = json_array(a);

	f->given = json_get(flows, "data") ? json_get(flows, "data") : flows;
	if (!cJSON_IsArray(f->given)) {
		json_push(one, json_share(a, f->given));
		f->given = one;
	}
	return f;
}

bool flows_are_stored(const struct flows *f)
{
	return f->directus != NULL;
}

void flows_forget(struct flows *f)
{
	for (struct entry *e = f->first, *next; e; e = next) {
		next = e->next;
		entry_forget(f, e);
	}
}

void flows_free(struct flows *f)
{
	if (!f)
		return;
	flows_forget(f);
	free(f);
}

void flows_start(struct flows *f, struct flows_call *c, const char *name, struct arena *a)
{
	struct entry *e;

	call_begin(&c->call, f->loop, wait_cancel);
	c->arena = a;
	c->flow = NULL;
	c->entry = NULL;
	if (!f->directus) {
		find_given(f, c, name);
		return;
	}
	e = entry_find(f, name);
	if (!e) {
		e = entry_new(f, name);
		entry_start(e);
	}
	if (e->flow) {
		give(c, e);
		call_end(&c->call);
		return;
	}
	c->entry = e;
	c->next = e->waiting;
	e->waiting = c;
}
