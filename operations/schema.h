/* operations/schema.h: JSON Schema: what a model's answer must look like, and what is wrong with it.
 *
 * The part of draft 2020-12 that descriptions of answers use: type enum const properties required
 * additionalProperties patternProperties minProperties maxProperties propertyNames items prefixItems
 * contains minItems maxItems uniqueItems minLength maxLength pattern format minimum maximum
 * exclusiveMinimum exclusiveMaximum multipleOf anyOf oneOf allOf not if then else dependentRequired
 * $ref within the document, $defs, definitions. Annotations (title, description, default, examples,
 * $schema, $id, $comment, deprecated, readOnly, writeOnly) mean nothing. `pattern` is limited in the
 * work that it may cause. */
#ifndef OPERATIONS_SCHEMA_H
#define OPERATIONS_SCHEMA_H

#include "common/json.h"

enum { SCHEMA_ERRORS_MAX = 8 };

/* Whether it is a schema that can be used: ERR_INVALID_PAYLOAD says what is wrong and where.
 * *unsupported (or NULL) becomes an array with the JSON pointers of keywords that are unknown here. */
bool schema_check(struct arena *a, const cJSON *schema, cJSON **unsupported,
		  struct error *err) NODISCARD;

/* The empty text: the value is good. Else the first SCHEMA_ERRORS_MAX faults, a line each, in words
 * that a model can mend its answer by: "/items/0/name: is a number, expected a string". The schema
 * must be good. */
struct str schema_validate(struct arena *a, const cJSON *schema, const cJSON *value);

#endif
