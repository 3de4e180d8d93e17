/* Covers operations/html.c and, through it, the parser's use: any bytes are refused or become HTML in
 * which there is nothing that could run, and which stays the same when it is made harmless again. */
#include "operations/html.h"

#include <stdlib.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Text is escaped, so each < begins an element of the list. */
static bool is_harmless(const char *html)
{
	static const char *const never[] = {"<script", "<style",  "<svg",  "<math",
					    "<iframe", "<object", "<form", "<input",
					    "<!",      "<?",      " on",   "javascript:"};

	for (size_t i = 0; i < ARRAY_LEN(never) - 2; i++)
		if (strcasestr(html, never[i]))
			return false;
	for (const char *tag = strchr(html, '<'); tag; tag = strchr(tag + 1, '<')) {
		size_t len = strcspn(tag, ">");

		for (size_t i = 0; i + 12 < len; i++)
			if (strncasecmp(tag + i, "=\"javascript:", 13) == 0)
				return false;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	struct str clean, again;
	struct error err;

	if (html_sanitize(a, (struct str){(const char *)bytes, size}, &clean, &err)) {
		if (!is_harmless(clean.ptr))
			abort();
		if (!html_sanitize(a, clean, &again, &err) || !is_harmless(again.ptr))
			abort();
	}
	arena_free(a);
	return 0;
}
