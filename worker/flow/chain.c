#include "worker/flow/chain.h"

#include "common/loop.h"

#include <stdio.h>
#include <time.h>

static void set(struct chain *c, const char *key, const cJSON *value)
{
	json_set(c->arena, c->values, key,
		 value ? json_share(c->arena, value) : json_null(c->arena));
}

void chain_init(struct chain *c, struct arena *a, const struct chain_start *start)
{
	cJSON *job = json_object(a);
	const cJSON *item;

	c->arena = a;
	c->values = json_object(a);
	json_set_text(a, job, "id", start->job_id);
	json_set_number(a, job, "attempt", start->attempt);
	set(c, "$trigger", start->trigger);
	set(c, "$last", start->trigger);
	set(c, "$accountability", start->accountability);
	set(c, "$env", start->env ? start->env : json_object(a));
	json_each(item, start->data)
		set(c, item->string, item);
	chain_set_now(c);
	json_set(a, c->values, "$job", job);
}

void chain_add(struct chain *c, const char *key, const cJSON *value)
{
	set(c, "$last", value);
	set(c, key, value);
}

void chain_set_now(struct chain *c)
{
	uint64_t ms = wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm utc;
	size_t length;

	(void)gmtime_r(&seconds, &utc);
	length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	(void)snprintf(text + length, sizeof(text) - length, ".%03uZ", (unsigned)(ms % 1000));
	json_set_text(c->arena, c->values, "$now", text);
}

const cJSON *chain_last(const struct chain *c)
{
	return json_get(c->values, "$last");
}

cJSON *chain_shown(const struct chain *c)
{
	cJSON *shown = json_object(c->arena);
	const cJSON *item;

	json_each(item, c->values)
		if (strcmp(item->string, "$now") != 0 && strcmp(item->string, "$job") != 0)
			json_set(c->arena, shown, item->string, json_share(c->arena, item));
	return shown;
}
