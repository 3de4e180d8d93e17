/* The control port: a line of text is a command, and is answered with a line. */
#include "proxy.h"

#include "common/arena.h"

#include <stdlib.h>

enum { LINE_MAX_BYTES = 1024 };

struct client {
	uv_tcp_t tcp;
	uv_write_t write;
	struct proxy *proxy;
	struct buf line, answer;
	bool is_writing;
	char input[LINE_MAX_BYTES];
};

static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " ");
	size_t len = strcspn(word, " ");

	*rest = word + len;
	if (word[len]) {
		word[len] = '\0';
		*rest = word + len + 1;
	}
	return word;
}

static bool read_number(char **rest, uint64_t max, uint64_t *out)
{
	const char *word = next_word(rest);
	char *end;
	unsigned long long value = strtoull(word, &end, 10);

	if (*word < '0' || *word > '9' || *end || value > max)
		return false;
	*out = value;
	return true;
}

/* [on WORD] [skip N] TEXT */
static const char *add_rule(struct proxy *p, char *rest, bool is_carried_out)
{
	struct rule *rule = &p->rules[p->rule_count];

	if (p->rule_count == RULES_MAX)
		return "too many errors are waiting";
	*rule = (struct rule){.is_carried_out = is_carried_out};
	if (strncmp(rest, "on ", 3) == 0) {
		rest += 3;
		(void)snprintf(rule->word, sizeof(rule->word), "%.31s", next_word(&rest));
	}
	if (strncmp(rest, "skip ", 5) == 0) {
		rest += 5;
		if (!read_number(&rest, 1000000, &rule->skip))
			return "skip needs a number of commands";
	}
	if (*rest == '-')
		rest++;
	if (!*rest)
		return "the text of the error is missing";
	(void)snprintf(rule->text, sizeof(rule->text), "%.399s", rest);
	p->rule_count++;
	return NULL;
}

static void add_stats(const struct proxy *p, struct buf *answer)
{
	static const char *const modes[] = {"pass", "refuse", "blackhole"};

	(void)buf_printf(answer,
			 "{\"mode\":\"%s\",\"delay_ms\":%llu,\"open\":%llu,\"accepted\":%llu,"
			 "\"commands\":%llu,\"errors_waiting\":%zu,\"errors_given\":%llu,"
			 "\"bytes_in\":%llu,\"bytes_out\":%llu}\n",
			 modes[p->mode], (unsigned long long)p->delay_ms,
			 (unsigned long long)p->open, (unsigned long long)p->accepted,
			 (unsigned long long)p->commands, p->rule_count,
			 (unsigned long long)p->changed, (unsigned long long)p->bytes_in,
			 (unsigned long long)p->bytes_out);
}

/* ---- the commands: what is wrong with the rest of the line, or NULL ---- */

static const char *do_pass(struct proxy *p, char *rest)
{
	(void)rest;
	proxy_set_mode(p, MODE_PASS);
	return NULL;
}

static const char *do_refuse(struct proxy *p, char *rest)
{
	(void)rest;
	proxy_set_mode(p, MODE_REFUSE);
	return NULL;
}

static const char *do_blackhole(struct proxy *p, char *rest)
{
	(void)rest;
	proxy_set_mode(p, MODE_BLACKHOLE);
	return NULL;
}

static const char *do_delay(struct proxy *p, char *rest)
{
	return read_number(&rest, 3600000, &p->delay_ms) ? NULL : "delay needs milliseconds";
}

static const char *do_cut(struct proxy *p, char *rest)
{
	uint64_t bytes;

	if (!read_number(&rest, INT64_MAX, &bytes))
		return "cut needs a number of bytes";
	p->cut = (int64_t)bytes;
	return NULL;
}

static const char *do_reset(struct proxy *p, char *rest)
{
	(void)rest;
	proxy_reset_all(p);
	return NULL;
}

static const char *do_error(struct proxy *p, char *rest)
{
	return add_rule(p, rest, false);
}

static const char *do_rewrite(struct proxy *p, char *rest)
{
	return add_rule(p, rest, true);
}

static const char *do_clear(struct proxy *p, char *rest)
{
	p->cut = -1;
	p->delay_ms = 0;
	p->rule_count = 0;
	return do_pass(p, rest);
}

static const struct {
	const char *word;
	const char *(*run)(struct proxy *p, char *rest);
} commands[] = {
	{"pass",      do_pass     },
        {"refuse",    do_refuse   },
        {"blackhole", do_blackhole},
	{"delay",     do_delay    },
        {"cut",       do_cut      },
        {"reset",     do_reset    },
	{"error",     do_error    },
        {"rewrite",   do_rewrite  },
        {"clear",     do_clear    },
};

void control_do(struct proxy *p, char *line, struct buf *answer)
{
	char *rest = line;
	const char *word = next_word(&rest), *wrong = "there is no such command";

	if (strcmp(word, "stats") == 0) {
		add_stats(p, answer);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(word, commands[i].word) == 0)
			wrong = commands[i].run(p, rest);
	if (wrong)
		(void)buf_printf(answer, "wrong: %s\n", wrong);
	else
		(void)buf_add_text(answer, "ok\n");
}

/* ---- the connections ---- */

static void client_closed(uv_handle_t *handle)
{
	struct client *c = container_of(handle, struct client, tcp);

	buf_clear(&c->line);
	buf_clear(&c->answer);
	free(c);
}

static void client_close(struct client *c)
{
	if (!uv_is_closing((uv_handle_t *)&c->tcp))
		uv_close((uv_handle_t *)&c->tcp, client_closed);
}

static void answer_written(uv_write_t *write, int status)
{
	struct client *c = container_of(write, struct client, write);

	c->is_writing = false;
	buf_reset(&c->answer);
	if (status < 0)
		client_close(c);
}

static void take_lines(struct client *c)
{
	char *end;

	while (!c->is_writing && c->line.len && (end = memchr(c->line.ptr, '\n', c->line.len))) {
		uv_buf_t bytes;

		*end = '\0';
		if (end > c->line.ptr && end[-1] == '\r')
			end[-1] = '\0';
		control_do(c->proxy, c->line.ptr, &c->answer);
		buf_drop(&c->line, (size_t)(end + 1 - c->line.ptr));
		bytes = uv_buf_init(c->answer.ptr, (unsigned)c->answer.len);
		c->is_writing = true;
		(void)uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, answer_written);
	}
}

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	struct client *c = container_of(handle, struct client, tcp);

	(void)wanted;
	*buf = uv_buf_init(c->input, sizeof(c->input));
}

static void line_came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct client *c = container_of(stream, struct client, tcp);

	if (count < 0 || (count > 0 && !buf_add(&c->line, buf->base, (size_t)count)))
		client_close(c);
	else
		take_lines(c);
}

static void client_came(uv_stream_t *listener, int status)
{
	struct client *c;

	if (status < 0)
		return;
	c = xmalloc(sizeof(*c));
	c->proxy = listener->data;
	buf_init(&c->line, 16 * (size_t)LINE_MAX_BYTES);
	buf_init(&c->answer, 16 * (size_t)LINE_MAX_BYTES);
	(void)uv_tcp_init(listener->loop, &c->tcp);
	(void)uv_accept(listener, (uv_stream_t *)&c->tcp);
	(void)uv_read_start((uv_stream_t *)&c->tcp, give_buffer, line_came);
}

int control_listen(struct proxy *p, uint16_t *port)
{
	static uv_tcp_t listener;
	struct sockaddr_in own;
	int size = sizeof(own), failed;

	(void)uv_ip4_addr("127.0.0.1", *port, &own);
	(void)uv_tcp_init(p->loop, &listener);
	listener.data = p;
	failed = uv_tcp_bind(&listener, (const struct sockaddr *)&own, 0);
	if (!failed)
		failed = uv_listen((uv_stream_t *)&listener, 16, client_came);
	if (!failed)
		failed = uv_tcp_getsockname(&listener, (struct sockaddr *)&own, &size);
	*port = ntohs(own.sin_port);
	return failed;
}
