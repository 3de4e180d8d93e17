#include "operations/models.h"

#include "operations/byte_pair.h"
#include "operations/model_own.h"
#include "operations/tokens.h"

#include <math.h>
#include <stdio.h>
#include <strings.h>

enum { FACTORS_MAX = 256, KEPT_MAX = 256 };

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
	struct model_tables tables;
	struct factor factors[FACTORS_MAX];
	size_t factor_count;
	struct kept kept[KEPT_MAX];
	size_t kept_count;
	struct window windows[KEPT_MAX];
	struct byte_pairs *byte_pairs[SPLIT_RULES]; /* NULL: not loaded */
	size_t window_count;
};

/* ---- looking up ---- */

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
	const struct window *window = find_window(models, p, id);
	struct model *m =
		model_put_together(&models->tables, p, id, window ? window->tokens : 0, a);

	models_count_with(models, m);
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

/* ---- who may be asked ---- */

/* The models that are allowed: the variable's, else those of the settings. */
static struct config_list allowed_list(const struct models *m, const struct provider_config *p,
				       struct arena *a)
{
	const cJSON *list =
		json_get(m->tables.imported, arena_printf(a, "ai_%s_allowed_models", p->id));
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
	if (!allowed.set && p->kind == PROVIDER_OPENAI_COMPATIBLE &&
	    !model_own_list(&models->tables, p))
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
	m->tables.imported = json_copy(m->arena, settings);
	m->kept_count = 0; /* they may have changed */
}

static bool lists(const struct models *models, const struct provider_config *p, const char *id)
{
	struct arena *a = arena_new();
	struct config_list allowed = allowed_list(models, p, a);
	bool found = model_is_in_tables(&models->tables, p, id) || in_list(&allowed, id);

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
		bool ours = entries == model_own_list(&models->tables, p) ||
			    (json_get_text(entry, "provider") &&
			     (model_entry_is_for(entry, p->id) ||
			      model_entry_is_for(entry, model_kind_name(p))));

		if (ours && model_entry_id(entry))
			list_one(models, p, model_entry_id(entry), out, a);
	}
}

const struct model *const *models_list(struct models *models, const struct provider_config *p,
				       struct arena *a)
{
	const cJSON *const lists[] = {models->tables.entries, model_own_list(&models->tables, p),
				      models->tables.ai_models};
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

void models_count_with(const struct models *models, struct model *m)
{
	enum split_rules own = tokens_ranks_of(m->tokenizer);

	m->ranks = models->byte_pairs[own] ? own : SPLIT_O200K;
	m->byte_pairs = models->byte_pairs[m->ranks];
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
		return fail(
			err, ERR_CONFIG,
			"AI_MODELS[%zu]: has neither 'model', an id, nor 'match', a pattern of ids",
			i);
	if (!json_get_text(entry, "provider"))
		return fail(err, ERR_CONFIG,
			    "AI_MODELS[%zu]: has no 'provider', expected an id such as openai", i);
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
	m->tables = (struct model_tables){.families = json_get(table, "families"),
					  .entries = json_get(table, "models"),
					  .ai_models = config->ai_models};
	return m;
}

void models_free(struct models *m)
{
	if (m)
		arena_free(m->arena);
}
