/* item-read, item-create, item-update, item-delete and notification: tests/vectors/items.json says which
 * options lead to which requests, and what comes of the answers. The answers have the form that a
 * real Directus was seen to give. */
#include "common/config.h"
#include "common/directus.h"
#include "operations/operation.h"
#include "operations/services.h"

#include "tests/unit/script.h"
#include "tests/unit/test.h"

#include <stdio.h>

struct world {
	struct loop *loop;
	struct arena *arena;
	struct http *http;
	struct script *script;
	struct directus *directus;
};

static struct loop *loop_now_running;

static void done(struct call *c)
{
	(void)c;
	loop_stop(loop_now_running);
}

static void open_world(struct world *w)
{
	loop_now_running = w->loop = loop_new();
	w->arena = arena_new();
	w->http = http_new(w->loop, &(struct http_options){.user_agent = "test"});
	w->script = script_new(w->loop, w->arena);
	w->directus = directus_new(w->http, w->loop,
				   &(struct directus_options){.url = script_url(w->script)});
}

static void close_world(struct world *w)
{
	directus_free(w->directus);
	http_free(w->http);
	script_free(w->script);
	arena_free(w->arena);
	loop_free(w->loop);
}

static void prepare_answers(struct world *w, const cJSON *row)
{
	const cJSON *exchange;

	json_each(exchange, json_get(row, "exchanges")) {
		const cJSON *body = json_get(exchange, "body");

		script_reply(w->script, (int)json_get_number(exchange, "status", 200), "",
			     body ? json_print(w->arena, body).ptr : "");
	}
}

static void run_operation(struct world *w, const cJSON *row, struct op_call *c)
{
	struct config config = {.worker_trust_permissions = json_get_bool(row, "trust", false)};
	struct services services = {
		.config = &config, .loop = w->loop, .http = w->http, .directus = w->directus};
	struct op_origin origin = {.chain_id = "chain-1", .depth = 3};
	cJSON *chain = json_object(w->arena);

	if (json_get(row, "trigger"))
		json_set(w->arena, chain, "$trigger",
			 json_share(w->arena, json_get(row, "trigger")));
	*c = (struct op_call){
		.op = operation_find(json_get_text(row, "operation")),
		.use = &services,
		.origin = &origin,
		.arena = w->arena,
		.job_id = "job-1",
		.step = "step-1",
		.attempt = 1,
		.options = json_get(row, "options"),
		.chain = chain,
		.task.call.done = done,
	};
	assert_non_null(c->op);
	operation_start(c);
	loop_run(w->loop);
	c->use = NULL;
	c->origin = NULL;
}

static void check_requests(const struct world *w, const cJSON *row)
{
	const cJSON *exchange;
	size_t i = 0;

	json_each(exchange, json_get(row, "exchanges")) {
		assert_string_equal(script_request(w->script, i),
				    json_get_text(exchange, "request"));
		assert_non_null(strstr(script_headers(w->script, i),
				       " (job job-1; chain chain-1; depth 3)\r\n"));
		i++;
	}
	assert_int_equal(script_count(w->script), i);
}

static void check_end(struct world *w, const cJSON *row, const struct op_call *c)
{
	const char *error = json_get_text(row, "error"), *text = json_get_text(row, "text");
	const cJSON *expected = json_get(row, "result");

	if (error) {
		assert_string_equal(error_name(&c->task.call.err), error);
		if (text && !strstr(c->task.call.err.text, text))
			print_error("'%s' is not in '%s'\n", text, c->task.call.err.text);
		assert_true(!text || strstr(c->task.call.err.text, text));
		return;
	}
	assert_string_equal(c->task.call.err.text, "");
	assert_string_equal(json_print(w->arena, c->result ? c->result : json_null(w->arena)).ptr,
			    json_print(w->arena, expected).ptr);
}

static cJSON *read_rows(struct arena *a)
{
	FILE *f = fopen(TESTS_DIR "/vectors/items.json", "r");
	char *bytes = arena_alloc(a, 1024 * 1024);
	struct error err = {.text = ""};
	cJSON *rows;

	assert_non_null(f);
	rows = json_parse(a, (struct str){bytes, fread(bytes, 1, 1024 * 1024, f)}, &err);
	(void)fclose(f);
	assert_string_equal(err.text, "");
	return rows;
}

TEST(options_lead_to_the_requests_and_results_of_directus)
{
	struct arena *a = arena_new();
	cJSON *rows = read_rows(a), *row;

	(void)state;
	assert_true(json_count(rows) > 90);
	json_each(row, rows) {
		struct world w = {.loop = NULL};
		struct op_call c;

		print_message("%s\n", json_get_text(row, "name"));
		open_world(&w);
		prepare_answers(&w, row);
		run_operation(&w, row, &c);
		check_requests(&w, row);
		check_end(&w, row, &c);
		close_world(&w);
	}
	arena_free(a);
}

TEST(directus_own_words_of_an_error_reach_the_chain)
{
	struct world w = {.loop = NULL};
	struct op_call c;
	struct error err;
	cJSON *row;

	(void)state;
	open_world(&w);
	row = json_parse(
		w.arena,
		STR("{\"operation\":\"item-update\",\"options\":{\"collection\":\"articles\","
		    "\"key\":1,\"payload\":{\"slug\":\"s\"}}}"),
		&err);
	script_reply(
		w.script, 400, "",
		"{\"errors\":[{\"message\":\"Value \\\"s\\\" has to be unique.\",\"extensions\":"
		"{\"field\":\"slug\",\"value\":\"s\",\"code\":\"RECORD_NOT_UNIQUE\"}}]}");
	run_operation(&w, row, &c);
	assert_string_equal(error_name(&c.task.call.err), "RECORD_NOT_UNIQUE");
	assert_int_equal(c.task.call.err.status, 400);
	assert_string_equal(json_print(w.arena, c.error_extra).ptr,
			    "{\"extensions\":{\"field\":\"slug\",\"value\":\"s\",\"code\":"
			    "\"RECORD_NOT_UNIQUE\"}}");
	close_world(&w);
}

TEST(without_directus_an_item_operation_says_what_to_set)
{
	struct world w = {.loop = NULL};
	struct op_call c;
	struct error err;

	(void)state;
	open_world(&w);
	directus_free(w.directus);
	w.directus = NULL;
	run_operation(
		&w,
		json_parse(w.arena,
			   STR("{\"operation\":\"item-read\",\"options\":{\"collection\":\"a\"}}"),
			   &err),
		&c);
	assert_int_equal(c.task.call.err.code, ERR_INVALID_PAYLOAD);
	assert_non_null(strstr(c.task.call.err.text, "DIRECTUS_URL"));
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(options_lead_to_the_requests_and_results_of_directus),
		ENTRY(directus_own_words_of_an_error_reach_the_chain),
		ENTRY(without_directus_an_item_operation_says_what_to_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
