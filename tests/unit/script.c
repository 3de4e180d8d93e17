#include "tests/unit/script.h"

#include "common/arena.h"

#include <stdlib.h>

struct reply {
	int status;
	const char *headers, *body;
};

struct script {
	struct arena *arena;
	struct web *web;
	struct reply replies[SCRIPT_MAX];
	size_t reply_count, replied;
	const char *requests[SCRIPT_MAX], *headers[SCRIPT_MAX];
	size_t count;
	struct peer *held[SCRIPT_MAX];
	unsigned held_count, most;
	bool holds;
};

static void say(struct script *s, struct peer *p)
{
	const struct reply *r;

	if (s->replied == s->reply_count) {
		web_reply(p, 500, "",
			  "{\"errors\":[{\"message\":\"the test has no reply left\"}]}");
		return;
	}
	r = &s->replies[s->replied++];
	if (r->status == SCRIPT_CUT)
		web_hang_up(p);
	else if (r->status != SCRIPT_SILENT)
		web_reply(p, r->status, r->headers, r->body);
}

static void take(void *arg, const struct web_request *r)
{
	struct script *s = arg;

	if (s->count == SCRIPT_MAX)
		abort();
	s->requests[s->count] = arena_printf(s->arena, "%s %s%s%.*s", r->method, r->path,
					     r->body.len ? " " : "", STR_ARGS(r->body));
	s->headers[s->count++] = arena_strdup(s->arena, r->text);
	if (!s->holds) {
		say(s, r->peer);
		return;
	}
	s->held[s->held_count++] = r->peer;
	if (s->held_count > s->most)
		s->most = s->held_count;
}

struct script *script_new(struct loop *l, struct arena *a)
{
	struct script *s = xmalloc(sizeof(*s));

	s->arena = a;
	s->web = web_new(l, take, s);
	return s;
}

void script_free(struct script *s)
{
	web_free(s->web);
	free(s);
}

const char *script_url(const struct script *s)
{
	return web_url(s->web);
}

void script_reply(struct script *s, int status, const char *headers, const char *body)
{
	if (s->reply_count == SCRIPT_MAX)
		abort();
	s->replies[s->reply_count++] = (struct reply){status, headers, body};
}

size_t script_count(const struct script *s)
{
	return s->count;
}

const char *script_request(const struct script *s, size_t nth)
{
	return nth < s->count ? s->requests[nth] : "(no such request)";
}

const char *script_headers(const struct script *s, size_t nth)
{
	return nth < s->count ? s->headers[nth] : "(no such request)";
}

unsigned script_most_at_once(const struct script *s)
{
	return s->most;
}

void script_hold(struct script *s)
{
	s->holds = true;
}

unsigned script_held(const struct script *s)
{
	return s->held_count;
}

void script_let_go(struct script *s)
{
	struct peer *p = s->held[0];

	if (s->held_count == 0)
		abort();
	memmove(s->held, s->held + 1, --s->held_count * sizeof(struct peer *));
	say(s, p);
}
