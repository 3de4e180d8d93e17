/* Covers filter*.c, schema*.c, regex.c, date.c and options.c: the input is two JSON texts with a zero
 * byte between them, a rule and the data; the rule is taken for a filter and for a JSON Schema. */
#include "operations/filter.h"
#include "operations/options.h"
#include "operations/schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void judge(struct arena *a, const cJSON *rule, const cJSON *data)
{
	struct filter_input in = {.filter = rule, .data = data, .now_ms = 1700000000000};
	const cJSON *rejection = filter_check(a, &in);
	struct error err;
	cJSON *unsupported;

	if (rejection && !cJSON_IsArray(rejection) && !json_get_text(rejection, "message"))
		abort();
	if (schema_check(a, rule, &unsupported, &err))
		(void)schema_validate(a, rule, data);
	else if (!err.text[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	const uint8_t *split = size ? memchr(bytes, 0, size) : NULL;
	struct error err;
	const cJSON *rule, *data;

	if (split) {
		size_t first = (size_t)(split - bytes);

		rule = option_to_object(a, json_str(a, (struct str){(const char *)bytes, first}),
					&err);
		data = json_parse(a, (struct str){(const char *)split + 1, size - first - 1}, &err);
		if (rule && data)
			judge(a, rule, data);
	}
	arena_free(a);
	return 0;
}
