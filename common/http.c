/* One exchange, from http_start() to call_end():
 *
 *	http_start ─► check ─► host known? ── no ──► wait for its addresses ─┐
 *	                          └── yes ──────────────────────────────────►├─► begin (a lane of the host)
 *	                                                                     │
 *	   curl's callbacks only note: open_socket, before_send, take_header, take_body
 *	                                                                     │
 *	finish ◄── over (curl) │ overdue (our timeouts) │ cancelled ◄────────┘
 *
 * A struct transfer is curl's easy handle and what belongs to it; they are used again and again. */
#include "common/http.h"

#include "common/address.h"
#include "common/buf.h"
#include "common/crashpoint.h"
#include "common/http_head.h"
#include "common/http_host.h"
#include "common/http_tell.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

enum { CONNECT_MS = 10 * 1000 };

struct http {
	struct loop *loop;
	struct sockets *sockets;
	struct hosts hosts;
	struct deny_list *denied; /* NULL: the list was bad, so everything is */
	struct error denied_error;
	char *user_agent, *ca_file;
	struct transfer *spare;
	unsigned under_way;
	bool inside_curl; /* a callback of curl's has called somebody else */
	struct tells tells;
};

struct transfer {
	CURL *easy;
	struct http *http;
	struct http_call *call;
	const struct http_request *req;
	struct arena *arena;
	struct host *host;
	struct lane *lane;     /* NULL: not with curl (yet) */
	struct host_wait wait; /* for the host's addresses */
	struct timeout whole, phase, sent;
	uint64_t started_at, last_piece_at; /* 0: no piece has come */
	unsigned sends;
	uint64_t sent_at_ms; /* 0: not before the loop comes round */
	struct error why;    /* what our callbacks stopped it for */
	struct buf body;
	struct http_head head;
	char curl_text[CURL_ERROR_SIZE];
	struct transfer *next;
};

static void transfer_over(CURL *easy, CURLcode result);
static void watch_phase(struct transfer *t);
static void finish(struct transfer *t);

/* ---- the service ---- */

struct http *http_new(struct loop *l, const struct http_options *options)
{
	struct http *h = xmalloc(sizeof(*h));

	(void)unsetenv("SSLKEYLOGFILE"); /* curl would write the keys of all connections there */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		abort();
	h->loop = l;
	h->sockets = sockets_new(l);
	h->tells = (struct tells){.http = h, .loop = l};
	h->hosts = (struct hosts){.loop = l, .sockets = h->sockets, .ended = transfer_over};
	h->denied = deny_list_new(options->deny_list ? options->deny_list : DENY_LIST_DEFAULT,
				  &h->denied_error);
	h->user_agent = xstrdup(options->user_agent ? options->user_agent : "flow-worker");
	h->ca_file = options->ca_file ? xstrdup(options->ca_file) : NULL;
	return h;
}

void http_tell(struct http *h, const struct http_request *req)
{
	tells_add(&h->tells, req);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	tells_finish(&h->tells);
	assert(h->under_way == 0);
	while (h->spare) {
		struct transfer *t = h->spare;

		h->spare = t->next;
		curl_easy_cleanup(t->easy);
		free(t);
	}
	hosts_clear(&h->hosts);
	sockets_free(h->sockets);
	deny_list_free(h->denied);
	free(h->user_agent);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

/* ---- callbacks of curl: they note, and call nothing of curl's ---- */

/* The one place that no way around the deny list passes by: the address that is connected to. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct transfer *t = data;
	char text[ADDRESS_TEXT_MAX];

	(void)purpose;
	if (t->req->guarded &&
	    (!t->http->denied || deny_list_has(t->http->denied, &address->addr))) {
		(void)fail(&t->why, ERR_FORBIDDEN, "address %s of host '%.100s' is denied%s%s",
			   address_text(&address->addr, text), t->host->name,
			   t->http->denied ? " (IMPORT_IP_DENY_LIST)" : ": ",
			   t->http->denied ? "" : t->http->denied_error.text);
		return CURL_SOCKET_BAD;
	}
	return multi_open_socket(t->lane->multi, address);
}

/* curl has come back since before_send(), and has written what there was room for: this process may have been without a
 * processor between the two. */
static void note_sent(struct timeout *timeout)
{
	container_of(timeout, struct transfer, sent)->sent_at_ms = wall_ms();
}

/* Called each time before the request is sent: the second time is curl's own repetition. */
static int before_send(void *data, char *their_ip, char *our_ip, int their_port, int our_port)
{
	struct transfer *t = data;

	(void)their_ip;
	(void)our_ip;
	(void)their_port;
	(void)our_port;
	t->lane->entry_number = t->host->entry_number;
	t->why.code = ERR_OK; /* another address of the host was not denied */
	if (++t->sends > 1 && !t->req->repeatable) {
		(void)fail(&t->why, ERR_CONNECTION,
			   "%.100s:%u closed the connection before the first byte of its answer; "
			   "the request may have been carried out",
			   t->host->name, t->host->port);
		return CURL_PREREQFUNC_ABORT;
	}
	timeout_start(t->http->loop, &t->sent, 0, note_sent);
	CRASH_POINT("before_request");
	return CURL_PREREQFUNC_OK;
}

static void note_piece(struct transfer *t)
{
	uint64_t now = loop_now(t->http->loop);
	bool first = t->last_piece_at == 0;

	t->last_piece_at = now ? now : 1;
	if (first) {
		CRASH_POINT("first_byte");
		t->call->first_byte_ms = (uint32_t)(now - t->started_at);
		watch_phase(t);
	}
}

static size_t take_header(char *line, size_t size, size_t count, void *data)
{
	struct transfer *t = data;
	struct str whole = {line, size * count};

	note_piece(t);
	if (!http_head_add(&t->head, whole, t->arena)) {
		(void)fail(&t->why, ERR_INVALID_RESPONSE,
			   "%.100s: more than %d headers or %d bytes of headers", t->host->name,
			   HTTP_HEAD_MAX_HEADERS, HTTP_HEAD_MAX_BYTES);
		return 0;
	}
	t->call->status = t->head.status;
	return whole.len;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *data)
{
	struct transfer *t = data;
	struct http_call *c = t->call;
	struct str piece = {bytes, size * count};

	note_piece(t);
	if (!buf_add_str(&t->body, piece)) {
		(void)fail(&t->why, ERR_INVALID_RESPONSE,
			   "the answer of %.100s is longer than %zu bytes", t->host->name,
			   t->body.max);
		return 0;
	}
	if (c->on_data && c->status >= 200 && c->status < 300) {
		t->http->inside_curl = true;
		c->on_data(c, piece);
		t->http->inside_curl = false;
	}
	return piece.len;
}

/* ---- a transfer ---- */

/* What is the same for all requests. */
static struct transfer *transfer_new(struct http *h)
{
	struct transfer *t = xmalloc(sizeof(*t));
	CURL *e = t->easy = curl_easy_init();

	if (!e)
		abort(); /* no memory */
	t->http = h;
	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_text);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(e, CURLOPT_PROXY, "");
	(void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, h->user_agent);
	if (h->ca_file) /* beside the system's directory, which stays */
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	(void)curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, multi_close_socket);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_send);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	return t;
}

static struct curl_slist *push_line(struct arena *a, struct curl_slist *rest, char *text)
{
	struct curl_slist *line = arena_make(a, struct curl_slist);

	line->data = text;
	line->next = rest;
	return line;
}

/* curl's words: "Name:" leaves a header out that it would send, "Name;" sends an empty one. */
static void set_headers(struct transfer *t)
{
	static char no_expect[] = "Expect:", no_type[] = "Content-Type:";
	struct curl_slist *lines = push_line(t->arena, NULL, no_expect);
	bool has_type = false, decode = false;

	for (const struct http_header *h = t->req->headers; h && h->name; h++) {
		has_type |= strcasecmp(h->name, "Content-Type") == 0;
		decode |= strcasecmp(h->name, "Accept-Encoding") == 0;
		lines = push_line(t->arena, lines,
				  h->value[0] ? arena_printf(t->arena, "%s: %s", h->name, h->value)
					      : arena_printf(t->arena, "%s;", h->name));
	}
	if (!has_type)
		lines = push_line(t->arena, lines, no_type);
	(void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, lines);
	/* Who asks for an encoding gets the answer decoded; the header itself goes as it was given. */
	(void)curl_easy_setopt(t->easy, CURLOPT_ACCEPT_ENCODING, decode ? "" : NULL);
}

static void set_method(struct transfer *t)
{
	const struct http_request *r = t->req;
	bool has_body = r->body.len || strcmp(r->method, "POST") == 0 ||
			strcmp(r->method, "PUT") == 0 || strcmp(r->method, "PATCH") == 0;

	(void)curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L); /* forgets the method before */
	(void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, r->method);
	if (has_body) {
		(void)curl_easy_setopt(t->easy, CURLOPT_POST, 1L);
		(void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)r->body.len);
		(void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, r->body.len ? r->body.ptr : "");
	} else if (strcmp(r->method, "HEAD") == 0) {
		(void)curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	}
}

static void set_connection(struct transfer *t)
{
	const struct host *h = t->host;
	bool new_addresses = !h->is_address && t->lane->entry_number != h->entry_number;
	uint32_t connect_ms = t->req->connect_timeout_ms;
	CURL *e = t->easy;

	(void)curl_easy_setopt(e, CURLOPT_URL, t->req->url);
	(void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
			       (long)(connect_ms ? connect_ms : CONNECT_MS));
	(void)curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, t->lane->multi);
	(void)curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, h->idle_s);
	(void)curl_easy_setopt(e, CURLOPT_RESOLVE, new_addresses ? &h->entry : NULL);
	/* With TLS a burst waits for the first handshake, which tells whether one connection is enough. */
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
			       h->is_https ? (long)CURL_HTTP_VERSION_2TLS
					   : (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_PIPEWAIT, h->is_https ? 1L : 0L);
}

/* ---- time ---- */

static void give_up(struct transfer *t, const char *what, uint32_t ms)
{
	(void)fail(&t->why, ERR_TIMEOUT, "%s of %.100s within %u ms", what,
		   t->host ? t->host->name : "the server", ms);
	finish(t);
}

static void whole_over(struct timeout *timeout)
{
	struct transfer *t = container_of(timeout, struct transfer, whole);

	give_up(t, "no complete answer", t->req->timeout_ms);
}

static void phase_over(struct timeout *timeout);

/* Sets the timeout of the phase it is in: name, first byte, next piece. */
static void watch_phase(struct transfer *t)
{
	const struct http_request *r = t->req;
	uint64_t from = t->started_at, now = loop_now(t->http->loop);
	uint32_t ms = r->first_byte_timeout_ms;

	if (t->wait.waiting) {
		ms = r->connect_timeout_ms ? r->connect_timeout_ms : CONNECT_MS;
	} else if (t->last_piece_at) {
		from = t->last_piece_at;
		ms = r->idle_timeout_ms;
	}
	if (ms == 0)
		timeout_stop(t->http->loop, &t->phase);
	else
		timeout_start(t->http->loop, &t->phase, from + ms > now ? from + ms - now : 0,
			      phase_over);
}

/* The timeout is not moved for each piece of an answer: when it comes it is seen whether it is due. */
static void phase_over(struct timeout *timeout)
{
	struct transfer *t = container_of(timeout, struct transfer, phase);
	const struct http_request *r = t->req;
	uint64_t now = loop_now(t->http->loop);

	if (t->wait.waiting)
		give_up(t, "no address",
			r->connect_timeout_ms ? r->connect_timeout_ms : CONNECT_MS);
	else if (!t->last_piece_at)
		give_up(t, "no first byte of the answer", r->first_byte_timeout_ms);
	else if (r->idle_timeout_ms && now - t->last_piece_at >= r->idle_timeout_ms)
		give_up(t, "no further piece of the answer", r->idle_timeout_ms);
	else
		watch_phase(t);
}

/* ---- the way of one exchange ---- */

static void begin(struct transfer *t)
{
	t->lane = lane_take(t->host);
	set_connection(t);
	set_headers(t);
	set_method(t);
	watch_phase(t);
	multi_add(t->lane->multi, t->easy);
}

static void host_known(struct host_wait *wait, const struct error *err)
{
	struct transfer *t = container_of(wait, struct transfer, wait);

	if (err->code == ERR_OK) {
		begin(t);
		return;
	}
	t->why = *err;
	finish(t);
}

static void begin_later(struct timeout *timeout)
{
	struct transfer *t = container_of(timeout, struct transfer, phase);

	if (t->why.code != ERR_OK)
		finish(t);
	else if (host_is_known(t->host, &t->wait))
		begin(t);
	else
		watch_phase(t);
}

static void cancelled(struct timeout *timeout)
{
	finish(container_of(timeout, struct transfer, phase));
}

/* May be called from anywhere, also from inside curl: the connection is closed from the loop. */
static void cancel(struct call *c)
{
	struct transfer *t = container_of(c, struct http_call, call)->transfer;

	timeout_start(t->http->loop, &t->phase, 0, cancelled);
}

void http_start(struct http *h, struct http_call *c, const struct http_request *req,
		struct arena *a)
{
	struct transfer *t = h->spare ? h->spare : transfer_new(h);
	bool good;

	if (t == h->spare)
		h->spare = t->next;
	call_begin(&c->call, h->loop, cancel);
	c->status = 0;
	c->reason = "";
	c->body = (struct str){"", 0};
	c->headers = NULL;
	c->header_count = 0;
	c->sent = false;
	c->sent_at_ms = 0;
	c->first_byte_ms = c->total_ms = 0;
	c->transfer = t;
	h->under_way++;

	*t = (struct transfer){.easy = t->easy,
			       .http = h,
			       .call = c,
			       .req = req,
			       .arena = a,
			       .head = {.reason = ""}};
	t->wait.known = host_known;
	t->started_at = loop_now(h->loop);
	buf_init(&t->body, req->max_reply ? req->max_reply : HTTP_REPLY_MAX);
	good = http_check(req, &t->why) &&
	       host_find(&h->hosts, req->url, req->guarded, &t->host, &t->why);
	if (req->timeout_ms)
		timeout_start(h->loop, &t->whole, req->timeout_ms, whole_over);
	if (!good || h->inside_curl)
		timeout_start(h->loop, &t->phase, 0, begin_later);
	else if (host_is_known(t->host, &t->wait))
		begin(t);
	else
		watch_phase(t);
}

static void note_curl_error(struct transfer *t, CURLcode result)
{
	const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(result);
	enum error_code code = ERR_CONNECTION;

	if (result == CURLE_OPERATION_TIMEDOUT)
		code = ERR_TIMEOUT;
	else if (t->sends == 0 &&
		 (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL))
		code = ERR_INVALID_PAYLOAD;
	(void)fail(&t->why, code, "%.100s:%u: %s", t->host->name, t->host->port, text);
}

/* A server that refuses without reading the request may answer in full and then reset the stream (seen
 * with nginx over HTTP/2): the answer counts. */
static bool is_whole(const struct transfer *t)
{
	const char *length = http_head_find(&t->head, "content-length");

	return length && t->head.status >= 200 &&
	       strtoull(length, NULL, 10) == buf_str(&t->body).len;
}

/* "timeout=5, max=100": a connection that was idle for longer is about to be closed. */
static void take_keep_alive(struct transfer *t)
{
	const char *value = http_head_find(&t->head, "keep-alive");
	const char *timeout = value ? strstr(value, "timeout=") : NULL;
	long seconds = timeout ? strtol(timeout + strlen("timeout="), NULL, 10) : 0;

	if (seconds > 0 && seconds <= t->host->idle_s)
		t->host->idle_s = seconds > 1 ? seconds - 1 : 1;
}

static void transfer_over(CURL *easy, CURLcode result)
{
	struct transfer *t = NULL;
	struct lane *lane;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
	CRASH_POINT("last_byte");
	lane = t->lane;
	t->lane = NULL; /* the multi has let go of it */
	take_keep_alive(t);
	if ((result == CURLE_HTTP2_STREAM || result == CURLE_SEND_ERROR) && is_whole(t))
		result = CURLE_OK;
	if (result == CURLE_OK)
		t->why.code = ERR_OK;
	else if (t->why.code == ERR_OK)
		note_curl_error(t, result);
	if (result != CURLE_OK && t->why.code == ERR_CONNECTION)
		(void)snprintf(t->why.detail, sizeof(t->why.detail), "curl %d", (int)result);
	finish(t);
	lane_give_back(lane);
}

/* The end of every exchange. What has come of the answer is told also if it failed. */
static void finish(struct transfer *t)
{
	struct http *h = t->http;
	struct http_call *c = t->call;

	timeout_stop(h->loop, &t->whole);
	timeout_stop(h->loop, &t->phase);
	timeout_stop(h->loop, &t->sent);
	if (t->wait.waiting)
		host_stop_waiting(t->host, &t->wait);
	if (t->lane) {
		multi_remove(t->lane->multi, t->easy);
		lane_give_back(t->lane);
	}
	c->body = buf_give(&t->body, t->arena);
	c->reason = t->head.reason;
	c->headers = t->head.headers;
	c->header_count = t->head.count;
	c->sent = t->sends > 0;
	c->sent_at_ms = c->sent && !t->sent_at_ms ? wall_ms() : t->sent_at_ms;
	c->total_ms = (uint32_t)(loop_now(h->loop) - t->started_at);
	c->transfer = NULL;
	if (c->call.stop == ERR_OK)
		c->call.err = t->why;
	t->call = NULL;
	t->next = h->spare;
	h->spare = t;
	h->under_way--;
	call_end(&c->call);
}
