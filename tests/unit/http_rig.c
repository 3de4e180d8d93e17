#include "tests/unit/http_rig.h"

static struct http_rig *rig_now; /* for done(), which gets a call only */

void http_rig_open(struct http_rig *g, void (*answer)(void *arg, const struct web_request *r),
		   void *arg)
{
	g->loop = loop_new();
	g->arena = arena_new();
	g->http = http_new(g->loop, &(struct http_options){.user_agent = "flow-worker/test"});
	g->web = web_new(g->loop, answer, arg);
	g->pending = 0;
	rig_now = g;
}

void http_rig_close(struct http_rig *g)
{
	http_free(g->http);
	web_free(g->web);
	arena_free(g->arena);
	loop_free(g->loop);
}

static void done(struct call *c)
{
	(void)c;
	if (--rig_now->pending == 0)
		loop_stop(rig_now->loop);
}

void http_rig_begin(struct http_rig *g, struct http_call *c, const struct http_request *req)
{
	c->call.done = done;
	g->pending++;
	http_start(g->http, c, req, g->arena);
	assert_false(c->call.ended && c->call.err.code == ERR_OK);
}

void http_rig_exchange(struct http_rig *g, struct http_call *c, struct http_request req)
{
	if (req.url[0] == '/')
		req.url = arena_printf(g->arena, "%s%s", web_url(g->web), req.url);
	if (!req.method)
		req.method = "GET";
	*c = (struct http_call){.on_data = c->on_data};
	http_rig_begin(g, c, &req);
	loop_run(g->loop);
	assert_int_equal(g->pending, 0);
}
