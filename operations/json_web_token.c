/* json-web-token: signs, verifies and decodes JSON web tokens, with the rules and the errors of the
 * package that Directus uses for it, jsonwebtoken. */
#include "common/buf.h"
#include "common/loop.h"
#include "operations/duration.h"
#include "operations/jws.h"
#include "operations/operation.h"
#include "operations/options.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static task_step begin;

static const struct option options[] = {
	{.name = "operation",                       .types = OPTION_ANY, .help = "sign, verify or decode"},
	{.name = "payload",         .types = OPTION_ANY, .help = "sign: what goes into the token"},
	{.name = "token",                         .types = OPTION_ANY, .help = "verify, decode: the token"},
	{.name = "secret",
	 .types = OPTION_ANY,
	 .help = "a secret, or a key as PEM",
	 .is_secret = true},
	{.name = "options",                           .types = OPTION_ANY, .help = "algorithm, expiresIn, issuer and so on"},
	{.name = NULL     },
};

struct work {
	struct op_call *c;
	const cJSON *options; /* an object, or null */
	struct error err;
};

/* ---- errors ---- */

static bool is_called(struct error *err, const char *name)
{
	(void)snprintf(err->name, sizeof(err->name), "%s", name);
	return false;
}

#define plain_error(w, ...) \
	((void)fail(&(w)->err, ERR_NAMED, __VA_ARGS__), is_called(&(w)->err, "Error"))
#define token_error(w, ...) \
	((void)fail(&(w)->err, ERR_NAMED, __VA_ARGS__), is_called(&(w)->err, "JsonWebTokenError"))

static bool expired(struct work *w, const char *text, double at)
{
	struct op_call *c = w->c;
	time_t seconds = (time_t)at;
	struct tm tm;
	char date[40] = "";

	if (fabs(at) < 1e11 && gmtime_r(&seconds, &tm))
		(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
	c->rejection = error_object(c->arena, "TokenExpiredError", text, NULL, 0);
	json_set_text(c->arena, c->rejection, "expiredAt", date);
	(void)fail(&w->err, ERR_NAMED, "%s", text);
	return is_called(&w->err, "TokenExpiredError");
}

static double now_seconds(void)
{
	return floor((double)wall_ms() / 1000);
}

/* Seconds from `from` on: a number counts seconds, a text is "1h", or milliseconds. */
static bool time_span(const cJSON *span, double from, double *at)
{
	struct duration d;

	if (cJSON_IsNumber(span)) {
		*at = from + span->valuedouble;
		return true;
	}
	if (!cJSON_IsString(span) || !duration_parse(str_of(span->valuestring), &d))
		return false;
	*at = floor(from + duration_ms(d) / 1000);
	return true;
}

/* ---- sign ---- */

static bool add_time(struct work *w, cJSON *payload, const char *option, const char *claim)
{
	const cJSON *span = json_get(w->options, option);
	double from = json_get_number(payload, "iat", 0), at;

	if (!span)
		return true;
	if (json_get(payload, claim))
		return plain_error(
			w, "Bad \"options.%s\" option the payload already has an \"%s\" property.",
			option, claim);
	if (!time_span(span, from > 0 ? from : now_seconds(), &at))
		return plain_error(w,
				   "\"%s\" should be a number of seconds or string representing a "
				   "timespan eg: \"1d\", \"20h\", 60",
				   option);
	json_set_number(w->c->arena, payload, claim, at);
	return true;
}

static bool add_claims(struct work *w, cJSON *payload)
{
	static const struct {
		const char *option, *claim;
	} names[] = {
		{"audience", "aud"},
                {"issuer",   "iss"},
                {"subject",  "sub"},
                {"jwtid",    "jti"}
        };
	struct arena *a = w->c->arena;
	double issued = json_get_number(payload, "iat", 0);

	/* the times count from iat, also where that is taken out */
	if (issued <= 0)
		issued = now_seconds();
	json_set_number(a, payload, "iat", issued);
	if (!add_time(w, payload, "notBefore", "nbf") || !add_time(w, payload, "expiresIn", "exp"))
		return false;
	if (json_get_bool(w->options, "noTimestamp", false))
		json_remove(payload, "iat");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const cJSON *value = json_get(w->options, names[i].option);

		if (value && json_get(payload, names[i].claim))
			return plain_error(w,
					   "Bad \"options.%s\" option. The payload already has an "
					   "\"%s\" property.",
					   names[i].option, names[i].claim);
		if (value)
			json_set(a, payload, names[i].claim, json_share(a, value));
	}
	return true;
}

static cJSON *make_header(struct work *w, const char *algorithm)
{
	struct arena *a = w->c->arena;
	cJSON *header = json_object(a);
	const cJSON *item;

	json_set_text(a, header, "alg", algorithm);
	json_set_text(a, header, "typ", "JWT");
	if (json_get_text(w->options, "keyid"))
		json_set_text(a, header, "kid", json_get_text(w->options, "keyid"));
	json_each(item, json_get(w->options, "header"))
		json_set(a, header, item->string, json_share(a, item));
	return header;
}

/* Directus gives whatever algorithm the header names in the end. */
static const struct jws_algorithm *pick_algorithm(struct work *w, const char *name,
						  struct jws_key *key)
{
	enum { LEAST_BITS = 2048 };
	const struct jws_algorithm *algorithm = jws_algorithm_find(name);

	if (!algorithm)
		(void)plain_error(w,
				  "\"algorithm\" must be a valid string enum value: '%.20s' is not "
				  "one of HS256, HS384, HS512, RS256, RS384, RS512",
				  name);
	else if (jws_wants_secret(algorithm) && key->kind != JWS_SECRET)
		(void)plain_error(w, "secretOrPrivateKey must be a symmetric key when using %s",
				  name);
	else if (!jws_wants_secret(algorithm) && key->kind != JWS_PRIVATE)
		(void)plain_error(w, "secretOrPrivateKey must be an asymmetric key when using %s",
				  name);
	else if (key->kind == JWS_PRIVATE && key->bits < LEAST_BITS)
		(void)plain_error(
			w, "secretOrPrivateKey has a minimum key size of 2048 bits for %s", name);
	else
		return algorithm;
	return NULL;
}

static bool sign(struct work *w, const cJSON *option, struct str secret)
{
	struct arena *a = w->c->arena;
	const cJSON *given = option_to_object(a, option, &w->err);
	const char *wanted = json_get_text(w->options, "algorithm");
	struct jws_key key = jws_private_key(a, secret);
	const struct jws_algorithm *algorithm;
	struct str head, body, signature;
	cJSON *header, *payload;
	const char *text;

	if (!given)
		return false;
	if (!cJSON_IsObject(given))
		return plain_error(w, "Expected \"payload\" to be a plain object.");
	header = make_header(w, wanted ? wanted : "HS256");
	algorithm = pick_algorithm(
		w, json_get_text(header, "alg") ? json_get_text(header, "alg") : "", &key);
	payload = json_copy(a, given);
	if (!algorithm || !add_claims(w, payload))
		return false;
	head = base64url_encode(a, json_print(a, header));
	body = base64url_encode(a, json_print(a, payload));
	text = arena_printf(a, "%s.%s", head.ptr, body.ptr);
	if (!jws_sign(a, algorithm, &key, str_of(text), &signature))
		return plain_error(w, "the key can not sign");
	w->c->result =
		json_text(a, arena_printf(a, "%s.%s", text, base64url_encode(a, signature).ptr));
	return true;
}

/* ---- reading ---- */

struct token {
	struct str parts[3];
	struct str signed_part, signature;
	const cJSON *header, *payload;
};

static bool split(struct str text, struct token *t)
{
	size_t start = 0, count = 0;

	for (size_t i = 0; i <= text.len; i++) {
		if (i < text.len && text.ptr[i] != '.')
			continue;
		if (count == ARRAY_LEN(t->parts))
			return false;
		t->parts[count++] = (struct str){text.ptr + start, i - start};
		start = i + 1;
	}
	return count == ARRAY_LEN(t->parts);
}

static const cJSON *read_part(struct arena *a, struct str part)
{
	struct error ignored;
	struct str bytes;

	return base64url_decode(a, part, &bytes) ? json_parse_rounding(a, bytes, &ignored) : NULL;
}

static bool read_token(struct arena *a, struct str text, struct token *t)
{
	if (!split(text, t))
		return false;
	t->header = read_part(a, t->parts[0]);
	t->payload = read_part(a, t->parts[1]);
	t->signed_part = (struct str){text.ptr, t->parts[0].len + 1 + t->parts[1].len};
	return cJSON_IsObject(t->header) && t->payload &&
	       base64url_decode(a, t->parts[2], &t->signature);
}

static cJSON *whole_token(struct arena *a, const struct token *t)
{
	cJSON *whole = json_object(a);

	json_set(a, whole, "header", json_share(a, t->header));
	json_set(a, whole, "payload", json_share(a, t->payload));
	json_set_str(a, whole, "signature", t->parts[2]);
	return whole;
}

static void set_result(struct work *w, const struct token *t)
{
	w->c->result = json_get_bool(w->options, "complete", false)
			       ? whole_token(w->c->arena, t)
			       : json_share(w->c->arena, t->payload);
}

/* ---- verify ---- */

static bool is_one_of(const cJSON *value, const cJSON *list)
{
	const cJSON *item;

	if (!value || !cJSON_IsArray(list))
		return value && list && json_equal(value, list);
	json_each(item, list)
		if (json_equal(value, item))
			return true;
	return false;
}

static bool check_signature(struct work *w, const struct token *t, struct str secret)
{
	const char *name = json_get_text(t->header, "alg");
	const struct jws_algorithm *algorithm = name ? jws_algorithm_find(name) : NULL;
	const cJSON *allowed = json_get(w->options, "algorithms");
	struct jws_key key = jws_public_key(w->c->arena, secret);

	if (t->parts[2].len == 0)
		return token_error(w, "jwt signature is required");
	if (!algorithm || (allowed && !is_one_of(json_get(t->header, "alg"), allowed)) ||
	    (!allowed && jws_wants_secret(algorithm) != (key.kind == JWS_SECRET)))
		return token_error(w, "invalid algorithm");
	if (jws_wants_secret(algorithm) != (key.kind == JWS_SECRET))
		return token_error(w, "secretOrPublicKey must be %s key when using %s",
				   jws_wants_secret(algorithm) ? "a symmetric" : "an asymmetric",
				   name);
	return jws_verify(algorithm, &key, t->signed_part, t->signature) ||
	       token_error(w, "invalid signature");
}

static bool check_age(struct work *w, const cJSON *payload, double now, double tolerance)
{
	const cJSON *age = json_get(w->options, "maxAge"), *issued = json_get(payload, "iat");
	double oldest;

	if (!age)
		return true;
	if (!cJSON_IsNumber(issued))
		return token_error(w, "iat required when maxAge is specified");
	if (!time_span(age, issued->valuedouble, &oldest))
		return token_error(
			w, "\"maxAge\" should be a number of seconds or string representing a "
			   "timespan eg: \"1d\", \"20h\", 60");
	return now < oldest + tolerance || expired(w, "maxAge exceeded", oldest);
}

static bool not_active(struct work *w)
{
	(void)fail(&w->err, ERR_NAMED, "jwt not active");
	return is_called(&w->err, "NotBeforeError");
}

/* The time in a claim; NULL: it is not there, or is not to be looked at. */
static const cJSON *claimed(struct work *w, const cJSON *payload, const char *claim,
			    const char *ignore)
{
	return json_get_bool(w->options, ignore, false) ? NULL : json_get(payload, claim);
}

static bool check_times(struct work *w, const cJSON *payload)
{
	const cJSON *not_before = claimed(w, payload, "nbf", "ignoreNotBefore");
	const cJSON *expires = claimed(w, payload, "exp", "ignoreExpiration");
	double tolerance = json_get_number(w->options, "clockTolerance", 0);
	double now = json_get_number(w->options, "clockTimestamp", now_seconds());

	if (not_before && !cJSON_IsNumber(not_before))
		return token_error(w, "invalid nbf value");
	if (not_before && not_before->valuedouble > now + tolerance)
		return not_active(w);
	if (expires && !cJSON_IsNumber(expires))
		return token_error(w, "invalid exp value");
	if (expires && now >= expires->valuedouble + tolerance)
		return expired(w, "jwt expired", expires->valuedouble);
	return check_age(w, payload, now, tolerance);
}

/* "a or b" */
static const char *listed(struct arena *a, const cJSON *value, const char *separator)
{
	struct buf out;
	const cJSON *item;
	char *text;

	if (!cJSON_IsArray(value))
		return option_to_text(a, value).ptr;
	buf_init(&out, 4096);
	json_each(item, value) {
		buf_add_text(&out, item == value->child ? "" : separator);
		buf_add_str(&out, option_to_text(a, item));
	}
	text = arena_strndup(a, buf_str(&out).ptr, out.len);
	buf_clear(&out);
	return text;
}

static bool check_claims(struct work *w, const cJSON *payload)
{
	static const struct {
		const char *option, *claim, *name;
	} claims[] = {
		{"issuer",  "iss",   "issuer" },
		{"subject", "sub",   "subject"},
		{"jwtid",   "jti",   "jwtid"  },
		{"nonce",   "nonce", "nonce"  },
	};
	const cJSON *audience = json_get(w->options, "audience"), *of = json_get(payload, "aud"),
		    *item;
	bool is_for_us = !audience || is_one_of(of, audience);

	if (cJSON_IsArray(of))
		json_each(item, of)
			is_for_us |= is_one_of(item, audience);
	if (!is_for_us)
		return token_error(w, "jwt audience invalid. expected: %s",
				   listed(w->c->arena, audience, " or "));
	for (size_t i = 0; i < ARRAY_LEN(claims); i++) {
		const cJSON *wanted = json_get(w->options, claims[i].option);

		if (wanted && !is_one_of(json_get(payload, claims[i].claim), wanted))
			return token_error(w, "jwt %s invalid. expected: %s", claims[i].name,
					   listed(w->c->arena, wanted, ","));
	}
	return true;
}

static bool verify(struct work *w, struct str text, struct str secret)
{
	struct token t;

	if (!split(text, &t))
		return token_error(w, "jwt malformed");
	if (!read_token(w->c->arena, text, &t))
		return token_error(w, "invalid token");
	if (!check_signature(w, &t, secret) || !check_times(w, t.payload) ||
	    !check_claims(w, t.payload))
		return false;
	set_result(w, &t);
	return true;
}

/* ---- */

static bool is_set(const cJSON *option)
{
	return option && !cJSON_IsNull(option) && !cJSON_IsFalse(option) &&
	       !(cJSON_IsString(option) && option->valuestring[0] == '\0');
}

enum job { SIGN, VERIFY, DECODE, NO_JOB };

static enum job job_of(const char *operation)
{
	static const char *const names[] = {
		[SIGN] = "sign", [VERIFY] = "verify", [DECODE] = "decode"};
	enum job job = SIGN;

	while (job < NO_JOB && (!operation || strcmp(operation, names[job]) != 0))
		job++;
	return job;
}

/* What each of them cannot do without. */
static bool has_all(struct work *w, enum job job)
{
	const cJSON *given = w->c->options;

	if (job == NO_JOB)
		return plain_error(w, "Undefined \"Operation\" for JSON Web Token");
	if (job == SIGN && !is_set(json_get(given, "payload")))
		return plain_error(w, "Undefined JSON Web Token payload");
	if (job != SIGN && !is_set(json_get(given, "token")))
		return plain_error(w, "Undefined JSON Web Token token");
	return job == DECODE || is_set(json_get(given, "secret")) ||
	       plain_error(w, "Undefined JSON Web Token secret");
}

static bool work(struct work *w)
{
	struct arena *a = w->c->arena;
	enum job job = job_of(json_get_text(w->c->options, "operation"));
	struct str secret, token;
	struct token t;

	if (!has_all(w, job))
		return false;
	secret = option_to_text(a, json_get(w->c->options, "secret"));
	token = option_to_text(a, json_get(w->c->options, "token"));
	w->options = json_get(w->c->options, "options");
	w->options = is_set(w->options) ? option_to_object(a, w->options, &w->err) : json_null(a);
	if (!w->options)
		return false;
	if (job == SIGN)
		return sign(w, json_get(w->c->options, "payload"), secret);
	if (job == VERIFY)
		return verify(w, token, secret);
	if (read_token(a, token, &t))
		set_result(w, &t);
	return true;
}

static enum task_next begin(struct task *t)
{
	struct work w = {.c = op_of(t)};

	if (work(&w))
		return task_end(t);
	if (!w.c->rejection)
		w.c->rejection = error_object(w.c->arena, w.err.name, w.err.text, NULL, 0);
	return task_fail_as(t, &w.err);
}

const struct operation operation_json_web_token = {
	.type = "json-web-token",
	.options = options,
	.first = begin,
};
