/* Replies, and how they become scripts. */
#include "simulator.h"

#include <math.h>

struct reply *reply_new(struct arena *a)
{
	struct reply *r = arena_make(a, struct reply);

	r->arena = a;
	r->status = 200;
	r->content_type = "application/json";
	r->headers = buf_in(a);
	r->content_length = -1;
	return r;
}

void reply_piece(struct reply *r, struct str piece)
{
	if (r->piece_count == r->piece_cap) {
		size_t cap = r->piece_cap ? r->piece_cap * 2 : 8;
		struct str *pieces = arena_array(r->arena, struct str, cap);
		if (r->piece_count)
			memcpy(pieces, r->pieces, r->piece_count * sizeof *pieces);
		r->pieces = pieces;
		r->piece_cap = cap;
	}
	r->pieces[r->piece_count++] = piece;
}

void reply_json(struct reply *r, int status, const struct buf *body)
{
	r->status = status;
	r->content_type = "application/json";
	r->is_stream = false;
	r->piece_count = 0;
	reply_piece(r, buf_str(body));
}

void reply_header(struct reply *r, const char *name, const char *value)
{
	buf_printf(r->headers, "%s: %s\r\n", name, value);
}

/* ---- scripts ---- */

static const char *status_text(int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{200, "OK"                   },
		{400, "Bad Request"          },
		{401, "Unauthorized"         },
		{402, "Payment Required"     },
		{403, "Forbidden"            },
		{404, "Not Found"            },
		{413, "Content Too Large"    },
		{429, "Too Many Requests"    },
		{500, "Internal Server Error"},
		{502, "Bad Gateway"          },
		{503, "Service Unavailable"  },
		{504, "Gateway Timeout"      },
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i].status == status)
			return texts[i].text;
	return "Simulated";
}

static size_t body_bytes(const struct reply *r)
{
	size_t sum = 0;

	for (size_t i = 0; i < r->piece_count; i++)
		sum += r->pieces[i].len;
	return sum;
}

static struct str head(const struct reply *r, size_t length)
{
	struct buf *out = buf_in(r->arena);

	buf_printf(out, "HTTP/1.1 %d %s\r\n", r->status, status_text(r->status));
	if (r->content_type)
		buf_printf(out, "Content-Type: %s\r\n", r->content_type);
	buf_add_str(out, buf_str(r->headers));
	buf_add_text(out, "X-Simulated: SIMULATED\r\n");
	if (r->is_stream)
		buf_add_text(out, "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n");
	else
		buf_printf(out, "Content-Length: %zu\r\n\r\n", length);
	return buf_str(out);
}

static struct str chunk(const struct reply *r, struct str piece)
{
	struct buf *out = buf_in(r->arena);

	buf_printf(out, "%zx\r\n", piece.len);
	buf_add_str(out, piece);
	buf_add_text(out, "\r\n");
	return buf_str(out);
}

static struct str joined(struct arena *a, struct str x, struct str y)
{
	struct buf *out = buf_in(a);

	buf_add_str(out, x);
	buf_add_str(out, y);
	return buf_str(out);
}

/* The body as it goes over the wire, with its pauses; the head is the caller's. */
static void script_body(struct script *s, const struct reply *r)
{
	for (size_t i = 0; i < r->piece_count; i++) {
		if (i > 0)
			script_wait(s, r->gap_ms);
		script_send(s, r->is_stream ? chunk(r, r->pieces[i]) : r->pieces[i]);
	}
	if (r->is_stream)
		script_send(s, STR("0\r\n\r\n"));
}

/* Keeps the first `bytes` bytes of what a script sends and ends it with `last`. */
static void script_break(struct script *s, size_t bytes, enum act_kind last)
{
	size_t i = 0;

	for (; i < s->count; i++) {
		struct act *act = &s->acts[i];
		if (act->kind != ACT_SEND)
			continue;
		act->bytes.len = size_min(act->bytes.len, bytes);
		bytes -= act->bytes.len;
		if (bytes == 0)
			break;
	}
	if (i < s->count)
		s->count = s->acts[i].bytes.len ? i + 1 : i;
	script_add(s, (struct act){.kind = last});
}

/* Every few bytes of a script apart. */
static void script_slow(struct script *s, size_t bytes, double every_ms)
{
	struct script slow = {.arena = s->arena};

	for (size_t i = 0; i < s->count; i++) {
		struct str rest = s->acts[i].bytes;
		if (s->acts[i].kind != ACT_SEND) {
			script_add(&slow, s->acts[i]);
			continue;
		}
		for (size_t at = 0; at < rest.len; at += bytes) {
			script_send(&slow,
				    (struct str){rest.ptr + at, size_min(bytes, rest.len - at)});
			script_wait(&slow, every_ms);
		}
	}
	*s = slow;
}

static void script_huge(struct script *s, const struct reply *r, uint64_t total)
{
	static const struct str start = {"{\"simulated\":\"", 14};
	enum { PIECE = 65536 };
	char *filler = arena_alloc(s->arena, PIECE);
	struct str piece = {filler, PIECE};

	memset(filler, 'S', PIECE);
	script_send(s, head(r, start.len + total + 2));
	script_send(s, start);
	script_add(s, (struct act){.kind = ACT_REPEAT, .bytes = piece, .total = total});
	script_send(s, STR("\"}"));
}

/* A fault of delivery: `after` counts bytes of the body; without it nothing at all is sent. */
static void break_script(struct script *s, const struct fault *f, size_t head_bytes)
{
	static const enum act_kind last[] = {
		[FAULT_CUT] = ACT_CLOSE, [FAULT_RESET] = ACT_RESET, [FAULT_HANG] = ACT_HANG};
	double after = field_number(f->json, "after", -1);

	if (f->kind == FAULT_CUT || f->kind == FAULT_RESET || f->kind == FAULT_HANG)
		script_break(s, after < 0 ? 0 : head_bytes + (size_t)after, last[f->kind]);
	else if (f->kind == FAULT_SLOW)
		script_slow(s, (size_t)fmax(1, field_number(f->json, "bytes", 1)),
			    field_number(f->json, "every_ms", 100));
}

void deliver(struct script *s, const struct reply *r, const struct fault *fault)
{
	size_t length = r->content_length >= 0 ? (size_t)r->content_length : body_bytes(r);
	struct str top = head(r, length);

	script_wait(s, r->delay_ms);
	if (fault && fault->kind == FAULT_HUGE) {
		script_huge(s, r, (uint64_t)field_number(fault->json, "bytes", 1e9));
		return;
	}
	if (!r->is_stream && r->piece_count == 1) {
		script_send(s, joined(r->arena, top, r->pieces[0]));
	} else {
		script_send(s, top);
		script_body(s, r);
	}
	if (r->content_length >= 0)
		script_add(s, (struct act){.kind = ACT_CLOSE});
	if (fault)
		break_script(s, fault, top.len);
}
