/* tests/proxy/proxy.h: the parts of the fault proxy. README.md says what it does. */
#ifndef TESTS_PROXY_PROXY_H
#define TESTS_PROXY_PROXY_H

#include "common/base.h"
#include "common/buf.h"

#include <uv.h>

/* ---- resp.c: where a value of Redis' protocol ends ---- */

struct resp {
	long long values; /* still to come; 0: between two */
	size_t skip;      /* bytes of a bulk string and its line end */
	char line[32];
	size_t line_len;
	bool is_first_word;
	char word[32]; /* the first bulk string: the name of a command */
	size_t word_len;
};

/* Takes bytes up to the end of a value at most; returns how many. *complete: a value has ended.
 * 0 bytes: this is not the protocol. */
size_t resp_scan(struct resp *r, const char *ptr, size_t len, bool *complete);

/* ---- pair.c: a connection of a client and its connection to the server ---- */

enum mode { MODE_PASS, MODE_REFUSE, MODE_BLACKHOLE };

struct rule {
	char word[32]; /* of the command; "": any */
	char text[400];
	uint64_t skip;       /* so many that fit pass before it */
	bool is_carried_out; /* false: the server never sees the command */
};

enum { RULES_MAX = 64 };

struct proxy {
	uv_loop_t *loop;
	uv_tcp_t *listener;
	struct sockaddr_in own, target;
	enum mode mode;
	uint64_t delay_ms;
	int64_t cut; /* bytes of replies until a connection is closed; -1: never */
	struct rule rules[RULES_MAX];
	size_t rule_count;
	struct pair *pairs;
	/* for "stats" */
	uint64_t accepted, open, commands, changed, bytes_in, bytes_out;
};

int proxy_listen(struct proxy *p); /* 0, or libuv's error */
void proxy_set_mode(struct proxy *p, enum mode mode);
void proxy_reset_all(struct proxy *p);

/* ---- control.c ---- */

/* Carries out a line; the answer is one line. */
void control_do(struct proxy *p, char *line, struct buf *answer);
int control_listen(struct proxy *p, uint16_t *port); /* 0, or libuv's error */

#endif
