/* What must never be seen is not seen, in whatever form it comes, and nothing else is touched. */
#include "common/secrets.h"

#include "common/json.h"

#include "tests/unit/test.h"

#include <stdlib.h>

#define KEY "sk-Test/1234\"quote+plus"

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

TEST(a_secret_is_masked_in_every_form)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{KEY,					"--redacted--"              },
		{"key " KEY " used",                         "key --redacted-- used"     },
		{KEY KEY,				    "--redacted----redacted--"  },
		{"x" KEY,				    "x--redacted--"             },
		{"{\"key\":\"sk-Test/1234\\\"quote+plus\"}", "{\"key\":\"--redacted--\"}"},
		{"?key=sk-Test%2F1234%22quote%2Bplus&a=b",   "?key=--redacted--&a=b"     },
		{"?key=sk-Test%2f1234%22quote%2bplus",       "?key=--redacted--"         },
		{"Basic c2stVGVzdC8xMjM0InF1b3RlK3BsdXM= x", "Basic --redacted--= x"     },
		{"sk-Test/1234\"quote+plu",                  "sk-Test/1234\"quote+plu"   },
		{"sk-Tesu/1234",                             "sk-Tesu/1234"              },
		{"",					 ""			  },
		{"short",				    "short"                     },
	};

	secrets_add(STR(KEY));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_str(secrets_mask(*state, str_of(cases[i].text)), cases[i].expected);
}

TEST(a_login_is_masked_as_basic_authorization)
{
	secrets_add_login(STR("worker"), STR("hunter2hunter2"));
	assert_str(secrets_mask(*state, STR("Authorization: Basic d29ya2VyOmh1bnRlcjJodW50ZXIy")),
		   "Authorization: Basic --redacted--");
	assert_str(secrets_mask(*state, STR("password hunter2hunter2!")), "password --redacted--!");
	assert_str(secrets_mask(*state, STR("worker")), "worker");
}

TEST(the_password_of_an_url_is_masked_encoded_and_decoded)
{
	secrets_add_url(STR("rediss://user:p%40ssw0rd-long@redis.example:6379/0?x=a:b@c"));
	assert_str(secrets_mask(*state, STR("rediss://user:p%40ssw0rd-long@redis.example:6379/0")),
		   "rediss://user:--redacted--@redis.example:6379/0");
	assert_str(secrets_mask(*state, STR("AUTH user p@ssw0rd-long")), "AUTH user --redacted--");
}

TEST(an_url_without_a_password_hides_nothing)
{
	static const char *const urls[] = {"redis://localhost:6379", "https://a.example/x:y@z",
					   "redis://user@host:1", "no url at all", ""};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		secrets_add_url(str_of(urls[i]));
		assert_str(secrets_mask(*state, str_of(urls[i])), urls[i]);
	}
}

TEST(a_short_secret_is_masked_only_as_a_whole)
{
	secrets_add(STR("test"));
	assert_str(secrets_mask(*state, STR("test")), "--redacted--");
	assert_str(secrets_mask(*state, STR("the latest test")), "the latest test");
}

TEST(the_longest_of_several_secrets_wins)
{
	secrets_add(STR("abcdefgh"));
	secrets_add(STR("abcdefgh-longer"));
	assert_str(secrets_mask(*state, STR("(abcdefgh-longer)")), "(--redacted--)");
	assert_str(secrets_mask(*state, STR("(abcdefgh-long)")), "(--redacted---long)");
}

TEST(text_without_secrets_is_not_copied)
{
	struct str text = STR("nothing to see here, whatever the length of the text may be");

	secrets_add(STR(KEY));
	assert_ptr_equal(secrets_mask(*state, text).ptr, text.ptr);
}

TEST(bytes_of_any_value_are_searched_to_the_end)
{
	static const char secret[] = {0, 's', 'e', 'c', 'r', 'e', 't', '\xff', '!'};
	char text[300];
	struct str masked;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	memcpy(text + sizeof(text) - sizeof(secret), secret, sizeof(secret));
	secrets_add((struct str){secret, sizeof(secret)});
	masked = secrets_mask(*state, (struct str){text, sizeof(text)});
	assert_int_equal(masked.len, sizeof(text) - sizeof(secret) + strlen(SECRET_MASK));
	assert_memory_equal(masked.ptr + sizeof(text) - sizeof(secret), SECRET_MASK,
			    strlen(SECRET_MASK));
}

/* The leaps over the text must miss nothing, wherever the secrets stand: compared with looking at
 * every place. */
TEST(many_secrets_are_found_at_every_place)
{
	char secret[16], text[200];

	srand(1);
	for (int round = 0; round < 300; round++) {
		size_t len = 8 + (size_t)rand() % 7, at = (size_t)rand() % 100;
		struct str masked;

		for (size_t i = 0; i < len; i++)
			secret[i] = (char)('a' + rand() % 3);
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (char)('d' + rand() % 3);
		secrets_add((struct str){secret, len});
		memcpy(text + at, secret, len);
		masked = secrets_mask(*state, (struct str){text, sizeof(text)});
		assert_null(memmem(masked.ptr, masked.len, secret, len));
		assert_non_null(memmem(masked.ptr, masked.len, SECRET_MASK, strlen(SECRET_MASK)));
	}
}

TEST(a_tree_is_masked_in_depth_with_its_keys)
{
	cJSON key = {.type = cJSON_String, .valuestring = (char[]){"Bearer topsecret-1"}};
	cJSON object = {.type = cJSON_Object, .child = &key};

	secrets_add(STR("topsecret-1"));
	key.string = (char[]){"h-topsecret-1"};
	secrets_mask_json(*state, &object);
	assert_string_equal(key.valuestring, "Bearer --redacted--");
	assert_string_equal(key.string, "h---redacted--");
}

TEST(an_error_is_masked_and_stays_within_its_fields)
{
	struct error err;

	(void)state;
	secrets_add(STR("aaaaaaaa"));
	(void)fail(&err, ERR_CONNECTION, "no answer to 'aaaaaaaa' %0300d", 7);
	(void)memset(err.text + 60, 'a', 240);
	secrets_mask_error(&err);
	assert_null(strstr(err.text, "aaaaaaaa"));
	assert_true(strlen(err.text) < sizeof(err.text));
	assert_memory_equal(err.text, "no answer to '--redacted--'", 27);
}

TEST(equal_secrets_are_equal)
{
	(void)state;
	assert_true(secrets_equal(STR("token"), STR("token")));
	assert_false(secrets_equal(STR("token"), STR("tokem")));
	assert_false(secrets_equal(STR("token"), STR("token1")));
	assert_true(secrets_equal(STR(""), (struct str){NULL, 0}));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fresh, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_secret_is_masked_in_every_form),
		CASE(a_login_is_masked_as_basic_authorization),
		CASE(the_password_of_an_url_is_masked_encoded_and_decoded),
		CASE(an_url_without_a_password_hides_nothing),
		CASE(a_short_secret_is_masked_only_as_a_whole),
		CASE(the_longest_of_several_secrets_wins),
		CASE(text_without_secrets_is_not_copied),
		CASE(bytes_of_any_value_are_searched_to_the_end),
		CASE(many_secrets_are_found_at_every_place),
		CASE(a_tree_is_masked_in_depth_with_its_keys),
		CASE(an_error_is_masked_and_stays_within_its_fields),
		CASE(equal_secrets_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
