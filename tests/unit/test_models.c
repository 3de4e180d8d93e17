#include "tests/unit/test.h"

#include "operations/models.h"

#include <math.h>

static struct arena *arena;

static struct provider_config providers[] = {
	{.id = "openai",            .kind = PROVIDER_OPENAI,            .enabled = true},
	{.id = "anthropic",         .kind = PROVIDER_ANTHROPIC,         .enabled = true},
	{.id = "google",            .kind = PROVIDER_GOOGLE,            .enabled = true},
	{.id = "openai-compatible", .kind = PROVIDER_OPENAI_COMPATIBLE, .enabled = true},
};
enum { OPENAI, ANTHROPIC, GOOGLE, OLLAMA };

static struct models *models_with(const char *ai_models)
{
	struct config *config = arena_make(arena, struct config);
	struct error err;
	struct models *m;

	config->providers = providers;
	config->provider_count = ARRAY_LEN(providers);
	if (ai_models)
		config->ai_models = json_parse(arena, str_of(ai_models), &err);
	m = models_new(config, &err);
	if (!m)
		print_message("%s\n", err.text);
	return m;
}

static const struct model *find(struct models *m, int provider, const char *id)
{
	return models_find(m, &providers[provider], id, arena);
}

static void assert_good(const struct model *m)
{
	assert_true(m->listed);
	assert_true(m->output > 0 && m->context >= m->output);
	if (m->price_known)
		assert_true(m->price_cached <= m->price_input);
}

TEST(the_table_is_good_and_every_entry_has_its_limits)
{
	struct models *m = models_with(NULL);
	size_t count = 0;

	(void)state;
	assert_non_null(m);
	for (size_t i = 0; i <= GOOGLE; i++) {
		const struct model *const *list = models_list(m, &providers[i], arena);

		for (; *list; list++, count++)
			assert_good(*list);
	}
	assert_true(count >= 45);
	models_free(m);
}

TEST(a_dated_id_has_the_entry_of_the_one_without)
{
	struct models *m = models_with(NULL);
	const struct model *dated = find(m, ANTHROPIC, "claude-opus-4-5-20251101");

	(void)state;
	assert_true(dated->listed);
	assert_int_equal(dated->output, 64000);
	assert_int_equal(dated->price_input, 5000000);
	assert_string_equal(dated->id, "claude-opus-4-5-20251101");
	assert_true(find(m, OPENAI, "gpt-4.1-2025-04-14")->listed);
	assert_false(find(m, OPENAI, "gpt-4.1-2025-04")->listed);
	models_free(m);
}

TEST(an_id_in_no_table_has_the_defaults_and_its_family_s_rules)
{
	struct models *m = models_with(NULL);
	const struct model *unknown = find(m, OPENAI, "some-model");
	const struct model *family = find(m, OPENAI, "gpt-5.4-xyz");

	(void)state;
	assert_false(unknown->listed || unknown->price_known || unknown->attachment);
	assert_int_equal(unknown->context, 128000);
	assert_int_equal(unknown->output, 16000);
	assert_int_equal(unknown->sampling, SAMPLING_NEVER);
	assert_int_equal(unknown->efforts, 0);
	assert_int_equal(family->sampling, SAMPLING_WITHOUT_REASONING);
	assert_true(find(m, OPENAI, "gpt-5-pro")->responses);
	assert_true(find(m, OPENAI, "gpt-5.1-codex-max")->responses);
	assert_false(find(m, OPENAI, "gpt-5.1")->responses);
	models_free(m);
}

TEST(ai_models_overrides_adds_and_names_a_base)
{
	struct models *m = models_with(
		"[{\"provider\":\"openai\",\"model\":\"gpt-4.1\",\"limit\":{\"context\":5000}},"
		"{\"provider\":\"openai-compatible\",\"model\":\"dep\",\"base\":\"gpt-5\"},"
		"{\"provider\":\"openai\",\"id\":\"mine\",\"context\":9000,\"output\":700,"
		"\"cost\":{\"input\":0.5,\"output\":1},\"providerOptions\":{\"seed\":1}}]");
	const struct model *changed = find(m, OPENAI, "gpt-4.1");
	const struct model *dep = find(m, OLLAMA, "dep");
	const struct model *mine = find(m, OPENAI, "mine");

	(void)state;
	assert_int_equal(changed->context, 5000);
	assert_int_equal(changed->price_input, 2000000);
	assert_int_equal(dep->sampling, SAMPLING_NEVER);
	assert_int_equal(dep->price_output, 10000000);
	assert_int_equal(mine->context, 9000);
	assert_int_equal(mine->price_cached, 500000);
	assert_non_null(json_get(mine->options, "seed"));
	models_free(m);
}

TEST(a_bad_ai_models_says_where)
{
	struct config config = {.providers = providers};
	struct error err;

	(void)state;
	config.ai_models = json_parse(
		arena, STR("[{\"provider\":\"openai\",\"model\":\"x\"},{\"model\":\"y\"}]"), &err);
	assert_null(models_new(&config, &err));
	assert_int_equal(err.code, ERR_CONFIG);
	assert_non_null(strstr(err.text, "AI_MODELS[1]"));
}

TEST(a_local_server_is_free_and_its_window_is_its_own)
{
	struct models *m = models_with(NULL);
	const struct model *local = find(m, OLLAMA, "qwen3:8b");

	(void)state;
	assert_true(local->price_known);
	assert_int_equal(local->price_input, 0);
	assert_int_equal(local->context, 4096);
	models_free(m);
}

TEST(a_local_server_is_asked_one_thing_at_a_time_unless_told_otherwise)
{
	struct config config = {.providers = providers, .provider_count = ARRAY_LEN(providers)};
	struct error err;

	(void)state;
	assert_string_equal(json_print(arena, models_limits(&config, arena)).ptr,
			    "[{\"scope\":\"openai-compatible\",\"concurrency\":1}]");
	config.ai_limits = json_parse(
		arena, STR("[{\"scope\":\"openai-compatible\",\"concurrency\":4}]"), &err);
	assert_true(json_equal(models_limits(&config, arena), config.ai_limits));
}

TEST(only_what_is_allowed_may_be_used)
{
	static const char *const items[] = {"gpt-5", "mine"};
	struct models *m = models_with(NULL);
	struct provider_config p = providers[OPENAI];
	struct error err;

	(void)state;
	assert_true(models_allowed(m, &p, models_find(m, &p, "gpt-4.1", arena), arena, &err));
	assert_false(models_allowed(m, &p, models_find(m, &p, "mine", arena), arena, &err));
	p.allowed = (struct config_list){true, 2, items};
	assert_false(models_allowed(m, &p, models_find(m, &p, "gpt-4.1", arena), arena, &err));
	assert_true(models_allowed(m, &p, models_find(m, &p, "mine", arena), arena, &err));
	p.allowed.count = 0;
	assert_false(models_allowed(m, &p, models_find(m, &p, "gpt-5", arena), arena, &err));
	assert_int_equal(err.code, ERR_MODEL_NOT_ALLOWED);
	assert_true(
		models_allowed(m, &providers[OLLAMA], find(m, OLLAMA, "anything"), arena, &err));
	models_free(m);
}

TEST(settings_of_directus_count_where_no_variable_does)
{
	struct models *m = models_with(NULL);
	const struct provider_config *local = &providers[OLLAMA];
	struct error err;
	const cJSON *settings = json_parse(
		arena,
		STR("{\"ai_openai_allowed_models\":[\"gpt-5\",\"mine\"],"
		    "\"ai_anthropic_allowed_models\":[],\"ai_google_allowed_models\":null,"
		    "\"ai_openai_compatible_models\":[{\"id\":\"qwen\",\"context\":32000}]}"),
		&err);

	(void)state;
	models_import(m, settings);
	assert_true(models_allowed(m, &providers[OPENAI], find(m, OPENAI, "mine"), arena, &err));
	assert_false(
		models_allowed(m, &providers[OPENAI], find(m, OPENAI, "gpt-4.1"), arena, &err));
	assert_false(models_allowed(m, &providers[ANTHROPIC],
				    find(m, ANTHROPIC, "claude-sonnet-4-6"), arena, &err));
	assert_true(models_allowed(m, &providers[GOOGLE], find(m, GOOGLE, "gemini-2.5-pro"), arena,
				   &err));
	assert_true(models_allowed(m, local, find(m, OLLAMA, "qwen"), arena, &err));
	assert_int_equal(find(m, OLLAMA, "qwen")->context, 32000);
	assert_false(models_allowed(m, local, find(m, OLLAMA, "other"), arena, &err));
	models_free(m);
}

TEST(a_model_alone_names_its_provider_if_only_one_has_it)
{
	struct models *m = models_with("[{\"provider\":\"openai\",\"model\":\"twice\"},"
				       "{\"provider\":\"google\",\"model\":\"twice\"}]");

	(void)state;
	assert_ptr_equal(models_provider(m, "claude-sonnet-4-6"), &providers[ANTHROPIC]);
	assert_null(models_provider(m, "nobodys"));
	assert_null(models_provider(m, "twice"));
	models_free(m);
}

TEST(the_effort_is_the_nearest_that_the_model_takes)
{
	struct models *m = models_with(NULL);
	const struct model *gpt5 = find(m, OPENAI, "gpt-5"), *gpt51 = find(m, OPENAI, "gpt-5.1");
	const struct model *claude = find(m, ANTHROPIC, "claude-sonnet-5-5");

	(void)state;
	assert_int_equal(model_effort(gpt5, false, EFFORT_UNSET), EFFORT_MINIMAL);
	assert_int_equal(model_effort(gpt51, false, EFFORT_UNSET), EFFORT_NONE);
	assert_int_equal(model_effort(gpt51, true, EFFORT_UNSET), EFFORT_MEDIUM);
	assert_int_equal(model_effort(gpt51, true, EFFORT_MAX), EFFORT_HIGH);
	assert_int_equal(model_effort(claude, false, EFFORT_UNSET), EFFORT_LOW);
	assert_int_equal(model_effort(find(m, OPENAI, "gpt-4.1"), false, EFFORT_UNSET),
			 EFFORT_UNSET);
	assert_int_equal(model_effort(find(m, OPENAI, "gpt-5.2-pro"), true, EFFORT_HIGH),
			 EFFORT_UNSET);
	models_free(m);
}

TEST(cost_is_whole_nano_dollars)
{
	struct models *m = models_with(NULL);
	const struct llm_usage e1 = {.known = true, .input = 94, .output = 17};
	const struct llm_usage cached = {
		.known = true, .input = 1000, .cached = 400, .cache_write = 100, .output = 10};
	const struct llm_usage none = {.known = false};
	struct cost cost = model_cost(find(m, OPENAI, "gpt-4.1"), &e1);

	(void)state;
	assert_int_equal(cost.input_nano + cost.output_nano, 324000);
	cost = model_cost(find(m, ANTHROPIC, "claude-sonnet-4-6"), &cached);
	assert_int_equal(cost.input_nano, 500 * 3000 + 400 * 300 + 100 * 3750);
	assert_false(model_cost(find(m, OPENAI, "gpt-4.1"), &none).known);
	assert_false(model_cost(find(m, OPENAI, "unheard-of"), &e1).known);
	models_free(m);
}

TEST(a_model_is_retired_from_its_day_on)
{
	struct models *m = models_with(NULL);
	const struct model *model = find(m, OPENAI, "gpt-4.1");
	char today[11];

	(void)state;
	model_today(1795168200000, today);
	assert_string_equal(today, "2026-11-20");
	assert_false(model_is_retired(model, "2027-01-13"));
	assert_true(model_is_retired(model, "2027-01-14"));
	assert_false(model_is_retired(find(m, OPENAI, "gpt-5.5"), "2099-01-01"));
	models_free(m);
}

TEST(estimates_learn_from_what_it_really_was)
{
	struct models *m = models_with(NULL);

	(void)state;
	assert_true(models_factor(m, "openai", "gpt-5") == 1.0);
	for (int i = 0; i < 50; i++)
		models_learn(m, "openai", "gpt-5",
			     (uint64_t)(1000 * models_factor(m, "openai", "gpt-5")), 1300);
	assert_true(fabs(models_factor(m, "openai", "gpt-5") - 1.3) < 0.02);
	models_learn(m, "openai", "gpt-5", 10, 1000); /* too short to say anything */
	assert_true(fabs(models_factor(m, "openai", "gpt-5") - 1.3) < 0.02);
	models_set_factor(m, "openai", "gpt-5", 100);
	assert_true(models_factor(m, "openai", "gpt-5") == 5.0);
	models_free(m);
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	providers[OLLAMA].preset = "ollama";
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(the_table_is_good_and_every_entry_has_its_limits),
		ENTRY(a_dated_id_has_the_entry_of_the_one_without),
		ENTRY(an_id_in_no_table_has_the_defaults_and_its_family_s_rules),
		ENTRY(ai_models_overrides_adds_and_names_a_base),
		ENTRY(a_bad_ai_models_says_where),
		ENTRY(a_local_server_is_free_and_its_window_is_its_own),
		ENTRY(a_local_server_is_asked_one_thing_at_a_time_unless_told_otherwise),
		ENTRY(only_what_is_allowed_may_be_used),
		ENTRY(settings_of_directus_count_where_no_variable_does),
		ENTRY(a_model_alone_names_its_provider_if_only_one_has_it),
		ENTRY(the_effort_is_the_nearest_that_the_model_takes),
		ENTRY(cost_is_whole_nano_dollars),
		ENTRY(a_model_is_retired_from_its_day_on),
		ENTRY(estimates_learn_from_what_it_really_was),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
