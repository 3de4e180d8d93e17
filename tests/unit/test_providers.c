/* Every provider against its fixtures: tests/providers/<name>/<file>.json, which are data:
 *
 *	{"model", "endpoint":{…}, "question":{…}, "request":{"url","headers","body"}}   what is sent
 *	{"reply":{"status","headers","body"|"text"}, "answer":{…} | "error":{…}}        what comes back
 *	{"stream":"<bytes>", "answer":{…} | "error":{…}}                                in pieces
 *
 * A member of `answer`, `error` and `headers` that is not named is not looked at. */
#include "tests/unit/test.h"

#include "operations/models.h"
#include "operations/providers/errors.h"
#include "operations/tokens.h"

#include <dirent.h>
#include <stdio.h>

static struct arena *arena;
static struct models *models;
static const struct config config;

static cJSON *read_json(const char *path)
{
	FILE *file = fopen(path, "r");
	struct error err;
	struct buf b;
	char piece[4096];
	size_t got;
	cJSON *value;

	assert_non_null(file);
	buf_init(&b, 4 * 1024 * 1024);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		assert_true(buf_add(&b, piece, got));
	(void)fclose(file);
	value = json_parse(arena, arena_str(arena, buf_str(&b)), &err);
	buf_clear(&b);
	if (!value)
		FAIL("%s: %s", path, err.text);
	return value;
}

/* ---- questions ---- */

static struct maybe maybe_of(const cJSON *q, const char *name)
{
	return (struct maybe){json_get(q, name) != NULL, json_get_number(q, name, 0)};
}

static struct llm_part part_of(const cJSON *v)
{
	const char *kind = json_get_text(v, "image") ? "image" : "document";

	if (json_get_text(v, "text"))
		return (struct llm_part){.kind = PART_TEXT, .text = json_get_text(v, "text")};
	return (struct llm_part){.kind = *kind == 'i' ? PART_IMAGE : PART_DOCUMENT,
				 .media_type = json_get_text(v, kind),
				 .base64 = json_get_text(v, "base64"),
				 .name = json_get_text(v, "name"),
				 .detail = json_get_text(v, "detail")};
}

static void read_messages(const cJSON *list, struct llm_question *q)
{
	struct llm_message *messages = arena_array(arena, struct llm_message, json_count(list));
	const cJSON *m, *p;

	json_each(m, list) {
		struct llm_message *message = &messages[q->count++];
		struct llm_part *parts =
			arena_array(arena, struct llm_part, json_count(json_get(m, "parts")) + 1);
		bool user = strcmp(json_get_text(m, "role"), "user") == 0;

		message->role = user ? ROLE_USER : ROLE_ASSISTANT;
		message->parts = parts;
		if (json_get_text(m, "text"))
			parts[message->count++] = part_of(m);
		json_each(p, json_get(m, "parts")) {
			parts[message->count++] = part_of(p);
		}
	}
	q->messages = messages;
}

static const char *const *stop_of(const cJSON *list)
{
	const char **stop = arena_array(arena, const char *, json_count(list) + 1);
	const cJSON *item;
	size_t count = 0;

	json_each(item, list) {
		stop[count++] = item->valuestring;
	}
	return count ? stop : NULL;
}

static struct llm_question question_of(const cJSON *v, const struct model *model)
{
	struct llm_question q = {
		.model = model,
		.model_id = model->id,
		.system = json_get_text(v, "system"),
		.max_tokens = (uint32_t)json_get_number(v, "maxTokens", 1024),
		.temperature = maybe_of(v, "temperature"),
		.top_p = maybe_of(v, "topP"),
		.frequency_penalty = maybe_of(v, "frequencyPenalty"),
		.presence_penalty = maybe_of(v, "presencePenalty"),
		.stop = stop_of(json_get(v, "stop")),
		.effort = effort_find(json_get_text(v, "effort")),
		.format = json_get_bool(v, "json", false) || json_get(v, "schema") ? OUTPUT_JSON
										   : OUTPUT_TEXT,
		.schema = json_get(v, "schema"),
		.schema_strict = json_get_bool(v, "strict", false),
		.schema_name = "answer",
		.options = json_get(v, "providerOptions"),
		.call_id = "job1#step#1",
		.cache_key = json_get_text(v, "cacheKey"),
		.cache_system = json_get_bool(v, "cacheSystem", false),
		.stream = json_get_bool(v, "stream", false),
	};

	read_messages(json_get(v, "messages"), &q);
	return q;
}

static struct endpoint endpoint_of(const cJSON *v, const struct provider *p)
{
	const char *preset = json_get_text(v, "preset");
	const char *url = json_get_text(v, "url");

	return (struct endpoint){
		.id = p->name,
		.base_url = url ? url : p->default_url,
		.key = json_get(v, "key") ? json_get_text(v, "key") : "test-key",
		.preset =
			p == &provider_compatible || preset ? preset_find(preset) : &preset_openai,
		.auth = auth_find(json_get_text(v, "auth")),
		.api_version = json_get_text(v, "apiVersion"),
		.organization = json_get_text(v, "organization"),
		.project = json_get_text(v, "project"),
		.context_size = (uint64_t)json_get_number(v, "contextSize", 0),
	};
}

static void check_headers(const cJSON *wanted, const struct http_header *sent, const char *where)
{
	const cJSON *header;

	json_each(header, wanted) {
		const char *value = NULL;

		for (const struct http_header *h = sent; h->name; h++)
			if (strcmp(h->name, header->string) == 0)
				value = h->value;
		if (cJSON_IsNull(header) ? value != NULL
					 : !value || strcmp(value, header->valuestring) != 0)
			FAIL("%s: header %s is %s", where, header->string,
			     value ? value : "not sent");
	}
}

static void check_question(const struct provider *p, const cJSON *c, const char *where)
{
	const char *provider = p == &provider_openai_responses ? "openai" : p->name;
	struct provider_config pc = {.id = provider,
				     .kind = p == &provider_compatible ? PROVIDER_OPENAI_COMPATIBLE
								       : PROVIDER_OPENAI};
	const struct model *model = models_find(models, &pc, json_get_text(c, "model"), arena);
	struct llm_question q = question_of(json_get(c, "question"), model);
	struct endpoint e = endpoint_of(json_get(c, "endpoint"), p);
	const cJSON *wanted = json_get(c, "request"), *body;
	struct http_request req = {.method = NULL};
	struct error err = {.code = ERR_OK};
	bool good = p->write(&q, &e, arena, &req, &err);

	if (json_get(c, "error")) {
		assert_false(good);
		assert_string_equal(error_name(&err), json_get_text(c, "error"));
		return;
	}
	if (!good)
		FAIL("%s: %s", where, err.text);
	assert_string_equal(req.method, "POST");
	assert_string_equal(req.url, json_get_text(wanted, "url"));
	check_headers(json_get(wanted, "headers"), req.headers, where);
	body = json_parse(arena, req.body, &err);
	if (!json_equal(body, json_get(wanted, "body")))
		FAIL("%s: the body is\n%s\nand should be\n%s", where, req.body.ptr,
		     json_print(arena, json_get(wanted, "body")).ptr);
	assert_true(tokens_of_question(&q, arena).tokens > 0);
}

/* ---- replies ---- */

static void check_count(const cJSON *wanted, const char *name, uint64_t found, const char *where)
{
	if (json_get(wanted, name) && json_get_number(wanted, name, -1) != (double)found)
		FAIL("%s: %s is %llu", where, name, (unsigned long long)found);
}

static void check_text(const cJSON *wanted, const char *name, struct str found, const char *where)
{
	const cJSON *text = json_get(wanted, name);

	if (text && !str_is(found, cJSON_IsString(text) ? text->valuestring : ""))
		FAIL("%s: %s is '%.*s'", where, name, STR_ARGS(found));
}

static void check_answer(const cJSON *wanted, const struct llm_answer *answer, const char *where)
{
	const cJSON *usage = json_get(wanted, "usage");

	check_text(wanted, "text", answer->text, where);
	check_text(wanted, "reasoning", answer->reasoning, where);
	check_text(wanted, "finish", str_of(finish_name(answer->finish)), where);
	check_text(wanted, "detail", str_of(answer->detail), where);
	check_text(wanted, "model", str_of(answer->model), where);
	check_text(wanted, "requestId", str_of(answer->request_id), where);
	if (usage)
		assert_true(answer->usage.known);
	check_count(usage, "input", answer->usage.input, where);
	check_count(usage, "output", answer->usage.output, where);
	check_count(usage, "reasoning", answer->usage.reasoning, where);
	check_count(usage, "cached", answer->usage.cached, where);
	check_count(usage, "cacheWrite", answer->usage.cache_write, where);
}

static void check_error(const cJSON *wanted, const struct error *err, const char *where)
{
	check_text(wanted, "code", str_of(error_name(err)), where);
	check_text(wanted, "detail", str_of(err->detail), where);
	check_count(wanted, "retryAfterMs", err->retry_after_ms, where);
	check_count(wanted, "status", (uint64_t)err->status, where);
	if (json_get_text(wanted, "says") && !strstr(err->text, json_get_text(wanted, "says")))
		FAIL("%s: the text is '%s'", where, err->text);
	if (json_get_text(wanted, "hides") && strstr(err->text, json_get_text(wanted, "hides")))
		FAIL("%s: the text is '%s'", where, err->text);
}

static void check_outcome(const cJSON *c, bool good, const struct llm_answer *answer,
			  const struct error *err, const char *where)
{
	if (good != (json_get(c, "error") == NULL))
		FAIL("%s: %s", where, good ? "is an answer" : err->text);
	if (good)
		check_answer(json_get(c, "answer"), answer, where);
	else
		check_error(json_get(c, "error"), err, where);
}

static void check_reply(const struct provider *p, const cJSON *c, const char *where)
{
	const cJSON *reply = json_get(c, "reply"), *header;
	struct http_header headers[16];
	struct llm_reply r = {.status = (int)json_get_number(reply, "status", 200),
			      .headers = headers,
			      .now_ms = 1795168200000}; /* 2026-11-20T10:10:00Z minus 1200 s */
	struct error err = {.code = ERR_OK};
	struct llm_answer answer;
	bool good;

	json_each(header, json_get(reply, "headers")) {
		headers[r.header_count++] =
			(struct http_header){header->string, header->valuestring};
	}
	r.body = json_get_text(reply, "text") ? str_of(json_get_text(reply, "text"))
					      : json_print(arena, json_get(reply, "body"));
	good = provider_read(p, &r, arena, &answer, &err);
	check_outcome(c, good, &answer, &err, where);
}

static void feed(struct llm_stream *s, struct str bytes, size_t step)
{
	for (size_t at = 0; at < bytes.len; at += step)
		stream_feed(s, (struct str){bytes.ptr + at, size_min(step, bytes.len - at)});
}

/* In pieces of any size it is the same; and cut off anywhere it crashes nobody. */
static void check_stream(const struct provider *p, const cJSON *c, const char *where)
{
	struct str bytes = str_of(json_get_text(c, "stream"));
	static const size_t steps[] = {1, 7, 100000};
	struct error err;
	struct llm_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct llm_stream *s = arena_make(arena, struct llm_stream);
		bool good;

		err = (struct error){.code = ERR_OK};
		stream_init(s, p, arena);
		feed(s, bytes, steps[i]);
		good = stream_end(s, &answer, &err);
		check_outcome(c, good, &answer, &err, where);
	}
	for (size_t cut = 0; cut < bytes.len / 2 && !json_get(c, "error"); cut += 11) {
		struct llm_stream *s = arena_make(arena, struct llm_stream);

		stream_init(s, p, arena);
		feed(s, (struct str){bytes.ptr, cut}, 64);
		assert_false(stream_end(s, &answer, &err));
	}
}

/* ---- all of them ---- */

static void check_file(const struct provider *p, const char *path)
{
	const cJSON *list = read_json(path), *c;
	size_t i = 0;

	assert_true(cJSON_IsArray(list) && list->child);
	json_each(c, list) {
		const char *what = json_get_text(c, "what");
		const char *where = arena_printf(arena, "%s[%zu] %s", path, i++, what ? what : "");

		if (json_get(c, "question"))
			check_question(p, c, where);
		else if (json_get(c, "reply"))
			check_reply(p, c, where);
		else if (json_get_text(c, "stream"))
			check_stream(p, c, where);
		else
			FAIL("%s is no fixture", where);
	}
}

static void check_folder(const struct provider *p)
{
	char path[1024];
	struct dirent *entry;
	size_t files = 0;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "%s/providers/%s", TESTS_DIR, p->name);
	dir = opendir(path);
	if (!dir)
		FAIL("provider '%s' has no fixtures in %s", p->name, path);
	while ((entry = readdir(dir)) != NULL) {
		if (!strstr(entry->d_name, ".json"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/providers/%s/%s", TESTS_DIR, p->name,
			       entry->d_name);
		check_file(p, path);
		files++;
	}
	(void)closedir(dir);
	assert_true(files > 0);
}

TEST(every_provider_agrees_with_its_fixtures)
{
	size_t count;
	const struct provider *const *table = provider_table(&count);

	(void)state;
	for (size_t i = 0; i < count; i++)
		check_folder(table[i]);
}

static int setup(void **state)
{
	struct error err;

	(void)state;
	arena = arena_new();
	models = models_new(&config, &err);
	return models ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	models_free(models);
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(every_provider_agrees_with_its_fixtures),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
