/* tests/unit/fixture.h: what most tests need: an arena, and a place for an error. */
#ifndef TESTS_UNIT_FIXTURE_H
#define TESTS_UNIT_FIXTURE_H

#include "common/arena.h"
#include "common/error.h"
#include "tests/unit/test.h"

struct fixture {
	struct arena *arena;
	struct error err;
};

static int begin(void **state)
{
	static struct fixture f;

	f.arena = arena_new();
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	arena_free(f->arena);
	return 0;
}

#endif
