/* operations/llm_target.h: whom to ask: a provider, a model of it, the address and the key. */
#ifndef OPERATIONS_LLM_TARGET_H
#define OPERATIONS_LLM_TARGET_H

#include "operations/models.h"

struct services;

struct llm_target {
	const struct provider_config *config;
	const struct provider *provider; /* the table's: what is shown and priced */
	const struct model *model;
	const char *model_id; /* as it is sent */
	struct endpoint endpoint;
};

struct llm_choice {
	const char *provider, *model, *credential; /* what the operation says; or NULL */
	const char
		*key; /* written into the flow, where AI_ALLOW_INLINE_KEYS lets it count; or NULL */
};

/* Finds and checks it: ERR_AI_DISABLED, ERR_NOT_CONFIGURED, ERR_MODEL_NOT_ALLOWED,
 * ERR_INVALID_PAYLOAD. What is left out comes from AI_DEFAULT_MODEL, or from the one provider that
 * lists the model. */
bool llm_target(const struct services *use, const struct llm_choice *choice, struct arena *a,
		struct llm_target *target, struct error *err) NODISCARD;

/* Where a provider is and with which key, without a model. */
bool llm_endpoint(const struct provider_config *p, struct arena *a, struct endpoint *endpoint,
		  struct error *err) NODISCARD;

#endif
