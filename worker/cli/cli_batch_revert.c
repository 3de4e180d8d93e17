/* The old values of a batch are put back, where what is there now is still what the batch wrote.
 *
 * Some kept writes at a time: the items as they are now are read, all at once, then those fields are
 * written that nobody has changed since. A write that was taken back is forgotten, so a second run goes
 * on where the first one was stopped; what others have changed stays, and is told. Of two writes to one
 * field the later one is taken back first: the earlier one looks like a conflict until then, so the
 * whole is gone through again as long as something moves. */
#include "common/config.h"
#include "common/directus.h"
#include "common/loop.h"
#include "worker/cli/cli_batch.h"
#include "worker/cli/cli_file.h"

#include <stdio.h>

enum { AT_ONCE = 64, TOLD_MOST = 1000 };

struct kept {
	struct revert *owner;
	struct str name; /* in the hash */
	const char *collection, *key;
	const cJSON *before, *written;
	struct directus_call read, write;
	const cJSON *put_back; /* fields that are as the batch left them, with their old values */
	bool is_conflict, is_over;
};

struct revert {
	struct cli_queue *q;
	const char *id;
	struct arena *arena; /* of those under way */
	struct kept *kept[AT_ONCE];
	size_t count, under_way;
	uint64_t reverted, conflicts, gone, failed;
	cJSON *told; /* conflicts and failures */
};

/* ---- what is there now ---- */

static void call_over(struct revert *v, struct call *c)
{
	if (--v->under_way == 0)
		loop_stop(c->loop);
}

static void read_over(struct call *c)
{
	call_over(container_of(c, struct kept, read.task.call)->owner, c);
}

static void write_over(struct call *c)
{
	call_over(container_of(c, struct kept, write.task.call)->owner, c);
}

static void wait_all(struct revert *v)
{
	if (v->under_way)
		loop_run(v->q->setup.services.loop);
}

static void start_read(struct revert *v, struct kept *k)
{
	struct directus_request req = {.method = "GET", .is_bulk = true};
	const cJSON *field;
	const char *fields = "";
	struct error err;

	json_each(field, k->before)
		fields = arena_printf(v->arena, "%s%s%s", fields, *fields ? "," : "fields=",
				      directus_encode(v->arena, str_of(field->string)));
	if (!directus_item_path(v->arena, k->collection, k->key, &req.path, &err)) {
		k->read.task.call.err = err;
		return;
	}
	req.query = *fields ? fields : NULL;
	k->read.task.call.done = read_over;
	v->under_way++;
	directus_start(v->q->setup.services.directus, &k->read, &req, v->arena);
}

/* Changes of related items ({"create":[…]}) are not kept as a value that could be put back. */
static bool is_relation(const cJSON *written)
{
	return cJSON_IsObject(written) &&
	       (json_get(written, "create") || json_get(written, "update") ||
		json_get(written, "delete"));
}

static void compare(struct revert *v, struct kept *k)
{
	const cJSON *row = k->read.data, *field;
	cJSON *put_back = json_object(v->arena);

	if (k->read.task.call.err.code != ERR_OK)
		return;
	if (cJSON_IsArray(row))
		row = row->child;
	json_each(field, k->before) {
		const cJSON *written = json_get(k->written, field->string);
		const cJSON *now = json_get(row, field->string);

		if (now && written && !is_relation(written) && json_equal(now, written))
			json_set(v->arena, put_back, field->string, json_share(v->arena, field));
		else if (!now || !json_equal(now, field))
			k->is_conflict = true; /* as before already: nothing to do */
	}
	k->put_back = put_back->child ? put_back : NULL;
}

static void start_write(struct revert *v, struct kept *k)
{
	struct directus_request req = {
		.method = "PATCH", .body = k->put_back, .is_bulk = true, .goes_on = true};
	struct error err;

	if (!k->put_back || !directus_item_path(v->arena, k->collection, k->key, &req.path, &err))
		return;
	req.query = "fields=id";
	req.user_agent = directus_user_agent(v->arena, v->id, v->id, 0);
	k->write.task.call.done = write_over;
	v->under_way++;
	directus_start(v->q->setup.services.directus, &k->write, &req, v->arena);
}

/* ---- what became of it ---- */

static void tell(struct revert *v, const struct kept *k, const char *what, const char *why)
{
	struct arena *a = v->q->setup.arena;
	cJSON *line = json_object(a);

	if (json_count(v->told) >= TOLD_MOST)
		return;
	json_set_text(a, line, "collection", k->collection);
	json_set_text(a, line, "key", k->key);
	json_set_text(a, line, "what", what);
	json_set_text(a, line, "why", why);
	json_push(v->told, line);
}

static void judge(struct revert *v, struct kept *k)
{
	const struct error *read = &k->read.task.call.err, *write = &k->write.task.call.err;

	if (read->status == 403) {
		v->gone++;
		tell(v, k, "gone", "the item is not there any more, or may not be read");
	} else if (read->code != ERR_OK || write->code != ERR_OK) {
		v->failed++;
		tell(v, k, "failed", read->code != ERR_OK ? read->text : write->text);
	} else if (k->is_conflict) {
		v->conflicts++;
		tell(v, k, "conflict", "it has been changed since");
		v->reverted += k->put_back != NULL;
	} else {
		v->reverted++;
		k->is_over = true;
	}
}

static bool forget(struct revert *v)
{
	struct str words[2 + AT_ONCE] = {STR("HDEL"), str_of(cli_queue_key(v->q, "bu:", v->id))};
	size_t count = 2;

	for (size_t i = 0; i < v->count; i++)
		if (v->kept[i]->is_over)
			words[count++] = v->kept[i]->name;
	return count == 2 || cli_queue_command(v->q, count, words);
}

static bool revert_some(struct revert *v)
{
	bool good;

	for (size_t i = 0; i < v->count; i++)
		start_read(v, v->kept[i]);
	wait_all(v);
	for (size_t i = 0; i < v->count; i++) {
		compare(v, v->kept[i]);
		start_write(v, v->kept[i]);
	}
	wait_all(v);
	for (size_t i = 0; i < v->count; i++)
		judge(v, v->kept[i]);
	good = forget(v);
	v->count = 0;
	arena_free(v->arena);
	v->arena = arena_new();
	return good;
}

/* name: ["collection","key","step"]; text: the values before, a line feed, the values written. */
static bool take(void *arg, struct str name, struct str text)
{
	struct revert *v = arg;
	struct arena *a = v->arena;
	struct kept *k = arena_make(a, struct kept);
	const char *end = memchr(text.ptr, '\n', text.len);
	size_t first = end ? (size_t)(end - text.ptr) : 0;
	struct error err;
	const cJSON *words = json_parse(a, arena_str(a, name), &err);

	if (!end || json_count(words) != 3)
		return true;
	k->owner = v;
	k->name = arena_str(a, name);
	k->collection = words->child->valuestring;
	k->key = words->child->next->valuestring;
	k->before = json_parse_rounding(a, arena_str(a, (struct str){text.ptr, first}), &err);
	k->written = json_parse_rounding(
		a, arena_str(a, (struct str){end + 1, text.len - first - 1}), &err);
	if (!k->before || !k->written)
		return true;
	v->kept[v->count++] = k;
	return v->count < AT_ONCE || revert_some(v);
}

/* ---- the command ---- */

static int print(struct revert *v, const struct batch_state *s)
{
	struct arena *a = v->q->arena;
	cJSON *json = json_object(a);
	const cJSON *line;

	json_set_number(a, json, "reverted", (double)v->reverted);
	json_set_number(a, json, "conflicts", (double)v->conflicts);
	json_set_number(a, json, "gone", (double)v->gone);
	json_set_number(a, json, "failed", (double)v->failed);
	json_set_number(a, json, "notKept", (double)s->unkept);
	json_set(a, json, "left", v->told);
	if (v->q->cli->json) {
		cli_print_json(a, json);
	} else {
		json_each(line, v->told)
			(void)printf("%s/%s: %s: %s\n", json_get_text(line, "collection"),
				     json_get_text(line, "key"), json_get_text(line, "what"),
				     json_get_text(line, "why"));
		(void)printf("%llu writes taken back, %llu changed since, %llu gone, %llu failed, "
			     "%llu were never kept\n",
			     (unsigned long long)v->reverted, (unsigned long long)v->conflicts,
			     (unsigned long long)v->gone, (unsigned long long)v->failed,
			     (unsigned long long)s->unkept);
	}
	return v->conflicts + v->gone + v->failed + s->unkept == 0 ? CLI_OK : CLI_FAILED;
}

static bool revert_all(struct revert *v)
{
	uint64_t before;
	bool good = true;

	do {
		before = v->reverted;
		v->conflicts = v->gone = v->failed = 0;
		v->told = json_array(v->q->setup.arena);
		v->arena = arena_new();
		good = cli_batch_scan(v->q, "bu:", v->id, take, v) && revert_some(v);
		arena_free(v->arena);
	} while (good && v->conflicts && v->reverted > before);
	return good;
}

int cli_batch_revert(struct cli_queue *q, const char *id)
{
	struct revert v = {.q = q, .id = id};
	struct batch_state s;
	struct error err;

	if (!cli_batch_look(q, id, &s))
		return CLI_FAILED;
	if (!q->setup.services.directus)
		(void)fail(
			&err, ERR_NOT_CONFIGURED,
			"old values are written to Directus: set DIRECTUS_URL and DIRECTUS_TOKEN");
	else if (strcmp(s.state, "running") == 0 || strcmp(s.state, "listing") == 0 || s.active)
		(void)fail(&err, ERR_INVALID_PAYLOAD,
			   "batch '%.100s' is running: pause or cancel it first, and let its %llu "
			   "running items end",
			   id, (unsigned long long)s.active);
	else
		return revert_all(&v) ? print(&v, &s) : CLI_FAILED;
	return cli_failed(q->cli, &err);
}
