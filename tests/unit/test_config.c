/* The table of variables: what each kind of value may look like, and what is said of a bad one. */
#include "common/config.h"

#include "common/buf.h"
#include "common/http.h"
#include "common/secrets.h"

#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

static int fresh(void **state)
{
	secrets_clear();
	*state = arena_new();
	return 0;
}

static int done(void **state)
{
	arena_free(*state);
	secrets_clear();
	return 0;
}

#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct config *load(struct arena *a, const char *const *environment,
				 struct config_report *report)
{
	const struct config_options options = {.environment = environment, .no_env_file = true};

	return config_load(a, &options, report);
}

static const struct config *load_well(struct arena *a, const char *const *environment)
{
	struct config_report report;
	const struct config *c = load(a, environment, &report);

	if (report.error_count)
		print_error("%s\n", report.errors[0]);
	assert_non_null(c);
	assert_int_equal(report.error_count, 0);
	return c;
}

TEST(defaults_are_those_of_the_documentation)
{
	const struct config *c = load_well(*state, ENVIRONMENT("PATH=/bin"));

	assert_true(c->ai_enabled);
	assert_string_equal(c->queue_prefix, "{flow-worker}:");
	assert_int_equal(c->job_max_bytes, 1024 * 1024);
	assert_int_equal(c->run_log_max_bytes, 64 * 1024);
	assert_int_equal(c->result_ttl_ms, 24 * 3600 * 1000);
	assert_int_equal(c->worker_lease_ms, 15000);
	assert_int_equal(c->worker_ambiguous_wait_ms, 30000);
	assert_int_equal(c->worker_on_ambiguous, AMBIGUOUS_RETRY);
	assert_int_equal(c->directus_concurrency, 8);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_null(c->worker_http_address);
	assert_null(c->redis);
	assert_string_equal(c->import_ip_deny_list, "0.0.0.0,169.254.169.254");
	assert_int_equal(json_count(c->flow_env), 0);
	assert_int_equal(c->provider_count, 4);
	for (size_t i = 0; i < c->provider_count; i++)
		assert_false(c->providers[i].enabled);
}

TEST(every_level_of_the_log_can_be_chosen)
{
#define X(constant, name)                                                              \
	assert_int_equal(load_well(*state, ENVIRONMENT("LOG_LEVEL=" name))->log_level, \
			 LOG_##constant);
	LOG_LEVELS(X)
#undef X
}

TEST(times_have_units)
{
	static const struct {
		const char *value;
		uint64_t ms;
	} cases[] = {
		{"WORKER_LEASE=15000",     15000  },
                {"WORKER_LEASE=2s",        2000   },
		{"WORKER_LEASE=1500ms",    1500   },
                {"WORKER_LEASE=1.5s",      1500   },
		{"WORKER_LEASE=5m",        300000 },
                {"WORKER_LEASE=1h",        3600000},
		{"WORKER_LEASE= 20 s ",    20000  },
                {"WORKER_LEASE=3 Minutes", 180000 },
		{"WORKER_LEASE=string:7s", 7000   },
                {"WORKER_LEASE=",          15000  },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(load_well(*state, ENVIRONMENT(cases[i].value))->worker_lease_ms,
				 cases[i].ms);
}

TEST(sizes_have_units)
{
	static const struct {
		const char *value;
		uint64_t bytes;
	} cases[] = {
		{"JOB_MAX_BYTES=4096",        4096   },
                {"JOB_MAX_BYTES=64kb",        65536  },
		{"JOB_MAX_BYTES=2MB",         2097152},
                {"JOB_MAX_BYTES=1.5mb",       1572864},
		{"JOB_MAX_BYTES=number:5000", 5000   },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(load_well(*state, ENVIRONMENT(cases[i].value))->job_max_bytes,
				 cases[i].bytes);
}

/* clang-format off */
static const struct {
	const char *value, *expected;
} bad_values[] = {
	{"AI_ENABLED=maybe", "AI_ENABLED is 'maybe' (environment), expected true or false"},
	{"WORKER_LEASE=15x",
	 "expected a time such as 500ms, 15s, 5m or 24h, from 1s to 1h"},
	{"WORKER_LEASE=-5s", "WORKER_LEASE is '-5s'"},
	{"WORKER_LEASE=2h", "from 1s to 1h"},
	{"WORKER_LEASE=1e3", "WORKER_LEASE is '1e3'"},
	{"WORKER_LEASE=99999999999999999999", "expected a time"},
	{"WORKER_LEASE=0x10", "expected a time"},
	{"WORKER_CONCURRENCY=0", "expected a whole number from 1 to 10000"},
	{"WORKER_CONCURRENCY=1.5", "expected a whole number"},
	{"WORKER_CONCURRENCY=5s", "expected a whole number"},
	{"JOB_MAX_BYTES=100gb",
	 "expected a size such as 4096, 64kb or 1mb, from 1kb to 64mb"},
	{"WORKER_ON_AMBIGUOUS=pay", "expected one of retry|hold|resume"},
	{"LOG_LEVEL=loud", "expected one of silent|fatal|error|warn|info|debug|trace"},
	{"DIRECTUS_URL=cms.example.com", "expected a URL such as"},
	{"DIRECTUS_URL=http://", "expected a URL such as"},
	{"DIRECTUS_URL=https://a b", "expected a URL such as"},
	{"AI_OPENAI_BASE_URL=https://a/v1?x=1", "without ? and #"},
	{"REDIS=http://localhost", "expected redis://host:port"},
	{"REDIS_PORT=65536", "expected a whole number from 1 to 65535"},
	{"WORKER_HTTP_ADDRESS=localhost", "expected host:port, :port or a port"},
	{"WORKER_HTTP_ADDRESS=localhost:99999", "expected host:port"},
	{"QUEUE_PREFIX=my queue:", "expected a name of letters"},
	{"DIRECTUS_TOKEN=two\nlines", "DIRECTUS_TOKEN is '--redacted--' (environment)"},
	{"WORKER_ON_DEAD=ftp://x/secret", "WORKER_ON_DEAD is '--redacted--'"},
	{"AI_DEFAULT_MODEL=gpt-4o", "expected provider:model"},
	{"AI_DEFAULT_MODEL=opnai:gpt-4o", "expected provider:model"},
	{"IMPORT_IP_DENY_LIST=10.0.0.0/99", "IMPORT_IP_DENY_LIST"},
	{"REDIS_PASSWORD_FILE=/no/such/file", "expected a file that can be read"},
	{"AI_LIMITS=json:{}", "expected a JSON array: json:[...]"},
	{"AI_LIMITS=json:[{", "expected JSON (line 1, column 3"},
	{"AI_LIMITS=[{\"rpm\":1}]", "expected a 'scope' in entry 1"},
	{"AI_LIMITS=[{\"scope\":\"*\"}]", "expected at least one limit"},
	{"AI_LIMITS=[{\"scope\":\"openai\",\"rpms\":1}]",
	 "'rpm' instead of 'rpms' in entry 1"},
	{"AI_LIMITS=[{\"scope\":\"openai\",\"rpm\":\"5\"}]", "expected a number as 'rpm'"},
	{"AI_LIMITS=[{\"scope\":\"openai\",\"rpm\":0}]", "a number above 0 as 'rpm'"},
	{"AI_LIMITS=[{\"scope\":\"opnai\",\"rpm\":1}]", "not 'opnai'"},
	{"AI_LIMITS=[{\"scope\":\"team:x\",\"rpm\":1}]", "not 'team:x'"},
	{"AI_LIMITS=[{\"scope\":\"*\",\"budgetUsd\":1,\"period\":\"week\"}]",
	 "one of hour|day|month|total as 'period'"},
	{"AI_MODELS=[{\"id\":\"x\"}]", "expected a 'provider' in entry 1"},
	{"AI_MODELS=[{\"provider\":\"openai\"}]", "expected an 'id' in entry 1"},
	{"AI_MODELS=[{\"provider\":\"openai\",\"id\":\"x\",\"limit\":{\"context\":\"big\"}}]",
	 "a number as 'context' of 'limit' in entry 1"},
	{"AI_OPENAI_COMPATIBLE_PRESET=olama", "expected one of generic|azure"},
	{"AI_OPENAI_AUTH=basic", "expected one of bearer|x-api-key|api-key|none"},
	{"AI_OPENAI_HEADERS=json:[{\"header\":\"a b\",\"value\":\"x\"}]",
	 "a header's name"},
	{"AI_OPENAI_HEADERS=json:{\"X-A\":\"a\\nb\"}",
	 "a text in one line as the value of 'X-A'"},
	{"AI_OPENAI_HEADERS=json:{\"X-A\":1}", "a text in one line as the value of 'X-A'"},
	{"AI_CREDENTIAL_X_PROVIDER=nobody", "expected the id of a provider"},
};
/* clang-format on */

TEST(a_bad_value_is_told_with_name_value_and_what_was_expected)
{
	for (size_t i = 0; i < ARRAY_LEN(bad_values); i++) {
		struct config_report report;

		assert_null(load(*state, ENVIRONMENT(bad_values[i].value), &report));
		assert_int_equal(report.error_count, 1);
		if (!strstr(report.errors[0], bad_values[i].expected))
			FAIL("'%s' lacks '%s'", report.errors[0], bad_values[i].expected);
	}
}

TEST(all_bad_values_are_told)
{
	struct config_report report;

	assert_null(load(*state, ENVIRONMENT("WORKER_LEASE=x", "AI_ENABLED=x", "REDIS_PORT=x"),
			 &report));
	assert_int_equal(report.error_count, 3);
}

TEST(limits_and_models_are_kept_as_json)
{
	const struct config *c = load_well(
		*state,
		ENVIRONMENT("AI_LIMITS=json:[{\"scope\":\"openai/gpt-5\",\"rpm\":500},"
			    "{\"scope\":\"flow:*\",\"budgetUsd\":0.5,\"period\":\"day\","
			    "\"onBudget\":\"fail\"},"
			    "{\"scope\":\"openai-compatible:gpu/qwen3:8b\",\"concurrency\":1}]",
			    "AI_MODELS=[{\"provider\":\"openai\",\"model\":\"x\",\"limit\":"
			    "{\"context\":1000,\"output\":100},\"cost\":{\"input\":0}}]"));

	assert_int_equal(json_count(c->ai_limits), 3);
	assert_string_equal(json_get_text(c->ai_models->child, "model"), "x");
}

TEST(allowed_models_know_unset_from_empty)
{
	const struct config *c = load_well(*state, ENVIRONMENT("AI_OPENAI_ALLOWED_MODELS= a, ,b,",
							       "AI_GOOGLE_ALLOWED_MODELS="));

	assert_true(c->providers[PROVIDER_OPENAI].allowed.set);
	assert_int_equal(c->providers[PROVIDER_OPENAI].allowed.count, 2);
	assert_string_equal(c->providers[PROVIDER_OPENAI].allowed.items[1], "b");
	assert_true(c->providers[PROVIDER_GOOGLE].allowed.set);
	assert_int_equal(c->providers[PROVIDER_GOOGLE].allowed.count, 0);
	assert_false(c->providers[PROVIDER_ANTHROPIC].allowed.set);
}

TEST(lists_come_in_three_forms)
{
	static const char *const forms[] = {"AI_OPENAI_ALLOWED_MODELS=a,b",
					    "AI_OPENAI_ALLOWED_MODELS=array:a,b",
					    "AI_OPENAI_ALLOWED_MODELS=json:[\"a\",\"b\"]"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct config *c = load_well(*state, ENVIRONMENT(forms[i]));

		assert_int_equal(c->providers[0].allowed.count, 2);
		assert_string_equal(c->providers[0].allowed.items[1], "b");
	}
}

TEST(providers_are_enabled_by_a_key_unless_told_otherwise)
{
	const struct config *c = load_well(
		*state, ENVIRONMENT("AI_OPENAI_API_KEY=sk-1", "AI_ANTHROPIC_API_KEY=sk-2",
				    "AI_ANTHROPIC_ENABLED=false", "AI_GOOGLE_ENABLED=true",
				    "AI_OPENAI_BASE_URL=https://proxy.example/v1//"));

	assert_true(c->providers[PROVIDER_OPENAI].enabled);
	assert_string_equal(c->providers[PROVIDER_OPENAI].base_url, "https://proxy.example/v1");
	assert_false(c->providers[PROVIDER_ANTHROPIC].enabled);
	assert_true(c->providers[PROVIDER_GOOGLE].enabled);
	assert_false(c->providers[PROVIDER_OPENAI_COMPATIBLE].enabled);
}

TEST(compatible_servers_may_have_names)
{
	const struct config *c = load_well(
		*state,
		ENVIRONMENT("AI_OPENAI_COMPATIBLE_BASE_URL=https://api.mistral.ai/v1",
			    "AI_OPENAI_COMPATIBLE_MODELS=mistral-small-latest,codestral-latest",
			    "AI_OPENAI_COMPATIBLE_GPU_BOX_BASE_URL=http://10.0.0.1:11434/v1",
			    "AI_OPENAI_COMPATIBLE_GPU_BOX_ALLOWED_MODELS=qwen3:8b",
			    "AI_OPENAI_COMPATIBLE_GPU_BOX_CONTEXT_SIZE=8192",
			    "AI_OPENAI_COMPATIBLE_AZ_BASE_URL=https://r.openai.azure.com/openai/v1",
			    "AI_OPENAI_COMPATIBLE_AZ_NAME=Azure in Europe"));
	const struct provider_config *gpu = config_provider(c, "openai-compatible:gpu-box");
	const struct provider_config *azure = config_provider(c, "openai-compatible:AZ");
	const char *model = NULL;

	assert_int_equal(c->provider_count, 6);
	assert_string_equal(c->providers[3].preset, "mistral");
	assert_int_equal(json_count(c->providers[3].models), 2);
	assert_non_null(gpu);
	assert_string_equal(gpu->id, "openai-compatible:gpu_box");
	assert_string_equal(gpu->preset, "ollama");
	assert_int_equal(gpu->context_size, 8192);
	assert_int_equal(gpu->allowed.count, 1);
	assert_true(gpu->enabled);
	assert_string_equal(azure->preset, "azure");
	assert_string_equal(azure->name, "Azure in Europe");
	assert_null(config_provider(c, "openai-compatible:nobody"));

	assert_ptr_equal(config_split_model(c, "openai-compatible:gpu_box:qwen3:8b", &model), gpu);
	assert_string_equal(model, "qwen3:8b");
	assert_ptr_equal(config_split_model(c, "openai-compatible:qwen3:8b", &model),
			 &c->providers[3]);
	assert_string_equal(model, "qwen3:8b");
	assert_null(config_split_model(c, "openai:", &model));
}

TEST(a_preset_has_a_server_of_its_own)
{
	const struct config *c =
		load_well(*state, ENVIRONMENT("AI_OPENAI_COMPATIBLE_ENABLED=true",
					      "AI_OPENAI_COMPATIBLE_PRESET=ollama"));

	assert_true(c->providers[3].enabled);
	assert_null(c->providers[3].base_url);
}

TEST(models_of_the_seed_are_read)
{
	const struct config *c = load_well(
		*state,
		ENVIRONMENT(
			"AI_OPENAI_COMPATIBLE_MODELS=json:[\n{\n\"id\": \"custom-model-1\",\n"
			"\"name\": \"Custom Model\",\n\"context\": 128000,\n"
			"\"output\": 4096,\n\"attachment\": true,\n\"reasoning\": false\n}\n]"));

	assert_string_equal(json_get_text(c->providers[3].models->child, "id"), "custom-model-1");
}

TEST(headers_come_as_a_list_or_as_an_object)
{
	static const char *const forms[] = {
		"AI_OPENAI_HEADERS=json:[{\"header\":\"X-Team\",\"value\":\"secret-of-team\"}]",
		"AI_OPENAI_HEADERS={\"X-Team\":\"secret-of-team\"}"};

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct config *c = load_well(*state, ENVIRONMENT(forms[i]));

		assert_string_equal(c->providers[0].headers[0].name, "X-Team");
		assert_string_equal(c->providers[0].headers[0].value, "secret-of-team");
		assert_null(c->providers[0].headers[1].name);
		assert_str(secrets_mask(*state, STR("is secret-of-team.")), "is --redacted--.");
	}
}

TEST(credentials_have_names)
{
	const struct config *c =
		load_well(*state, ENVIRONMENT("AI_CREDENTIAL_MARKETING_TEAM_API_KEY=sk-marketing",
					      "AI_CREDENTIAL_MARKETING_TEAM_PROVIDER=openai",
					      "AI_CREDENTIAL_B_API_KEY=sk-b"));
	const struct credential_config *marketing = config_credential(c, "Marketing-Team");

	assert_int_equal(c->credential_count, 2);
	assert_non_null(marketing);
	assert_string_equal(marketing->api_key, "sk-marketing");
	assert_string_equal(marketing->provider, "openai");
	assert_null(config_credential(c, "marketing"));
}

static const char *temporary(struct arena *a, const char *content)
{
	char *path = arena_strdup(a, "/tmp/test-config-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	(void)close(fd);
	return path;
}

TEST(a_secret_may_come_from_a_file)
{
	const char *path = temporary(*state, "token-of-the-worker\n");
	const struct config *c = load_well(
		*state,
		ENVIRONMENT(arena_printf(*state, "DIRECTUS_TOKEN_FILE=%s", path),
			    arena_printf(*state, "AI_OPENAI_COMPATIBLE_X_API_KEY_FILE=%s", path),
			    "AI_OPENAI_COMPATIBLE_X_BASE_URL=http://x/v1"));

	assert_string_equal(c->directus_token, "token-of-the-worker");
	assert_string_equal(config_provider(c, "openai-compatible:x")->api_key,
			    "token-of-the-worker");
	assert_str(secrets_mask(*state, STR("a token-of-the-worker")), "a --redacted--");
	(void)unlink(path);
}

TEST(a_secret_given_twice_is_refused)
{
	struct config_report report;

	assert_null(
		load(*state, ENVIRONMENT("DIRECTUS_TOKEN=a", "DIRECTUS_TOKEN_FILE=/b"), &report));
	assert_non_null(strstr(report.errors[0], "are both given"));
}

TEST(a_file_suffix_is_no_secret_file_where_the_name_has_it)
{
	const struct config *c = load_well(*state, ENVIRONMENT("REDIS_TLS_CA_FILE=/etc/ca.pem"));

	assert_string_equal(c->redis_tls_ca_file, "/etc/ca.pem");
}

TEST(every_secret_is_masked_in_what_is_shown)
{
	const struct config *c = load_well(
		*state,
		ENVIRONMENT("AI_OPENAI_API_KEY=topsecret-01", "DIRECTUS_TOKEN=topsecret-02",
			    "REDIS=redis://u:topsecret-03@h:1", "REDIS_PASSWORD=topsecret-04",
			    "WORKER_JOB_SECRET=topsecret-05-long", "WORKER_HTTP_TOKEN=topsecret-06",
			    "WORKER_ON_DEAD=https://h/topsecret-07",
			    "AI_CREDENTIAL_A_API_KEY=topsecret-08",
			    "AI_OPENAI_HEADERS={\"X-A\":\"topsecret-09\"}",
			    "DIRECTUS_URL=https://u:topsecret-10@cms.example",
			    "AI_SYSTEM_PROMPT=never say topsecret-01"));
	struct buf out;

	buf_init(&out, 1 << 20);
	config_print_table(c, &out);
	(void)buf_add_str(&out, json_print(*state, config_print_json(c, *state)));
	assert_null(strstr(buf_str(&out).ptr, "topsecret"));
	assert_non_null(strstr(buf_str(&out).ptr, "redis://u:--redacted--@h:1"));
	buf_clear(&out);
}

TEST(unknown_names_of_ours_are_warned_of_with_the_nearest)
{
	static const struct {
		const char *value, *expected;
	} cases[] = {
		{"WORKER_CONCURENCY=3",                "did you mean WORKER_CONCURRENCY?"               },
		{"QUEUE_PREFX=x",                      "did you mean QUEUE_PREFIX?"                     },
		{"AI_OPENAI_APIKEY=x",                 "did you mean AI_OPENAI_API_KEY?"                },
		{"AI_OPENAI_COMPATIBLE_GPU_BASEURL=x",
		 "did you mean AI_OPENAI_COMPATIBLE_GPU_BASE_URL?"                                      },
		{"AI_CREDENTIAL_TEAM_APIKEY=x",        "did you mean AI_CREDENTIAL_TEAM_API_KEY?"       },
		{"AI_SOMETHING_ELSE_ENTIRELY=x",       "there is no variable AI_SOMETHING_ELSE_ENTIRELY"},
	};
	struct config_report report;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_non_null(load(*state, ENVIRONMENT(cases[i].value), &report));
		assert_int_equal(report.warning_count, 1);
		if (!strstr(report.warnings[0], cases[i].expected))
			FAIL("'%s' lacks '%s'", report.warnings[0], cases[i].expected);
	}
}

TEST(names_of_directus_and_of_others_are_left_alone)
{
	struct config_report report;

	assert_non_null(
		load(*state,
		     ENVIRONMENT("AI_DEVTOOLS_ENABLED=true", "AI_TELEMETRY_PROVIDER=langfuse",
				 "LOG_LEVEL=debug", "REDIS_ENABLED=true", "HOME=/root"),
		     &report));
	assert_int_equal(report.warning_count, 0);
}

TEST(what_can_not_work_is_warned_of)
{
	static const struct {
		const char *one, *two, *expected;
	} cases[] = {
		{"AI_OPENAI_ENABLED=true",            "A=", "there is no AI_OPENAI_API_KEY"     },
		{"AI_OPENAI_COMPATIBLE_ENABLED=true", "A=", "no AI_OPENAI_COMPATIBLE_BASE_URL"  },
		{"AI_OPENAI_COMPATIBLE_X_API_KEY=k",  "A=", "no AI_OPENAI_COMPATIBLE_X_BASE_URL"},
		{"AI_DEFAULT_MODEL=openai:gpt-5",     "A=", "provider 'openai' is not enabled"  },
		{"WORKER_JOB_SECRET=short",           "A=", "it can be guessed"                 },
		{"WORKER_HTTP_TOKEN=x",               "A=", "no WORKER_HTTP_ADDRESS"            },
		{"DIRECTUS_TOKEN=x",                  "A=", "no DIRECTUS_URL"                   },
		{"AI_CREDENTIAL_X_BASE_URL=http://x", "A=", "no AI_CREDENTIAL_X_API_KEY"        },
	};
	struct config_report report;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_non_null(load(*state, ENVIRONMENT(cases[i].one, cases[i].two), &report));
		assert_int_equal(report.warning_count, 1);
		if (!strstr(report.warnings[0], cases[i].expected))
			FAIL("'%s' lacks '%s'", report.warnings[0], cases[i].expected);
	}
}

TEST(env_of_flows_has_directus_types)
{
	static const struct {
		const char *value, *json;
	} cases[] = {
		{"8080",               "8080"                 },
		{"-1.5",               "-1.5"                 },
		{"1e3",                "1000"                 },
		{"0123",               "\"0123\""             }, /* no JSON, as it begins with 0 */
		{"0",                  "0"                    },
		{"9007199254740992",   "9007199254740992"     },
		{"true",               "true"                 },
		{"TRUE",               "\"TRUE\""             },
		{"a,b",                "[\"a\",\"b\"]"        },
		{"1,,true",            "[1,true]"             },
		{"text",               "\"text\""             },
		{"",                   "\"\""                 },
		{"null",               "null"                 },
		{"{\"a\":1}",          "{\"a\":1}"            },
		{"json:{\"a\":[1,2]}", "{\"a\":[1,2]}"        },
		{"json:no json",       "\"no json\""          },
		{"string:5",           "\"5\""                },
		{"number:05",          "5"                    },
		{"number:x",           "null"                 },
		{"boolean:1",          "true"                 },
		{"boolean:yes",        "false"                },
		{"array:string:1,2",   "[\"1\",2]"            },
		{"string-array:1,2",   "[\"1\",\"2\"]"        },
		{"https://x.example",  "\"https://x.example\""},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct config *c = load_well(
			*state, ENVIRONMENT(arena_printf(*state, "MINE=%s", cases[i].value),
					    "OTHER=1", "FLOWS_ENV_ALLOW_LIST=MINE,NOT_SET"));
		const char *expected = arena_printf(*state, "{\"MINE\":%s}", cases[i].json);

		assert_str(json_print(*state, c->flow_env), expected);
	}
}

TEST(no_variable_is_given_to_flows_by_default)
{
	const struct config *c =
		load_well(*state, ENVIRONMENT("A=1", "false=1", "FLOWS_ENV_ALLOW_LIST=false"));

	assert_int_equal(json_count(c->flow_env), 0);
}

TEST(an_empty_deny_list_denies_nothing)
{
	const struct config *c = load_well(*state, ENVIRONMENT("IMPORT_IP_DENY_LIST="));

	assert_string_equal(c->import_ip_deny_list, "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(defaults_are_those_of_the_documentation),
		CASE(every_level_of_the_log_can_be_chosen),
		CASE(times_have_units),
		CASE(sizes_have_units),
		CASE(a_bad_value_is_told_with_name_value_and_what_was_expected),
		CASE(all_bad_values_are_told),
		CASE(limits_and_models_are_kept_as_json),
		CASE(allowed_models_know_unset_from_empty),
		CASE(lists_come_in_three_forms),
		CASE(providers_are_enabled_by_a_key_unless_told_otherwise),
		CASE(compatible_servers_may_have_names),
		CASE(a_preset_has_a_server_of_its_own),
		CASE(models_of_the_seed_are_read),
		CASE(headers_come_as_a_list_or_as_an_object),
		CASE(credentials_have_names),
		CASE(a_secret_may_come_from_a_file),
		CASE(a_secret_given_twice_is_refused),
		CASE(a_file_suffix_is_no_secret_file_where_the_name_has_it),
		CASE(every_secret_is_masked_in_what_is_shown),
		CASE(unknown_names_of_ours_are_warned_of_with_the_nearest),
		CASE(names_of_directus_and_of_others_are_left_alone),
		CASE(what_can_not_work_is_warned_of),
		CASE(env_of_flows_has_directus_types),
		CASE(no_variable_is_given_to_flows_by_default),
		CASE(an_empty_deny_list_denies_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
