#include "common/http_multi.h"

#include "common/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

struct sock {
	uv_poll_t poll;
	struct multi *multi;
	curl_socket_t fd;
	int wanted; /* what curl waits for, in libuv's words */
	int armed;  /* what libuv watches: the same, or more while curl waits for nothing */
	bool ours;  /* opened by multi_open_socket() */
};

struct sockets {
	struct loop *loop;
	struct sock **by_fd;
	size_t size;
};

struct multi {
	CURLM *curl;
	struct sockets *sockets;
	struct timeout timer;
	void (*ended)(CURL *easy, CURLcode result);
};

struct sockets *sockets_new(struct loop *l)
{
	struct sockets *s = xmalloc(sizeof(*s));

	s->loop = l;
	return s;
}

void sockets_free(struct sockets *s)
{
	for (size_t i = 0; i < s->size; i++)
		assert(!s->by_fd[i]);
	free(s->by_fd);
	free(s);
}

static struct sock *sock_find(const struct sockets *s, curl_socket_t fd)
{
	return (size_t)fd < s->size ? s->by_fd[fd] : NULL;
}

static struct sock *sock_new(struct multi *m, curl_socket_t fd, bool ours)
{
	struct sockets *s = m->sockets;
	struct sock *k = xmalloc(sizeof(*k));
	size_t old = s->size;

	k->multi = m;
	k->fd = fd;
	k->ours = ours;
	if (uv_poll_init_socket(loop_uv(s->loop), &k->poll, fd) != 0) {
		free(k);
		return NULL;
	}
	uv_unref((uv_handle_t *)&k->poll);
	if ((size_t)fd >= s->size) {
		s->size = (size_t)fd * 2 + 64;
		s->by_fd = xrealloc(s->by_fd, s->size * sizeof(struct sock *));
		memset(s->by_fd + old, 0, (s->size - old) * sizeof(struct sock *));
	}
	s->by_fd[fd] = k;
	return k;
}

static void sock_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)handle, struct sock, poll));
}

/* Before the descriptor is closed, else the next one of this number has a watcher already. */
static void sock_free(struct sock *k)
{
	k->multi->sockets->by_fd[k->fd] = NULL;
	uv_close((uv_handle_t *)&k->poll, sock_closed);
}

/* ---- curl tells: these note and arm, and do not call curl ---- */

static void sock_ready(uv_poll_t *poll, int status, int events);

static void sock_want(struct sock *k, int wanted)
{
	if (wanted && !k->wanted)
		uv_ref((uv_handle_t *)&k->poll);
	else if (!wanted && k->wanted)
		uv_unref((uv_handle_t *)&k->poll); /* an idle connection keeps no loop alive */
	k->wanted = wanted;
	if (wanted && wanted != k->armed) {
		(void)uv_poll_start(&k->poll, wanted, sock_ready);
		k->armed = wanted;
	}
}

static int socket_change(CURL *easy, curl_socket_t fd, int what, void *multi, void *unused)
{
	struct multi *m = multi;
	struct sock *k = sock_find(m->sockets, fd);
	int wanted = 0;

	(void)easy;
	(void)unused;
	if (what & CURL_POLL_IN)
		wanted |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		wanted |= UV_WRITABLE;
	if (!k && wanted)
		k = sock_new(m, fd, false);
	if (k)
		sock_want(k, wanted);
	if (k && what == CURL_POLL_REMOVE && !k->ours)
		sock_free(k);
	return 0;
}

static void timer_due(struct timeout *timer);

static int timer_change(CURLM *curl, long ms, void *multi)
{
	struct multi *m = multi;

	(void)curl;
	if (ms < 0)
		timeout_stop(m->sockets->loop, &m->timer);
	else
		timeout_start(m->sockets->loop, &m->timer, (uint64_t)ms, timer_due);
	return 0;
}

curl_socket_t multi_open_socket(struct multi *m, const struct curl_sockaddr *address)
{
	int fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			address->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	if (!sock_new(m, fd, true)) {
		(void)close(fd);
		return CURL_SOCKET_BAD;
	}
	return fd;
}

int multi_close_socket(void *multi, curl_socket_t fd)
{
	struct multi *m = multi;
	struct sock *k = sock_find(m->sockets, fd);

	if (k)
		sock_free(k);
	return close(fd);
}

/* ---- curl is told: from the top of the loop ---- */

static void take_ended(struct multi *m)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(m->curl, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode result = message->data.result; /* message dies with the removal */

		if (message->msg != CURLMSG_DONE)
			continue;
		multi_remove(m, easy);
		m->ended(easy, result);
	}
}

static void act(struct multi *m, curl_socket_t fd, int flags)
{
	int running;

	(void)curl_multi_socket_action(m->curl, fd, flags, &running);
	take_ended(m);
}

static void sock_ready(uv_poll_t *poll, int status, int events)
{
	struct sock *k = container_of(poll, struct sock, poll);
	int flags = 0;

	if (!k->wanted || status < 0) { /* after an error libuv has stopped the handle */
		(void)uv_poll_stop(poll);
		k->armed = 0;
	}
	if (!k->wanted)
		return; /* an idle connection was closed: curl sees it before it uses it again */
	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(k->multi, k->fd, flags);
}

static void timer_due(struct timeout *timer)
{
	act(container_of(timer, struct multi, timer), CURL_SOCKET_TIMEOUT, 0);
}

/* ---- making ---- */

struct multi *multi_new(struct sockets *s, long max_connections,
			void (*ended)(CURL *easy, CURLcode result))
{
	struct multi *m = xmalloc(sizeof(*m));

	m->curl = curl_multi_init();
	if (!m->curl)
		abort(); /* no memory */
	m->sockets = s;
	m->ended = ended;
	(void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, socket_change);
	(void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	(void)curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, timer_change);
	(void)curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	(void)curl_multi_setopt(m->curl, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	/* The default follows the number of transfers: idle connections would be closed as a burst ends. */
	(void)curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, max_connections);
	return m;
}

void multi_free(struct multi *m)
{
	(void)curl_multi_cleanup(m->curl);
	timeout_stop(m->sockets->loop, &m->timer);
	free(m);
}

void multi_add(struct multi *m, CURL *easy)
{
	CURLMcode code = curl_multi_add_handle(m->curl, easy);

	if (code != CURLM_OK)
		abort(); /* twice, or from inside curl: a bug of ours */
}

void multi_remove(struct multi *m, CURL *easy)
{
	CURLMcode code = curl_multi_remove_handle(m->curl, easy);

	if (code != CURLM_OK)
		abort(); /* from inside curl: a bug of ours */
}
