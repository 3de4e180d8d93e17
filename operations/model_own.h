/* operations/model_own.h: what model.c and models.c share; nobody else includes it. */
#ifndef OPERATIONS_MODEL_OWN_H
#define OPERATIONS_MODEL_OWN_H

#include "operations/models.h"

/* What an entry of a table says of a model; what it does not say stays. */
void model_read(struct model *m, const cJSON *entry);

#endif
