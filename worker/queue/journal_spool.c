/* Files of answers that Redis does not take. While the worker runs they are written beside the loop; only
 * what is left when it ends is written at once. */
#include "worker/queue/journal_own.h"

#include "common/buf.h"
#include "common/loop_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCH_MS = 3000, FILE_MAX = 64 * 1024 * 1024, WORDS_MAX = 64 };

static const char magic[] = "flow-worker spool 1";

/* A file on its way to the disk. It does not need its send. */
struct spooling {
	struct file_call file;
	struct queue *queue;
	struct send *send; /* NULL: it has ended meanwhile */
	bool is_unwanted;  /* Redis has it */
	struct arena *arena;
	const char *path;
	struct buf bytes;
};

static const char *spool_path(struct send *s, struct arena *a)
{
	return arena_printf(a, "%s/%.*s.answer", s->queue->with->spool_dir, STR_ARGS(s->words[0]));
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

/* false: it is too long to be kept. */
static bool write_words(const struct send *s, struct buf *b)
{
	buf_init(b, FILE_MAX);
	(void)buf_printf(b, "%s %s %zu\n", magic, s->queue->with->prefix, s->count);
	for (size_t i = 0; i < s->count; i++) {
		(void)buf_printf(b, "%zu\n", s->words[i].len);
		(void)buf_add_str(b, s->words[i]);
		(void)buf_add_char(b, '\n');
	}
	return !buf_overflowed(b);
}

static void tell_not_kept(struct queue *q, const char *why)
{
	struct error err;

	(void)fail(&err, ERR_REDIS, "an answer that Redis does not take could not be kept: %s",
		   why);
	queue_note(q, &err);
}

static void count_kept(struct queue *q, bool is_kept)
{
	if (is_kept)
		q->untold.answers_kept++;
	else
		q->untold.answers_lost++;
}

void journal_spool_keep(struct send *s)
{
	const char *dir = s->queue->with->spool_dir;
	struct buf b;

	if (s->spooled || !dir) {
		count_kept(s->queue, s->spooled);
		return;
	}
	if (s->spooling) { /* it is being kept: queue_free() waits for it */
		s->spooling->send = NULL;
		s->spooling = NULL;
		return;
	}
	(void)mkdir(dir, 0700);
	errno = EFBIG;
	s->spooled =
		write_words(s, &b) && write_file(spool_path(s, s->arena), buf_str(&b), s->arena);
	if (s->spooled)
		sync_folder(dir);
	else
		tell_not_kept(s->queue, strerror(errno));
	count_kept(s->queue, s->spooled);
	buf_clear(&b);
}

void journal_spool_forget(struct send *s)
{
	if (s->spooled)
		(void)unlink(spool_path(s, s->arena));
	if (s->spooling) {
		s->spooling->is_unwanted = true;
		s->spooling->send = NULL;
	}
	s->spooled = false;
	s->spooling = NULL;
}

static void written(struct call *c)
{
	struct spooling *w = container_of(c, struct spooling, file.call);

	w->queue->spooling--;
	if (c->err.code != ERR_OK)
		tell_not_kept(w->queue, c->err.text);
	else if (w->is_unwanted)
		(void)unlink(w->path);
	if (w->send) {
		w->send->spooled = c->err.code == ERR_OK;
		w->send->spooling = NULL;
	} else if (!w->is_unwanted) {
		count_kept(w->queue, c->err.code == ERR_OK);
	}
	buf_clear(&w->bytes);
	arena_free(w->arena);
}

static void watch_over(struct timeout *t)
{
	struct send *s = container_of(t, struct send, watch);
	struct arena *a = arena_new();
	struct spooling *w = arena_make(a, struct spooling);

	if (!write_words(s, &w->bytes)) {
		tell_not_kept(s->queue, strerror(EFBIG));
		buf_clear(&w->bytes);
		arena_free(a);
		return;
	}
	w->arena = a;
	w->queue = s->queue;
	w->send = s;
	w->path = spool_path(s, a);
	w->file.call.done = written;
	s->spooling = w;
	s->queue->spooling++;
	(void)mkdir(s->queue->with->spool_dir, 0700);
	file_write_start(s->queue->loop, &w->file, w->path, buf_str(&w->bytes));
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
