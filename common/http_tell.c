#include "common/http_tell.h"

enum { LAST_WORDS_MS = 1000 };

struct told {
	struct http_call call;
	struct http_request request;
	struct tells *all;
	struct arena *arena; /* it is in there itself */
	struct told *next, **link;
};

static void told(struct call *c)
{
	struct told *t = container_of(c, struct told, call.call);
	struct tells *all = t->all;

	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
	arena_free(t->arena);
	if (!all->first && all->is_closing)
		loop_stop(all->loop);
}

static const struct http_header *copy_headers(const struct http_header *from, struct arena *a)
{
	struct http_header *to;
	size_t count = 0;

	while (from && from[count].name)
		count++;
	to = arena_array(a, struct http_header, count + 1);
	for (size_t i = 0; i < count; i++) {
		to[i].name = arena_strdup(a, from[i].name);
		to[i].value = from[i].value ? arena_strdup(a, from[i].value) : NULL;
	}
	return to;
}

void tells_add(struct tells *all, const struct http_request *req)
{
	struct arena *a = arena_new();
	struct told *t = arena_make(a, struct told);

	t->all = all;
	t->arena = a;
	t->request = *req;
	t->request.method = arena_strdup(a, req->method);
	t->request.url = arena_strdup(a, req->url);
	t->request.headers = copy_headers(req->headers, a);
	t->next = all->first;
	t->link = &all->first;
	if (t->next)
		t->next->link = &t->next;
	all->first = t;
	t->call.call.done = told;
	http_start(all->http, &t->call, &t->request, a);
}

static void time_is_over(struct timeout *timeout)
{
	struct tells *all = container_of(timeout, struct tells, last_words);

	for (struct told *t = all->first; t; t = t->next)
		call_cancel(&t->call.call, ERR_SHUTDOWN);
}

void tells_finish(struct tells *all)
{
	if (!all->first)
		return;
	all->is_closing = true;
	timeout_start(all->loop, &all->last_words, LAST_WORDS_MS, time_is_over);
	loop_run(all->loop);
	timeout_stop(all->loop, &all->last_words);
}
