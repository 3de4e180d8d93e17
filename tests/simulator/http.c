#include "http.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

struct http_server {
	uv_tcp_t tcp;
	const struct http_handler *handler;
};

/* What a connection reads next. */
enum reading { READ_HEAD, READ_BODY, READ_CHUNK_SIZE, READ_CHUNK, READ_TRAILER };

struct connection {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_write_t write;
	struct http_server *server;
	struct buf in;   /* received and not used yet */
	struct buf body; /* of a chunked request */
	enum reading reading;
	size_t wanted; /* bytes of the body or of the chunk */
	double came;   /* when the kernel had the newest bytes of `in` */
	struct exchange *exchange;
	size_t act;        /* the one being played */
	uint64_t act_sent; /* its bytes that are sent */
	size_t write_len;  /* bytes of the write under way */
	bool is_answering; /* the script is being played */
	bool is_handled;   /* the handler has seen the request */
	bool is_closing;
	int handles; /* not closed yet */
};

static void parse(struct connection *c);
static void play(struct connection *c);

static double ms_of(const struct timespec *t)
{
	return (double)t->tv_sec * 1e3 + (double)t->tv_nsec / 1e6;
}

double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return ms_of(&t);
}

const char *request_header(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (strcmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

/* ---- scripts ---- */

void script_add(struct script *s, struct act act)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 8;
		struct act *acts = arena_array(s->arena, struct act, cap);
		if (s->count)
			memcpy(acts, s->acts, s->count * sizeof *acts);
		s->acts = acts;
		s->cap = cap;
	}
	s->acts[s->count++] = act;
}

void script_send(struct script *s, struct str bytes)
{
	if (bytes.len)
		script_add(s, (struct act){.kind = ACT_SEND, .bytes = bytes});
}

void script_wait(struct script *s, double ms)
{
	if (ms > 0)
		script_add(s, (struct act){.kind = ACT_WAIT, .ms = ms});
}

/* ---- the end of exchanges and connections ---- */

static void exchange_end(struct connection *c, enum outcome outcome)
{
	struct exchange *x = c->exchange;

	x->outcome = outcome;
	if (c->is_handled)
		c->server->handler->ended(x);
	c->is_answering = c->is_handled = false;
	arena_free(x->arena);
	c->exchange = NULL;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;

	if (--c->handles > 0)
		return;
	buf_clear(&c->in);
	buf_clear(&c->body);
	free(c);
}

static void connection_close(struct connection *c, enum outcome outcome)
{
	if (c->is_closing)
		return;
	c->is_closing = true;
	if (c->exchange)
		exchange_end(c, outcome);
	uv_close((uv_handle_t *)&c->timer, on_handle_closed);
	if (outcome != OUTCOME_RESET || uv_tcp_close_reset(&c->tcp, on_handle_closed) != 0)
		uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
}

/* ---- playing the script ---- */

static void play_on(struct connection *c)
{
	play(c);
	parse(c);
}

static void on_timer(uv_timer_t *timer)
{
	play_on(timer->data);
}

/* Notes len more bytes of the act as sent; true if that was the last one. */
static bool act_progress(struct connection *c, const struct act *act, size_t len)
{
	uint64_t total = act->kind == ACT_REPEAT ? act->total : act->bytes.len;

	c->exchange->bytes_sent += len;
	c->act_sent += len;
	if (c->act_sent < total)
		return false;
	c->act_sent = 0;
	c->act++;
	return true;
}

static void on_written(uv_write_t *write, int status)
{
	struct connection *c = write->data;

	if (c->is_closing)
		return;
	if (status < 0) {
		connection_close(c, OUTCOME_ABORTED);
		return;
	}
	act_progress(c, &c->exchange->script.acts[c->act], c->write_len);
	play_on(c);
}

/* The next bytes of an act that sends. */
static uv_buf_t act_bytes(const struct connection *c, const struct act *act)
{
	uint64_t offset = c->act_sent % act->bytes.len;
	uint64_t len = act->bytes.len - offset;

	if (act->kind == ACT_REPEAT)
		len = u64_min(len, act->total - c->act_sent);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): libuv's buffers are not const, also where they are read only */
	return uv_buf_init((char *)(uintptr_t)act->bytes.ptr + offset, (unsigned)len);
}

/* true: all of it is out, go on; false: on_written() goes on, or the connection is gone. */
static bool play_bytes(struct connection *c, const struct act *act)
{
	uv_buf_t bytes = act_bytes(c, act);
	/* What is repeated always goes the slow way, so that a gigabyte does not hold up the rest. */
	int sent = act->kind == ACT_SEND ? uv_try_write((uv_stream_t *)&c->tcp, &bytes, 1) : 0;

	if (sent > 0 && act_progress(c, act, (size_t)sent))
		return true;
	if (sent < 0 && sent != UV_EAGAIN) {
		connection_close(c, OUTCOME_ABORTED);
		return false;
	}
	bytes = act_bytes(c, act);
	c->write_len = bytes.len;
	if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) != 0)
		connection_close(c, OUTCOME_ABORTED);
	return false;
}

/* true: go on with the next act. */
static bool play_act(struct connection *c, const struct act *act)
{
	switch (act->kind) {
	case ACT_SEND:
	case ACT_REPEAT:
		return play_bytes(c, act);
	case ACT_WAIT:
		c->act++;
		uv_timer_start(&c->timer, on_timer, (uint64_t)(act->ms + 0.5), 0);
		return false;
	case ACT_CLOSE:
		connection_close(c, OUTCOME_CUT);
		return false;
	case ACT_RESET:
		connection_close(c, OUTCOME_RESET);
		return false;
	case ACT_HANG:
		return false;
	}
	return false;
}

static void play(struct connection *c)
{
	bool keep_alive;

	while (c->act < c->exchange->script.count)
		if (!play_act(c, &c->exchange->script.acts[c->act]))
			return;
	keep_alive = c->exchange->request.keep_alive;
	exchange_end(c, OUTCOME_SENT);
	if (!keep_alive)
		connection_close(c, OUTCOME_SENT);
}

/* ---- reading requests ---- */

static void refuse(struct connection *c, const char *status)
{
	struct exchange *x = c->exchange;

	x->request.keep_alive = false;
	c->is_answering = true;
	script_send(
		&x->script,
		str_of(arena_printf(x->arena,
				    "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
				    status)));
	play(c);
}

static void request_whole(struct connection *c, struct str body)
{
	struct exchange *x = c->exchange;

	x->request.body = arena_str(x->arena, body);
	x->at = c->came;
	c->is_answering = c->is_handled = true;
	c->server->handler->handle(x);
}

/* Splits a line at the first `at`; returns what is behind it with leading blanks skipped. */
static char *split(char *line, char at)
{
	char *found = strchr(line, at);

	if (!found)
		return NULL;
	*found++ = '\0';
	while (*found == ' ' || *found == '\t')
		found++;
	return found;
}

static bool parse_request_line(struct request *r, char *line)
{
	char *path = split(line, ' ');
	char *version = path ? split(path, ' ') : NULL;
	char *query = path ? strchr(path, '?') : NULL;

	if (!version || strncmp(version, "HTTP/1.", 7) != 0)
		return false;
	r->method = line;
	r->path = path;
	r->query = query ? query + 1 : path + strlen(path);
	if (query)
		*query = '\0';
	r->keep_alive = strcmp(version, "HTTP/1.1") == 0;
	return true;
}

static bool parse_header_line(struct request *r, char *line)
{
	char *value = split(line, ':');

	if (!value || r->header_count == HEADERS_MAX)
		return false;
	for (char *p = line; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	r->headers[r->header_count++] = (struct header){line, value};
	return true;
}

/* head: the lines, each ended by CRLF, without the empty one. */
static bool parse_head(struct request *r, char *head)
{
	char *line = head, *next;

	for (; *line; line = next) {
		next = strstr(line, "\r\n");
		if (!next)
			return false;
		*next = '\0';
		next += 2;
		if (!(line == head ? parse_request_line(r, line) : parse_header_line(r, line)))
			return false;
	}
	return r->method != NULL;
}

/* Says how the body comes; false if that can not be understood. */
static bool expect_body(struct connection *c, const struct request *r)
{
	const char *length = request_header(r, "content-length");
	const char *encoding = request_header(r, "transfer-encoding");
	char *end = NULL;

	c->wanted = 0;
	c->reading = READ_BODY;
	if (encoding) {
		buf_reset(&c->body);
		c->reading = READ_CHUNK_SIZE;
		return strcasecmp(encoding, "chunked") == 0;
	}
	if (!length)
		return true;
	c->wanted = strtoul(length, &end, 10);
	return end != length && *end == '\0' && c->wanted <= BODY_BYTES_MAX;
}

static void say_continue(struct connection *c, const struct request *r)
{
	const char *expect = request_header(r, "expect");
	static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uv_buf_t bytes = uv_buf_init(text, sizeof text - 1);

	if (expect && strcasecmp(expect, "100-continue") == 0)
		uv_try_write((uv_stream_t *)&c->tcp, &bytes, 1);
}

/* Each read_… function: true if it used something and the next may try. */
static bool read_head(struct connection *c)
{
	struct str in = buf_str(&c->in);
	const char *end = in.len ? memmem(in.ptr, in.len, "\r\n\r\n", 4) : NULL;
	struct arena *arena;
	struct request *r;
	const char *connection;
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - in.ptr) + 2;
	arena = arena_new();
	c->exchange = arena_make(arena, struct exchange);
	c->exchange->arena = c->exchange->script.arena = arena;
	c->act = 0;
	c->act_sent = 0;
	r = &c->exchange->request;
	if (len > HEAD_BYTES_MAX || !parse_head(r, arena_strndup(arena, in.ptr, len)) ||
	    !expect_body(c, r)) {
		refuse(c, "400 Bad Request");
		return false;
	}
	buf_drop(&c->in, len + 2);
	connection = request_header(r, "connection");
	if (connection && strcasecmp(connection, "close") == 0)
		r->keep_alive = false;
	say_continue(c, r);
	return true;
}

static bool read_body(struct connection *c)
{
	struct str in = buf_str(&c->in);

	if (in.len < c->wanted)
		return false;
	c->reading = READ_HEAD;
	request_whole(c, (struct str){in.ptr, c->wanted});
	buf_drop(&c->in, c->wanted);
	play(c);
	return true;
}

/* The next line without its CRLF, or NULL if it is not whole yet. */
static char *read_line(struct connection *c)
{
	struct str in = buf_str(&c->in);
	const char *end = in.len ? memmem(in.ptr, in.len, "\r\n", 2) : NULL;
	char *line;

	if (!end)
		return NULL;
	line = arena_strndup(c->exchange->arena, in.ptr, (size_t)(end - in.ptr));
	buf_drop(&c->in, (size_t)(end - in.ptr) + 2);
	return line;
}

static bool read_chunk_size(struct connection *c)
{
	char *line = read_line(c);

	if (!line)
		return false;
	c->wanted = strtoul(line, NULL, 16);
	c->reading = c->wanted ? READ_CHUNK : READ_TRAILER;
	if (c->wanted <= BODY_BYTES_MAX)
		return true;
	refuse(c, "413 Content Too Large");
	return false;
}

static bool read_chunk(struct connection *c)
{
	struct str in = buf_str(&c->in);

	if (in.len < c->wanted + 2)
		return false;
	buf_add(&c->body, in.ptr, c->wanted);
	buf_drop(&c->in, c->wanted + 2);
	c->reading = READ_CHUNK_SIZE;
	return true;
}

static bool read_trailer(struct connection *c)
{
	char *line = read_line(c);

	if (!line)
		return false;
	if (*line)
		return true;
	c->reading = READ_HEAD;
	request_whole(c, buf_str(&c->body));
	play(c);
	return true;
}

static bool parse_one(struct connection *c)
{
	switch (c->reading) {
	case READ_HEAD:
		return read_head(c);
	case READ_BODY:
		return read_body(c);
	case READ_CHUNK_SIZE:
		return read_chunk_size(c);
	case READ_CHUNK:
		return read_chunk(c);
	case READ_TRAILER:
		return read_trailer(c);
	}
	return false;
}

static void parse(struct connection *c)
{
	while (!c->is_closing && !c->is_answering && parse_one(c))
		;
	if (!c->is_closing && c->in.len == 0)
		buf_clear(&c->in); /* thousands of idle connections must not each hold a buffer */
}

/* ---- when bytes came: told by the kernel, however late this process gets its turn ---- */

/* Connections inherit it from the socket that listens. */
static void ask_for_moments(const uv_tcp_t *listener)
{
	int fd, yes = 1;

	if (uv_fileno((const uv_handle_t *)listener, &fd) == 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
}

/* When the last of the bytes came that are about to be read into `room`. libuv reads without asking for it, so they are
 * looked at before. */
static double moment_of(const uv_tcp_t *tcp, void *room, size_t size)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec piece = {room, size};
	struct msghdr m = {.msg_iov = &piece,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof control};
	struct timespec t;
	int fd;

	if (uv_fileno((const uv_handle_t *)tcp, &fd) != 0 ||
	    recvmsg(fd, &m, MSG_PEEK | MSG_DONTWAIT) <= 0)
		return now_ms();
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(h), sizeof t);
		return ms_of(&t);
	}
	return now_ms();
}

/* ---- libuv ---- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
	static char room[64 * 1024];
	struct connection *c = handle->data;

	c->came = moment_of(&c->tcp, room, sizeof room);
	*bytes = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct connection *c = stream->data;

	if (len < 0 || (len > 0 && !buf_add(&c->in, bytes->base, (size_t)len)))
		connection_close(c, OUTCOME_ABORTED);
	else if (len > 0 && !c->is_answering)
		parse(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct http_server *s = listener->data;
	struct connection *c;

	if (status < 0)
		return;
	c = xmalloc(sizeof *c);
	c->server = s;
	c->handles = 2;
	buf_init(&c->in, BODY_BYTES_MAX + HEAD_BYTES_MAX);
	buf_init(&c->body, BODY_BYTES_MAX);
	uv_tcp_init(listener->loop, &c->tcp);
	uv_timer_init(listener->loop, &c->timer);
	c->tcp.data = c->timer.data = c->write.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 || uv_tcp_nodelay(&c->tcp, 1) != 0 ||
	    uv_read_start((uv_stream_t *)&c->tcp, on_room, on_read) != 0)
		connection_close(c, OUTCOME_ABORTED);
}

struct http_server *http_server_new(uv_loop_t *loop, int port, const struct http_handler *handler)
{
	enum { BACKLOG = 4096 };
	struct http_server *s = xmalloc(sizeof *s);
	struct sockaddr_in address;

	s->handler = handler;
	uv_tcp_init(loop, &s->tcp);
	s->tcp.data = s;
	uv_ip4_addr("127.0.0.1", port, &address);
	if (uv_tcp_bind(&s->tcp, (const struct sockaddr *)&address, 0) == 0) {
		ask_for_moments(&s->tcp);
		if (uv_listen((uv_stream_t *)&s->tcp, BACKLOG, on_connection) == 0)
			return s;
	}
	return NULL; /* the program ends */
}

int http_server_port(const struct http_server *s)
{
	struct sockaddr_in address = {0};
	int len = sizeof address;

	uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&address, &len);
	return ntohs(address.sin_port);
}
