/* Covers operations/request_text.c, common/address.c and the words of common/directus_words.c: what a
 * user may write into a URL, a body, a header list, a deny list, a key. A URL that was written has
 * nothing left that http_check() refuses, and writing it again changes nothing. */
#include "common/address.h"
#include "common/directus.h"
#include "operations/request_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void write_url(struct arena *a, const char *text)
{
	struct http_request req = {.method = "GET", .url = request_url(a, text)};
	struct error err;

	if (!http_check(&req, &err) || strcmp(request_url(a, req.url), req.url) != 0)
		abort();
	(void)http_url_join(a, req.url, text);
	(void)http_url_join(a, "https://a.example/b/c?d", req.url);
}

static void write_body(struct arena *a, struct str text)
{
	struct error err;
	cJSON *options = json_parse(a, text, &err);
	struct request_parts parts = {.method = "POST",
				      .headers = json_get(options, "headers"),
				      .body = json_get(options, "body")};
	struct request_text out;

	if (options && request_write(a, &parts, &out, &err) && !out.headers)
		abort();
	(void)directus_query(a, options);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *a = arena_new();
	struct str text = {(const char *)bytes, size};
	const char *word = arena_strndup(a, text.ptr, size), *path;
	struct error err;

	write_url(a, word);
	write_body(a, text);
	if (!request_read(a, text))
		abort();
	deny_list_free(deny_list_new(word, &err));
	/* No key leads out of its collection. */
	if (directus_item_path(a, "articles", word, &path, &err) &&
	    (strncmp(path, "/items/articles/", 16) != 0 || strpbrk(path + 16, "/?#\\ ")))
		abort();
	arena_free(a);
	return 0;
}
