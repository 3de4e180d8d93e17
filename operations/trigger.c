/* trigger: runs another flow, once or for each of a list.
 *
 * As in Directus: an array runs the flow for each member, in the order, in groups or
 * all at once by iterationMode, and resolves with the results in the order of the array; anything
 * else runs it once. What goes wrong in a child stays there: its result is null. Ours are
 * `concurrency`, `onError`, `maxItems` and `budget`: when the runs that are over have cost that much, no
 * more are started, and it rejects with BUDGET_EXCEEDED. Those that are under way then still end. */
#include "operations/operation.h"
#include "operations/options.h"
#include "operations/spawner.h"

enum { BATCH_SIZE = 10 };

struct trigger {
	struct spawn_call spawn;
	bool is_list;
};

static task_step begin, spawned;

/* clang-format off */
static const struct option options[] = {
	{.name = "flow", .types = OPTION_TEXT, .required = true, .help = "id or exact name"},
	{.name = "payload", .types = OPTION_ANY, .help = "what becomes $trigger there"},
	{.name = "iterationMode", .types = OPTION_TEXT, .help = "parallel, serial, batch"},
	{.name = "batchSize",.types = OPTION_NUMBER, .help = "runs at a time in mode batch"},
	{.name = "concurrency", .types = OPTION_NUMBER, .help = "runs at a time in any mode"},
	{.name = "onError",.types = OPTION_TEXT, .help = "continue, stop"},
	{.name = "maxItems", .types = OPTION_NUMBER, .help = "the rest of a longer list is left"},
	{.name = "budget", .types = OPTION_OBJECT, .help = "{\"maxCostUsd\"} of all runs together"},
	{.name = NULL},
};
/* clang-format on */

static struct trigger *trigger_of(struct op_call *c)
{
	return c->state;
}

/* A number of at least 1, or what is given otherwise. */
static size_t whole(const cJSON *given, const char *name, size_t otherwise)
{
	double n = json_get_number(given, name, 0);

	return n >= 1 && n <= 1e9 ? (size_t)n : otherwise;
}

static size_t concurrency(const cJSON *given)
{
	const char *mode = json_get_text(given, "iterationMode");

	if (mode && strcmp(mode, "serial") == 0)
		return 1;
	if (mode && strcmp(mode, "batch") == 0)
		return whole(given, "concurrency", whole(given, "batchSize", BATCH_SIZE));
	return whole(given, "concurrency", 0);
}

/* Money: what can not be read is refused, not left out. */
static bool read_budget(struct op_call *c, uint64_t *nano, struct error *err)
{
	const cJSON *budget = json_get(c->options, "budget");
	double usd = json_get_number(budget, "maxCostUsd", 0);

	if (!budget || cJSON_IsNull(budget))
		return true;
	if (!(usd > 0 && usd < 1e9) || json_count(budget) != 1)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'budget': expected an object with nothing but 'maxCostUsd', a "
			    "number above 0");
	*nano = (uint64_t)(usd * 1e9);
	return true;
}

static cJSON *payload_list(struct op_call *c, const cJSON *payload)
{
	size_t max = whole(c->options, "maxItems", SIZE_MAX);
	cJSON *list = json_array(c->arena);
	const cJSON *item;

	if (!cJSON_IsArray(payload)) {
		json_push(list, payload ? json_share(c->arena, payload) : json_null(c->arena));
		return list;
	}
	json_each(item, payload) {
		if (max-- == 0)
			break;
		json_push(list, json_share(c->arena, item));
	}
	return list;
}

static enum task_next begin(struct task *t)
{
	struct op_call *c = op_of(t);
	struct trigger *own = trigger_of(c);
	const char *on_error = json_get_text(c->options, "onError");
	const cJSON *payload = NULL;
	struct error err;

	if (!c->spawner)
		return task_fail(t, ERR_UNSUPPORTED_OPERATION,
				 "a flow can only be started by a job that is in the queue, or by "
				 "`flow-worker exec`");
	if (json_get(c->options, "payload")) {
		payload = option_to_object(c->arena, json_get(c->options, "payload"), &err);
		if (!payload) {
			c->rejection = error_object(c->arena, "SyntaxError", err.text, NULL, 0);
			return task_fail_as(t, &err);
		}
	}
	if (!read_budget(c, &own->spawn.max_cost_nano, &err))
		return task_fail_as(t, &err);
	own->is_list = cJSON_IsArray(payload);
	own->spawn.step = c->step;
	own->spawn.flow = json_get_text(c->options, "flow");
	own->spawn.payloads = payload_list(c, payload);
	own->spawn.concurrency = concurrency(c->options);
	own->spawn.stop_on_error = on_error && strcmp(on_error, "stop") == 0;
	own->spawn.state = c->note;
	if (!own->spawn.flow)
		return task_fail(t, ERR_INVALID_PAYLOAD,
				 "option 'flow' is missing: the id or name of "
				 "the flow to run");
	c->spawner->start(c->spawner, &own->spawn, c->arena);
	return task_await_either(t, &own->spawn.call, spawned);
}

static enum task_next spawned(struct task *t)
{
	struct op_call *c = op_of(t);
	struct trigger *own = trigger_of(c);

	if (own->spawn.call.err.code != ERR_OK) {
		c->note = own->spawn.state;
		c->park_until_ms = own->spawn.retry_at_ms;
		return task_fail_as(t, &own->spawn.call.err);
	}
	if (own->spawn.left)
		return task_fail(
			t, ERR_BUDGET,
			"the runs of flow '%.64s' have cost %.6f USD, of %.6f that 'budget' "
			"allows: %zu of %zu were not started",
			own->spawn.flow, (double)own->spawn.cost_nano / 1e9,
			(double)own->spawn.max_cost_nano / 1e9, own->spawn.left,
			json_count(own->spawn.payloads));
	c->result =
		own->is_list ? own->spawn.results : json_share(c->arena, own->spawn.results->child);
	return task_end(t);
}

const struct operation operation_trigger = {
	.type = "trigger",
	.options = options,
	.writes = true,
	.state_size = sizeof(struct trigger),
	.first = begin,
};
