/* The families of variables: AI_OPENAI_*, AI_ANTHROPIC_*, AI_GOOGLE_*, AI_OPENAI_COMPATIBLE_*, any
 * number of AI_OPENAI_COMPATIBLE_<NAME>_* and of AI_CREDENTIAL_<NAME>_*. What may follow the prefix
 * is in a table; words between the two are the name of one more. */
#include "common/config_parts.h"

#include "common/http.h"
#include "common/nearest.h"

#include <stdio.h>
#include <strings.h>

enum { NAMED_MAX = 100 };

enum {
	OPENAI = 1 << PROVIDER_OPENAI,
	ANTHROPIC = 1 << PROVIDER_ANTHROPIC,
	GOOGLE = 1 << PROVIDER_GOOGLE,
	COMPATIBLE = 1 << PROVIDER_OPENAI_COMPATIBLE,
	ALL = OPENAI | ANTHROPIC | GOOGLE | COMPATIBLE
};

#define COMPATIBLE_PREFIX "AI_OPENAI_COMPATIBLE_"
#define CREDENTIAL_PREFIX "AI_CREDENTIAL_"

static const struct {
	const char *id, *prefix;
} kinds[] = {
	[PROVIDER_OPENAI] = {"openai",            "AI_OPENAI_"     },
	[PROVIDER_ANTHROPIC] = {"anthropic",         "AI_ANTHROPIC_"  },
	[PROVIDER_GOOGLE] = {"google",            "AI_GOOGLE_"     },
	[PROVIDER_OPENAI_COMPATIBLE] = {"openai-compatible", COMPATIBLE_PREFIX},
};

#define AT(field) offsetof(struct provider_config, field)

/* clang-format off */
const struct config_variable provider_variables[] = {
	{.name = "ENABLED", .type = CONFIG_BOOL, .offset = AT(enabled), .kinds = ALL,
	 .unset = "true if there is a key (openai-compatible: a base URL)",
	 .help = "Whether the provider may be used"},
	{.name = "NAME", .type = CONFIG_TEXT, .offset = AT(name), .kinds = COMPATIBLE,
	 .unset = "its id",
	 .help = "Name for people"},
	{.name = "API_KEY", .type = CONFIG_LINE, .offset = AT(api_key), .kinds = ALL,
	 .secret = true,
	 .help = "Key; openai-compatible servers may do without"},
	{.name = "BASE_URL", .type = CONFIG_BASE_URL, .offset = AT(base_url), .kinds = ALL,
	 .unset = "the provider's own",
	 .help = "Where the API is, with its version: https://api.openai.com/v1"},
	{.name = "ALLOWED_MODELS", .type = CONFIG_LIST, .offset = AT(allowed), .kinds = ALL,
	 .empty_says = true, .unset = "those of the model table",
	 .help = "Exactly these models may be used, also ids that no table knows; empty: none"},
	{.name = "MODELS", .type = CONFIG_MODELS, .offset = AT(models), .kinds = COMPATIBLE,
	 .shape = config_shape_own_models, .unset = "any id",
	 .help = "Exactly these: "
		 "`json:[{\"id\",\"name\",\"context\",\"output\",\"attachment\",\"reasoning\","
		 "\"cost\",\"providerOptions\"}]` or a comma list of ids"},
	{.name = "PRESET", .type = CONFIG_TEXT, .offset = AT(preset), .kinds = COMPATIBLE,
	 .choices = "generic|azure|mistral|ollama|lmstudio|llamacpp|vllm",
	 .unset = "guessed from the base URL",
	 .help = "What kind of server it is: generic, azure, mistral, ollama, lmstudio, "
		 "llamacpp, vllm"},
	{.name = "HEADERS", .type = CONFIG_HEADERS, .offset = AT(headers), .kinds = ALL,
	 .secret = true,
	 .help = "Further headers: `json:[{\"header\",\"value\"}]`"},
	{.name = "AUTH", .type = CONFIG_TEXT, .offset = AT(auth), .kinds = ALL,
	 .choices = "bearer|x-api-key|api-key|none", .unset = "as the provider wants it",
	 .help = "How the key is sent: bearer, x-api-key, api-key, none"},
	{.name = "API_VERSION", .type = CONFIG_NAME, .offset = AT(api_version),
	 .kinds = ANTHROPIC | GOOGLE | COMPATIBLE, .unset = "the provider's default",
	 .help = "Version of the API: anthropic-version, Gemini's path, Azure's api-version"},
	{.name = "ORGANIZATION", .type = CONFIG_LINE, .offset = AT(organization), .kinds = OPENAI,
	 .help = "OpenAI-Organization"},
	{.name = "PROJECT", .type = CONFIG_LINE, .offset = AT(project), .kinds = OPENAI,
	 .help = "OpenAI-Project"},
	{.name = "WORKSPACE", .type = CONFIG_LINE, .offset = AT(workspace), .kinds = ANTHROPIC,
	 .help = "anthropic-workspace-id"},
	{.name = "BETAS", .type = CONFIG_LIST, .offset = AT(betas), .kinds = ANTHROPIC,
	 .help = "anthropic-beta"},
	{.name = "CONTEXT_SIZE", .type = CONFIG_NUMBER, .offset = AT(context_size),
	 .kinds = COMPATIBLE, .min = 256, .max = 100 * 1000 * 1000, .unset = "the server's",
	 .help = "Ollama: the context to ask for, in tokens (num_ctx)"},
	{0},
};
/* clang-format on */

#undef AT
#define AT(field) offsetof(struct credential_config, field)

/* clang-format off */
const struct config_variable credential_variables[] = {
	{.name = "API_KEY", .type = CONFIG_LINE, .offset = AT(api_key), .secret = true,
	 .help = "Key that the option `credential` chooses by name"},
	{.name = "PROVIDER", .type = CONFIG_NAME, .offset = AT(provider), .unset = "any",
	 .help = "The provider that it may be sent to"},
	{.name = "BASE_URL", .type = CONFIG_BASE_URL, .offset = AT(base_url),
	 .unset = "the provider's",
	 .help = "Where the API is for this key"},
	{.name = "ORGANIZATION", .type = CONFIG_LINE, .offset = AT(organization),
	 .help = "OpenAI-Organization for this key"},
	{.name = "PROJECT", .type = CONFIG_LINE, .offset = AT(project),
	 .help = "OpenAI-Project for this key"},
	{.name = "WORKSPACE", .type = CONFIG_LINE, .offset = AT(workspace),
	 .help = "anthropic-workspace-id for this key"},
	{.name = "HEADERS", .type = CONFIG_HEADERS, .offset = AT(headers), .secret = true,
	 .help = "Further headers: `json:[{\"header\",\"value\"}]`"},
	{0},
};
/* clang-format on */

/* ---- names ---- */

/* The variable that ends a name: of ALLOWED_MODELS and MODELS the longer. `rest` is what stands
 * behind the family's prefix; *name_len is the length of the name before it, 0 for none. */
static const struct config_variable *find_suffix(const struct config_variable *table,
						 unsigned kinds_wanted, struct str rest,
						 size_t *name_len)
{
	const struct config_variable *best = NULL;
	size_t best_len = 0;

	for (const struct config_variable *v = table; v->name; v++) {
		size_t len = strlen(v->name), before;

		if ((kinds_wanted && !(v->kinds & kinds_wanted)) || len > rest.len ||
		    len <= best_len)
			continue;
		before = rest.len - len;
		if (memcmp(rest.ptr + before, v->name, len) != 0 ||
		    (before > 0 && (before < 2 || rest.ptr[before - 1] != '_')))
			continue;
		best = v;
		best_len = len;
		*name_len = before ? before - 1 : 0;
	}
	return best;
}

static bool takes_file(const struct config_variable *v)
{
	return v->secret;
}

/* The name in "<prefix><NAME>_<variable>", also with _FILE at the end. */
static bool find_name(const char *variable, const char *prefix, const struct config_variable *table,
		      unsigned kinds_wanted, struct str *name)
{
	struct str rest = str_of(variable);
	const struct config_variable *v;
	size_t len = 0;

	if (!str_starts(rest, str_of(prefix)))
		return false;
	rest.ptr += strlen(prefix);
	rest.len -= strlen(prefix);
	v = find_suffix(table, kinds_wanted, rest, &len);
	if (!v && rest.len > 5 && memcmp(rest.ptr + rest.len - 5, "_FILE", 5) == 0) {
		rest.len -= 5;
		v = find_suffix(table, kinds_wanted, rest, &len);
		if (v && !takes_file(v))
			v = NULL;
	}
	*name = (struct str){rest.ptr, len};
	return v && len > 0;
}

static bool has(const struct text_list *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], name) == 0)
			return true;
	return false;
}

/* All names of a family that occur, as they are written. */
static struct text_list find_names(struct config_reader *r, const char *prefix,
				   const struct config_variable *table, unsigned kinds_wanted)
{
	struct text_list names = {arena_array(r->a, const char *, NAMED_MAX), 0, NAMED_MAX};

	for (size_t i = 0; i < r->env.count; i++) {
		struct str found;
		const char *name;

		if (!find_name(r->env.items[i].name, prefix, table, kinds_wanted, &found))
			continue;
		name = arena_strndup(r->a, found.ptr, found.len);
		if (has(&names, name))
			continue;
		if (names.count == NAMED_MAX) {
			config_error(r, "more than %d names in %s<NAME>_...", NAMED_MAX, prefix);
			break;
		}
		names.items[names.count++] = name;
	}
	return names;
}

static const char *lower(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text);

	for (char *c = copy; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return copy;
}

/* ---- providers ---- */

static bool host_ends(const char *url, const char *end)
{
	const char *host = strstr(url, "://");
	size_t len = strlen(end), host_len;

	host = host ? host + 3 : url;
	host_len = strcspn(host, ":/");
	return host_len >= len && strncasecmp(host + host_len - len, end, len) == 0;
}

/* Hosts and the ports that these servers have out of the box. */
static const char *guess_preset(const char *base_url)
{
	static const struct {
		const char *host, *port, *preset;
	} known[] = {
		{".openai.azure.com",            NULL,     "azure"   },
		{".services.ai.azure.com",       NULL,     "azure"   },
		{".cognitiveservices.azure.com", NULL,     "azure"   },
		{"api.mistral.ai",               NULL,     "mistral" },
		{NULL,			   ":11434", "ollama"  },
		{NULL,			   ":1234",  "lmstudio"},
	};

	for (size_t i = 0; base_url && i < ARRAY_LEN(known); i++) {
		const char *host = strstr(base_url, "://");
		const char *port = host ? strchr(host + 3, ':') : NULL;
		size_t port_len = port ? strcspn(port, "/") : 0;

		if (known[i].host ? host_ends(base_url, known[i].host)
				  : port_len == strlen(known[i].port) &&
					    memcmp(port, known[i].port, port_len) == 0)
			return known[i].preset;
	}
	return "generic";
}

static bool preset_has_server(const char *preset)
{
	return strcmp(preset, "generic") != 0 && strcmp(preset, "azure") != 0;
}

static void finish_compatible(struct config_reader *r, struct provider_config *p,
			      const char *prefix, bool told)
{
	if (!p->preset)
		p->preset = guess_preset(p->base_url);
	if (!told)
		p->enabled = p->base_url != NULL;
	else if (p->enabled && !p->base_url && !preset_has_server(p->preset)) {
		config_warning(r, "%sENABLED is true, but there is no %sBASE_URL: '%s' is off",
			       prefix, prefix, p->id);
		p->enabled = false;
	}
	if (!told && !p->enabled && (p->api_key || p->models || p->headers))
		config_warning(r, "there is no %sBASE_URL: '%s' is off", prefix, p->id);
}

static void finish_standard(struct config_reader *r, struct provider_config *p, const char *prefix,
			    bool told)
{
	if (!told)
		p->enabled = p->api_key != NULL;
	else if (p->enabled && !p->api_key && !p->base_url)
		config_warning(r, "%sENABLED is true, but there is no %sAPI_KEY", prefix, prefix);
}

static void read_provider(struct config_reader *r, struct provider_config *p, const char *prefix)
{
	bool told = false;

	p->name = p->id;
	for (const struct config_variable *v = provider_variables; v->name; v++) {
		bool given;

		if (!(v->kinds & 1U << p->kind))
			continue;
		given = config_read(r, v, arena_printf(r->a, "%s%s", prefix, v->name), p);
		if (v->offset == offsetof(struct provider_config, enabled))
			told = given;
	}
	if (p->kind == PROVIDER_OPENAI_COMPATIBLE)
		finish_compatible(r, p, prefix, told);
	else
		finish_standard(r, p, prefix, told);
}

static void read_providers(struct config_reader *r, struct config *c)
{
	struct text_list names = find_names(r, COMPATIBLE_PREFIX, provider_variables, COMPATIBLE);
	struct provider_config *list =
		arena_array(r->a, struct provider_config, ARRAY_LEN(kinds) + names.count);
	size_t count = 0;

	for (; count < ARRAY_LEN(kinds); count++) {
		list[count].id = kinds[count].id;
		list[count].kind = (enum provider_kind)count;
		read_provider(r, &list[count], kinds[count].prefix);
	}
	for (size_t i = 0; i < names.count; i++, count++) {
		list[count].id =
			arena_printf(r->a, "openai-compatible:%s", lower(r->a, names.items[i]));
		list[count].kind = PROVIDER_OPENAI_COMPATIBLE;
		read_provider(r, &list[count],
			      arena_printf(r->a, COMPATIBLE_PREFIX "%s_", names.items[i]));
	}
	c->providers = list;
	c->provider_count = count;
}

/* ---- credentials ---- */

static void read_credentials(struct config_reader *r, struct config *c)
{
	struct text_list names = find_names(r, CREDENTIAL_PREFIX, credential_variables, 0);
	struct credential_config *list =
		arena_array(r->a, struct credential_config, names.count + 1);

	for (size_t i = 0; i < names.count; i++) {
		list[i].name = lower(r->a, names.items[i]);
		for (const struct config_variable *v = credential_variables; v->name; v++)
			(void)config_read(r, v,
					  arena_printf(r->a, CREDENTIAL_PREFIX "%s_%s",
						       names.items[i], v->name),
					  &list[i]);
		if (list[i].provider && !config_provider(c, list[i].provider))
			config_error(r,
				     CREDENTIAL_PREFIX
				     "%s_PROVIDER is '%.60s', expected the id of a provider",
				     names.items[i], list[i].provider);
		if (!list[i].api_key && !list[i].headers)
			config_warning(r, "there is no " CREDENTIAL_PREFIX "%s_API_KEY",
				       names.items[i]);
	}
	c->credentials = list;
	c->credential_count = names.count;
}

void config_read_providers(struct config_reader *r, struct config *c)
{
	read_providers(r, c);
	read_credentials(r, c);
}

/* ---- unknown names ---- */

/* Directus' own, for its chat and its telemetry. */
static bool is_directus_own(const char *name)
{
	return strcmp(name, "AI_DEVTOOLS_ENABLED") == 0 ||
	       strncmp(name, "AI_TELEMETRY_", strlen("AI_TELEMETRY_")) == 0;
}

static bool is_ours(const char *name)
{
	return strncmp(name, "AI_", 3) == 0 || strncmp(name, "WORKER_", 7) == 0 ||
	       strncmp(name, "QUEUE_", 6) == 0;
}

static void try_table(struct config_reader *r, struct nearest *near, const char *prefix,
		      const struct config_variable *table, unsigned kinds_wanted)
{
	for (const struct config_variable *v = table; v->name; v++)
		if (!kinds_wanted || v->kinds & kinds_wanted)
			nearest_try(near, arena_printf(r->a, "%s%s", prefix, v->name));
}

/* A named one's variable that was mistyped: the name is all up to the last underscores. */
static void try_named(struct config_reader *r, struct nearest *near, const char *prefix,
		      const struct config_variable *table, unsigned kinds_wanted)
{
	size_t len = strlen(prefix);

	if (strncmp(near->word, prefix, len) != 0)
		return;
	for (const char *c = near->word + len; (c = strchr(c, '_')); c++)
		try_table(r, near, arena_strndup(r->a, near->word, (size_t)(c - near->word) + 1),
			  table, kinds_wanted);
}

static void warn_unknown(struct config_reader *r, const char *name)
{
	struct nearest near = {.word = name};

	for (const struct config_section *s = config_sections; s->title; s++)
		try_table(r, &near, "", s->variables, 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		try_table(r, &near, kinds[i].prefix, provider_variables, 1U << i);
	try_named(r, &near, COMPATIBLE_PREFIX, provider_variables, COMPATIBLE);
	try_named(r, &near, CREDENTIAL_PREFIX, credential_variables, 0);
	if (near.best)
		config_warning(r, "there is no variable %.80s, did you mean %s?", name, near.best);
	else
		config_warning(r, "there is no variable %.80s", name);
}

void config_warn_unknown(struct config_reader *r)
{
	for (size_t i = 0; i < r->env.count; i++) {
		const struct env_variable *v = &r->env.items[i];

		if (!v->used && is_ours(v->name) && !is_directus_own(v->name))
			warn_unknown(r, v->name);
	}
}
