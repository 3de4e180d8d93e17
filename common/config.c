#include "common/config_parts.h"

#include "common/address.h"
#include "common/secrets.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

enum { ENV_FILE_MAX = 1024 * 1024, SECRET_FILE_MAX = 64 * 1024, SHORT_SECRET = 16 };

/* ---- what is told ---- */

static void list_add(struct arena *a, struct text_list *list, const char *text)
{
	if (list->count == list->size) {
		const char **larger;

		list->size = list->size ? list->size * 2 : 16;
		larger = arena_array(a, const char *, list->size);
		if (list->count)
			memcpy(larger, list->items, list->count * sizeof(*larger));
		list->items = larger;
	}
	list->items[list->count++] = text;
}

/* Secrets are masked at the end, when all of them are known. */
static PRINTF(3, 0) void tell(struct config_reader *r, struct text_list *list, const char *format,
			      va_list args)
{
	char text[1000];

	(void)vsnprintf(text, sizeof(text), format, args);
	list_add(r->a, list, arena_strdup(r->a, text));
}

void config_error(struct config_reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(r, &r->errors, format, args);
	va_end(args);
}

void config_warning(struct config_reader *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(r, &r->warnings, format, args);
	va_end(args);
}

/* ---- one variable ---- */

struct given {
	const char *value; /* NULL: not given */
	const char *source;
};

static const char *source_of(struct config_reader *r, const struct env_variable *v)
{
	if (v->line == 0)
		return "environment";
	return arena_printf(r->a, "%s line %u", r->env.file, v->line);
}

/* NAME_FILE: the file's content without the line break at its end. */
static bool read_secret_file(struct config_reader *r, const struct env_variable *v, struct given *g)
{
	const char *why = NULL, *text;
	size_t len = 0;

	text = env_read_file(r->a, v->value, SECRET_FILE_MAX, &len, &why);
	if (!text) {
		config_error(r, "%s is '%.200s', expected a file that can be read (%s)", v->name,
			     v->value, why);
		return false;
	}
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	g->value = arena_strndup(r->a, text, len);
	g->source = arena_printf(r->a, "file %s", v->value);
	return true;
}

/* false: it is wrong, which has been told. */
static bool find_given(struct config_reader *r, const struct config_variable *v, const char *name,
		       struct given *g)
{
	struct env_variable *plain = env_find(&r->env, name), *file = NULL;

	if (v->secret)
		file = env_find(&r->env, arena_printf(r->a, "%s_FILE", name));
	if (plain)
		plain->used = true;
	if (file)
		file->used = true;
	if (file && file->value[0] && plain && plain->value[0]) {
		config_error(r, "%s and %s are both given, expected one of them", name, file->name);
		return false;
	}
	if (file && file->value[0])
		return read_secret_file(r, file, g);
	if (plain && (plain->value[0] || v->empty_says))
		*g = (struct given){plain->value, source_of(r, plain)};
	return true;
}

static void keep_secret(const struct config_variable *v, const char *value)
{
	struct str text = str_of(config_skip_prefix(v->type, value));

	if (v->type == CONFIG_WEBHOOK || v->type == CONFIG_BASE_URL || v->type == CONFIG_REDIS)
		secrets_add_url(text);
	if (v->secret && v->type != CONFIG_REDIS && v->type != CONFIG_HEADERS)
		secrets_add(text);
}

static void show(struct config_reader *r, const struct config_variable *v, const char *name,
		 const struct given *g)
{
	struct config_sources *s = r->sources;

	if (s->count == s->size) {
		struct config_shown *larger;

		s->size = s->size ? s->size * 2 : 128;
		larger = arena_array(r->a, struct config_shown, s->size);
		if (s->count)
			memcpy(larger, s->items, s->count * sizeof(*larger));
		s->items = larger;
	}
	s->items[s->count++] = (struct config_shown){
		.name = name,
		.variable = v,
		.value = g->value ? g->value : v->by_default,
		.source = g->value ? g->source : "default",
	};
}

static void bad_value(struct config_reader *r, const struct config_variable *v, const char *name,
		      const struct given *g, const char *expected)
{
	bool hide = v->secret && v->type != CONFIG_REDIS;

	config_error(r, "%s is '%.100s' (%s), expected %s", name, hide ? SECRET_MASK : g->value,
		     g->source, expected);
}

bool config_read(struct config_reader *r, const struct config_variable *v, const char *name,
		 void *base)
{
	void *field = (char *)base + v->offset;
	struct given g = {NULL, NULL};
	const char *wrong;

	if (v->by_default)
		(void)config_parse(r->a, v, v->by_default, field);
	if (!find_given(r, v, name, &g))
		return false;
	show(r, v, name, &g);
	if (!g.value)
		return false;
	keep_secret(v, g.value);
	wrong = config_parse(r->a, v, g.value, field);
	if (wrong)
		bad_value(r, v, name, &g, wrong);
	return !wrong;
}

/* ---- all of them ---- */

static void read_env_file(struct config_reader *r, const struct config_options *o)
{
	const char *path = o->env_file ? o->env_file : ".env", *why = NULL, *text;
	size_t len = 0;

	if (o->no_env_file || (!o->env_file && access(path, F_OK) != 0))
		return;
	r->env.file = path;
	text = env_read_file(r->a, path, ENV_FILE_MAX, &len, &why);
	if (text)
		env_add_text(r, (struct str){text, len});
	else
		config_error(r, "'%.200s' can not be read: %s", path, why);
}

static void read_sections(struct config_reader *r, struct config *c)
{
	c->log_style = isatty(STDERR_FILENO) == 1 ? LOG_STYLE_PRETTY : LOG_STYLE_RAW;
	for (const struct config_section *s = config_sections; s->title; s++)
		for (const struct config_variable *v = s->variables; v->name; v++)
			(void)config_read(r, v, v->name, c);
}

static void make_flow_env(struct config_reader *r, struct config *c)
{
	struct config_list *list = &c->flows_env_allow_list;
	cJSON *object = json_object(r->a);

	if (list->count == 1 && strcmp(list->items[0], "false") == 0)
		list->count = 0; /* Directus' default, which people write out */
	for (size_t i = 0; i < list->count; i++) {
		const struct env_variable *v = env_find(&r->env, list->items[i]);

		if (v)
			json_set(r->a, object, v->name, config_cast(r->a, v->value));
	}
	c->flow_env = object;
}

static void check_default_model(struct config_reader *r, const struct config *c)
{
	const struct provider_config *p;
	const char *model = NULL;

	if (!c->ai_default_model)
		return;
	p = config_split_model(c, c->ai_default_model, &model);
	if (!p)
		config_error(r,
			     "AI_DEFAULT_MODEL is '%.100s', expected provider:model such as "
			     "openai:gpt-4o-mini",
			     c->ai_default_model);
	else if (!p->enabled)
		config_warning(r, "AI_DEFAULT_MODEL is '%.100s', but provider '%s' is not enabled",
			       c->ai_default_model, p->id);
}

static void check_deny_list(struct config_reader *r, struct config *c)
{
	struct error err;
	struct deny_list *list;

	c->import_ip_deny_list = config_skip_prefix(CONFIG_LIST, c->import_ip_deny_list);
	list = deny_list_new(c->import_ip_deny_list, &err);
	if (!list)
		config_error(r, "IMPORT_IP_DENY_LIST: %s", err.text);
	deny_list_free(list);
}

static void check_together(struct config_reader *r, struct config *c)
{
	check_default_model(r, c);
	check_deny_list(r, c);
	if (c->worker_job_secret && strlen(c->worker_job_secret) < SHORT_SECRET)
		config_warning(r,
			       "WORKER_JOB_SECRET is shorter than %d characters, it can be guessed",
			       SHORT_SECRET);
	if (c->directus_token && !c->directus_url)
		config_warning(r, "DIRECTUS_TOKEN is given, but there is no DIRECTUS_URL");
	if (c->worker_http_token && !c->worker_http_address)
		config_warning(r,
			       "WORKER_HTTP_TOKEN is given, but there is no WORKER_HTTP_ADDRESS");
}

static void mask_all(struct arena *a, struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		list->items[i] = secrets_mask_text(a, list->items[i]);
}

const struct config *config_load(struct arena *a, const struct config_options *options,
				 struct config_report *report)
{
	struct config_reader r = {.a = a, .sources = arena_make(a, struct config_sources)};
	struct config *c = arena_make(a, struct config);

	env_add_environment(&r, options->environment ? options->environment
						     : (const char *const *)environ);
	read_env_file(&r, options);
	read_sections(&r, c);
	config_read_providers(&r, c);
	make_flow_env(&r, c);
	check_together(&r, c);
	config_warn_unknown(&r);
	c->sources = r.sources;
	mask_all(a, &r.errors);
	mask_all(a, &r.warnings);
	*report = (struct config_report){r.errors.items, r.errors.count, r.warnings.items,
					 r.warnings.count};
	return r.errors.count ? NULL : c;
}

/* ---- looking up ---- */

/* Without regard to case, `-` is `_`. */
static bool same_name(struct str a, const char *b)
{
	for (size_t i = 0; i < a.len; i++) {
		char x = a.ptr[i] == '-' ? '_' : a.ptr[i], y = b[i] == '-' ? '_' : b[i];

		if (!y || strncasecmp(&x, &y, 1) != 0)
			return false;
	}
	return b[a.len] == '\0';
}

static const struct provider_config *find_provider(const struct config *c, struct str id)
{
	for (size_t i = 0; i < c->provider_count; i++)
		if (same_name(id, c->providers[i].id))
			return &c->providers[i];
	return NULL;
}

const struct provider_config *config_provider(const struct config *c, const char *id)
{
	return find_provider(c, str_of(id));
}

const struct credential_config *config_credential(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->credential_count; i++)
		if (same_name(str_of(name), c->credentials[i].name))
			return &c->credentials[i];
	return NULL;
}

/* The longest provider id wins: "openai-compatible:gpu:qwen3:8b" is of "openai-compatible:gpu" if
 * there is one of that name. */
const struct provider_config *config_split_model(const struct config *c, const char *text,
						 const char **model)
{
	const struct provider_config *best = NULL;

	for (const char *colon = text; (colon = strchr(colon, ':')); colon++) {
		const struct provider_config *p =
			find_provider(c, (struct str){text, (size_t)(colon - text)});

		if (p && colon[1]) {
			best = p;
			*model = colon + 1;
		}
	}
	return best;
}
