/* What of the providers can be wrong: keys, addresses, models, limits. A key is tried on the list of
 * models, which costs nothing anywhere. */
#include "worker/admin/doctor.h"

#include "common/loop.h"
#include "common/nearest.h"
#include "operations/llm_target.h"
#include "operations/providers/wire.h"
#include "worker/queue/limits.h"

/* ---- asking a provider ---- */

static const char *models_url(struct doctor *d, const struct provider_config *p,
			      const struct endpoint *e)
{
	if (p->kind == PROVIDER_GOOGLE)
		return arena_printf(d->arena, "%s/models?pageSize=1000", e->base_url);
	if (p->kind == PROVIDER_ANTHROPIC)
		return arena_printf(d->arena, "%s/models?limit=1000", e->base_url);
	return arena_printf(d->arena, "%s/models%s%s", e->base_url,
			    e->api_version ? "?api-version=" : "",
			    e->api_version ? e->api_version : "");
}

static bool ask_models(struct doctor *d, const struct provider_config *p, const struct endpoint *e,
		       struct rest_reply *reply)
{
	const struct provider *provider = provider_find(p->id);
	const char *version = e->api_version ? e->api_version : provider->default_version;
	const struct http_header anthropic[] = {
		{"anthropic-version",      version     },
		{"anthropic-workspace-id", e->workspace},
		{NULL,                     NULL        },
	};
	const struct http_header openai[] = {
		{"OpenAI-Organization", e->organization},
		{"OpenAI-Project",      e->project     },
		{NULL,                  NULL           },
	};
	const struct wire_request w = {
		.provider = provider,
		.extra = p->kind == PROVIDER_ANTHROPIC ? anthropic
			 : p->kind == PROVIDER_GOOGLE  ? NULL
						       : openai,
	};

	return rest_get(&d->setup, models_url(d, p, e), wire_headers(&w, e, NULL, d->arena), reply);
}

static const char *prefix_of(struct doctor *d, const struct provider_config *p)
{
	static const char *const prefixes[] = {
		[PROVIDER_OPENAI] = "AI_OPENAI",
		[PROVIDER_ANTHROPIC] = "AI_ANTHROPIC",
		[PROVIDER_GOOGLE] = "AI_GOOGLE",
		[PROVIDER_OPENAI_COMPATIBLE] = "AI_OPENAI_COMPATIBLE",
	};
	const char *colon = strchr(p->id, ':');
	char *name = colon ? arena_strdup(d->arena, colon + 1) : NULL;

	for (char *c = name; c && *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	return name ? arena_printf(d->arena, "%s_%s", prefixes[p->kind], name) : prefixes[p->kind];
}

static void tell_refusal(struct doctor *d, const struct provider_config *p,
			 const struct rest_reply *reply)
{
	const struct llm_reply told = {reply->status, reply->http->headers,
				       reply->http->header_count, reply->http->body, wall_ms()};
	const char *prefix = prefix_of(d, p);
	struct llm_answer answer;
	struct error err;

	if (provider_read(provider_find(p->id), &told, d->arena, &answer, &err))
		(void)fail(&err, ERR_INVALID_RESPONSE, "status %d", reply->status);
	if (reply->status == 404 || reply->status == 405)
		doctor_bad(d,
			   arena_printf(d->arena,
					"correct %s_BASE_URL: what stands before /models, "
					"often ending in /v1",
					prefix),
			   "%s: there is no /models at its base URL (status %d)", p->id,
			   reply->status);
	else if (err.code == ERR_API_KEY || err.code == ERR_PERMISSION || reply->status == 401)
		doctor_bad(d,
			   arena_printf(d->arena, "set %s_API_KEY to a key that is valid", prefix),
			   "%s refuses the key: %s", p->id, err.text);
	else if (err.code == ERR_QUOTA || err.code == ERR_RATE_LIMIT)
		doctor_bad(d, "look at the provider's console: quota, billing, limits", "%s: %s",
			   p->id, err.text);
	else
		doctor_bad(d, "try again later, and look at the provider's status page", "%s: %s",
			   p->id, err.text);
}

/* OpenAI's and Anthropic's data[].id, Google's models[].name. */
static const char *id_of(const cJSON *entry)
{
	const char *id = json_get_text(entry, "id"), *name = json_get_text(entry, "name");

	if (id)
		return id;
	return name && strncmp(name, "models/", 7) == 0 ? name + 7 : name;
}

static const cJSON *list_of(const struct rest_reply *reply)
{
	const cJSON *models = json_get(reply->json, "models");

	return models ? models : reply->data;
}

static bool offers(const cJSON *list, const char *id)
{
	const cJSON *entry;
	size_t len = strlen(id);

	json_each(entry, list) {
		const char *name = id_of(entry);

		/* "gpt-4.1" stands for "gpt-4.1-2025-04-14", "qwen3" for "qwen3:latest" */
		if (name && strncmp(name, id, len) == 0 &&
		    (!name[len] || name[len] == '-' || name[len] == ':'))
			return true;
	}
	return false;
}

static void check_allowed(struct doctor *d, const struct provider_config *p, const cJSON *list)
{
	const char *prefix = prefix_of(d, p);

	if (p->allowed.set && p->allowed.count == 0)
		doctor_bad(d,
			   arena_printf(d->arena, "name models in %s_ALLOWED_MODELS, or remove it",
					prefix),
			   "%s_ALLOWED_MODELS is empty: no model of %s may be used", prefix, p->id);
	for (size_t i = 0; p->allowed.set && i < p->allowed.count; i++) {
		const char *id = p->allowed.items[i];
		struct nearest near = {.word = id};
		const cJSON *entry;

		if (!json_count(list) || offers(list, id))
			continue;
		json_each(entry, list)
			if (id_of(entry))
				nearest_try(&near, id_of(entry));
		doctor_warn(d,
			    near.best ? arena_printf(d->arena, "do you mean '%s'?", near.best)
				      : arena_printf(d->arena, "correct %s_ALLOWED_MODELS", prefix),
			    "%s does not offer model '%s' to this key", p->id, id);
	}
}

static void check_default_offered(struct doctor *d, const struct provider_config *p,
				  const cJSON *list)
{
	const char *text = d->config->ai_default_model, *id = NULL;

	if (!text || config_split_model(d->config, text, &id) != p || !json_count(list) ||
	    offers(list, id))
		return;
	doctor_warn(d, "correct AI_DEFAULT_MODEL, or use a key that may use that model",
		    "%s does not offer AI_DEFAULT_MODEL '%s' to this key", p->id, id);
}

/* What its headers say of the limits, beside ours. */
static void check_headers(struct doctor *d, const struct provider_config *p,
			  const struct rest_reply *reply)
{
	const struct llm_reply told = {reply->status, reply->http->headers,
				       reply->http->header_count, reply->http->body, wall_ms()};
	struct llm_limits limits;
	const cJSON *entry;

	provider_limits(&told, &limits);
	json_each(entry, d->config->ai_limits) {
		const char *scope = json_get_text(entry, "scope");
		double rpm = json_get_number(entry, "rpm", 0),
		       tpm = json_get_number(entry, "tpm", 0);

		if (!scope || strcmp(scope, p->id) != 0)
			continue;
		if (limits.limit_requests > 0 && rpm > (double)limits.limit_requests)
			doctor_warn(d, "lower rpm in AI_LIMITS, or have the limit raised",
				    "AI_LIMITS allows %.0f requests a minute to %s, which itself "
				    "allows %lld",
				    rpm, p->id, (long long)limits.limit_requests);
		if (limits.limit_tokens > 0 && tpm > (double)limits.limit_tokens)
			doctor_warn(
				d, "lower tpm in AI_LIMITS, or have the limit raised",
				"AI_LIMITS allows %.0f tokens a minute to %s, which itself allows "
				"%lld",
				tpm, p->id, (long long)limits.limit_tokens);
	}
}

static void check_provider(struct doctor *d, const struct provider_config *p)
{
	const char *prefix = prefix_of(d, p);
	struct rest_reply reply;
	struct endpoint e;
	struct error err;

	if (!llm_endpoint(p, d->arena, &e, &err)) {
		doctor_bad(d, arena_printf(d->arena, "look at the variables %s_…", prefix), "%s",
			   err.text);
		return;
	}
	if (ask_models(d, p, &e, &reply)) {
		doctor_good(d, "%s: the key is good, %zu models", p->id,
			    json_count(list_of(&reply)));
		check_allowed(d, p, list_of(&reply));
		check_default_offered(d, p, list_of(&reply));
		check_headers(d, p, &reply);
	} else if (reply.status == 0) {
		doctor_bad(d,
			   arena_printf(d->arena,
					"correct %s_BASE_URL, start the server, or open the "
					"way there (proxy, firewall)",
					prefix),
			   "%s can not be reached: %s", p->id, reply.reason);
	} else {
		tell_refusal(d, p, &reply);
	}
}

static void check_providers(struct doctor *d)
{
	size_t enabled = 0;

	for (size_t i = 0; i < d->config->provider_count; i++)
		if (d->config->providers[i].enabled) {
			check_provider(d, &d->config->providers[i]);
			enabled++;
		}
	if (!d->config->ai_enabled)
		doctor_warn(d, "AI_ENABLED=true", "AI is switched off: AI_ENABLED is false");
	else if (enabled == 0)
		doctor_bad(d,
			   "set AI_OPENAI_API_KEY, AI_ANTHROPIC_API_KEY, AI_GOOGLE_API_KEY or "
			   "AI_OPENAI_COMPATIBLE_BASE_URL",
			   "no provider is configured: every AI operation fails");
}

/* ---- models ---- */

static void check_model(struct doctor *d, const struct provider_config *p, const char *id,
			const char *where)
{
	const struct model *m = models_find(d->setup.services.models, p, id, d->arena);
	char today[11];
	struct error err;

	model_today(wall_ms(), today);
	if (model_is_retired(m, today))
		doctor_bad(d,
			   arena_printf(d->arena,
					"choose another model in %s: `flow-worker models`", where),
			   "model '%s' of %s was shut down on %s", id, p->id, m->retires);
	else if (!models_allowed(d->setup.services.models, p, m, d->arena, &err))
		doctor_bad(d,
			   arena_printf(d->arena, "add it to %s_ALLOWED_MODELS, or correct %s",
					prefix_of(d, p), where),
			   "%s: %s", where, err.text);
	else if (m->retires)
		doctor_warn(
			d,
			arena_printf(d->arena, "choose another model in %s before that day", where),
			"model '%s' of %s is shut down on %s", id, p->id, m->retires);
}

static void check_default_model(struct doctor *d)
{
	const char *text = d->config->ai_default_model, *id = NULL;
	const struct provider_config *p = text ? config_split_model(d->config, text, &id) : NULL;

	if (!text)
		doctor_skip(d, "AI_DEFAULT_MODEL is not set: every operation must name its model");
	else if (!p)
		doctor_bad(d, "AI_DEFAULT_MODEL=provider:model, such as openai:gpt-4o-mini",
			   "AI_DEFAULT_MODEL '%.100s' names no provider", text);
	else if (!p->enabled)
		doctor_bad(d,
			   arena_printf(d->arena,
					"set %s_API_KEY, or choose a model of another provider",
					prefix_of(d, p)),
			   "AI_DEFAULT_MODEL is '%.100s', but provider %s is not configured", text,
			   p->id);
	else
		check_model(d, p, id, "AI_DEFAULT_MODEL");
}

static void check_retired(struct doctor *d)
{
	for (size_t i = 0; i < d->config->provider_count; i++) {
		const struct provider_config *p = &d->config->providers[i];
		const char *where = arena_printf(d->arena, "%s_ALLOWED_MODELS", prefix_of(d, p));

		for (size_t k = 0; p->enabled && p->allowed.set && k < p->allowed.count; k++)
			check_model(d, p, p->allowed.items[k], where);
	}
}

/* ---- limits ---- */

/* The configuration has seen to it that a scope is one; a provider may be without its key. */
static void check_scope(struct doctor *d, const char *scope)
{
	const char *id = arena_strndup(d->arena, scope, strcspn(scope, "/"));
	const struct provider_config *p = config_provider(d->config, id);

	if (p && !p->enabled)
		doctor_warn(d, "set the provider's key, or remove the limit",
			    "AI_LIMITS: provider '%s' of scope '%.80s' is not configured", p->id,
			    scope);
}

static void check_limits(struct doctor *d)
{
	struct str text =
		d->config->ai_limits ? json_print(d->arena, d->config->ai_limits) : STR("");
	const cJSON *entry;
	struct error err;

	if (!d->config->ai_limits) {
		doctor_warn(
			d,
			"AI_LIMITS='json:[{\"scope\":\"*\",\"budgetUsd\":20,\"period\":\"day\"}]'",
			"AI_LIMITS is not set: nothing bounds what is spent");
		return;
	}
	if (!limits_parse(d->arena, text, &err)) {
		doctor_bad(d, "correct AI_LIMITS", "%s", err.text);
		return;
	}
	json_each(entry, d->config->ai_limits)
		if (json_get_text(entry, "scope"))
			check_scope(d, json_get_text(entry, "scope"));
}

const struct check doctor_provider_checks[] = {
	{"providers",      check_providers    },
	{"default-model",  check_default_model},
	{"allowed-models", check_retired      },
	{"limits",         check_limits       },
	{NULL,             NULL               },
};
