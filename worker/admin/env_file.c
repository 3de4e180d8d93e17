#include "worker/admin/env_file.h"

#include "common/arena.h"
#include "common/buf.h"
#include "worker/cli/cli_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { ENV_MAX = 1024 * 1024 };

/* Whether a line sets this variable: "NAME=", "export NAME =", "NAME: ". */
static bool sets(struct str line, const char *name)
{
	size_t len = strlen(name);
	const char *at = line.ptr, *end = line.ptr + line.len;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (end - at > 7 && strncmp(at, "export ", 7) == 0)
		at += 7;
	while (at < end && *at == ' ')
		at++;
	if ((size_t)(end - at) <= len || strncmp(at, name, len) != 0)
		return false;
	at += len;
	while (at < end && *at == ' ')
		at++;
	return at < end && (*at == '=' || *at == ':');
}

/* In quotes where the value holds what the format gives a meaning. */
static void add_line(struct buf *out, const struct env_line *line)
{
	const char *quote = strpbrk(line->value, " #\"`$\\") || !*line->value ? "'" : "";

	if (*quote && strchr(line->value, '\''))
		quote = "`";
	(void)buf_printf(out, "%s=%s%s%s\n", line->name, quote, line->value, quote);
}

static const struct env_line *find(struct str line, const struct env_line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (sets(line, lines[i].name))
			return &lines[i];
	return NULL;
}

/* The old text with the lines replaced. A second line for a variable goes: the last one would win. */
static void merge(struct buf *out, struct str old, const struct env_line *lines, size_t count,
		  bool *written)
{
	while (old.len) {
		const char *feed = memchr(old.ptr, '\n', old.len);
		size_t len = feed ? (size_t)(feed - old.ptr) : old.len;
		const struct env_line *line = find((struct str){old.ptr, len}, lines, count);

		if (line && !written[line - lines])
			add_line(out, line);
		else if (!line)
			(void)buf_printf(out, "%.*s\n", (int)len, old.ptr);
		if (line)
			written[line - lines] = true;
		len += feed ? 1 : 0;
		old = (struct str){old.ptr + len, old.len - len};
	}
	for (size_t i = 0; i < count; i++)
		if (!written[i])
			add_line(out, &lines[i]);
}

static bool save(struct arena *a, const char *path, struct str text, struct error *err)
{
	const char *draft = arena_printf(a, "%s.new.%d", path, (int)getpid());
	int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len && fsync(fd) == 0;

	if (fd >= 0)
		good = close(fd) == 0 && good;
	if (good && rename(draft, path) == 0)
		return true;
	(void)fail(err, ERR_INVALID_PAYLOAD, "'%.200s' can not be written: %s", path,
		   strerror(errno));
	if (fd >= 0)
		(void)unlink(draft);
	return false;
}

bool env_file_write(struct arena *a, const char *path, const struct env_line *lines, size_t count,
		    struct error *err)
{
	bool *written = arena_array(a, bool, count + 1), good;
	struct str old = {NULL, 0};
	struct buf out;

	if (access(path, F_OK) == 0 && !cli_file_read(a, path, &old, err))
		return false;
	buf_init(&out, ENV_MAX);
	merge(&out, old, lines, count, written);
	good = !buf_overflowed(&out) ? save(a, path, buf_str(&out), err)
				     : fail(err, ERR_INVALID_PAYLOAD,
					    "'%.200s' is too long for a .env file", path);
	buf_clear(&out);
	return good;
}
