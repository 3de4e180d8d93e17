/* worker/admin/env_file.h: writing variables into a .env file whose other lines stay as they are. */
#ifndef WORKER_ADMIN_ENV_FILE_H
#define WORKER_ADMIN_ENV_FILE_H

#include "common/error.h"

struct arena;

struct env_line {
	const char *name, *value; /* a value in one line */
};

/* Puts each variable in the place of its old line, or at the end. The file is replaced as a whole, and
 * only its owner can read it. ERR_INVALID_PAYLOAD names the file. */
bool env_file_write(struct arena *a, const char *path, const struct env_line *lines, size_t count,
		    struct error *err) NODISCARD;

#endif
