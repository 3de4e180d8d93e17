/* Covers json_scan.c, json.c and json_print.c: any bytes are refused or become a tree; what is printed
 * of it is read again as an equal tree and printed the same. */
#include "common/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool survives(struct arena *a, const cJSON *value)
{
	struct str printed = json_print(a, value), again;
	struct error err;
	cJSON *second = json_parse(a, printed, &err);

	if (!second || !json_equal(value, second))
		return false;
	again = json_print(a, second);
	return str_equal(printed, again) &&
	       json_parse(a, json_print_pretty(a, value), &err) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	struct str text = {(const char *)bytes, size};
	struct error err;
	cJSON *strict = json_parse(a, text, &err);
	cJSON *rounded = json_parse_rounding(a, text, &err);

	if (strict && (!rounded || !json_equal(strict, rounded)))
		abort();
	if (rounded && !survives(a, rounded))
		abort();
	arena_free(a);
	return 0;
}
