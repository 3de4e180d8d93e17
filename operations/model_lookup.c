/* operations/model_lookup.c: what the tables say of an id, put together as one model. */
#include "operations/model_own.h"

#include "common/config.h"

#include <ctype.h>
#include <fnmatch.h>
#include <math.h>
#include <strings.h>

enum { DEFAULT_CONTEXT = 128000, DEFAULT_OUTPUT = 16000 };

/* ---- an entry of a list ---- */

bool model_entry_is_for(const cJSON *entry, const char *provider)
{
	const char *name = json_get_text(entry, "provider");

	return !name || strcasecmp(name, provider) == 0;
}

const char *model_entry_id(const cJSON *entry)
{
	const char *id = json_get_text(entry, "model");

	return id ? id : json_get_text(entry, "id");
}

static const cJSON *find_entry(const cJSON *list, const char *provider, const char *id)
{
	const cJSON *entry, *found = NULL;

	json_each(entry, list) /* the last one counts */
	{
		const char *name = model_entry_id(entry);

		if (name && strcmp(name, id) == 0 && model_entry_is_for(entry, provider))
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

		if (!match || !model_entry_is_for(entry, provider) || fnmatch(match, id, 0) != 0)
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

const cJSON *model_own_list(const struct model_tables *t, const struct provider_config *p)
{
	if (p->models || strcmp(p->id, "openai-compatible") != 0)
		return p->models;
	return json_get(t->imported, "ai_openai_compatible_models");
}

const char *model_kind_name(const struct provider_config *p)
{
	const struct provider *provider = provider_find(p->id);

	return provider ? provider->name : p->id;
}

/* ---- an id in all lists ---- */

struct lookup {
	const struct model_tables *tables;
	const struct provider_config *provider;
	struct arena *arena;
};

static const cJSON *find_in(const struct lookup *l, const cJSON *list, const char *id)
{
	const char *bare = arena_strndup(l->arena, id, length_without_date(id));
	const cJSON *entry = find_entry(list, l->provider->id, id);

	if (!entry)
		entry = find_entry(list, model_kind_name(l->provider), id);
	if (!entry)
		entry = find_entry(list, l->provider->id, bare);
	return entry ? entry : find_entry(list, model_kind_name(l->provider), bare);
}

/* What holds for all of a provider's models, then for the family; then what AI_MODELS says of it. */
static void apply_family(const struct lookup *l, struct model *m, const char *kind, const char *id)
{
	const cJSON *const found[] = {find_family(l->tables->families, kind, ""),
				      find_family(l->tables->families, kind, id),
				      find_family(l->tables->ai_models, kind, id)};

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
	const cJSON *entry = find_in(l, l->tables->ai_models, id);
	const char *base = json_get_text(entry, "base");

	if (!base)
		base = json_get_text(find_in(l, model_own_list(l->tables, l->provider), id),
				     "base");
	return base;
}

static const char *provider_of_base(const struct lookup *l, const char *base)
{
	static const char *const names[] = {"openai", "anthropic", "google"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct provider_config p = {.id = names[i]};
		struct lookup there = {l->tables, &p, l->arena};

		if (find_in(&there, l->tables->entries, base))
			return names[i];
	}
	return model_kind_name(l->provider);
}

static void apply_base(const struct lookup *l, struct model *m, const char *base)
{
	struct provider_config p = {.id = provider_of_base(l, base)};
	struct lookup there = {l->tables, &p, l->arena};

	apply_family(&there, m, p.id, base);
	apply(&there, m, l->tables->entries, base);
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
	const cJSON *family = find_family(l->tables->families, kind, id);

	if (m->price_cached == m->price_input)
		m->price_cached = share_of(family, "cachedFactor", m->price_input, m->price_cached);
	if (m->price_cache_write == m->price_input)
		m->price_cache_write =
			share_of(family, "cacheWriteFactor", m->price_input, m->price_cache_write);
}

bool model_is_in_tables(const struct model_tables *tables, const struct provider_config *p,
			const char *id)
{
	struct arena *a = arena_new();
	struct lookup l = {tables, p, a};
	bool found = find_in(&l, tables->entries, id) ||
		     find_in(&l, model_own_list(tables, p), id) ||
		     find_in(&l, tables->ai_models, id);

	arena_free(a);
	return found;
}

struct model *model_put_together(const struct model_tables *tables, const struct provider_config *p,
				 const char *id, uint32_t window, struct arena *a)
{
	struct lookup l = {tables, p, a};
	struct model *m = arena_make(a, struct model);
	const struct preset *preset = p->preset ? preset_find(p->preset) : NULL;
	const char *base = base_of(&l, id);

	m->provider = p->id;
	m->id = arena_strdup(a, id);
	m->name = m->id;
	m->context = preset && preset->context ? preset->context : DEFAULT_CONTEXT;
	m->output = DEFAULT_OUTPUT;
	m->stop = true;
	m->tokenizer_known = p->kind == PROVIDER_OPENAI;
	apply_family(&l, m, model_kind_name(p), id);
	if (base)
		apply_base(&l, m, base);
	apply(&l, m, tables->entries, id);
	apply(&l, m, model_own_list(tables, p), id);
	apply(&l, m, tables->ai_models, id);
	if (window && !m->listed)
		m->context = window;
	if (preset && preset->context_option && p->context_size)
		m->context = (uint32_t)u64_min(p->context_size, UINT32_MAX);
	if (m->output > m->context)
		m->output = m->context;
	if (!m->price_known && preset && preset->is_free)
		m->price_known = true;
	derive_prices(&l, m, base ? provider_of_base(&l, base) : model_kind_name(p),
		      base ? base : id);
	return m;
}
