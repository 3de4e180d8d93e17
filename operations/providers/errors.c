#include "operations/providers/errors.h"

#include "operations/providers/delay.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { NAMES_MAX = 12, EXCERPT_MAX = 200 };

/* What an error is told apart by. */
struct facts {
	const struct provider *provider;
	int status; /* 0: not known */
	const char *names[NAMES_MAX];
	size_t count;
	const char *code; /* the name to show */
	const char *message;
	const char *retry_delay;
};

enum who { ANYBODY, GOOGLE, NOT_GOOGLE };

/* clang-format off */
/* The first rule of which all conditions hold is the one. Names and texts are lists with |. */
static const struct rule {
	enum who who;
	int from, to;      /* the status; 0: any; a status that is not known fits any range */
	const char *names; /* one of them is among the error's names */
	const char *texts; /* one of them is in the message */
	const char *but;   /* ... and none of these */
	enum error_code code;
	bool named_only; /* without a status the range alone does not make it fit */
} rules[] = {
	/* No money: trying again is of no use until somebody pays. */
	{.names = "insufficient_quota|credit_balance_exhausted|billing_not_active|"
		"billing_hard_limit_reached|organization_spend_limit_exceeded|"
		"project_spend_limit_exceeded|organization_usage_limit_exceeded|billing_error|"
		"enforced_spend_limit_reached|contract_spend_limit_reached|organization_on_hold",
	 .code = ERR_QUOTA},
	{.from = 402, .to = 402, .code = ERR_QUOTA, .named_only = true},
	{.from = 400, .to = 429,
	 .texts = "credit balance is too low|spend limit|spending limit|specified api usage limits",
	 .code = ERR_QUOTA},
	{.who = NOT_GOOGLE, .from = 400, .to = 429, .texts = "exceeded your current quota",
	 .code = ERR_QUOTA},
	{.who = GOOGLE, .names = "quota_per_day|quota_zero", .code = ERR_QUOTA},
	{.who = GOOGLE, .from = 429, .to = 429, .texts = "limit: 0,|limit: 0\n|limit: 0 ",
	 .code = ERR_QUOTA},
	{.who = GOOGLE, .from = 400, .to = 400, .names = "FAILED_PRECONDITION", .texts = "billing",
	 .code = ERR_QUOTA},
	{.who = GOOGLE, .from = 400, .to = 400, .names = "FAILED_PRECONDITION",
	 .code = ERR_PERMISSION},
	/* Too long, or so large that the limit will never admit it. */
	{.names = "request_above_limit", .code = ERR_REQUEST_TOO_LARGE},
	{.from = 429, .to = 429, .texts = "request too large for", .code = ERR_REQUEST_TOO_LARGE},
	{.names = "context_length_exceeded|exceed_context_size_error|string_above_max_length|"
		"model_context_window_exceeded",
	 .code = ERR_CONTEXT_LENGTH},
	{.from = 400, .to = 422,
	 .texts = "maximum context length|context length|context window|prompt is too long|"
		"prompt too long|input is too long|input token count|"
		"exceeds the maximum number of tokens|exceeds the available context size|"
		"input length and `max_tokens` exceed|reduce the length of the messages|too many tokens",
	 .but = "rate limit|quota|per minute", .code = ERR_CONTEXT_LENGTH},
	/* What was asked is not answered. */
	{.names = "content_filter|content_policy_violation|moderation_blocked|invalid_prompt|"
		"bio_policy|misalignment_policy_violation|image_content_policy_violation|"
		"content_moderation|invalid_prompts|ResponsibleAIPolicyViolation",
	 .code = ERR_CONTENT_FILTERED},
	{.names = "invalid_image|invalid_image_format|invalid_base64_image|invalid_image_url|"
		"image_too_large|image_too_small|image_parse_error|image_file_too_large|"
		"unsupported_image_media_type|empty_image_file|failed_to_download_image|"
		"image_file_not_found|invalid_image_mode",
	 .code = ERR_ATTACHMENT_UNSUPPORTED},
	{.from = 400, .to = 400,
	 .texts = "could not process image|image does not match the provided media type|"
		"image exceeds|image dimensions exceed|unable to process input image|"
		"provided image is not valid",
	 .code = ERR_ATTACHMENT_UNSUPPORTED},
	/* Who asks. */
	{.names = "invalid_api_key|authentication_error|API_KEY_INVALID|UNAUTHENTICATED|"
		"api_key_expired|API_KEY_EXPIRED",
	 .code = ERR_API_KEY},
	{.from = 401, .to = 401, .code = ERR_API_KEY, .named_only = true},
	{.names = "permission_error|PERMISSION_DENIED|unsupported_country_region_territory",
	 .code = ERR_PERMISSION},
	{.from = 403, .to = 403, .code = ERR_PERMISSION, .named_only = true},
	{.names = "model_not_found|DeploymentNotFound|unknown_model|invalid_model|"
		"not_found_error|NOT_FOUND",
	 .code = ERR_MODEL_NOT_FOUND},
	{.from = 404, .to = 404, .code = ERR_MODEL_NOT_FOUND, .named_only = true},
	{.from = 410, .to = 410, .code = ERR_MODEL_NOT_FOUND, .named_only = true},
	/* What may work later. */
	{.names = "timeout_error|DEADLINE_EXCEEDED", .code = ERR_TIMEOUT},
	{.from = 408, .to = 408, .code = ERR_TIMEOUT, .named_only = true},
	{.from = 504, .to = 504, .code = ERR_TIMEOUT, .named_only = true},
	{.names = "request_too_large", .code = ERR_REQUEST_TOO_LARGE},
	{.from = 413, .to = 413, .code = ERR_REQUEST_TOO_LARGE, .named_only = true},
	{.names = "rate_limit_error|rate_limit_exceeded|slow_down|rate_limited|"
		"RESOURCE_EXHAUSTED|ramp_limit_exceeded|RateLimitReached|too_many_requests",
	 .code = ERR_RATE_LIMIT},
	{.from = 429, .to = 429, .code = ERR_RATE_LIMIT, .named_only = true},
	{.names = "server_is_overloaded|overloaded_error|service_unavailable_error|"
		"unavailable_error|UNAVAILABLE|api_error|server_error|INTERNAL|conflict_error|"
		"CANCELLED|ABORTED",
	 .code = ERR_UNAVAILABLE},
	{.from = 409, .to = 409, .code = ERR_UNAVAILABLE, .named_only = true},
	{.from = 499, .to = 599, .code = ERR_UNAVAILABLE, .named_only = true},
	{.from = 300, .to = 498, .code = ERR_INVALID_REQUEST, .named_only = true},
	{.names = "invalid_request_error|INVALID_ARGUMENT|unsupported_parameter|"
		"unsupported_value|invalid_value|missing_required_parameter|unknown_parameter",
	 .code = ERR_INVALID_REQUEST},
	{.code = ERR_UNAVAILABLE},
};
/* clang-format on */

/* ---- gathering the facts ---- */

static void add_name(struct facts *f, const char *name)
{
	if (name && *name && f->count < NAMES_MAX)
		f->names[f->count++] = name;
}

static const char *own_code(struct arena *a, const cJSON *value)
{
	if (cJSON_IsString(value) && value->valuestring[0])
		return value->valuestring;
	if (cJSON_IsNumber(value)) /* llama.cpp, Google: the status once more */
		return arena_printf(a, "%.0f", value->valuedouble);
	return NULL;
}

/* Google's list: ErrorInfo.reason, QuotaFailure.violations, RetryInfo.retryDelay. */
static void read_details(struct facts *f, const cJSON *details)
{
	const cJSON *detail, *violation;

	json_each(detail, details) {
		const char *delay = json_get_text(detail, "retryDelay");

		add_name(f, json_get_text(detail, "reason"));
		if (delay)
			f->retry_delay = delay;
		json_each(violation, json_get(detail, "violations")) {
			const char *id = json_get_text(violation, "quotaId");
			const char *value = json_get_text(violation, "quotaValue");

			if (id && strstr(id, "PerDay"))
				add_name(f, "quota_per_day");
			if (value && strcmp(value, "0") == 0)
				add_name(f, "quota_zero");
		}
	}
}

static const char *list_text(struct arena *a, const cJSON *list) /* Mistral 422, Stability */
{
	const cJSON *first = list ? list->child : NULL;
	const char *message = json_get_text(first, "msg");
	const cJSON *field = json_get(first, "loc") ? json_get(first, "loc")->child : NULL;

	if (first && cJSON_IsString(first))
		return first->valuestring;
	while (field && field->next)
		field = field->next;
	if (message && field && cJSON_IsString(field))
		return arena_printf(a, "%s: %s", field->valuestring, message);
	return message;
}

/* llama.cpp, Azure and Google say the status once more as their code: the type says more. */
static bool is_status(const char *code)
{
	char *end;
	long number = strtol(code, &end, 10);

	return end != code && *end == '\0' && number >= 100 && number < 600;
}

static void add_names(struct facts *f, struct arena *a, const cJSON *error)
{
	const char *code = own_code(a, json_get(error, "code"));

	add_name(f, own_code(a, json_get(json_get(error, "details"), "error_code")));
	add_name(f, code);
	add_name(f, json_get_text(error, "type"));
	add_name(f, json_get_text(error, "status"));
	add_name(f, json_get_text(error, "name"));
	add_name(f, json_get_text(json_get(error, "innererror"), "code"));
	if (cJSON_IsArray(json_get(error, "details")))
		read_details(f, json_get(error, "details"));
	f->code = code && !is_status(code)         ? code
		  : json_get_text(error, "status") ? json_get_text(error, "status")
						   : json_get_text(error, "type");
	if (f->count && !f->code)
		f->code = f->names[0];
}

/* The words, wherever they stand. */
static const char *find_message(struct arena *a, const cJSON *body, const cJSON *error)
{
	const cJSON *places[] = {json_get(error, "message"), json_get(body, "error"),
				 json_get(body, "message"), json_get(body, "detail"),
				 json_get(body, "errors")};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (cJSON_IsString(places[i]) && places[i]->valuestring[0])
			return places[i]->valuestring;
		if (cJSON_IsArray(places[i]))
			return list_text(a, places[i]);
	}
	return NULL;
}

static void read_envelope(struct facts *f, struct arena *a, const cJSON *body)
{
	const cJSON *error = json_get(body, "error");

	if (!cJSON_IsObject(error))
		error = body;
	f->message = find_message(a, body, error);
	add_names(f, a, error);
}

/* "Limit 30000, Used 29000, Requested 2000": more than the limit will never be let in. */
static void compare_limit(struct facts *f)
{
	const char *limit = f->message ? strstr(f->message, "Limit ") : NULL;
	const char *requested = f->message ? strstr(f->message, "Requested ") : NULL;

	if (limit && requested &&
	    strtoull(requested + 10, NULL, 10) > strtoull(limit + 6, NULL, 10))
		add_name(f, "request_above_limit");
}

/* ---- the table at work ---- */

static bool in_list(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = list; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && (p[len] == '|' || p[len] == '\0'))
			return true;
	return false;
}

static bool text_has(const char *message, const char *list)
{
	for (const char *p = list; p && message; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
		size_t len = strcspn(p, "|");

		for (const char *at = message; *at; at++)
			if (strncasecmp(at, p, len) == 0)
				return true;
	}
	return false;
}

static bool name_fits(const struct rule *r, const struct facts *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (in_list(r->names, f->names[i]))
			return true;
	return false;
}

static bool rule_fits(const struct rule *r, const struct facts *f)
{
	bool google = f->provider == &provider_google;

	if (r->who != ANYBODY && google != (r->who == GOOGLE))
		return false;
	if (r->from && f->status == 0 && r->named_only)
		return false;
	if (r->from && f->status != 0 && (f->status < r->from || f->status > r->to))
		return false;
	if (r->names && !name_fits(r, f))
		return false;
	if (r->texts && !text_has(f->message, r->texts))
		return false;
	return !r->but || !text_has(f->message, r->but);
}

static enum error_code judge(const struct facts *f)
{
	const struct rule *r = rules;

	while (!rule_fits(r, f)) /* the last one fits all */
		r++;
	return r->code;
}

/* ---- when to come back ---- */

static uint64_t clock_of(const struct llm_reply *reply)
{
	const char *date = reply_header(reply, "date"); /* their clock may be wrong */
	uint64_t now;

	return date && delay_instant(date, &now) ? now : reply->now_ms;
}

/* When the bucket that is empty is filled again. */
static uint64_t bucket_delay(const struct llm_reply *reply)
{
	static const char *const buckets[][2] = {
		{"x-ratelimit-remaining-requests",              "x-ratelimit-reset-requests"        },
		{"x-ratelimit-remaining-tokens",                "x-ratelimit-reset-tokens"          },
		{"anthropic-ratelimit-requests-remaining",      "anthropic-ratelimit-requests-reset"},
		{"anthropic-ratelimit-tokens-remaining",        "anthropic-ratelimit-tokens-reset"  },
		{"anthropic-ratelimit-input-tokens-remaining",
		 "anthropic-ratelimit-input-tokens-reset"                                           },
		{"anthropic-ratelimit-output-tokens-remaining",
		 "anthropic-ratelimit-output-tokens-reset"                                          },
	};
	uint64_t longest = 0, ms = 0;

	for (size_t i = 0; i < ARRAY_LEN(buckets); i++) {
		const char *left = reply_header(reply, buckets[i][0]);
		const char *reset = reply_header(reply, buckets[i][1]);

		if (left && strcmp(left, "0") == 0 && reset &&
		    delay_until(reset, clock_of(reply), &ms))
			longest = u64_max(longest, ms);
	}
	return longest;
}

uint64_t reply_delay(const struct llm_reply *reply)
{
	const char *ms_text = reply_header(reply, "retry-after-ms");
	const char *after = reply_header(reply, "retry-after");
	uint64_t ms = 0;

	/* As seconds first, and a thousandth of it then: "250" and "250.5" are milliseconds. */
	if (ms_text && delay_duration(ms_text, &ms))
		return (ms + 999) / 1000;
	if (after && delay_until(after, clock_of(reply), &ms))
		return ms;
	return reply->status == 429 ? bucket_delay(reply) : 0;
}

static uint32_t delay_of(const struct facts *f, const struct llm_reply *reply)
{
	uint64_t ms = reply_delay(reply);

	if (ms == 0 && f->retry_delay && !delay_duration(f->retry_delay, &ms))
		ms = 0;
	if (ms == 0 && f->message && !delay_in_sentence(f->message, &ms))
		ms = 0;
	return (uint32_t)u64_min(ms, UINT32_MAX);
}

/* ---- the whole ---- */

static const char *excerpt(struct arena *a, struct str body)
{
	char *text = arena_strndup(a, body.ptr, size_min(body.len, EXCERPT_MAX));

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
	return text;
}

static const char *own_words(const struct facts *f, enum error_code code)
{
	if (code == ERR_API_KEY) /* their message quotes the key */
		return "the key was refused";
	return f->message ? f->message : "no message";
}

static const char *kind(enum error_code code, int status)
{
	if (code != ERR_UNAVAILABLE)
		return "";
	return status == 503 || status == 529 ? "PROVIDER_OVERLOADED" : "PROVIDER_ERROR";
}

bool provider_fail(const struct provider *p, const struct llm_reply *reply, const cJSON *body,
		   struct error *err)
{
	struct facts f = {.provider = p, .status = reply->status >= 300 ? reply->status : 0};
	struct arena *a = arena_new();
	enum error_code code;

	if (cJSON_IsArray(body))
		body = body->child;
	if (cJSON_IsObject(body))
		read_envelope(&f, a, body);
	else if (reply->body.len)
		f.message = excerpt(a, reply->body);
	compare_limit(&f);
	code = judge(&f);
	(void)fail(err, code, "%s: %s", p->name, own_words(&f, code));
	if (reply->status)
		(void)fail(err, code, "%s answered %d: %s", p->name, reply->status,
			   own_words(&f, code));
	err->status = reply->status;
	err->retry_after_ms = delay_of(&f, reply);
	(void)snprintf(err->detail, sizeof(err->detail), "%s",
		       f.code ? f.code : kind(code, reply->status));
	arena_free(a);
	return false;
}

bool provider_is_error(const cJSON *body)
{
	const cJSON *error;

	if (cJSON_IsArray(body))
		body = body->child;
	error = json_get(body, "error");
	if (json_get_text(body, "type") && strcmp(json_get_text(body, "type"), "error") == 0)
		return true;
	if (json_get_text(body, "object") && strcmp(json_get_text(body, "object"), "error") == 0)
		return true;
	return cJSON_IsObject(error) || cJSON_IsString(error);
}
