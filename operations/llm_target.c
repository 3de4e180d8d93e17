#include "operations/llm_target.h"

#include "operations/services.h"

#include <strings.h>

/* Providers that flows of other extensions name, and that nothing here speaks to. */
static bool known_elsewhere(const char *name, struct error *err)
{
	static const char *const names[] = {"replicate", "stability", "stability-ai", "deepl"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return fail(err, ERR_NOT_CONFIGURED,
				    "provider '%s' is not supported: choose openai, anthropic, "
				    "google or openai-compatible",
				    name);
	return true;
}

static bool find_provider(const struct services *use, const struct llm_choice *c,
			  struct llm_target *t, struct error *err)
{
	if (!c->provider) {
		t->config = c->model ? models_provider(use->models, c->model) : NULL;
		return true;
	}
	if (!known_elsewhere(c->provider, err))
		return false;
	t->config = config_provider(use->config, c->provider);
	return t->config ||
	       fail(err, ERR_NOT_CONFIGURED,
		    "there is no provider '%.100s': expected openai, anthropic, google, "
		    "openai-compatible or openai-compatible:<name> of "
		    "AI_OPENAI_COMPATIBLE_<NAME>_BASE_URL",
		    c->provider);
}

/* What is left out comes from AI_DEFAULT_MODEL, as far as it fits what is there. */
static void take_default(const struct services *use, const struct llm_choice *c,
			 struct llm_target *t)
{
	const char *text = use->config->ai_default_model, *model = NULL;
	const struct provider_config *p =
		text ? config_split_model(use->config, text, &model) : NULL;

	if (!p || (c->model && strcmp(c->model, model) != 0))
		return;
	if (!t->config)
		t->config = p;
	if (t->config == p)
		t->model_id = model;
}

static bool choose(const struct services *use, const struct llm_choice *c, struct llm_target *t,
		   struct error *err)
{
	t->model_id = c->model;
	if (!find_provider(use, c, t, err))
		return false;
	take_default(use, c, t);
	if (!t->config)
		return fail(
			err, c->model ? ERR_NOT_CONFIGURED : ERR_INVALID_PAYLOAD,
			c->model ? "no configured provider, or more than one, has model '%.100s': "
				   "set option 'provider'"
				 : "option 'model' is missing, and AI_DEFAULT_MODEL is not set%s",
			c->model ? c->model : "");
	if (!t->model_id)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'model' is missing, and AI_DEFAULT_MODEL names none of "
			    "provider '%s'",
			    t->config->id);
	return true;
}

static const char *join(const struct config_list *list, struct arena *a)
{
	const char *text = NULL;

	for (size_t i = 0; i < list->count; i++)
		text = text ? arena_printf(a, "%s,%s", text, list->items[i]) : list->items[i];
	return text;
}

/* Gemini's version is the last part of its base URL. */
static const char *default_url(const struct provider_config *p, const struct provider *provider,
			       const struct preset *preset, struct arena *a)
{
	const char *url =
		preset->default_url && p->preset ? preset->default_url : provider->default_url;
	const char *slash = url ? strrchr(url, '/') : NULL;

	if (p->kind == PROVIDER_GOOGLE && p->api_version && slash)
		return arena_printf(a, "%.*s%s", (int)(slash - url) + 1, url, p->api_version);
	return url;
}

static const char *without_slash(const char *url, struct arena *a)
{
	size_t len = strlen(url);

	while (len && url[len - 1] == '/')
		len--;
	return arena_strndup(a, url, len);
}

/* What the provider's variables begin with: "openai-compatible:gpu" is AI_OPENAI_COMPATIBLE_GPU. */
static const char *variables_of(const struct provider_config *p, struct arena *a)
{
	char *name = arena_printf(a, "AI_%s", p->id);

	for (char *c = name; *c; c++)
		*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c == '-' || *c == ':' ? '_' : *c);
	return name;
}

bool llm_endpoint(const struct provider_config *p, struct arena *a, struct endpoint *endpoint,
		  struct error *err)
{
	const struct provider *provider = provider_find(p->id);
	const struct preset *preset = &preset_openai;
	const char *url;

	if (!provider)
		return fail(err, ERR_NOT_CONFIGURED, "there is no provider '%s'", p->id);
	if (p->kind == PROVIDER_OPENAI_COMPATIBLE)
		preset = preset_find(p->preset);
	if (!preset)
		return fail(err, ERR_NOT_CONFIGURED, "provider '%s' has the unknown preset '%s'",
			    p->id, p->preset);
	url = p->base_url ? p->base_url : default_url(p, provider, preset, a);
	if (!url)
		return fail(err, ERR_NOT_CONFIGURED,
			    "provider '%s' has no base URL: set %s_BASE_URL", p->id,
			    variables_of(p, a));
	*endpoint = (struct endpoint){
		.id = p->id,
		.base_url = without_slash(url, a),
		.key = p->api_key,
		.headers = p->headers,
		.preset = preset,
		.auth = auth_find(p->auth),
		.api_version = p->kind == PROVIDER_GOOGLE ? NULL : p->api_version,
		.organization = p->organization,
		.project = p->project,
		.workspace = p->workspace,
		.betas = join(&p->betas, a),
		.context_size = p->context_size,
	};
	return true;
}

static bool use_credential(const struct services *use, const char *name, struct llm_target *t,
			   struct error *err)
{
	const struct credential_config *c = config_credential(use->config, name);
	struct endpoint *e = &t->endpoint;

	if (!c)
		return fail(err, ERR_NOT_CONFIGURED,
			    "there is no credential '%s': set AI_CREDENTIAL_<NAME>_API_KEY", name);
	if (c->provider && strcasecmp(c->provider, t->config->id) != 0)
		return fail(err, ERR_NOT_CONFIGURED,
			    "credential '%s' is for provider '%s', not '%s'", name, c->provider,
			    t->config->id);
	e->key = c->api_key ? c->api_key : e->key;
	e->base_url = c->base_url ? c->base_url : e->base_url;
	e->organization = c->organization ? c->organization : e->organization;
	e->project = c->project ? c->project : e->project;
	e->workspace = c->workspace ? c->workspace : e->workspace;
	e->headers = c->headers ? c->headers : e->headers;
	return true;
}

/* A key of its own makes a provider usable that has none in the configuration. */
static bool is_enabled(const struct llm_target *t, const struct llm_choice *choice, struct arena *a,
		       struct error *err)
{
	const struct provider_config *p = t->config;
	bool by_url = p->kind == PROVIDER_OPENAI_COMPATIBLE;

	if (p->enabled || ((choice->credential || choice->key) && t->endpoint.key))
		return true;
	if (by_url ? p->base_url : p->api_key)
		return fail(err, ERR_NOT_CONFIGURED,
			    "provider '%s' is switched off: %s_ENABLED is false", p->id,
			    variables_of(p, a));
	return fail(err, ERR_NOT_CONFIGURED, "provider '%s' is not configured: set %s_%s", p->id,
		    variables_of(p, a), by_url ? "BASE_URL" : "API_KEY");
}

bool llm_target(const struct services *use, const struct llm_choice *choice, struct arena *a,
		struct llm_target *t, struct error *err)
{
	*t = (struct llm_target){.config = NULL};
	if (!use->config->ai_enabled)
		return fail(err, ERR_AI_DISABLED, "AI is switched off: AI_ENABLED is false");
	if (!choose(use, choice, t, err))
		return false;
	t->provider = provider_find(t->config->id);
	if (!t->provider)
		return fail(err, ERR_NOT_CONFIGURED, "there is no provider '%s'", t->config->id);
	if (!llm_endpoint(t->config, a, &t->endpoint, err))
		return false;
	if (choice->credential && !use_credential(use, choice->credential, t, err))
		return false;
	if (choice->key)
		t->endpoint.key = choice->key;
	t->model = models_find(use->models, t->config, t->model_id, a);
	return is_enabled(t, choice, a, err) &&
	       models_allowed(use->models, t->config, t->model, a, err);
}
