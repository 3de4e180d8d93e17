#include "worker/cli/cli_show.h"

#include "common/http.h"
#include "common/json.h"
#include "common/secrets.h"

#include <stdio.h>

static void show(struct dry_run *d, const struct http_request *request)
{
	struct cli_show *s = container_of(d, struct cli_show, dry_run);
	struct arena *a = s->arena;
	cJSON *line = json_object(a), *headers = json_object(a), *body;
	struct error err;
	struct str text;

	for (const struct http_header *h = request->headers; h && h->name; h++)
		json_set_text(a, headers, h->name, h->value);
	body = json_parse_rounding(a, request->body, &err);
	json_set_text(a, line, "method", request->method);
	json_set_text(a, line, "url", request->url);
	json_set(a, line, "headers", headers);
	json_set(a, line, "body", body ? body : json_str(a, request->body));
	secrets_mask_json(a, line);
	text = json_print(a, line);
	(void)fwrite(text.ptr, 1, text.len, stdout);
	(void)putchar('\n');
	(void)fflush(stdout);
}

void cli_show_init(struct cli_show *s, struct arena *a)
{
	*s = (struct cli_show){.dry_run.show = show, .arena = a};
}
