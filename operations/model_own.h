/* operations/model_own.h: what the model*.c files share; nobody else includes it.
 *
 *   model.c         one model: what its entry says, its efforts, its prices
 *   model_lookup.c  the lists: which entries speak of an id, and in which order
 *   models.c        what is kept of that: entries, windows, ranks, factors; who may be asked */
#ifndef OPERATIONS_MODEL_OWN_H
#define OPERATIONS_MODEL_OWN_H

#include "operations/models.h"

/* The lists; a later one overrides the ones before it. A compatible server's own comes before AI_MODELS. */
struct model_tables {
	const cJSON *families, *entries; /* the program's own */
	const cJSON *ai_models;          /* AI_MODELS, or NULL */
	const cJSON *imported;           /* Directus' settings, or NULL */
};

/* What an entry of a table says of a model; what it does not say stays. */
void model_read(struct model *m, const cJSON *entry);

const char *model_entry_id(const cJSON *entry); /* or NULL */
/* An entry that names no provider is for all of them. */
bool model_entry_is_for(const cJSON *entry, const char *provider);

/* The list that belongs to a compatible server: the variable's, else that of Directus' settings; or NULL. */
const cJSON *model_own_list(const struct model_tables *t, const struct provider_config *p);

/* What kind of provider, for lists: all compatible ones are one there. */
const char *model_kind_name(const struct provider_config *p);

bool model_is_in_tables(const struct model_tables *tables, const struct provider_config *p,
			const char *id);

/* There always is one. `window`: what the server itself said that it takes; 0: nothing. */
struct model *model_put_together(const struct model_tables *tables, const struct provider_config *p,
				 const char *id, uint32_t window, struct arena *a);

#endif
