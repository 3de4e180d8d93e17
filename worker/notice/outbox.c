#include "worker/notice/outbox.h"

#include "common/directus.h"
#include "operations/services.h"

#include <stdlib.h>

struct sending {
	struct outbox *outbox;
	struct arena *arena;
	struct outbox_message message;
	struct call *call; /* of one of these two */
	struct http_call http;
	struct directus_call directus;
	struct http_request request;
	struct timeout over;
	struct sending *next, **link;
};

struct outbox {
	const struct services *use;
	struct sending *first;
	size_t count;
	bool is_closing;
	struct timeout closing;
};

struct outbox *outbox_new(const struct services *use)
{
	struct outbox *o = xmalloc(sizeof(*o));

	o->use = use;
	return o;
}

/* ---- one message ---- */

static void time_is_over(struct timeout *t)
{
	call_cancel(container_of(t, struct sending, over)->call, ERR_TIMEOUT);
}

static void ended(struct sending *s, const struct error *err)
{
	struct outbox *o = s->outbox;

	timeout_stop(o->use->loop, &s->over);
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	o->count--;
	s->message.sent(s->message.arg, err);
	arena_free(s->arena);
	if (o->is_closing && o->count == 0)
		loop_stop(o->use->loop);
}

static void webhook_ended(struct call *c)
{
	struct sending *s = container_of(c, struct sending, http.call);
	struct error err = c->err;

	if (err.code == ERR_OK && (s->http.status < 200 || s->http.status > 299)) {
		(void)fail(&err, ERR_INVALID_RESPONSE, "it answered status %d", s->http.status);
		err.status = s->http.status;
	}
	ended(s, &err);
}

static void directus_ended(struct call *c)
{
	struct sending *s = container_of(c, struct sending, directus.task.call);
	struct error err = c->err;

	ended(s, &err);
}

static void start_webhook(struct sending *s)
{
	static const struct http_header headers[] = {
		{"Content-Type", "application/json"},
                {NULL,           NULL              }
        };

	s->request = (struct http_request){
		.method = "POST",
		.url = s->message.url,
		.headers = headers,
		.body = json_print(s->arena, s->message.body),
		.timeout_ms = OUTBOX_TIMEOUT_MS,
		.max_reply = 1024UL * 1024,
	};
	s->http.call.done = webhook_ended;
	s->call = &s->http.call;
	http_start(s->outbox->use->http, &s->http, &s->request, s->arena);
}

static void start_directus(struct sending *s)
{
	const struct directus_request req = {
		.method = "POST",
		.path = s->message.path,
		.body = s->message.body,
		.timeout_ms = OUTBOX_TIMEOUT_MS,
	};

	s->directus.task.call.done = directus_ended;
	s->call = &s->directus.task.call;
	directus_start(s->outbox->use->directus, &s->directus, &req, s->arena);
}

bool outbox_send(struct outbox *o, struct arena *a, const struct outbox_message *m)
{
	struct sending *s = arena_make(a, struct sending);

	if (o->count >= OUTBOX_MAX || (!m->url && !o->use->directus)) {
		arena_free(a);
		return false;
	}
	s->outbox = o;
	s->arena = a;
	s->message = *m;
	s->next = o->first;
	s->link = &o->first;
	if (s->next)
		s->next->link = &s->next;
	o->first = s;
	o->count++;
	if (m->url)
		start_webhook(s);
	else
		start_directus(s);
	timeout_start(o->use->loop, &s->over, OUTBOX_TIMEOUT_MS, time_is_over);
	return true;
}

/* ---- the end ---- */

static void give_up(struct timeout *t)
{
	struct outbox *o = container_of(t, struct outbox, closing);

	for (struct sending *s = o->first; s; s = s->next)
		call_cancel(s->call, ERR_SHUTDOWN);
}

void outbox_free(struct outbox *o)
{
	if (!o)
		return;
	o->is_closing = true;
	timeout_start(o->use->loop, &o->closing, OUTBOX_LAST_MS, give_up);
	while (o->count)
		loop_run(o->use->loop);
	timeout_stop(o->use->loop, &o->closing);
	free(o);
}
