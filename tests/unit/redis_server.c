#include "tests/unit/redis_server.h"

#include "common/buf.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, NAP_US = 2000 };

static NORETURN PRINTF(1, 2) void give_up(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vfprintf(stderr, format, args);
	va_end(args);
	(void)fputc('\n', stderr);
	abort();
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Not one of those that the kernel gives to outgoing connections (Linux: from 32768 on): such a one may be taken before
 * the server is up. */
uint16_t free_port(void)
{
	enum { FIRST = 10000, COUNT = 22000, TRIES = 100 };

	for (int i = 0; i < TRIES; i++) {
		uint16_t chance = 0;
		struct sockaddr_in a = {.sin_family = AF_INET,
					.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
			give_up("no port: %s", strerror(errno));
		chance = (uint16_t)(FIRST + chance % COUNT);
		a.sin_port = htons(chance);

		bool is_free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

		(void)close(fd);
		if (is_free)
			return chance;
	}
	give_up("no free port");
}

void redis_server_prepare(struct redis_server *s)
{
	*s = (struct redis_server){.port = free_port(), .spare = free_port()};
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/flow-worker-redis-XXXXXX");
	if (!mkdtemp(s->dir))
		give_up("no folder: %s", strerror(errno));
	(void)snprintf(s->socket, sizeof(s->socket), "%s/socket", s->dir);
	(void)snprintf(s->url, sizeof(s->url), "redis://127.0.0.1:%u", s->port);
}

static void write_config(const struct redis_server *s, const char *config)
{
	char path[80];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/redis.conf", s->dir);
	f = fopen(path, "w");
	if (!f)
		give_up("%s: %s", path, strerror(errno));
	(void)fprintf(f,
		      "port %u\nbind 127.0.0.1\nunixsocket %s\ndir %s\nlogfile %s/log\n"
		      "protected-mode no\n",
		      s->port, s->socket, s->dir, s->dir);
	if (!s->is_sentinel)
		(void)fputs("save \"\"\n", f);
	for (const char *c = config; c && *c; c++)
		if (c[0] == '%' && c[1] == 'D')
			(void)fputs(s->dir, f), c++;
		else if (c[0] == '%' && c[1] == 'S')
			(void)fprintf(f, "%u", s->spare), c++;
		else
			(void)fputc(*c, f);
	(void)fclose(f);
}

void redis_server_launch(struct redis_server *s)
{
	char path[80];

	(void)snprintf(path, sizeof(path), "%s/redis.conf", s->dir);
	s->pid = fork();
	if (s->pid < 0)
		give_up("fork: %s", strerror(errno));
	if (s->pid > 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)execlp("redis-server", "redis-server", path, s->is_sentinel ? "--sentinel" : NULL,
		     (char *)NULL);
	_exit(127);
}

static redisContext *connect_to(struct redis_server *s)
{
	redisContext *c = redisConnectUnix(s->socket);

	if (c && c->err) {
		redisFree(c);
		c = NULL;
	}
	return c;
}

void redis_server_wait(struct redis_server *s)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	for (; now_ms() < until; (void)usleep(NAP_US)) {
		redisContext *c = connect_to(s);
		redisReply *reply = c ? redisCommand(c, "PING") : NULL;

		if (c)
			redisFree(c);
		if (reply) {
			freeReplyObject(reply);
			return;
		}
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
			give_up("redis-server ended at its start: see %s/log", s->dir);
	}
	give_up("redis-server does not answer: see %s/log", s->dir);
}

void redis_server_run(struct redis_server *s, const char *config)
{
	write_config(s, config);
	redis_server_again(s);
}

void redis_server_start(struct redis_server *s, const char *config)
{
	redis_server_prepare(s);
	redis_server_run(s, config);
}

void redis_sentinel_start(struct redis_server *s, const char *config)
{
	redis_server_prepare(s);
	s->is_sentinel = true;
	redis_server_run(s, config);
}

void redis_server_kill(struct redis_server *s, int signal)
{
	if (!s->pid)
		return;
	(void)kill(s->pid, signal);
	(void)kill(s->pid, SIGCONT);
	(void)waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void redis_server_again(struct redis_server *s)
{
	redis_server_launch(s);
	redis_server_wait(s);
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char name[512];

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (lstat(name, &st) == 0 && S_ISDIR(st.st_mode))
			remove_folder(name);
		else
			(void)unlink(name);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(path);
}

void redis_server_stop(struct redis_server *s)
{
	redis_server_kill(s, SIGKILL);
	remove_folder(s->dir);
}

static void add_reply(struct buf *b, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_INTEGER)
		(void)buf_printf(b, "%lld", reply->integer);
	else if (reply->type != REDIS_REPLY_ARRAY && reply->str)
		(void)buf_add(b, reply->str, reply->len);
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
		if (i)
			(void)buf_add_char(b, ' ');
		add_reply(b, reply->element[i]);
	}
}

static const char *do_command(struct redis_server *s, const char *format, va_list args)
{
	static char text[64 * 1024];
	redisContext *c = connect_to(s);
	redisReply *reply = c ? redisvCommand(c, format, args) : NULL;
	struct buf b;

	if (!reply)
		give_up("redis-server does not answer %s", format);
	buf_init(&b, sizeof(text) - 1);
	add_reply(&b, reply);
	memcpy(text, buf_str(&b).ptr, b.len);
	text[b.len] = '\0';
	buf_clear(&b);
	freeReplyObject(reply);
	redisFree(c);
	return text;
}

const char *redis_server_do(struct redis_server *s, const char *format, ...)
{
	va_list args;
	const char *text;

	va_start(args, format);
	text = do_command(s, format, args);
	va_end(args);
	return text;
}

void redis_server_wait_for(struct redis_server *s, const char *text, const char *command)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (!strstr(redis_server_do(s, command, NULL), text)) {
		if (now_ms() > until)
			give_up("'%s' never said '%s'", command, text);
		(void)usleep(NAP_US);
	}
}
