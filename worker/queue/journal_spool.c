#include "worker/queue/journal_own.h"

#include "common/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCH_MS = 3000, FILE_MAX = 64 * 1024 * 1024, WORDS_MAX = 64 };

static const char magic[] = "flow-worker spool 1";

static const char *spool_path(struct send *s)
{
	return arena_printf(s->arena, "%s/%.*s.answer", s->queue->with->spool_dir,
			    STR_ARGS(s->words[0]));
}

static bool write_all(int fd, struct str bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = (struct str){bytes.ptr + n, bytes.len - (size_t)n};
	}
	return true;
}

static bool write_file(const char *path, struct str bytes, struct arena *a)
{
	const char *draft = arena_printf(a, "%s.part", path);
	int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool is_well;

	if (fd < 0)
		return false;
	is_well = write_all(fd, bytes) && fsync(fd) == 0;
	is_well = close(fd) == 0 && is_well;
	return is_well && rename(draft, path) == 0;
}

static void sync_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

void journal_spool_keep(struct send *s)
{
	const char *dir = s->queue->with->spool_dir;
	struct error err;
	struct buf b;

	if (!dir || s->spooled)
		return;
	buf_init(&b, FILE_MAX);
	(void)buf_printf(&b, "%s %s %zu\n", magic, s->queue->with->prefix, s->count);
	for (size_t i = 0; i < s->count; i++) {
		(void)buf_printf(&b, "%zu\n", s->words[i].len);
		(void)buf_add_str(&b, s->words[i]);
		(void)buf_add_char(&b, '\n');
	}
	(void)mkdir(dir, 0700);
	s->spooled = !buf_overflowed(&b) && write_file(spool_path(s), buf_str(&b), s->arena);
	if (s->spooled)
		sync_folder(dir);
	else if (!fail(&err, ERR_REDIS,
		       "an answer that Redis does not take could not be kept in '%s': %s", dir,
		       strerror(errno)))
		queue_note(s->queue, &err);
	buf_clear(&b);
}

void journal_spool_forget(struct send *s)
{
	if (s->spooled)
		(void)unlink(spool_path(s));
	s->spooled = false;
}

static void watch_over(struct timeout *t)
{
	journal_spool_keep(container_of(t, struct send, watch));
}

void journal_spool_watch(struct send *s)
{
	if (s->queue->with->spool_dir)
		timeout_start(s->queue->loop, &s->watch, WATCH_MS, watch_over);
}

/* ---- what earlier processes have left ---- */

static struct str read_file(const char *path, struct arena *a)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct str bytes = {NULL, 0};
	struct stat st;
	char *room;

	if (fd < 0)
		return bytes;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    st.st_size <= FILE_MAX) {
		room = arena_alloc(a, (size_t)st.st_size + 1);
		if (read(fd, room, (size_t)st.st_size) == st.st_size)
			bytes = (struct str){room, (size_t)st.st_size};
	}
	(void)close(fd);
	return bytes;
}

/* A number and a line feed, taken away from the front. */
static bool take_number(struct str *rest, size_t *number)
{
	char *end;

	*number = strtoul(rest->ptr, &end, 10);
	if (end == rest->ptr || *end != '\n')
		return false;
	rest->len -= (size_t)(end + 1 - rest->ptr);
	rest->ptr = end + 1;
	return true;
}

static bool take_word(struct str *rest, struct str *word)
{
	size_t len;

	if (!take_number(rest, &len) || len >= rest->len || rest->ptr[len] != '\n')
		return false;
	*word = (struct str){rest->ptr, len};
	rest->ptr += len + 1;
	rest->len -= len + 1;
	return true;
}

/* false: it is not a file of ours, or not of this queue. */
static bool read_words(struct queue *q, struct str rest, struct arena *a, struct str *words,
		       size_t *count)
{
	struct str head = str_of(arena_printf(a, "%s %s ", magic, q->with->prefix));

	if (!str_starts(rest, head))
		return false;
	rest.ptr += head.len;
	rest.len -= head.len;
	if (!take_number(&rest, count) || *count > WORDS_MAX)
		return false;
	for (size_t i = 0; i < *count; i++)
		if (!take_word(&rest, &words[i]))
			return false;
	return rest.len == 0;
}

static void send_file(struct queue *q, const char *name)
{
	struct arena *a = arena_new();
	struct str words[WORDS_MAX];
	size_t count;
	struct str bytes = read_file(arena_printf(a, "%s/%s", q->with->spool_dir, name), a);

	if (bytes.ptr && read_words(q, bytes, a, words, &count) && count == SETTLE_WORDS) {
		struct send *s = send_new(q, SCRIPT_SETTLE, count);

		for (size_t i = 0; i < count; i++)
			send_add(s, words[i]);
		s->spooled = true;
		send_start(s, journal_settled);
	}
	arena_free(a);
}

void journal_spool_open(struct queue *q)
{
	const char *dir = q->with->spool_dir;
	DIR *d = dir ? opendir(dir) : NULL;
	const struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d))) {
		size_t len = strlen(entry->d_name);

		if (len > 7 && strcmp(entry->d_name + len - 7, ".answer") == 0)
			send_file(q, entry->d_name);
	}
	(void)closedir(d);
}
