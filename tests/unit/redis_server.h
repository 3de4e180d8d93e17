/* tests/unit/redis_server.h: a private redis-server (or sentinel) for a test: on a free port of
 * 127.0.0.1 and on a Unix socket, in a folder of its own that is removed with it. It dies with
 * the test program. Whatever goes wrong here ends the program with a message. */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include "common/base.h"

#include <sys/types.h>

struct redis_server {
	pid_t pid;      /* 0: not running */
	uint16_t port;  /* 0 with TLS only */
	uint16_t spare; /* another free port, for the test: "tls-port" */
	bool is_sentinel;
	char url[64];    /* redis://127.0.0.1:port */
	char dir[64];    /* its folder */
	char socket[80]; /* its Unix socket, without password for redis_server_do() */
};

/* config: more lines for redis.conf, "requirepass x\nsave 60 1\n", or NULL. In it, %D stands for
 * the folder, %S for the spare port. prepare makes the folder and finds the ports, start runs what
 * is prepared and waits until it answers. */
void redis_server_prepare(struct redis_server *s);
void redis_server_run(struct redis_server *s, const char *config);
void redis_server_start(struct redis_server *s, const char *config); /* both */
void redis_sentinel_start(struct redis_server *s, const char *config);

/* Ends the process and waits for its end; files and ports stay for redis_server_again(). */
void redis_server_kill(struct redis_server *s, int signal);
void redis_server_launch(struct redis_server *s); /* with the same config; does not wait */
void redis_server_wait(struct redis_server *s);   /* until it answers PING, whatever it says */
void redis_server_again(struct redis_server *s);  /* both */
void redis_server_stop(struct redis_server *s);   /* for good: nothing is left */

/* Sends a command over the Unix socket, blocking, and returns the reply as text (strings,
 * statuses and errors as they are, integers in digits, arrays joined by a space). The text is
 * valid until the next call. Words are split at spaces, as by hiredis; %s and %b work. */
const char *redis_server_do(struct redis_server *s, const char *format, ...);

/* Until the reply to the command contains the text. */
void redis_server_wait_for(struct redis_server *s, const char *text, const char *command);

uint16_t free_port(void);

#endif
