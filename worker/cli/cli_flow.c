/* flow-worker flow: flows of Directus as files: one becomes a flow in the Studio, and back.
 *
 * Operations are stored from last to first, since each names those behind it; the flow is switched on
 * with its first operation at the end, so nothing starts half a flow. */
#include "common/directus.h"
#include "common/loop.h"
#include "worker/cli/cli.h"
#include "worker/cli/cli_file.h"
#include "worker/cli/cli_table.h"
#include "worker/flow/flow.h"
#include "worker/setup.h"

#include <stdio.h>

enum { INACTIVE, NAME };

/* clang-format off */
static const struct cli_option options[] = {
	[INACTIVE] = {"inactive", NULL, "import: the flow is not switched on"},
	[NAME] = {"name", "TEXT", "import: what it is called; default: the name in the file"},
	{0},
};
/* clang-format on */

/* Of the Studio's canvas, in its own units. */
enum { FIRST_X = 19, FIRST_Y = 1, STEP_X = 18, STEP_Y = 16 };

struct flow_cli {
	struct cli *cli;
	struct setup setup;
	struct arena *arena;
};

static int failed(struct flow_cli *f, const struct error *err)
{
	return cli_failed(f->cli, err);
}

/* What stands under `data`; false: err says why. */
static bool ask(struct flow_cli *f, const struct directus_request *req, const cJSON **data,
		struct error *err)
{
	struct directus_call *c = arena_make(f->arena, struct directus_call);

	directus_start(f->setup.services.directus, c, req, f->arena);
	setup_wait(&f->setup, &c->task.call);
	*data = c->data;
	*err = c->task.call.err;
	return err->code == ERR_OK;
}

/* ---- import ---- */

struct import {
	struct flow_cli *cli;
	const char *flow_id;
	const struct flow *flow;
	const char **ids; /* by node; NULL: not stored yet */
	int rows;         /* of the canvas in use */
	struct error *err;
};

static const char *created_id(const cJSON *data)
{
	return json_get_text(data, "id");
}

/* The operations behind it are stored first; the way of failures goes into a row of its own. */
static const char *store(struct import *m, const struct flow_node *n, int column, int row)
{
	struct arena *a = m->cli->arena;
	struct directus_request req = {.method = "POST", .path = "/operations"};
	size_t at = (size_t)(n - m->flow->nodes);
	cJSON *body = json_object(a);
	const char *resolve = NULL, *reject = NULL;
	const cJSON *data;

	if (m->ids[at]) {
		(void)fail(
			m->err, ERR_INVALID_JOB,
			"operation '%.64s' is reached in two ways, which Directus does not allow: "
			"give one of them an operation of its own",
			n->key);
		return NULL;
	}
	m->ids[at] = "";
	if (n->resolve && !(resolve = store(m, n->resolve, column + 1, row)))
		return NULL;
	if (n->reject && !(reject = store(m, n->reject, column + 1, ++m->rows)))
		return NULL;
	json_set_text(a, body, "flow", m->flow_id);
	json_set_text(a, body, "key", n->key);
	json_set_text(a, body, "name", n->key);
	json_set_text(a, body, "type", n->type);
	json_set_number(a, body, "position_x", FIRST_X + STEP_X * column);
	json_set_number(a, body, "position_y", FIRST_Y + STEP_Y * row);
	json_set(a, body, "options", n->options ? json_share(a, n->options) : json_object(a));
	json_set_text(a, body, "resolve", resolve);
	json_set_text(a, body, "reject", reject);
	req.body = body;
	if (ask(m->cli, &req, &data, m->err))
		m->ids[at] = created_id(data);
	return m->err->code == ERR_OK ? m->ids[at] : NULL;
}

/* Also takes the operations that are stored already with it. */
static void remove_flow(struct import *m)
{
	struct directus_request req = {.method = "DELETE"};
	const cJSON *data;
	struct error err;

	req.path = arena_printf(m->cli->arena, "/flows/%s", m->flow_id);
	if (!ask(m->cli, &req, &data, &err))
		(void)fprintf(stderr, "flow %s was begun and could not be removed: %s\n",
			      m->flow_id, err.text);
}

static bool create_flow(struct import *m, const cJSON *file, const char *name)
{
	static const char *const taken[] = {"icon", "color", "description", "accountability"};
	struct arena *a = m->cli->arena;
	struct directus_request req = {.method = "POST", .path = "/flows"};
	cJSON *body = json_object(a);
	const cJSON *data;

	json_set_text(a, body, "name", name);
	json_set_text(a, body, "status", "inactive");
	json_set_text(a, body, "accountability", "all");
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (json_get(file, taken[i]))
			json_set(a, body, taken[i], json_share(a, json_get(file, taken[i])));
	json_set_text(a, body, "trigger", m->flow->trigger ? m->flow->trigger : "manual");
	json_set(a, body, "options",
		 m->flow->options ? json_share(a, m->flow->options) : json_object(a));
	req.body = body;
	if (!ask(m->cli, &req, &data, m->err))
		return false;
	m->flow_id = created_id(data);
	return m->flow_id ||
	       fail(m->err, ERR_INVALID_RESPONSE, "Directus did not tell the id of the new flow");
}

static bool finish_flow(struct import *m, const cJSON *file, const char *first)
{
	struct arena *a = m->cli->arena;
	struct directus_request req = {.method = "PATCH"};
	const char *status = json_get_text(file, "status");
	cJSON *body = json_object(a);
	const cJSON *data;

	if (cli_option(m->cli->cli, INACTIVE))
		status = "inactive";
	json_set_text(a, body, "operation", first);
	json_set_text(a, body, "status", status ? status : "active");
	req.path = arena_printf(a, "/flows/%s", m->flow_id);
	req.body = body;
	return ask(m->cli, &req, &data, m->err);
}

/* A flow may be named in jobs: two of one name would be a trap. */
static bool check_name(struct flow_cli *f, const char *name, struct error *err)
{
	struct directus_request req = {.method = "GET", .path = "/flows"};
	const cJSON *data, *flow;

	if (!name || !name[0])
		return fail(err, ERR_INVALID_PAYLOAD, "the flow has no name: --name TEXT");
	req.query = "fields=id,name&limit=-1";
	if (!ask(f, &req, &data, err))
		return false;
	json_each(flow, data) {
		const char *taken = json_get_text(flow, "name");

		if (taken && strcmp(taken, name) == 0)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "there is a flow '%.100s' already (%.40s): another --name, or "
				    "remove it in the Studio",
				    name, created_id(flow));
	}
	return true;
}

/* A list of operations is a flow that is started by hand. */
static cJSON *read_file(struct flow_cli *f, const char *path, struct error *err)
{
	cJSON *file = cli_file_json(f->arena, path, err), *flow;

	if (!cJSON_IsArray(file))
		return file;
	flow = json_object(f->arena);
	json_set(f->arena, flow, "operations", file);
	return flow;
}

static int import(struct flow_cli *f, const char *path)
{
	struct error err = {.code = ERR_OK};
	const cJSON *file = read_file(f, path, &err);
	const char *name = cli_option(f->cli, NAME), *first;
	struct import m = {.cli = f, .err = &err};

	if (!file)
		return failed(f, &err);
	m.flow = flow_parse(f->arena, file, FLOW_OF_JOB, &err);
	if (!m.flow)
		return failed(f, &err);
	name = name ? name : m.flow->name;
	if (!check_name(f, name, &err) || !create_flow(&m, file, name))
		return failed(f, &err);
	m.ids = arena_array(f->arena, const char *, m.flow->count + 1);
	first = m.flow->first ? store(&m, m.flow->first, 1, 0) : NULL;
	if (err.code != ERR_OK || !finish_flow(&m, file, first)) {
		remove_flow(&m);
		return failed(f, &err);
	}
	puts(m.flow_id);
	return CLI_OK;
}

/* ---- list, export ---- */

static int list(struct flow_cli *f)
{
	struct directus_request req = {.method = "GET",
				       .path = "/flows",
				       .query = "fields=id,name,status,trigger&sort=name&limit=-1"};
	struct cli_table t;
	struct error err;
	const cJSON *data, *flow;

	if (!ask(f, &req, &data, &err))
		return failed(f, &err);
	if (f->cli->json) {
		cli_print_json(f->arena, data);
		return CLI_OK;
	}
	cli_table_start(&t, f->arena, "FLOW", "NAME", "STATUS", "TRIGGER", NULL);
	json_each(flow, data)
		cli_table_row(&t, json_get_text(flow, "id"), json_get_text(flow, "name"),
			      json_get_text(flow, "status"), json_get_text(flow, "trigger"), NULL);
	cli_table_print(&t);
	return CLI_OK;
}

static void copy_members(struct arena *a, cJSON *to, const cJSON *from, const char *const *names)
{
	for (; *names; names++) {
		const cJSON *value = json_get(from, *names);

		if (value && !cJSON_IsNull(value))
			json_set(a, to, *names, json_share(a, value));
	}
}

/* What belongs to the flow, and not to this Directus; `check`, `exec` and `import` read it. */
static cJSON *flow_file(struct arena *a, const cJSON *flow)
{
	static const char *const of_flow[] = {
		"name",           "icon",    "color",   "description", "status",
		"accountability", "trigger", "options", "operation",   NULL};
	static const char *const of_operation[] = {"id",      "key",    "type", "options",
						   "resolve", "reject", NULL};
	cJSON *file = json_object(a), *operations = json_array(a), *one;
	const cJSON *operation;

	copy_members(a, file, flow, of_flow);
	json_each(operation, json_get(flow, "operations")) {
		one = json_object(a);
		copy_members(a, one, operation, of_operation);
		json_push(operations, one);
	}
	json_set(a, file, "operations", operations);
	return file;
}

static int export(struct flow_cli *f, const char *name)
{
	struct directus_request req = {
		.method = "GET", .path = "/flows", .query = "fields=*,operations.*&limit=-1"};
	const cJSON *data, *flow;
	struct error err;

	if (!ask(f, &req, &data, &err))
		return failed(f, &err);
	json_each(flow, data) {
		const char *id = json_get_text(flow, "id"), *called = json_get_text(flow, "name");
		struct str text;

		if (strcmp(id, name) != 0 && (!called || strcmp(called, name) != 0))
			continue;
		text = json_print_pretty(f->arena, flow_file(f->arena, flow));
		(void)fwrite(text.ptr, 1, text.len, stdout);
		(void)putchar('\n');
		return CLI_OK;
	}
	(void)fail(&err, ERR_FLOW_NOT_FOUND,
		   "there is no flow '%.100s' that the worker's user may read", name);
	return failed(f, &err);
}

static int do_what(struct flow_cli *f, const char *what, const char *name)
{
	struct error err;

	if (!f->setup.services.directus) {
		(void)fail(&err, ERR_NOT_CONFIGURED, "set DIRECTUS_URL and DIRECTUS_TOKEN");
		return failed(f, &err);
	}
	if (strcmp(what, "list") == 0)
		return list(f);
	if (strcmp(what, "import") == 0 && name)
		return import(f, name);
	if (strcmp(what, "export") == 0 && name)
		return export(f, name);
	return cli_wrong_use(f->cli, "flow %s: expected import FILE, export ID or list", what);
}

static int run(struct cli *cli)
{
	struct flow_cli f = {.cli = cli};
	int status;

	if (!setup_open(&f.setup, cli))
		return CLI_FAILED;
	f.arena = f.setup.arena;
	status = do_what(&f, cli_argument(cli, 0), cli_argument(cli, 1));
	setup_close(&f.setup);
	return status;
}

const struct cli_command cli_flow = {
	.name = "flow",
	.help = "flow files into Directus, and flows of Directus as files",
	.arguments = "import FILE|export ID|list",
	.arguments_min = 1,
	.arguments_max = 2,
	.options = options,
	.more = "DIRECTUS_TOKEN must be of a user who may create flows: an administrator.",
	.run = run,
};
