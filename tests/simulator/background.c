/* Answers in the background, as OpenAI's Responses makes them: a POST with "background":true gets a name at
 * once, GET /responses/<name> tells how far it is, POST /responses/<name>/cancel stops it. */
#include "simulator.h"

#include <stdlib.h>

enum { KEPT_MAX = 10000 };

struct kept {
	uint64_t number;
	double ready_at;
	bool is_stopped;
	char *before, *after; /* the body while it is being made, and then */
};

static struct kept kept[KEPT_MAX]; /* by number, the newest */

void background_keep(uint64_t number, double ready_at, const char *before, const char *after)
{
	struct kept *k = &kept[number % KEPT_MAX];

	free(k->before);
	free(k->after);
	*k = (struct kept){number, ready_at, false, xstrdup(before), xstrdup(after)};
}

static struct kept *find(const char *path, bool *is_stop)
{
	const char *id = strstr(path, "/responses/resp_sim_");
	char *end;
	uint64_t number;

	if (!id)
		return NULL;
	number = strtoull(id + strlen("/responses/resp_sim_"), &end, 10);
	*is_stop = strcmp(end, "/cancel") == 0;
	return kept[number % KEPT_MAX].number == number && (!*end || *is_stop)
		       ? &kept[number % KEPT_MAX]
		       : NULL;
}

bool background_handle(struct exchange *x, struct reply *reply)
{
	struct buf *out = buf_in(x->arena);
	bool is_stop = false;
	struct kept *k = find(x->request.path, &is_stop);
	bool is_ready = k && now_ms() >= k->ready_at;

	if (!k || is_stop != (strcmp(x->request.method, "POST") == 0))
		return false;
	k->is_stopped = k->is_stopped || (is_stop && !is_ready);
	if (k->is_stopped)
		buf_printf(out,
			   "{\"id\":\"resp_sim_%llu\",\"object\":\"response\",\"status\":"
			   "\"cancelled\",\"error\":null,\"output\":[],\"usage\":null}",
			   (unsigned long long)k->number);
	else
		buf_add_text(out, is_ready ? k->after : k->before);
	reply_json(reply, 200, out);
	return true;
}

size_t background_stopped(void)
{
	size_t count = 0;

	for (size_t i = 0; i < KEPT_MAX; i++)
		count += kept[i].is_stopped;
	return count;
}

void background_forget(void)
{
	for (size_t i = 0; i < KEPT_MAX; i++) {
		free(kept[i].before);
		free(kept[i].after);
		kept[i] = (struct kept){0};
	}
}
