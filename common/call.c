#include "common/call.h"

#include "common/loop.h"

#include <assert.h>

void call_begin(struct call *c, struct loop *loop, void (*cancel)(struct call *c))
{
	c->loop = loop;
	c->cancel = cancel;
	c->child = NULL;
	c->err = (struct error){.code = ERR_OK};
	c->stop = ERR_OK;
	c->ended = false;
	c->next_ready = NULL;
}

void call_end(struct call *c)
{
	assert(!c->ended);
	c->ended = true;
	loop_add_ended(c->loop, c);
}

void call_cancel(struct call *c, enum error_code why)
{
	assert(why != ERR_OK);
	if (c->stop != ERR_OK || c->ended)
		return;
	c->stop = why;
	while (c->child) { /* only the innermost call has something to cancel */
		c = c->child;
		c->stop = why;
	}
	if (!c->ended) {
		(void)fail(&c->err, why, "%s", error_code_name(why));
		c->cancel(c);
	}
}
