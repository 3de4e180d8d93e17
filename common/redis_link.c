/* One connection to one Redis server, made once: bytes out, replies in.
 *
 *   looking up ─► connecting ─► (TLS) ─► up ─► lost
 *                  each address has its share of the connect timeout
 *
 * What libuv works on lives in struct wire, which is freed when its handles are closed; the link
 * itself is gone at once. Everything sent in one turn of the loop goes out in one write, just
 * before libuv waits for the sockets (uv_prepare). */
#include "common/redis_private.h"

#include "common/loop.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <uv.h>

enum { READ_SIZE = 32 * 1024, KEEP_BUFFER = 64 * 1024, KEEPALIVE_S = 15 };

struct wire {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	uv_prepare_t prepare;
	uv_connect_t connecting;
	uv_write_t writing;
	struct redis_link *link; /* NULL: abandoned */
	struct buf bytes;        /* handed to the socket; not to be touched while it is writing */
	bool is_writing;
	int open_handles;
	char input[READ_SIZE];
};

/* Lives until the loop has told its end, longer than the link if that is closed before. */
struct lookup {
	struct resolve_call call;
	struct redis_link *link;
};

/* How hiredis counts the elements of an array: Debian 12 has 0.14, Debian 13 has 1.2. */
#if HIREDIS_MAJOR >= 1
typedef size_t redis_count;
#else
typedef int redis_count;
#endif

struct redis_link {
	struct loop *loop;
	const struct link_events *events;
	void *arg;
	char name[300]; /* for error texts */
	char host[256];
	struct lookup *lookup;
	struct sockaddr_storage addresses[RESOLVE_MAX];
	size_t address_count, next_address;
	uint32_t connect_timeout_ms;
	uint64_t deadline; /* for the connection to be up */
	struct timeout timer;
	struct wire *wire;
	bool is_up, is_lost;
	struct ssl_ctx_st *tls_context; /* NULL: no TLS */
	struct tls *tls;
	redisReader *reader;
	redisReplyObjectFunctions reader_functions; /* hiredis' own, but for createArray */
	void *(*create_array)(const redisReadTask *task, redis_count elements);
	size_t reply_bytes; /* of the reply that is coming in */
	struct buf out;     /* not yet handed to the wire */
};

static void address_found(struct call *c);
static void try_next_address(struct redis_link *link);
static void connected(uv_connect_t *connecting, int status);

/* ---- the wire ---- */

static void handle_closed(uv_handle_t *handle)
{
	struct wire *w = handle->data;

	if (--w->open_handles > 0)
		return;
	buf_clear(&w->bytes);
	free(w);
}

static struct wire *wire_new(struct redis_link *link, bool is_pipe)
{
	struct wire *w = xmalloc(sizeof(*w));
	uv_loop_t *uv = loop_uv(link->loop);

	if (is_pipe)
		(void)uv_pipe_init(uv, &w->pipe, 0);
	else
		(void)uv_tcp_init(uv, &w->tcp);
	(void)uv_prepare_init(uv, &w->prepare);
	w->handle.data = w;
	w->prepare.data = w;
	w->open_handles = 2;
	w->link = link;
	buf_init(&w->bytes, 2 * (size_t)REDIS_HELD_MAX); /* TLS makes it longer */
	return w;
}

static void wire_close(struct wire *w)
{
	if (!w)
		return;
	w->link = NULL;
	uv_close(&w->handle, handle_closed);
	uv_close((uv_handle_t *)&w->prepare, handle_closed);
}

/* ---- the end ---- */

static void link_lose(struct redis_link *link, const struct error *err)
{
	if (link->is_lost)
		return;
	link->is_lost = true;
	timeout_stop(link->loop, &link->timer);
	wire_close(link->wire);
	link->wire = NULL;
	link->events->lost(link->arg, err);
}

static void lose_because(struct redis_link *link, const char *what, const char *why)
{
	struct error err;

	(void)fail(&err, ERR_REDIS, "%s Redis at %s: %s", what, link->name, why);
	link_lose(link, &err);
}

void link_close(struct redis_link *link)
{
	if (!link)
		return;
	timeout_stop(link->loop, &link->timer);
	wire_close(link->wire);
	if (link->lookup) {
		link->lookup->link = NULL;
		call_cancel(&link->lookup->call.call, ERR_CANCELLED);
	}
	redisReaderFree(link->reader);
	tls_free(link->tls);
	tls_context_free(link->tls_context);
	buf_clear(&link->out);
	free(link);
}

/* ---- connecting ---- */

/* hiredis allocates what an array's head claims before it has seen an element. */
static void *create_array(const redisReadTask *task, redis_count elements)
{
	const struct redis_link *link = task->privdata;

	if (elements > REDIS_ITEMS_MAX)
		return NULL; /* the reader says "out of memory" */
	return link->create_array(task, elements);
}

static void make_reader(struct redis_link *link)
{
	link->reader = redisReaderCreate();
	if (!link->reader)
		abort();
	link->reader_functions = *link->reader->fn;
	link->create_array = link->reader_functions.createArray;
	link->reader_functions.createArray = create_array;
	link->reader->fn = &link->reader_functions;
	link->reader->privdata = link;
}

static void connect_timed_out(struct timeout *t)
{
	struct redis_link *link = container_of(t, struct redis_link, timer);

	if (link->next_address < link->address_count && loop_now(link->loop) < link->deadline) {
		try_next_address(link);
		return;
	}
	lose_because(link, "cannot connect to",
		     link->tls ? "it does not answer in TLS" : "no answer in time");
}

static void open_pipe(struct redis_link *link, const char *path)
{
	link->wire = wire_new(link, true);
	uv_pipe_connect(&link->wire->connecting, &link->wire->pipe, path, connected);
	timeout_start(link->loop, &link->timer, link->connect_timeout_ms, connect_timed_out);
}

struct redis_link *link_open(struct loop *l, const struct link_options *options)
{
	struct redis_link *link = xmalloc(sizeof(*link));
	const struct redis_node *node = &options->node;

	link->loop = l;
	link->events = options->events;
	link->arg = options->arg;
	link->tls_context = tls_context_share(options->tls);
	link->connect_timeout_ms = options->connect_timeout_ms;
	link->deadline = loop_now(l) + options->connect_timeout_ms;
	buf_init(&link->out, REDIS_HELD_MAX);
	make_reader(link);
	if (!node->host) {
		(void)snprintf(link->name, sizeof(link->name), "%s", node->path);
		open_pipe(link, node->path);
		return link;
	}
	(void)snprintf(link->host, sizeof(link->host), "%s", node->host);
	(void)snprintf(link->name, sizeof(link->name),
		       strchr(node->host, ':') ? "[%s]:%u" : "%s:%u", link->host, node->port);
	link->lookup = xmalloc(sizeof(*link->lookup));
	link->lookup->link = link;
	link->lookup->call.call.done = address_found;
	resolve_start(l, &link->lookup->call, node->host, node->port);
	timeout_start(l, &link->timer, options->connect_timeout_ms, connect_timed_out);
	return link;
}

static void address_found(struct call *c)
{
	struct lookup *lookup = container_of(c, struct lookup, call.call);
	struct redis_link *link = lookup->link;

	if (link) {
		link->lookup = NULL;
		memcpy(link->addresses, lookup->call.addresses, sizeof(link->addresses));
		link->address_count = c->err.code == ERR_OK ? lookup->call.count : 0;
		if (link->is_lost)
			; /* it took longer than the connect timeout */
		else if (link->address_count)
			try_next_address(link);
		else
			lose_because(link, "cannot connect to", c->err.text);
	}
	free(lookup);
}

static void try_next_address(struct redis_link *link)
{
	uint64_t left = link->deadline - u64_min(link->deadline, loop_now(link->loop));
	const struct sockaddr_storage *address = &link->addresses[link->next_address];
	uint64_t share = left / (link->address_count - link->next_address);
	int failed;

	link->next_address++;
	tls_free(link->tls);
	link->tls = NULL;
	wire_close(link->wire);
	link->wire = wire_new(link, false);
	timeout_start(link->loop, &link->timer, share, connect_timed_out);
	failed = uv_tcp_connect(&link->wire->connecting, &link->wire->tcp,
				(const struct sockaddr *)address, connected);
	if (!failed)
		return;
	if (link->next_address < link->address_count)
		try_next_address(link);
	else
		lose_because(link, "cannot connect to", uv_strerror(failed));
}

static void give_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
	struct wire *w = handle->data;

	(void)wanted;
	*buf = uv_buf_init(w->input, sizeof(w->input));
}

static void bytes_came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf);
static void turn_is_over(uv_prepare_t *prepare);

static void link_is_up(struct redis_link *link)
{
	link->is_up = true;
	timeout_stop(link->loop, &link->timer);
	link->events->up(link->arg);
}

static void connected(uv_connect_t *connecting, int status)
{
	struct wire *w = container_of(connecting, struct wire, connecting);
	struct redis_link *link = w->link;

	if (!link)
		return;
	if (status < 0 && link->next_address < link->address_count) {
		try_next_address(link);
		return;
	}
	if (status < 0) {
		lose_because(link, "cannot connect to", uv_strerror(status));
		return;
	}
	if (w->handle.type == UV_TCP) {
		(void)uv_tcp_nodelay(&w->tcp, 1);
		(void)uv_tcp_keepalive(&w->tcp, 1, KEEPALIVE_S);
	}
	(void)uv_read_start(&w->stream, give_buffer, bytes_came);
	if (!link->tls_context) {
		link_is_up(link);
		return;
	}
	link->tls = tls_new(link->tls_context, link->host);
	(void)uv_prepare_start(&w->prepare, turn_is_over);
}

/* ---- replies ---- */

/* false: no complete reply is there, or the link is lost or closed. */
static bool next_reply(struct wire *w, redisReply **reply)
{
	struct redis_link *link = w->link;
	void *found = NULL;

	if (!link)
		return false;
	if (redisReaderGetReply(link->reader, &found) != REDIS_OK) {
		lose_because(link, "protocol error of", link->reader->errstr);
		return false;
	}
	if (found)
		link->reply_bytes = link->reader->len - link->reader->pos;
	else if (link->reply_bytes > REDIS_REPLY_MAX)
		lose_because(link, "protocol error of", "a reply is longer than 64 MiB");
	*reply = found;
	return found != NULL;
}

static void take_bytes(struct wire *w, const char *ptr, size_t len)
{
	struct redis_link *link = w->link;
	redisReply *reply;

	link->reply_bytes += len;
	(void)redisReaderFeed(link->reader, ptr, len); /* GetReply tells its error */
	while (next_reply(w, &reply)) {
		link->events->reply(link->arg, reply);
		freeReplyObject(reply);
	}
}

/* The timer of connecting runs on until TLS is ready. */
static void take_tls_bytes(struct wire *w, const char *ptr, size_t len)
{
	struct redis_link *link = w->link;
	struct buf plain;
	struct error err;
	bool good;

	buf_init(&plain, REDIS_REPLY_MAX);
	good = tls_read(link->tls, (struct str){ptr, len}, &plain, &err);
	(void)uv_prepare_start(&w->prepare, turn_is_over); /* TLS may have something to say */
	if (good && !link->is_up && tls_is_ready(link->tls))
		link_is_up(link);
	if (w->link && plain.len)
		take_bytes(w, plain.ptr, plain.len);
	buf_clear(&plain);
	if (w->link && !good)
		lose_because(link, link->is_up ? "lost the connection to" : "cannot connect to",
			     err.text);
}

static void bytes_came(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
	struct wire *w = stream->data;

	if (count == UV_EOF)
		lose_because(w->link, "lost the connection to", "the server closed it");
	else if (count < 0)
		lose_because(w->link, "lost the connection to", uv_strerror((int)count));
	else if (count > 0 && w->link->tls)
		take_tls_bytes(w, buf->base, (size_t)count);
	else if (count > 0)
		take_bytes(w, buf->base, (size_t)count);
}

/* ---- sending ---- */

static void flush(struct redis_link *link);

static void empty(struct buf *b)
{
	if (b->cap > KEEP_BUFFER)
		buf_clear(b);
	else
		buf_reset(b);
}

static void written(uv_write_t *writing, int status)
{
	struct wire *w = container_of(writing, struct wire, writing);

	w->is_writing = false;
	if (!w->link)
		return;
	empty(&w->bytes);
	if (status < 0)
		lose_because(w->link, "lost the connection to", uv_strerror(status));
	else
		flush(w->link);
}

/* Moves what is to be sent into the wire's buffer; false: the link is lost. */
static bool fill_wire(struct redis_link *link)
{
	struct wire *w = link->wire;
	struct buf taken = w->bytes;
	struct error err;

	if (!link->tls) {
		w->bytes = link->out;
		link->out = taken;
		return true;
	}
	if (!tls_write(link->tls, buf_str(&link->out), &err)) {
		lose_because(link, "lost the connection to", err.text);
		return false;
	}
	buf_reset(&link->out);
	tls_take(link->tls, &w->bytes);
	return true;
}

static void flush(struct redis_link *link)
{
	struct wire *w = link->wire;
	uv_buf_t rest;
	int sent;

	if (w->is_writing || !fill_wire(link) || w->bytes.len == 0)
		return;
	rest = (uv_buf_t){w->bytes.ptr, w->bytes.len};
	sent = uv_try_write(&w->stream, &rest, 1);
	if (sent == (int)w->bytes.len) {
		empty(&w->bytes);
		return;
	}
	if (sent < 0 && sent != UV_EAGAIN) {
		lose_because(link, "lost the connection to", uv_strerror(sent));
		return;
	}
	sent = sent < 0 ? 0 : sent;
	rest = uv_buf_init(w->bytes.ptr + sent, (unsigned)(w->bytes.len - (size_t)sent));
	w->is_writing = true;
	(void)uv_write(&w->writing, &w->stream, &rest, 1,
		       written); /* fails only for a bad handle */
}

static void turn_is_over(uv_prepare_t *prepare)
{
	struct wire *w = prepare->data;

	(void)uv_prepare_stop(prepare);
	flush(w->link);
}

bool link_send(struct redis_link *link, struct str command)
{
	assert(link->is_up);
	if (!link->wire)
		return true; /* lost: what is sent now fails with all the rest */
	if (link->out.len + command.len > REDIS_HELD_MAX)
		return false;
	(void)buf_add_str(&link->out, command);
	(void)uv_prepare_start(&link->wire->prepare, turn_is_over);
	return true;
}

struct str format_command(size_t count, const struct str *words)
{
	const char **pointers = xmalloc(count * sizeof(char *));
	size_t *lengths = xmalloc(count * sizeof(size_t));
	char *bytes = NULL;
	long long len; /* an int before hiredis 1.0 */

	for (size_t i = 0; i < count; i++) {
		pointers[i] = words[i].ptr ? words[i].ptr : "";
		lengths[i] = words[i].len;
	}
	len = redisFormatCommandArgv(&bytes, (int)count, pointers, lengths);
	free(pointers);
	free(lengths);
	if (len < 0)
		abort(); /* out of memory: it has no other error */
	return (struct str){bytes, (size_t)len};
}

void free_command(struct str command)
{
	union {
		const char *in;
		char *out;
	} bytes = {command.ptr};

	redisFreeCommand(bytes.out);
}

void link_send_words(struct redis_link *link, size_t count, const struct str *words)
{
	struct str command = format_command(count, words);

	(void)!link_send(link, command);
	free_command(command);
}

bool link_send_login(struct redis_link *link, const struct redis_login *login)
{
	struct str words[3] = {STR("AUTH")};
	size_t count = 1;

	if (!login->password || !login->password[0])
		return false;
	if (login->username && login->username[0])
		words[count++] = str_of(login->username);
	words[count++] = str_of(login->password);
	link_send_words(link, count, words);
	return true;
}
