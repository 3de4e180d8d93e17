/* operations/undo.h: writes that can be taken back: what a batch wants to know before one of its items is
 * written.
 *
 * item-update, with one key: reads the fields that it is about to write, hands them over, and writes
 * when they are kept. Other writes are not kept. */
#ifndef OPERATIONS_UNDO_H
#define OPERATIONS_UNDO_H

#include "common/call.h"
#include "common/json.h"

struct undo;

struct undo_call {
	struct call call;
	const char *collection, *key, *step;
	const cJSON *before;  /* the fields' values now */
	const cJSON *written; /* what they become */
	void *state;          /* the keeper's own */
};

struct undo {
	/* The item that the run is about, and the values that it must still have before its first write:
	 * CONFLICT otherwise, unless the operation has an `ifUnchanged` of its own. */
	const char *collection, *key;
	const cJSON *unchanged; /* an object with members; or NULL: whatever they are now */
	void (*keep)(struct undo *u, struct undo_call *c, struct arena *a);
};

#endif
