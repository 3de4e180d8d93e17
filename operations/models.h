/* operations/models.h: which models there are, what they can, what they cost.
 *
 * All of it is data: operations/models.json is carried in the program; AI_MODELS adds to it and
 * overrides it; AI_OPENAI_COMPATIBLE_MODELS is the list of a compatible server. Entries of all three
 * look alike, and later ones only say what they change:
 *
 *	{"provider":"openai","model":"gpt-5","name":"GPT-5","limit":{"context":400000,"output":128000},
 *	 "cost":{"input":1.25,"output":10,"cachedInput":0.125,"cacheWrite":1.25},
 *	 "attachment":true,"reasoning":true,"retires":"2026-12-11","base":"gpt-5", …rules…}
 *
 * (`id`, `context`, `output` and `providerOptions` are read too, as Directus writes them.) A family
 * ("match" in place of "model", a pattern with * and [ ]) lends its rules to all ids that match; the
 * pattern with the most plain letters wins. "base" takes rules, limits and prices of another model:
 * for deployments with names of their own. An id with a date at its end has the entry of the id
 * without, and is sent as it is. An id that is in no table has 128,000 tokens of context, 16,000 of
 * output, no price and no attachments. */
#ifndef OPERATIONS_MODELS_H
#define OPERATIONS_MODELS_H

#include "common/config.h"
#include "operations/byte_pair_split.h"
#include "operations/providers/provider.h"

struct models;

extern const unsigned char models_json[]; /* operations/models.json */
extern const size_t models_json_size;

/* NULL: AI_MODELS, or a list of models, is wrong; err says where. The config must stay. */
struct models *models_new(const struct config *config, struct error *err) NODISCARD;
void models_free(struct models *m); /* takes NULL */

/* The entry for an id; there always is one. It lives as long as the table or the arena. The provider
 * is one of the configuration's, and stays. */
const struct model *models_find(struct models *m, const struct provider_config *provider,
				const char *id, struct arena *a);

/* ERR_MODEL_NOT_ALLOWED with what to do about it. */
bool models_allowed(const struct models *models, const struct provider_config *p,
		    const struct model *m, struct arena *a, struct error *err) NODISCARD;

/* Takes allowed models and the compatible server's list from Directus' settings (the row of
 * directus_settings): they count where no variable says otherwise. Entries that models_find() has
 * given stay good. */
void models_import(struct models *m, const cJSON *settings);

/* The provider of a model that is named without one: the only enabled one that lists it. NULL: none,
 * or several. */
const struct provider_config *models_provider(const struct models *m, const char *id);

/* All that are listed for a provider, for people; ends with NULL. */
const struct model *const *models_list(struct models *m, const struct provider_config *provider,
				       struct arena *a);

/* Whether it has been shut down on that day; `today` is "2026-11-20". */
bool model_is_retired(const struct model *m, const char *today);
void model_today(uint64_t wall_ms, char today[11]);

/* AI_LIMITS, and for a local server without a limit of its own there how many calls at once it can
 * bear (its preset). */
const cJSON *models_limits(const struct config *config, struct arena *a);

/* ---- rules ---- */

/* The effort to send: the nearest one that the model takes; without `reason` its lowest. */
enum effort model_effort(const struct model *m, bool reason, enum effort wanted);

/* ---- money ---- */

struct cost {
	bool known;
	uint64_t input_nano, output_nano; /* nano-dollars: 1e-9 US dollars */
};

struct cost model_cost(const struct model *m, const struct llm_usage *usage);

/* ---- what a server says of its models (Ollama: /api/show) ---- */

/* Whether the window of a model has to be asked for: nobody has said how large it is. */
bool models_wants_window(const struct models *models, const struct provider_config *p,
			 const struct model *m);
/* 0: it was asked, and nothing is known; it is not asked again. */
void models_set_window(struct models *m, const struct provider_config *provider, const char *id,
		       uint32_t tokens);

/* ---- counting ---- */

/* Has a model counted with the ranks of its tokenizer, else with o200k's; with none if they are not loaded. */
void models_count_with(const struct models *models, struct model *m);
/* From the published file of a tokenizer; entries that models_find() gives from now on count with it (tokens.h).
 * ERR_INVALID_PAYLOAD: it is not such a file. */
bool models_load_ranks(struct models *m, enum split_rules rules, struct str file,
		       struct error *err) NODISCARD;

/* ---- what the estimator learns ---- */

/* What to multiply an estimate with; 1 until something is known. */
double models_factor(const struct models *m, const char *provider, const char *model);
/* A call has shown how many tokens it really were. */
void models_learn(struct models *m, const char *provider, const char *model, uint64_t estimated,
		  uint64_t actual);
/* From outside: what other processes have learned. */
void models_set_factor(struct models *m, const char *provider, const char *model, double factor);

#endif
