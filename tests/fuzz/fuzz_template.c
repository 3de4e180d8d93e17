/* Covers template.c, path.c, template_filter.c and html_text.c: any text is resolved against a chain
 * with every kind of value, in the three ways to treat a tag that leads to nothing, or is an error
 * with a text. With a limit the result stays within it. */
#include "common/html_text.h"
#include "common/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char chain[] = "{\"$trigger\":{\"event\":\"e\",\"keys\":[7],\"payload\":{\"t\":"
			    "\"N\xC3\xA9 <b>\",\"l\":[\"a\",null,{}]}},"
			    "\"$last\":{\"a|b\":1,\"\":\"e\",\"x "
			    "y\":-0.5},\"s\":\"str\",\"n\":1e21,\"z\":null,\"a\":[[1,2]]}";

enum { MOST = 5000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const keys[] = {"write"};
	struct arena *a = arena_new();
	struct error err = {0};
	struct template_options o = {
		.operation_keys = keys, .key_count = 1, .max_bytes = MOST, .where = "x"};
	cJSON *text = json_str(a, (struct str){(const char *)bytes, size});

	o.chain = json_parse(a, STR(chain), &err);
	(void)html_text(a, (struct str){(const char *)bytes, size});
	for (o.on_missing = ON_MISSING_LITERAL; o.on_missing <= ON_MISSING_ERROR; o.on_missing++) {
		cJSON *made = template_resolve(a, text, &o, &err);

		if (!made && (err.code == ERR_OK || !err.text[0]))
			abort();
		if (made && cJSON_IsString(made) && strlen(made->valuestring) > MOST)
			abort();
	}
	arena_free(a);
	return 0;
}
