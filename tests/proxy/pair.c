/* A client's connection and the one to the server that belongs to it.
 *
 * What comes in on one side goes out on the other, after the delay. If the client speaks Redis'
 * protocol, its commands and their replies are told apart, so that a reply can be put in the place
 * of another: `answers` has one entry for each command whose reply has not gone out, in order. A
 * connection that subscribes, or speaks anything else, is passed on as it is. */
#include "proxy.h"

#include "common/arena.h"

#include <assert.h>
#include <stdlib.h>

enum { READ_SIZE = 64 * 1024, REQUEST_MAX = 256 * 1024 * 1024 };

/* Bytes on their way out; without any: the other side has ended. */
struct chunk {
	struct chunk *next;
	uv_write_t write;
	uint64_t due;
	size_t len;
	char bytes[];
};

struct side {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_shutdown_t shutdown;
	struct pair *pair;
	struct chunk *first, **last; /* to be written here when they are due */
	struct resp resp;            /* of what is read here */
	char input[READ_SIZE];
};

enum answer_kind { FROM_SERVER, IN_ITS_PLACE, WITHOUT_SERVER };

struct answer {
	struct answer *next;
	enum answer_kind kind;
	char text[400];
};

struct pair {
	struct pair *next, **self;
	struct proxy *proxy;
	struct side client, server;
	uv_connect_t connecting;
	bool is_connected, is_raw, is_closing;
	int open_handles;
	struct buf request; /* the part of a command that has come */
	struct answer *first_answer, **last_answer;
};

static void read_both(struct pair *pair);

/* ---- the end ---- */

static void handle_closed(uv_handle_t *handle)
{
	struct pair *pair = handle->data;

	if (--pair->open_handles > 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct side *side = i ? &pair->server : &pair->client;

		while (side->first) {
			struct chunk *c = side->first;

			side->first = c->next;
			free(c);
		}
	}
	while (pair->first_answer) {
		struct answer *a = pair->first_answer;

		pair->first_answer = a->next;
		free(a);
	}
	buf_clear(&pair->request);
	pair->proxy->open--;
	free(pair);
}

static void close_side(struct side *side, bool reset)
{
	uv_close((uv_handle_t *)&side->timer, handle_closed);
	if (!reset || uv_tcp_close_reset(&side->tcp, handle_closed) != 0)
		uv_close((uv_handle_t *)&side->tcp, handle_closed);
}

static void pair_close(struct pair *pair, bool reset)
{
	if (pair->is_closing)
		return;
	pair->is_closing = true;
	*pair->self = pair->next;
	if (pair->next)
		pair->next->self = pair->self;
	close_side(&pair->client, reset);
	close_side(&pair->server, reset);
}

/* ---- out ---- */

static void written(uv_write_t *write, int status)
{
	struct pair *pair = write->handle->data;

	free(container_of(write, struct chunk, write));
	if (status < 0 && status != UV_ECANCELED)
		pair_close(pair, true);
}

static void shut_down(uv_shutdown_t *shutdown, int status)
{
	(void)status;
	pair_close(shutdown->handle->data, false);
}

static void write_chunk(struct side *side, struct chunk *c)
{
	struct proxy *p = side->pair->proxy;
	uv_buf_t bytes = uv_buf_init(c->bytes, (unsigned)c->len);
	bool is_cut = false;

	if (side == &side->pair->client && p->cut >= 0) {
		is_cut = (int64_t)c->len >= p->cut;
		bytes.len = size_min(bytes.len, (size_t)p->cut);
		p->cut = is_cut ? -1 : p->cut - (int64_t)c->len;
	}
	if (c->len)
		(void)uv_write(&c->write, (uv_stream_t *)&side->tcp, &bytes, 1, written);
	if (c->len == 0)
		free(c);
	if (is_cut || bytes.len == 0)
		(void)uv_shutdown(&side->shutdown, (uv_stream_t *)&side->tcp, shut_down);
}

static void write_due(uv_timer_t *timer)
{
	struct side *side = container_of(timer, struct side, timer);
	uint64_t now = uv_now(timer->loop);
	struct chunk *c;

	if (side->pair->proxy->mode == MODE_BLACKHOLE || (!side->pair->is_connected))
		return;
	while ((c = side->first) && c->due <= now && !side->pair->is_closing) {
		side->first = c->next;
		if (!side->first)
			side->last = &side->first;
		write_chunk(side, c);
	}
	if (side->first && !side->pair->is_closing)
		(void)uv_timer_start(timer, write_due, side->first->due - now, 0);
}

static void side_send(struct side *side, const char *ptr, size_t len)
{
	struct chunk *c = xmalloc(sizeof(*c) + len);
	bool is_first = !side->first;

	c->len = len;
	c->due = uv_now(side->pair->proxy->loop) + side->pair->proxy->delay_ms;
	if (len)
		memcpy(c->bytes, ptr, len);
	*side->last = c;
	side->last = &c->next;
	if (is_first)
		write_due(&side->timer);
}

/* ---- answers ---- */

static struct answer *push_answer(struct pair *pair, enum answer_kind kind, const char *text)
{
	struct answer *a = xmalloc(sizeof(*a));

	a->kind = kind;
	(void)snprintf(a->text, sizeof(a->text), "%s", text);
	*pair->last_answer = a;
	pair->last_answer = &a->next;
	return a;
}

static void pop_answer(struct pair *pair)
{
	struct answer *a = pair->first_answer;

	assert(a); /* asked only when there is one */
	if (a->kind != FROM_SERVER) {
		struct buf b;

		buf_init(&b, sizeof(a->text) + 8);
		(void)buf_printf(&b, "-%s\r\n", a->text);
		side_send(&pair->client, b.ptr, b.len);
		buf_clear(&b);
	}
	pair->first_answer = a->next;
	if (!a->next)
		pair->last_answer = &pair->first_answer;
	free(a);
}

static void send_own_answers(struct pair *pair)
{
	while (pair->first_answer && pair->first_answer->kind == WITHOUT_SERVER)
		pop_answer(pair);
}

static void from_server(struct pair *pair, const char *ptr, size_t len)
{
	while (len) {
		bool complete = false;
		size_t taken = len;

		if (!pair->is_raw && pair->first_answer)
			taken = resp_scan(&pair->server.resp, ptr, len, &complete);
		if (taken == 0) {
			pair->is_raw = true;
			taken = len;
		}
		if (pair->is_raw || !pair->first_answer || pair->first_answer->kind == FROM_SERVER)
			side_send(&pair->client, ptr, taken);
		ptr += taken;
		len -= taken;
		if (complete) {
			pop_answer(pair);
			send_own_answers(pair);
		}
	}
}

/* ---- commands ---- */

static bool take_rule(struct proxy *p, const char *word, struct rule *rule)
{
	for (size_t i = 0; i < p->rule_count; i++) {
		if (p->rules[i].word[0] && strcasecmp(p->rules[i].word, word) != 0)
			continue;
		if (p->rules[i].skip) {
			p->rules[i].skip--;
			continue;
		}
		*rule = p->rules[i];
		p->rule_count--;
		memmove(&p->rules[i], &p->rules[i + 1], (p->rule_count - i) * sizeof(*rule));
		p->changed++;
		return true;
	}
	return false;
}

static bool is_subscription(const char *word)
{
	static const char *const words[] = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(words[i], word) == 0)
			return true;
	return false;
}

static void command_came(struct pair *pair)
{
	char word[sizeof(pair->client.resp.word)];
	struct rule rule;

	memcpy(word, pair->client.resp.word, sizeof(word));
	pair->proxy->commands++;
	if (is_subscription(word)) {
		pair->is_raw = true;
		side_send(&pair->server, pair->request.ptr, pair->request.len);
	} else if (!take_rule(pair->proxy, word, &rule)) {
		(void)push_answer(pair, FROM_SERVER, "");
		side_send(&pair->server, pair->request.ptr, pair->request.len);
	} else if (rule.is_carried_out) {
		(void)push_answer(pair, IN_ITS_PLACE, rule.text);
		side_send(&pair->server, pair->request.ptr, pair->request.len);
	} else {
		(void)push_answer(pair, WITHOUT_SERVER, rule.text);
		send_own_answers(pair);
	}
	buf_reset(&pair->request);
}

static void from_client(struct pair *pair, const char *ptr, size_t len)
{
	while (len) {
		bool complete = false;
		size_t taken = 0;

		if (!pair->is_raw)
			taken = resp_scan(&pair->client.resp, ptr, len, &complete);
		if (taken == 0) {
			pair->is_raw = true;
			if (pair->request.len)
				side_send(&pair->server, pair->request.ptr, pair->request.len);
			buf_reset(&pair->request);
			side_send(&pair->server, ptr, len);
			return;
		}
		if (!buf_add(&pair->request, ptr, taken)) {
			pair_close(pair, true);
			return;
		}
		ptr += taken;
		len -= taken;
		if (complete)
			command_came(pair);
	}
}

/* ---- in ---- */

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	struct side *side = container_of(handle, struct side, tcp);

	(void)wanted;
	*buf = uv_buf_init(side->input, sizeof(side->input));
}

static void bytes_came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct side *side = container_of(stream, struct side, tcp);
	struct pair *pair = side->pair;

	if (count == UV_EOF) {
		(void)uv_read_stop(stream);
		side_send(side == &pair->client ? &pair->server : &pair->client, NULL, 0);
	} else if (count < 0) {
		pair_close(pair, true);
	} else if (count > 0 && side == &pair->client) {
		pair->proxy->bytes_in += (uint64_t)count;
		from_client(pair, buf->base, (size_t)count);
	} else if (count > 0) {
		pair->proxy->bytes_out += (uint64_t)count;
		from_server(pair, buf->base, (size_t)count);
	}
}

static void read_both(struct pair *pair)
{
	if (!pair->is_connected || pair->is_closing)
		return;
	(void)uv_read_start((uv_stream_t *)&pair->client.tcp, give_buffer, bytes_came);
	(void)uv_read_start((uv_stream_t *)&pair->server.tcp, give_buffer, bytes_came);
	write_due(&pair->client.timer);
	write_due(&pair->server.timer);
}

static void connected(uv_connect_t *connecting, int status)
{
	struct pair *pair = container_of(connecting, struct pair, connecting);

	if (status < 0) {
		pair_close(pair, true);
		return;
	}
	pair->is_connected = true;
	(void)uv_tcp_nodelay(&pair->server.tcp, 1);
	if (pair->proxy->mode != MODE_BLACKHOLE)
		read_both(pair);
}

static void side_init(struct side *side, struct pair *pair)
{
	(void)uv_tcp_init(pair->proxy->loop, &side->tcp);
	(void)uv_timer_init(pair->proxy->loop, &side->timer);
	side->tcp.data = side->timer.data = pair;
	side->pair = pair;
	side->last = &side->first;
	pair->open_handles += 2;
}

static void connection_came(uv_stream_t *listener, int status)
{
	struct proxy *p = listener->data;
	struct pair *pair;

	if (status < 0)
		return;
	pair = xmalloc(sizeof(*pair));
	pair->proxy = p;
	pair->last_answer = &pair->first_answer;
	buf_init(&pair->request, REQUEST_MAX);
	side_init(&pair->client, pair);
	side_init(&pair->server, pair);
	pair->next = p->pairs;
	pair->self = &p->pairs;
	if (p->pairs)
		p->pairs->self = &pair->next;
	p->pairs = pair;
	p->accepted++;
	p->open++;
	(void)uv_accept(listener, (uv_stream_t *)&pair->client.tcp);
	(void)uv_tcp_nodelay(&pair->client.tcp, 1);
	if (uv_tcp_connect(&pair->connecting, &pair->server.tcp,
			   (const struct sockaddr *)&p->target, connected) != 0)
		pair_close(pair, true);
}

/* ---- modes ---- */

static void free_handle(uv_handle_t *handle)
{
	free(handle);
}

/* Bound in every mode, so that nobody else gets the port; a bound socket refuses connections. */
static int bind_listener(struct proxy *p)
{
	int size = sizeof(p->own), failed;

	p->listener = xmalloc(sizeof(*p->listener));
	p->listener->data = p;
	(void)uv_tcp_init(p->loop, p->listener);
	failed = uv_tcp_bind(p->listener, (const struct sockaddr *)&p->own, 0);
	if (!failed)
		failed = uv_tcp_getsockname(p->listener, (struct sockaddr *)&p->own, &size);
	return failed;
}

int proxy_listen(struct proxy *p)
{
	int failed = bind_listener(p);

	return failed ? failed : uv_listen((uv_stream_t *)p->listener, 1024, connection_came);
}

void proxy_reset_all(struct proxy *p)
{
	while (p->pairs)
		pair_close(p->pairs, true);
}

static void stop_reading(struct pair *pair)
{
	(void)uv_read_stop((uv_stream_t *)&pair->client.tcp);
	(void)uv_read_stop((uv_stream_t *)&pair->server.tcp);
}

void proxy_set_mode(struct proxy *p, enum mode mode)
{
	enum mode before = p->mode;

	p->mode = mode;
	if (mode == MODE_REFUSE && before != MODE_REFUSE) {
		uv_close((uv_handle_t *)p->listener, free_handle);
		(void)bind_listener(p);
		proxy_reset_all(p);
	} else if (before == MODE_REFUSE && mode != MODE_REFUSE) {
		(void)uv_listen((uv_stream_t *)p->listener, 1024, connection_came);
	}
	for (struct pair *pair = p->pairs; pair; pair = pair->next)
		if (mode == MODE_BLACKHOLE)
			stop_reading(pair);
		else
			read_both(pair);
}
