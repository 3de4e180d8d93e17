#include "tests/unit/web.h"

#include "common/arena.h"
#include "common/buf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { REQUEST_MAX = 32 * 1024 * 1024 };

struct peer {
	struct web *web;
	int fd;
	struct watch *watch;
	struct buf in, out;
	unsigned requests;
	bool hang_up, forever;
	char drip;
	uint64_t drip_ms;
	struct timeout timeout;
	struct peer *next;
};

struct web {
	struct loop *loop;
	int fd;
	struct watch *watch;
	char url[64];
	unsigned port;
	void (*answer)(void *arg, const struct web_request *r);
	void *arg;
	unsigned requests, connections, open;
	struct peer *peers;
};

static void peer_ready(void *arg, int events);

static void peer_close(struct peer *p)
{
	if (p->fd < 0)
		return;
	timeout_stop(p->web->loop, &p->timeout);
	watch_free(p->watch);
	p->watch = NULL;
	(void)close(p->fd);
	p->fd = -1;
	p->web->open--;
}

static void accept_peer(void *arg, int events)
{
	struct web *w = arg;
	struct peer *p;
	int fd;

	(void)events;
	while ((fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		p = xmalloc(sizeof(*p));
		p->web = w;
		p->fd = fd;
		buf_init(&p->in, REQUEST_MAX);
		buf_init(&p->out, REQUEST_MAX);
		p->next = w->peers;
		w->peers = p;
		w->connections++;
		w->open++;
		p->watch = watch_new(w->loop, fd, WATCH_READ, peer_ready, p);
	}
}

struct web *web_new(struct loop *l, void (*answer)(void *arg, const struct web_request *r),
		    void *arg)
{
	struct web *w = xmalloc(sizeof(*w));
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int failed;

	w->loop = l;
	w->answer = answer;
	w->arg = arg;
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	failed = bind(w->fd, (struct sockaddr *)&address, size) || listen(w->fd, 4096) ||
		 getsockname(w->fd, (struct sockaddr *)&address, &size);
	if (failed)
		abort();
	w->port = ntohs(address.sin_port);
	(void)snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%u", w->port);
	w->watch = watch_new(l, w->fd, WATCH_READ, accept_peer, w);
	return w;
}

void web_free(struct web *w)
{
	while (w->peers) {
		struct peer *p = w->peers;

		w->peers = p->next;
		peer_close(p);
		buf_clear(&p->in);
		buf_clear(&p->out);
		free(p);
	}
	watch_free(w->watch);
	(void)close(w->fd);
	free(w);
}

const char *web_url(const struct web *w)
{
	return w->url;
}

unsigned web_port(const struct web *w)
{
	return w->port;
}

unsigned web_requests(const struct web *w)
{
	return w->requests;
}

unsigned web_connections(const struct web *w)
{
	return w->connections;
}

unsigned web_open_connections(const struct web *w)
{
	return w->open;
}

/* ---- sending ---- */

static bool has_more(const struct peer *p)
{
	return p->out.len || p->forever;
}

/* What the socket takes now; false: the peer is gone. */
static bool send_some(struct peer *p)
{
	static const char zeros[65536];

	while (has_more(p)) {
		struct str s = p->out.len ? buf_str(&p->out) : (struct str){zeros, sizeof(zeros)};
		ssize_t sent = send(p->fd, s.ptr, s.len, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN)
			return true;
		if (sent < 0) {
			peer_close(p);
			return false;
		}
		if (p->out.len)
			buf_drop(&p->out, (size_t)sent);
	}
	return true;
}

static void send_out(struct peer *p)
{
	if (p->fd < 0 || !send_some(p))
		return;
	if (p->hang_up && p->out.len == 0)
		peer_close(p);
	else
		watch_change(p->watch, WATCH_READ | (has_more(p) ? WATCH_WRITE : 0));
}

void web_send(struct peer *p, const char *text)
{
	(void)buf_add_text(&p->out, text);
	send_out(p);
}

static const char *phrase(int status)
{
	return status < 300   ? "OK"
	       : status < 400 ? "Found"
	       : status < 500 ? "Bad Request"
			      : "Error";
}

void web_reply(struct peer *p, int status, const char *headers, const char *body)
{
	(void)buf_printf(&p->out, "HTTP/1.1 %d %s\r\n%s", status, phrase(status), headers);
	if (status != 204)
		(void)buf_printf(&p->out, "Content-Length: %zu\r\n", strlen(body));
	(void)buf_printf(&p->out, "\r\n%s", status == 204 ? "" : body);
	send_out(p);
}

void web_send_forever(struct peer *p)
{
	p->forever = true;
	send_out(p);
}

static void drip(struct timeout *t)
{
	struct peer *p = container_of(t, struct peer, timeout);

	(void)buf_add_char(&p->out, p->drip);
	timeout_start(p->web->loop, &p->timeout, p->drip_ms, drip);
	send_out(p);
}

void web_drip(struct peer *p, char c, uint64_t every_ms)
{
	p->drip = c;
	p->drip_ms = every_ms;
	timeout_start(p->web->loop, &p->timeout, every_ms, drip);
}

void web_hang_up(struct peer *p)
{
	p->hang_up = true;
	send_out(p);
}

void web_reset(struct peer *p)
{
	struct linger now = {.l_onoff = 1};

	(void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	peer_close(p);
}

/* ---- reading ---- */

const char *web_header(const struct web_request *r, const char *name)
{
	static char value[2048];
	size_t length = strlen(name);

	for (const char *line = strstr(r->text, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
		const char *at = line + 2;

		if (strncasecmp(at, name, length) != 0 || at[length] != ':')
			continue;
		at += length + 1;
		at += strspn(at, " ");
		memset(value, 0, sizeof(value));
		memcpy(value, at, size_min(strcspn(at, "\r\n"), sizeof(value) - 1));
		return value;
	}
	return NULL;
}

/* One whole request out of what has come. */
static bool take_request(struct peer *p)
{
	struct web_request r = {.peer = p};
	char *end = p->in.len ? strstr(p->in.ptr, "\r\n\r\n") : NULL;
	const char *length;
	size_t head;

	if (!end)
		return false;
	head = (size_t)(end - p->in.ptr) + 4;
	end[2] = '\0';
	r.text = p->in.ptr;
	length = web_header(&r, "Content-Length");
	r.body.len = length ? strtoul(length, NULL, 10) : 0;
	if (p->in.len < head + r.body.len) {
		end[2] = '\r';
		return false;
	}
	r.body.ptr = p->in.ptr + head;
	r.nth = ++p->requests;
	p->web->requests++;
	if (sscanf(r.text, "%15s %1023s", r.method, r.path) != 2)
		abort();
	p->web->answer(p->web->arg, &r);
	buf_drop(&p->in, head + r.body.len);
	return true;
}

static void peer_ready(void *arg, int events)
{
	struct peer *p = arg;
	char bytes[65536];
	ssize_t got = 0;

	if (events < 0) {
		peer_close(p);
		return;
	}
	if (events & WATCH_READ) {
		while ((got = recv(p->fd, bytes, sizeof(bytes), 0)) > 0)
			(void)buf_add(&p->in, bytes, (size_t)got);
		if (got == 0 || errno != EAGAIN) {
			peer_close(p);
			return;
		}
		while (p->fd >= 0 && take_request(p))
			;
	}
	if (p->fd >= 0 && (events & WATCH_WRITE))
		send_out(p);
}
