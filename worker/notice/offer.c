#include "worker/notice/offer.h"

#include "common/config.h"
#include "common/loop.h"
#include "operations/models.h"

static cJSON *models_json_of(const struct provider_config *provider, struct models *models,
			     struct arena *a)
{
	const struct model *const *list = models_list(models, provider, a);
	cJSON *json = json_array(a);
	struct error err;
	char today[11];

	model_today(wall_ms(), today);
	for (; *list; list++) {
		cJSON *entry = json_object(a);

		if (model_is_retired(*list, today) ||
		    !models_allowed(models, provider, *list, a, &err))
			continue;
		json_set_text(a, entry, "id", (*list)->id);
		json_set_text(a, entry, "name", (*list)->name ? (*list)->name : (*list)->id);
		json_push(json, entry);
	}
	return json;
}

cJSON *offer_json(const struct config *config, struct models *models, struct arena *a)
{
	cJSON *json = json_object(a), *providers = json_array(a);

	for (size_t i = 0; i < config->provider_count; i++) {
		const struct provider_config *p = &config->providers[i];
		cJSON *entry = json_object(a);

		if (!p->enabled)
			continue;
		json_set_text(a, entry, "id", p->id);
		json_set_text(a, entry, "name", p->name ? p->name : p->id);
		json_set(a, entry, "models", models_json_of(p, models, a));
		json_push(providers, entry);
	}
	json_set(a, json, "providers", providers);
	return json;
}

static void told(struct call *c)
{
	(void)c; /* it is told again at the next start */
}

void offer_tell(struct offer *o, struct redis *redis, const char *key, const cJSON *offer,
		struct arena *a)
{
	o->call.call.done = told;
	redis_start(redis, &o->call, a, 0, "SET", key, json_print(a, offer).ptr, NULL);
}
