/* operations/llm_window.c: how much a model of a local server takes, asked of the server itself (Ollama: /api/show).
 *
 * Such a server cuts a prompt that is too long without a word, and its default window is small: whoever does not
 * ask pays with answers to half of a question. Once for each model and process. */
#include "operations/llm_own.h"

#include "operations/services.h"

#include <stdlib.h>

enum { SHOW_TIMEOUT_MS = 5000 };

static task_step shown;

bool llm_wants_window(const struct llm_call *c)
{
	return !c->op->use->dry_run &&
	       models_wants_window(c->op->use->models, c->target.config, c->target.model);
}

enum task_next llm_ask_window(struct llm_call *c)
{
	static const struct http_header headers[] = {
		{"Content-Type", "application/json"},
                {NULL,           NULL              }
        };
	struct arena *a = c->op->arena;
	const char *base = c->target.endpoint.base_url;
	size_t len = strlen(base);
	cJSON *body = json_object(a);

	if (len > 3 && strcmp(base + len - 3, "/v1") == 0)
		len -= 3;
	json_set_text(a, body, "model", c->target.model_id);
	c->request = (struct http_request){.method = "POST",
					   .url = arena_printf(a, "%.*s/api/show", (int)len, base),
					   .headers = headers,
					   .body = json_print(a, body),
					   .timeout_ms = SHOW_TIMEOUT_MS,
					   .repeatable = true};
	c->http = (struct http_call){.status = 0};
	http_start(c->op->use->http, &c->http, &c->request, a);
	return task_await_either(&c->task, &c->http.call, shown);
}

/* {"parameters":"num_ctx 8192\nstop …"}: without it the server's own default holds. */
static uint32_t read_window(struct llm_call *c)
{
	struct error err;
	const cJSON *body = json_parse_rounding(c->op->arena, c->http.body, &err);
	const char *parameters = json_get_text(body, "parameters");
	const char *line = parameters ? strstr(parameters, "num_ctx") : NULL;
	unsigned long tokens = line ? strtoul(line + strlen("num_ctx"), NULL, 10) : 0;

	return tokens <= UINT32_MAX ? (uint32_t)tokens : 0;
}

static enum task_next shown(struct task *t)
{
	struct llm_call *c = container_of(t, struct llm_call, task);
	bool good = c->http.call.err.code == ERR_OK && c->http.status == 200;

	models_set_window(c->op->use->models, c->target.config, c->target.model_id,
			  good ? read_window(c) : 0);
	return task_go(t, llm_pick);
}
