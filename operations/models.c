#include "operations/models.h"

#include "operations/byte_pair.h"
#include "operations/model_own.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>

enum { DEFAULT_CONTEXT = 128000, DEFAULT_OUTPUT = 16000, FACTORS_MAX = 256, KEPT_MAX = 256 };

struct factor {
	char name[160]; /* provider/model */
	double value;
};

/* An entry that has been put together once is kept. */
struct kept {
	const struct provider_config *provider;
	const struct model *model;
};

/* How many tokens a server says that a model of it can take. */
struct window {
	const struct provider_config *provider;
	const char *id;
	uint32_t tokens; /* 0: it does not say */
};

struct models {
	struct arena *arena;
	const struct config *config;
	const cJSON *families, *entries; /* the program's own */
	const cJSON *imported;           /* Directus' settings, or NULL */
	struct factor factors[FACTORS_MAX];
	size_t factor_count;
	struct kept kept[KEPT_MAX];
	size_t kept_count;
	struct window windows[KEPT_MAX];
	struct byte_pairs *byte_pairs[SPLIT_CL100K + 1]; /* NULL: not loaded */
	size_t window_count;
};

/* ---- looking up ---- */

static bool is_for(const cJSON *entry, const char *provider)
{
	const char *name = json_get_text(entry, "provider");

	return !name || strcasecmp(name, provider) == 0;
}

static const char *id_of(const cJSON *entry)
{
	const char *id = json_get_text(entry, "model");

	return id ? id : json_get_text(entry, "id");
}

static const cJSON *find_entry(const cJSON *list, const char *provider, const char *id)
{
	const cJSON *entry, *found = NULL;

	json_each(entry, list) /* the last one counts */
	{
		const char *name = id_of(entry);

		if (name && strcmp(name, id) == 0 && is_for(entry, provider))
			found = entry;
	}
	return found;
}

static size_t plain_letters(const char *pattern)
{
	size_t count = 0;

	for (; *pattern; pattern++)
		if (*pattern == '[')
			pattern += strcspn(pattern, "]");
		else if (*pattern != '*')
			count++;
	return count;
}

static const cJSON *find_family(const cJSON *list, const char *provider, const char *id)
{
	const cJSON *entry, *found = NULL;
	size_t best = 0;

	json_each(entry, list) {
		const char *match = json_get_text(entry, "match");

		if (!match || !is_for(entry, provider) || fnmatch(match, id, 0) != 0)
			continue;
		if (!found || plain_letters(match) >= best) {
			found = entry;
			best = plain_letters(match);
		}
	}
	return found;
}

/* "-20250929" or "-2025-04-14" at the end. */
static size_t length_without_date(const char *id)
{
	static const char *const shapes[] = {"-dddd-dd-dd", "-dddddddd"};
	size_t len = strlen(id);

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		size_t date = strlen(shapes[i]), j = 0;

		if (len <= date)
			continue;
		while (j < date && (shapes[i][j] == 'd' ? isdigit((unsigned char)id[len - date + j])
							: id[len - date + j] == '-'))
			j++;
		if (j == date)
			return len - date;
	}
	return len;
}

/* The list that belongs to a compatible server: the variable's, else that of Directus' settings. */
static const cJSON *own_list(const struct models *m, const struct provider_config *p)
{
	if (p->models || strcmp(p->id, "openai-compatible") != 0)
		return p->models;
	return json_get(m->imported, "ai_openai_compatible_models");
}

/* The models that are allowed: the variable's, else those of the settings. */
static struct config_list allowed_list(const struct models *m, const struct provider_config *p,
				       struct arena *a)
{
	const cJSON *list = json_get(m->imported, arena_printf(a, "ai_%s_allowed_models", p->id));
	const char **items;
	struct config_list allowed = p->allowed;
	const cJSON *item;

	if (allowed.set || !cJSON_IsArray(list))
		return allowed;
	items = arena_array(a, const char *, json_count(list) + 1);
	allowed = (struct config_list){.set = true, .items = items};
	json_each(item, list) {
		if (cJSON_IsString(item))
			items[allowed.count++] = item->valuestring;
	}
	return allowed;
}

/* What kind of provider, for tables: all compatible ones are one there. */
static const char *kind_name(const struct provider_config *p)
{
	const struct provider *provider = provider_find(p->id);

	return provider ? provider->name : p->id;
}

struct lookup {
	const struct models *models;
	const struct provider_config *provider;
	struct arena *arena;
};

static const cJSON *find_in(const struct lookup *l, const cJSON *list, const char *id)
{
	const char *bare = arena_strndup(l->arena, id, length_without_date(id));
	const cJSON *entry = find_entry(list, l->provider->id, id);

	if (!entry)
		entry = find_entry(list, kind_name(l->provider), id);
	if (!entry)
		entry = find_entry(list, l->provider->id, bare);
	return entry ? entry : find_entry(list, kind_name(l->provider), bare);
}

/* What holds for all of a provider's models, then for the family; then what AI_MODELS says of it. */
static void apply_family(const struct lookup *l, struct model *m, const char *kind, const char *id)
{
	const cJSON *const found[] = {find_family(l->models->families, kind, ""),
				      find_family(l->models->families, kind, id),
				      find_family(l->models->config->ai_models, kind, id)};

	for (size_t i = 0; i < ARRAY_LEN(found); i++)
		if (found[i])
			model_read(m, found[i]);
}

static void apply(const struct lookup *l, struct model *m, const cJSON *list, const char *id)
{
	const cJSON *entry = find_in(l, list, id);

	if (entry) {
		model_read(m, entry);
		m->listed = true;
	}
}

/* A deployment's own name: the rules of the model behind it. */
static const char *base_of(const struct lookup *l, const char *id)
{
	const cJSON *entry = find_in(l, l->models->config->ai_models, id);
	const char *base = json_get_text(entry, "base");

	if (!base)
		base = json_get_text(find_in(l, own_list(l->models, l->provider), id), "base");
	return base;
}

static const char *provider_of_base(const struct lookup *l, const char *base)
{
	static const char *const names[] = {"openai", "anthropic", "google"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct provider_config p = {.id = names[i]};
		struct lookup there = {l->models, &p, l->arena};

		if (find_in(&there, l->models->entries, base))
			return names[i];
	}
	return kind_name(l->provider);
}

static void apply_base(const struct lookup *l, struct model *m, const char *base)
{
	struct provider_config p = {.id = provider_of_base(l, base)};
	struct lookup there = {l->models, &p, l->arena};

	apply_family(&there, m, p.id, base);
	apply(&there, m, l->models->entries, base);
}

static uint64_t share_of(const cJSON *entry, const char *member, uint64_t price, uint64_t before)
{
	const cJSON *factor = json_get(entry, member);

	return cJSON_IsNumber(factor) ? (uint64_t)llround((double)price * factor->valuedouble)
				      : before;
}

/* The prices that follow from others, by the factors of the family. */
static void derive_prices(const struct lookup *l, struct model *m, const char *kind, const char *id)
{
	const cJSON *family = find_family(l->models->families, kind, id);

	if (m->price_cached == m->price_input)
		m->price_cached = share_of(family, "cachedFactor", m->price_input, m->price_cached);
	if (m->price_cache_write == m->price_input)
		m->price_cache_write =
			share_of(family, "cacheWriteFactor", m->price_input, m->price_cache_write);
}

static const struct window *find_window(const struct models *m, const struct provider_config *p,
					const char *id)
{
	for (size_t i = 0; i < m->window_count; i++)
		if (m->windows[i].provider == p && strcmp(m->windows[i].id, id) == 0)
			return &m->windows[i];
	return NULL;
}

static const struct model *put_together(const struct models *models,
					const struct provider_config *p, const char *id,
					struct arena *a)
{
	struct lookup l = {models, p, a};
	struct model *m = arena_make(a, struct model);
	const struct preset *preset = p->preset ? preset_find(p->preset) : NULL;
	const struct window *window = find_window(models, p, id);
	const char *base = base_of(&l, id);

	m->provider = p->id;
	m->id = arena_strdup(a, id);
	m->name = m->id;
	m->context = preset && preset->context ? preset->context : DEFAULT_CONTEXT;
	m->output = DEFAULT_OUTPUT;
	m->stop = true;
	m->tokenizer_known = p->kind == PROVIDER_OPENAI;
	apply_family(&l, m, kind_name(p), id);
	if (base)
		apply_base(&l, m, base);
	apply(&l, m, models->entries, id);
	apply(&l, m, own_list(models, p), id);
	apply(&l, m, models->config->ai_models, id);
	if (window && window->tokens && !m->listed)
		m->context = window->tokens;
	if (preset && preset->context_option && p->context_size)
		m->context = (uint32_t)u64_min(p->context_size, UINT32_MAX);
	if (m->output > m->context)
		m->output = m->context;
	if (!m->price_known && preset && preset->is_free)
		m->price_known = true;
	m->byte_pairs = models_byte_pairs(models, m->tokenizer);
	derive_prices(&l, m, base ? provider_of_base(&l, base) : kind_name(p), base ? base : id);
	return m;
}

const struct model *models_find(struct models *models, const struct provider_config *p,
				const char *id, struct arena *a)
{
	const struct model *m;

	for (size_t i = 0; i < models->kept_count; i++)
		if (models->kept[i].provider == p && strcmp(models->kept[i].model->id, id) == 0)
			return models->kept[i].model;
	if (models->kept_count == KEPT_MAX) /* ids come from jobs: there is no end to them */
		return put_together(models, p, id, a);
	m = put_together(models, p, id, models->arena);
	models->kept[models->kept_count++] = (struct kept){p, m};
	return m;
}

bool models_wants_window(const struct models *models, const struct provider_config *p,
			 const struct model *m)
{
	const struct preset *preset = p->preset ? preset_find(p->preset) : NULL;

	return preset && preset->context_option && !p->context_size && !m->listed &&
	       !find_window(models, p, m->id) && models->window_count < KEPT_MAX;
}

void models_set_window(struct models *m, const struct provider_config *p, const char *id,
		       uint32_t tokens)
{
	if (m->window_count == KEPT_MAX || find_window(m, p, id))
		return;
	m->windows[m->window_count++] = (struct window){p, arena_strdup(m->arena, id), tokens};
	for (size_t i = 0; i < m->kept_count; i++)
		if (m->kept[i].provider == p && strcmp(m->kept[i].model->id, id) == 0)
			m->kept[i] = m->kept[--m->kept_count]; /* it is another one now */
}

static bool in_list(const struct config_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], id) == 0)
			return true;
	return false;
}

bool models_allowed(const struct models *models, const struct provider_config *p,
		    const struct model *m, struct arena *a, struct error *err)
{
	struct config_list allowed = allowed_list(models, p, a);
	const char *why = "it is not in the model table; add it to the provider's …_ALLOWED_MODELS "
			  "or to AI_MODELS";

	if (allowed.set ? in_list(&allowed, m->id) : m->listed)
		return true;
	if (!allowed.set && p->kind == PROVIDER_OPENAI_COMPATIBLE && !own_list(models, p))
		return true; /* any id */
	if (p->kind == PROVIDER_OPENAI_COMPATIBLE)
		why = "it is not in the provider's …_MODELS";
	if (allowed.set)
		why = p->allowed.set ? "it is not in the provider's …_ALLOWED_MODELS"
				     : "it is not allowed in Directus' settings";
	return fail(err, ERR_MODEL_NOT_ALLOWED, "model '%s' of provider '%s' is not allowed: %s",
		    m->id, p->id, why);
}

void models_import(struct models *m, const cJSON *settings)
{
	m->imported = json_copy(m->arena, settings);
	m->kept_count = 0; /* they may have changed */
}

static bool lists(const struct models *models, const struct provider_config *p, const char *id)
{
	struct arena *a = arena_new();
	struct lookup l = {models, p, a};
	bool found = find_in(&l, models->entries, id) || find_in(&l, own_list(models, p), id) ||
		     find_in(&l, models->config->ai_models, id);
	struct config_list allowed = allowed_list(models, p, a);

	found = found || in_list(&allowed, id);

	arena_free(a);
	return found;
}

const struct provider_config *models_provider(const struct models *models, const char *id)
{
	const struct provider_config *found = NULL;

	for (size_t i = 0; i < models->config->provider_count; i++) {
		const struct provider_config *p = &models->config->providers[i];

		if (!p->enabled || !lists(models, p, id))
			continue;
		if (found)
			return NULL;
		found = p;
	}
	return found;
}

/* ---- all of them ---- */

struct listing {
	const struct model **list;
	size_t count;
};

static void list_one(struct models *models, const struct provider_config *p, const char *id,
		     struct listing *out, struct arena *a)
{
	for (size_t i = 0; i < out->count; i++)
		if (strcmp(out->list[i]->id, id) == 0)
			return;
	out->list[out->count++] = models_find(models, p, id, a);
}

/* The entries of a provider's own list name no provider. */
static void list_all(struct models *models, const struct provider_config *p, const cJSON *entries,
		     struct listing *out, struct arena *a)
{
	const cJSON *entry;

	json_each(entry, entries) {
		bool ours = entries == own_list(models, p) ||
			    (json_get_text(entry, "provider") &&
			     (is_for(entry, p->id) || is_for(entry, kind_name(p))));

		if (ours && id_of(entry))
			list_one(models, p, id_of(entry), out, a);
	}
}

const struct model *const *models_list(struct models *models, const struct provider_config *p,
				       struct arena *a)
{
	const cJSON *const lists[] = {models->entries, own_list(models, p),
				      models->config->ai_models};
	struct listing out = {NULL, 0};
	struct config_list allowed = allowed_list(models, p, a);
	size_t most = allowed.count + 1;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		most += json_count(lists[i]);
	out.list = arena_array(a, const struct model *, most);
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_all(models, p, lists[i], &out, a);
	for (size_t i = 0; i < allowed.count; i++)
		list_one(models, p, allowed.items[i], &out, a);
	return out.list;
}

/* ---- limits ---- */

static bool has_concurrency(const cJSON *limits, const char *scope)
{
	const cJSON *entry;

	json_each(entry, limits) {
		const char *of = json_get_text(entry, "scope");

		if (of && strcasecmp(of, scope) == 0 && json_get(entry, "concurrency"))
			return true;
	}
	return false;
}

const cJSON *models_limits(const struct config *config, struct arena *a)
{
	cJSON *limits = config->ai_limits ? json_copy(a, config->ai_limits) : json_array(a);

	for (size_t i = 0; i < config->provider_count; i++) {
		const struct provider_config *p = &config->providers[i];
		const struct preset *preset = p->preset ? preset_find(p->preset) : NULL;
		cJSON *entry;

		if (!p->enabled || !preset || !preset->concurrency ||
		    has_concurrency(limits, p->id))
			continue;
		entry = json_object(a);
		json_set_text(a, entry, "scope", p->id);
		json_set_number(a, entry, "concurrency", preset->concurrency);
		json_push(limits, entry);
	}
	return limits;
}

/* ---- counting ---- */

struct byte_pairs *models_byte_pairs(const struct models *m, enum tokenizer t)
{
	return m->byte_pairs[t == TOKENIZER_CL100K ? SPLIT_CL100K : SPLIT_O200K];
}

bool models_load_ranks(struct models *m, enum split_rules rules, struct str file, struct error *err)
{
	struct byte_pairs *b = byte_pairs_new(m->arena, rules, file, err);

	if (!b)
		return false;
	m->byte_pairs[rules] = b;
	m->kept_count = 0; /* they are other ones now */
	return true;
}

/* ---- learning ---- */

/* Its place; factor_count if there is none. */
static size_t find_factor(const struct models *m, const char *provider, const char *model)
{
	char name[sizeof(m->factors[0].name)];
	size_t i = 0;

	(void)snprintf(name, sizeof(name), "%s/%s", provider, model);
	while (i < m->factor_count && strcmp(m->factors[i].name, name) != 0)
		i++;
	return i;
}

double models_factor(const struct models *m, const char *provider, const char *model)
{
	size_t i = find_factor(m, provider, model);

	return i < m->factor_count ? m->factors[i].value : 1;
}

void models_set_factor(struct models *m, const char *provider, const char *model, double factor)
{
	size_t i = find_factor(m, provider, model);

	if (i == FACTORS_MAX)
		return;
	if (i == m->factor_count) {
		m->factor_count++;
		(void)snprintf(m->factors[i].name, sizeof(m->factors[i].name), "%s/%s", provider,
			       model);
	}
	m->factors[i].value = fmin(fmax(factor, 0.2), 5);
}

void models_learn(struct models *m, const char *provider, const char *model, uint64_t estimated,
		  uint64_t actual)
{
	double before = models_factor(m, provider, model);

	if (estimated < 50 || actual == 0) /* too little to learn from */
		return;
	/* The estimate was made with the factor in it. */
	models_set_factor(m, provider, model,
			  before * (0.8 + (double)actual / (double)estimated * 0.2));
}

/* ---- the table ---- */

static bool check_entry(const cJSON *entry, size_t i, struct error *err)
{
	if (!cJSON_IsObject(entry))
		return fail(err, ERR_CONFIG, "AI_MODELS[%zu]: found %s, expected an object", i,
			    json_type_name(entry));
	if (!json_get_text(entry, "model") && !json_get_text(entry, "id") &&
	    !json_get_text(entry, "match"))
		return fail(err, ERR_CONFIG, "AI_MODELS[%zu]: has no 'model'", i);
	if (!json_get_text(entry, "provider"))
		return fail(err, ERR_CONFIG, "AI_MODELS[%zu]: has no 'provider'", i);
	return true;
}

static bool check_models(const cJSON *list, struct error *err)
{
	const cJSON *entry;
	size_t i = 0;

	json_each(entry, list) {
		if (!check_entry(entry, i++, err))
			return false;
	}
	return true;
}

struct models *models_new(const struct config *config, struct error *err)
{
	struct arena *a;
	struct models *m;
	cJSON *table;

	if (!check_models(config->ai_models, err))
		return NULL;
	a = arena_new();
	m = arena_make(a, struct models);
	table = json_parse(a, (struct str){(const char *)models_json, models_json_size}, err);
	if (!table) { /* operations/models.json is broken: a unit test sees to it that it is not */
		arena_free(a);
		return NULL;
	}
	m->arena = a;
	m->config = config;
	m->families = json_get(table, "families");
	m->entries = json_get(table, "models");
	return m;
}

void models_free(struct models *m)
{
	if (m)
		arena_free(m->arena);
}
