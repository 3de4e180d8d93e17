/* The operations that only look at data, run on a loop: transform, throw-error, condition, sleep, log,
 * json-web-token. */
#include "tests/unit/test.h"

#include "common/loop.h"
#include "operations/operation.h"
#include "operations/services.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

struct fixture {
	struct arena *arena;
	struct loop *loop;
	struct services services;
	struct error err;
};

static int begin(void **state)
{
	static struct fixture f;

	f.arena = arena_new();
	f.loop = loop_new();
	f.services = (struct services){.loop = f.loop};
	loop_fake_clock(f.loop);
	*state = &f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	arena_free(f->arena);
	return 0;
}

static void ended(struct call *c)
{
	loop_stop(c->loop);
}

static struct op_call *run_with(struct fixture *f, const char *type, const cJSON *options,
				const cJSON *note)
{
	struct op_call *c = arena_make(f->arena, struct op_call);

	c->task.call.done = ended;
	c->op = operation_find(type);
	assert_non_null(c->op);
	c->use = &f->services;
	c->arena = f->arena;
	c->job_id = "job";
	c->step = "step";
	c->options = options;
	c->chain = json_parse(f->arena,
			      STR("{\"$last\":{\"n\":5},\"$accountability\":{\"user\":\"u\"}}"),
			      &f->err);
	c->note = note;
	operation_start(c);
	loop_run(f->loop);
	return c;
}

static struct op_call *run(struct fixture *f, const char *type, const char *options)
{
	cJSON *parsed = json_parse(f->arena, str_of(options), &f->err);

	assert_non_null(parsed);
	return run_with(f, type, parsed, NULL);
}

#define assert_result(f, c, expected)                                        \
	do {                                                                 \
		assert_int_equal((c)->task.call.err.code, ERR_OK);           \
		assert_str(json_print((f)->arena, (c)->result), (expected)); \
	} while (0)

TEST(transform_makes_a_value)
{
	struct fixture *f = *state;
	struct op_call *c;

	assert_result(f, run(f, "transform", "{\"json\":\" {\\\"a\\\":[1]} \"}"), "{\"a\":[1]}");
	assert_result(f, run(f, "transform", "{\"json\":{\"a\":\"x\"}}"), "{\"a\":\"x\"}");
	assert_result(f, run(f, "transform", "{}"), "null");
	c = run(f, "transform", "{\"json\":\"{\\\"a\\\":undefined}\"}");
	assert_string_equal(json_get_text(c->rejection, "name"), "SyntaxError");
	assert_string_equal(json_get_text(c->rejection, "message"),
			    "Unexpected token 'u', \"{\"a\":undefined}\" is not valid JSON");
}

TEST(throw_error_always_rejects)
{
	struct fixture *f = *state;
	struct op_call *c =
		run(f, "throw-error", "{\"code\":\"bad\",\"status\":\"422\",\"message\":\"mm\"}");

	assert_str(json_print(f->arena, c->rejection),
		   "{\"name\":\"DirectusError\",\"message\":\"mm\",\"code\":\"BAD\",\"status\":422,"
		   "\"extensions\":{}}");
	assert_int_equal(c->task.call.err.code, ERR_NAMED);
	assert_string_equal(c->task.call.err.name, "BAD");
	c = run(f, "throw-error", "{\"status\":\"x\"}");
	assert_str(json_print(f->arena, c->rejection),
		   "{\"name\":\"DirectusError\",\"message\":\"An unexpected error occurred.\","
		   "\"code\":\"INTERNAL_SERVER_ERROR\",\"status\":500,\"extensions\":{}}");
}

TEST(condition_rejects_with_what_does_not_fit)
{
	struct fixture *f = *state;
	struct op_call *c = run(f, "condition", "{\"filter\":{\"$last\":{\"n\":{\"_gt\":4}}}}");

	assert_int_equal(c->task.call.err.code, ERR_OK);
	assert_null(c->result);
	c = run(f, "condition", "{\"filter\":{\"$last\":{\"n\":{\"_gt\":5}}}}");
	assert_string_equal(c->task.call.err.name, "FAILED_VALIDATION");
	assert_int_equal(c->task.call.err.status, 400);
	assert_int_equal(json_count(c->rejection), 1);
	assert_int_equal(run(f, "condition", "{}")->task.call.err.code, ERR_OK);
}

TEST(a_short_sleep_waits_and_a_long_one_parks)
{
	struct fixture *f = *state;
	struct op_call *c = run(f, "sleep", "{\"milliseconds\":\"200\"}");
	uint64_t before = wall_ms();
	cJSON *note = json_object(f->arena);

	assert_int_equal(c->task.call.err.code, ERR_OK);
	assert_null(c->result);
	c = run(f, "sleep", "{\"milliseconds\":60000}");
	assert_int_equal(c->task.call.err.code, ERR_PARKED);
	assert_in_range(c->park_until_ms, before + 60000, wall_ms() + 60000);
	assert_true(json_get_number(c->note, "until", 0) == (double)c->park_until_ms);
	/* it does not begin again when it is started again */
	json_set_number(f->arena, note, "until", (double)before);
	c = run_with(f, "sleep", json_parse(f->arena, STR("{\"milliseconds\":60000}"), &f->err),
		     note);
	assert_int_equal(c->task.call.err.code, ERR_OK);
	assert_int_equal(run(f, "sleep", "{\"milliseconds\":\"abc\"}")->task.call.err.code, ERR_OK);
}

/* ---- json-web-token ---- */

static const char *sign(struct fixture *f, const char *options)
{
	struct op_call *c = run(f, "json-web-token", options);

	if (c->task.call.err.code != ERR_OK)
		FAIL("%s", c->task.call.err.text);
	return c->result->valuestring;
}

static struct op_call *verify(struct fixture *f, const char *token, const char *secret,
			      const char *options)
{
	cJSON *o = json_object(f->arena);

	json_set_text(f->arena, o, "operation", "verify");
	json_set_text(f->arena, o, "token", token);
	json_set_text(f->arena, o, "secret", secret);
	json_set_text(f->arena, o, "options", options);
	return run_with(f, "json-web-token", o, NULL);
}

static void assert_refused(struct op_call *c, const char *name, const char *message)
{
	assert_string_equal(json_get_text(c->rejection, "name"), name);
	assert_string_equal(json_get_text(c->rejection, "message"), message);
}

TEST(a_token_is_signed_as_jsonwebtoken_signs_it)
{
	struct fixture *f = *state;

	assert_string_equal(
		sign(f, "{\"operation\":\"sign\",\"payload\":\"{\\\"a\\\":1}\",\"secret\":\"k\","
			"\"options\":\"{\\\"noTimestamp\\\":true}\"}"),
		"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJhIjoxfQ."
		"HYfzqBpLbCOo950TeHdytWxg8UHtAmEQCW7ITVky6Gc");
}

TEST(a_token_is_good_only_with_its_secret_and_in_its_time)
{
	struct fixture *f = *state;
	const char *token =
		sign(f, "{\"operation\":\"sign\",\"payload\":{\"a\":1,\"iat\":1000},"
			"\"secret\":\"k\",\"options\":{\"expiresIn\":\"1h\",\"issuer\":\"me\","
			"\"algorithm\":\"HS512\"}}");
	struct op_call *c = verify(f, token, "k", "{\"clockTimestamp\":2000,\"issuer\":\"me\"}");

	assert_result(f, c, "{\"a\":1,\"iat\":1000,\"exp\":4600,\"iss\":\"me\"}");
	assert_refused(verify(f, token, "wrong", "{\"clockTimestamp\":2000}"), "JsonWebTokenError",
		       "invalid signature");
	c = verify(f, token, "k", NULL);
	assert_refused(c, "TokenExpiredError", "jwt expired");
	assert_string_equal(json_get_text(c->rejection, "expiredAt"), "1970-01-01T01:16:40.000Z");
	assert_refused(verify(f, token, "k", "{\"clockTimestamp\":2000,\"issuer\":\"you\"}"),
		       "JsonWebTokenError", "jwt issuer invalid. expected: you");
	assert_refused(verify(f, token, "k", "{\"algorithms\":[\"HS256\"]}"), "JsonWebTokenError",
		       "invalid algorithm");
	assert_refused(verify(f, "a.b", "k", NULL), "JsonWebTokenError", "jwt malformed");
	assert_refused(verify(f, "a.b.c", "k", NULL), "JsonWebTokenError", "invalid token");
	/* {"alg":"none"} */
	assert_refused(verify(f, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.", "k", NULL), "JsonWebTokenError",
		       "jwt signature is required");
	assert_refused(verify(f, "eyJhbGciOiJub25lIn0.eyJhIjoxfQ.AA", "k", NULL),
		       "JsonWebTokenError", "invalid algorithm");
}

static char *pem(struct fixture *f, EVP_PKEY *key, bool is_private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text, *bytes;
	long length;

	if (is_private)
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	else
		assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
	length = BIO_get_mem_data(bio, &bytes);
	text = arena_strndup(f->arena, bytes, (size_t)length);
	BIO_free(bio);
	return text;
}

TEST(a_public_key_is_no_secret)
{
	struct fixture *f = *state;
	EVP_PKEY *key = EVP_RSA_gen(2048);
	const char *private_pem = pem(f, key, true), *public_pem = pem(f, key, false);
	cJSON *o = json_parse(f->arena,
			      STR("{\"operation\":\"sign\",\"payload\":{\"a\":1},\"options\":{"
				  "\"algorithm\":\"RS256\",\"noTimestamp\":true}}"),
			      &f->err);
	const char *token;

	EVP_PKEY_free(key);
	json_set_text(f->arena, o, "secret", private_pem);
	token = run_with(f, "json-web-token", o, NULL)->result->valuestring;
	assert_result(f, verify(f, token, public_pem, NULL), "{\"a\":1}");
	assert_refused(verify(f, token, "k", NULL), "JsonWebTokenError", "invalid algorithm");
	/* signed with the public key as if it were a secret: whoever knows it could do so */
	json_set_text(f->arena, o, "secret", public_pem);
	json_set(f->arena, o, "options",
		 json_parse(f->arena, STR("{\"noTimestamp\":true}"), &f->err));
	token = run_with(f, "json-web-token", o, NULL)->result->valuestring;
	assert_refused(verify(f, token, public_pem, NULL), "JsonWebTokenError",
		       "invalid algorithm");
	json_set_text(f->arena, o, "secret", private_pem);
	assert_refused(run_with(f, "json-web-token", o, NULL), "Error",
		       "secretOrPrivateKey must be a symmetric key when using HS256");
}

TEST(a_token_is_decoded_without_its_secret)
{
	static const char options[] =
		"{\"operation\":\"decode\",\"token\":\"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.AA\"}";
	struct fixture *f = *state;

	assert_result(f, run(f, "json-web-token", options), "{\"a\":1}");
	assert_null(run(f, "json-web-token", "{\"operation\":\"decode\",\"token\":\"x\"}")->result);
}

TEST(what_is_missing_is_named)
{
	static const char *const rows[][2] = {
		{"{}",					  "Undefined \"Operation\" for JSON Web Token"},
		{"{\"operation\":\"sign\",\"secret\":\"k\"}",   "Undefined JSON Web Token payload"          },
		{"{\"operation\":\"sign\",\"payload\":\"{}\"}", "Undefined JSON Web Token secret"           },
		{"{\"operation\":\"verify\",\"secret\":\"k\"}", "Undefined JSON Web Token token"            },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_refused(run(f, "json-web-token", rows[i][0]), "Error", rows[i][1]);
}

TEST(a_secret_is_not_shown)
{
	struct fixture *f = *state;
	cJSON *options =
		json_parse(f->arena, STR("{\"secret\":\"hidden\",\"token\":\"t\"}"), &f->err);
	const cJSON *shown =
		operation_shown_options(f->arena, operation_find("json-web-token"), options);

	assert_str(json_print(f->arena, shown), "{\"secret\":\"--redacted--\",\"token\":\"t\"}");
	assert_string_equal(json_get_text(options, "secret"), "hidden");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(transform_makes_a_value),
		ENTRY(throw_error_always_rejects),
		ENTRY(condition_rejects_with_what_does_not_fit),
		ENTRY(a_short_sleep_waits_and_a_long_one_parks),
		ENTRY(a_token_is_signed_as_jsonwebtoken_signs_it),
		ENTRY(a_token_is_good_only_with_its_secret_and_in_its_time),
		ENTRY(a_public_key_is_no_secret),
		ENTRY(a_token_is_decoded_without_its_secret),
		ENTRY(what_is_missing_is_named),
		ENTRY(a_secret_is_not_shown),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
