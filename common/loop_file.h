/* common/loop_file.h: a file that is there after a crash, whole or not at all, written beside the loop.
 *
 * Waiting for a disk takes from milliseconds to seconds; libuv does it in threads of its own, so the
 * loop goes on meanwhile. The bytes go to <path>.draft, which becomes <path> when the disk has them. */
#ifndef COMMON_LOOP_FILE_H
#define COMMON_LOOP_FILE_H

#include "common/call.h"

struct loop;

/* ERR_OK: the disk has it. ERR_CONFIG: it could not be written; the text says what went wrong. Cancelling it
 * does nothing: it ends when the disk has answered. */
struct file_call {
	struct call call;
	struct file_write *write; /* loop_file.c's own */
};

/* The bytes must stay until the call has ended, the path need not. */
void file_write_start(struct loop *l, struct file_call *c, const char *path, struct str bytes);

#endif
