#include "worker/queue/calibrations.h"

#include "common/digest.h"
#include "operations/journal.h"

enum { PLACES = 256 };

/* A place has no rows before it is needed; then it keeps them for whoever has it. */
struct place {
	unsigned char name[DIGEST_SIZE];
	struct past_call *rows; /* PAST_CALLS, a ring */
	size_t added;
};

struct calibrations {
	struct arena *arena;
	struct place places[PLACES];
};

struct calibrations *calibrations_new(struct arena *a)
{
	struct calibrations *c = arena_make(a, struct calibrations);

	c->arena = a;
	return c;
}

static size_t place_of(const char *name, unsigned char digest[DIGEST_SIZE])
{
	sha256(str_of(name), digest);
	return (digest[0] | (size_t)digest[1] << 8) % PLACES;
}

/* NULL: nothing is known. */
static const struct place *find(const struct calibrations *c, const char *name)
{
	unsigned char digest[DIGEST_SIZE];
	const struct place *p = &c->places[place_of(name, digest)];

	return p->added && memcmp(p->name, digest, DIGEST_SIZE) == 0 ? p : NULL;
}

bool calibrations_know(const struct calibrations *c, const char *name)
{
	return find(c, name) != NULL;
}

struct calibration calibrations_find(const struct calibrations *c, const char *name,
				     const struct token_count *question)
{
	const struct place *p = find(c, name);

	if (!p)
		return (struct calibration){.calls = 0};
	return calibration_of(p->rows, p->added < PAST_CALLS ? p->added : PAST_CALLS, question);
}

static void add(struct place *p, struct str row)
{
	struct past_call call;

	if (past_call_parse(row, &call))
		p->rows[p->added++ % PAST_CALLS] = call;
}

void calibrations_told(struct calibrations *c, const char *name, const struct redis_value *rows)
{
	unsigned char digest[DIGEST_SIZE];
	struct place *p = &c->places[place_of(name, digest)];

	if (!rows || rows->type != REDIS_ARRAY || rows->count == 0)
		return;
	if (!p->rows)
		p->rows = arena_array(c->arena, struct past_call, PAST_CALLS);
	memcpy(p->name, digest, DIGEST_SIZE);
	p->added = 0;
	for (size_t i = rows->count; i-- > 0;)
		if (rows->items[i].type == REDIS_TEXT)
			add(p, rows->items[i].text);
}

void calibrations_add(struct calibrations *c, const char *name, struct str row)
{
	unsigned char digest[DIGEST_SIZE];
	struct place *p = &c->places[place_of(name, digest)];

	if (find(c, name))
		add(p, row);
}

const char *calibration_name(struct arena *a, const struct journal_entry *e, const char *flow)
{
	bool has_flow = flow && *flow && strcmp(flow, "-") != 0; /* "-": none */

	return arena_printf(a, "%s/%s|%s%s%s|%s", e->provider, e->model, has_flow ? flow : "",
			    has_flow ? "#" : "", e->step, e->count.method ? e->count.method : "");
}
