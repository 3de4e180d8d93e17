/*	open ─► write ─► … ─► sync ─► close ─► rename ─► open the folder ─► sync ─► close
 *	          └── failed ────────►┘ └── failed: nothing of the name is there, or the old one
 *
 * The folder's part makes the new name last. Where it can not be done the file is there all the same. */
#include "common/loop_file.h"

#include "common/arena.h"
#include "common/loop.h"

#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>

enum step { OPEN, WRITE, SYNC, CLOSE, RENAME, OPEN_FOLDER, SYNC_FOLDER, CLOSE_FOLDER, STEPS };

enum { AT_ONCE = 1024 * 1024 };

struct file_write {
	struct file_call *call;
	uv_loop_t *uv;
	uv_fs_t req;
	struct arena *arena;
	const char *path, *draft, *folder;
	struct str rest; /* not yet written */
	enum step step;
	uv_file fd;
	int failed; /* libuv's number for it; 0: not */
};

static const char *const step_names[] = {
	[OPEN] = "open",         [WRITE] = "write",        [SYNC] = "fsync",
	[CLOSE] = "close",       [RENAME] = "rename",      [OPEN_FOLDER] = "open",
	[SYNC_FOLDER] = "fsync", [CLOSE_FOLDER] = "close",
};

static void stepped(uv_fs_t *req);

static int take_step(struct file_write *w)
{
	union {
		const char *in;
		char *out; /* libuv only reads from it */
	} bytes = {w->rest.ptr};
	uv_buf_t piece = {bytes.out, size_min(w->rest.len, AT_ONCE)};

	switch (w->step) {
	case OPEN:
		return uv_fs_open(w->uv, &w->req, w->draft,
				  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600, stepped);
	case WRITE:
		return uv_fs_write(w->uv, &w->req, w->fd, &piece, 1, -1, stepped);
	case SYNC:
	case SYNC_FOLDER:
		return uv_fs_fsync(w->uv, &w->req, w->fd, stepped);
	case CLOSE:
	case CLOSE_FOLDER:
		return uv_fs_close(w->uv, &w->req, w->fd, stepped);
	case RENAME:
		return uv_fs_rename(w->uv, &w->req, w->draft, w->path, stepped);
	case OPEN_FOLDER:
		return uv_fs_open(w->uv, &w->req, w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
				  stepped);
	case STEPS:
		break;
	}
	return UV_EINVAL;
}

static void end(struct file_write *w)
{
	struct call *c = &w->call->call;

	w->call->write = NULL;
	arena_free(w->arena);
	call_end(c);
}

static void fail_at(struct file_write *w, int number)
{
	w->failed = number;
	(void)fail(&w->call->call.err, ERR_CONFIG, "%s '%.300s': %s", step_names[w->step],
		   w->step == RENAME ? w->path : w->draft, uv_strerror(number));
}

/* Where it goes on; STEPS: it is over. */
static enum step next_step(struct file_write *w, ssize_t result)
{
	if (result < 0 && w->step < OPEN_FOLDER && !w->failed)
		fail_at(w, (int)result);
	if (result < 0 && (w->step == WRITE || w->step == SYNC))
		return CLOSE;
	if (result < 0 && w->step == SYNC_FOLDER)
		return CLOSE_FOLDER;
	if (result < 0 || (w->failed && w->step == CLOSE))
		return STEPS;
	if (w->step == OPEN || w->step == OPEN_FOLDER)
		w->fd = (uv_file)result;
	if (w->step == WRITE) {
		w->rest.ptr += result;
		w->rest.len -= (size_t)result;
	}
	if (w->step == WRITE && w->rest.len > 0)
		return WRITE;
	return w->step + 1;
}

static void go_on(struct file_write *w, ssize_t result)
{
	do {
		w->step = next_step(w, result);
		if (w->step == STEPS) {
			end(w);
			return;
		}
		result = take_step(w);
	} while (result < 0); /* it did not even begin */
}

static void stepped(uv_fs_t *req)
{
	struct file_write *w = container_of(req, struct file_write, req);
	ssize_t result = req->result;

	uv_fs_req_cleanup(req);
	go_on(w, result);
}

static void cannot_cancel(struct call *c)
{
	(void)c;
}

void file_write_start(struct loop *l, struct file_call *c, const char *path, struct str bytes)
{
	struct arena *a = arena_new();
	struct file_write *w = arena_make(a, struct file_write);
	const char *slash = strrchr(path, '/');
	int failed;

	call_begin(&c->call, l, cannot_cancel);
	c->write = w;
	w->call = c;
	w->uv = loop_uv(l);
	w->arena = a;
	w->path = arena_strdup(a, path);
	w->draft = arena_printf(a, "%s.draft", path);
	w->folder = slash ? arena_strndup(a, path, (size_t)(slash - path) + 1) : ".";
	w->rest = bytes;
	failed = take_step(w);
	if (failed < 0)
		go_on(w, failed);
}
