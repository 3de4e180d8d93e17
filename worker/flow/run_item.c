#include "worker/flow/run_item.h"

#include "common/loop.h"
#include "common/secrets.h"
#include "common/utf8.h"
#include "operations/services.h"
#include "worker/flow/failure.h"
#include "worker/flow/run.h"
#include "worker/queue/queue.h"
#include "worker/queue/queue_spawner.h"

enum {
	KEPT_MAX_BYTES = 256 * 1024, /* of one write, before and after */
	KEPT_OF_BATCH_MAX = 512 * 1024 * 1024,
	MESSAGE_MAX_BYTES = 200
};

static void keep(struct undo *u, struct undo_call *c, struct arena *a);

void run_item_init(struct run_item *i, struct run *r)
{
	struct queue_spawner *via;

	*i = (struct run_item){.item = r->with.job->item, .lease = r->with.lease};
	if (!i->lease || !i->lease->batch[0] || !r->with.spawner)
		i->item = NULL;
	if (!i->item)
		return;
	via = container_of(r->with.spawner, struct queue_spawner, spawner);
	i->loop = via->loop;
	i->scripts = via->scripts;
	i->undo.collection = json_get_text(i->item, "collection");
	i->undo.key = json_get_text(i->item, "key");
	i->undo.unchanged = json_get(i->item, "unchanged");
	i->undo.keep = keep;
}

/* ---- old values ---- */

struct keeper {
	struct redis_call redis;
	struct undo_call *call;
};

static void kept(struct call *c)
{
	struct keeper *k = container_of(c, struct keeper, redis.call);

	k->call->call.err = c->err;
	call_end(&k->call->call);
}

static void cancel_keep(struct call *c)
{
	struct keeper *k = container_of(c, struct undo_call, call)->state;

	call_cancel(&k->redis.call, c->stop);
}

/* One that is too long is counted by the script as one that can not be reverted. */
static void keep(struct undo *u, struct undo_call *c, struct arena *a)
{
	struct run_item *i = container_of(u, struct run_item, undo);
	struct keeper *k = arena_make(a, struct keeper);
	cJSON *name = json_array(a);
	struct str words[5];

	json_push(name, json_text(a, c->collection));
	json_push(name, json_text(a, c->key));
	json_push(name, json_text(a, c->step));
	words[0] = str_of(i->lease->batch);
	words[1] = json_print(a, name);
	words[2] = json_print(a, c->before);
	words[3] = json_print(a, c->written);
	words[4] = words[2].len + words[3].len > KEPT_MAX_BYTES ? STR("0")
								: word_of(a, KEPT_OF_BATCH_MAX);
	k->call = c;
	c->state = k;
	call_begin(&c->call, i->loop, cancel_keep);
	k->redis.call.done = kept;
	script_start(i->scripts, &k->redis, a, SCRIPT_BATCH_KEEP, ARRAY_LEN(words), words);
}

/* Only before the run's first write: what it has written itself is no change by others. */
static bool has_written(const struct run *r)
{
	const cJSON *step;

	json_each(step, r->steps) {
		const char *type = json_get_text(step, "type");

		if (type && strcmp(type, "item-update") == 0)
			return true;
	}
	return false;
}

struct undo *run_item_undo(struct run *r)
{
	if (!r->item.item)
		return NULL;
	if (has_written(r))
		r->item.undo.unchanged = NULL;
	return &r->item.undo;
}

/* ---- questions ---- */

static bool is_ai(const char *type)
{
	return strncmp(type, "ai-", 3) == 0;
}

/* That of an earlier attempt of the job is in the step's result. */
static const char *first_question(const struct run *r)
{
	const cJSON *step;

	json_each(step, r->steps)
		if (is_ai(json_get_text(step, "type")))
			return json_get_text(json_get(step, "result"), "inputHash");
	return NULL;
}

static bool is_first_ai(const struct run *r)
{
	const cJSON *step;

	if (!json_get_bool(r->item.item, "onlyChanged", false) || !is_ai(r->node->type))
		return false;
	json_each(step, r->steps)
		if (is_ai(json_get_text(step, "type")))
			return false;
	return true;
}

void run_item_options(struct run *r, cJSON *options)
{
	const char *question = json_get_text(r->item.item, "question");

	if (question && is_first_ai(r) && !json_get(options, "skipIfHash"))
		json_set_text(r->arena, options, "skipIfHash", question);
}

void run_item_note(struct run *r)
{
	if (!is_first_ai(r) || r->failed)
		return;
	r->item.question = r->op.question;
	r->item.is_unchanged = r->op.unchanged;
}

/* ---- the record ---- */

struct str run_item_record(const struct run *r)
{
	struct arena *a = r->arena;
	const struct run_item *i = &r->item;
	const char *question = i->question ? i->question : first_question(r);
	cJSON *json;

	if (!i->item)
		return (struct str){NULL, 0};
	json = json_object(a);
	json_set_number(a, json, "ms", (double)(r->ended_ms - r->started_ms));
	json_set_number(a, json, "tokens",
			(double)(r->usage.input_tokens + r->usage.output_tokens));
	if (r->err.code != ERR_OK)
		json_set_str(a, json, "message", utf8_cut(str_of(r->err.text), MESSAGE_MAX_BYTES));
	if (i->is_unchanged)
		json_set_bool(a, json, "skipped", true);
	if (json_get_bool(i->item, "onlyChanged", false) && question) {
		json_set_text(a, json, "flow", json_get_text(i->item, "flow"));
		json_set_text(a, json, "item",
			      arena_printf(a, "%s:%s", i->undo.collection, i->undo.key));
		json_set_text(a, json, "hash", question);
	}
	secrets_mask_json(a, json);
	return json_print(a, json);
}
