#include "worker/flow/redact.h"

#include "common/buf.h"
#include "common/secrets.h"

#include <strings.h>

static const struct {
	const char *parent, *member;
	bool any_case;
} places[] = {
  /* clang-format off */
	{"headers", "authorization", true},
	{"headers", "cookie", true},
	{"query", "access_token", false},
	{"payload", "password", false},
	{"payload", "token", false},
	{"payload", "tfa_secret", false},
	{"payload", "external_identifier", false},
	{"payload", "auth_data", false},
	{"payload", "credentials", false},
	{"payload", "ai_openai_api_key", false},
	{"payload", "ai_anthropic_api_key", false},
	{"payload", "ai_google_api_key", false},
	{"payload", "ai_openai_compatible_api_key", false},
  /* clang-format on */
};

struct redaction {
	struct arena *arena;
	const cJSON *env;
};

static bool is_hidden(const char *parent, const char *member)
{
	for (size_t i = 0; parent && i < ARRAY_LEN(places); i++)
		if (strcmp(places[i].parent, parent) == 0 &&
		    (places[i].any_case ? strcasecmp(places[i].member, member)
					: strcmp(places[i].member, member)) == 0)
			return true;
	return false;
}

/* text with each `what` in it replaced. */
static const char *replace(struct arena *a, const char *text, const char *what, const char *with)
{
	size_t length = strlen(what);
	const char *at = strstr(text, what);
	struct buf b;

	if (!at)
		return text;
	buf_init(&b, strlen(text) * (strlen(with) + 1) + 1);
	for (; at; at = strstr(text, what)) {
		(void)buf_add(&b, text, (size_t)(at - text));
		(void)buf_add_text(&b, with);
		text = at + length;
	}
	(void)buf_add_text(&b, text);
	text = arena_str(a, buf_str(&b)).ptr;
	buf_clear(&b);
	return text;
}

static const char *without_env(const struct redaction *r, const char *text)
{
	const cJSON *variable;

	json_each(variable, r->env) {
		const char *value = cJSON_IsString(variable) ? variable->valuestring : "";

		if (!value[0] || (strlen(value) < SECRET_WHOLE_BELOW && strcmp(text, value) != 0))
			continue;
		text = replace(r->arena, text, value,
			       arena_printf(r->arena, "--redacted:%s--", variable->string));
	}
	return text;
}

/* parent: the nearest name above, through arrays. */
static cJSON *redacted(const struct redaction *r, const cJSON *v, const char *parent)
{
	struct arena *a = r->arena;
	const cJSON *item;
	cJSON *copy;

	if (cJSON_IsString(v))
		return json_text(a, without_env(r, v->valuestring));
	if (cJSON_IsArray(v)) {
		copy = json_array(a);
		json_each(item, v)
			json_push(copy, redacted(r, item, parent));
		return copy;
	}
	if (!cJSON_IsObject(v))
		return json_copy(a, v);
	copy = json_object(a);
	json_each(item, v)
		json_set(a, copy, item->string,
			 is_hidden(parent, item->string) ? json_text(a, SECRET_MASK)
							 : redacted(r, item, item->string));
	return copy;
}

cJSON *redact(struct arena *a, const cJSON *value, const cJSON *env)
{
	struct redaction r = {a, env};
	cJSON *copy = redacted(&r, value, NULL);

	secrets_mask_json(a, copy);
	return copy;
}
