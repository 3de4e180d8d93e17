#include "worker/admin/rest.h"

#include "worker/setup.h"

static const cJSON *first_error(const cJSON *json)
{
	return json_first(json_get(json, "errors"));
}

static void read_reply(struct setup *s, const struct http_call *c, struct rest_reply *reply)
{
	const cJSON *error;
	const char *code, *message;
	struct error ignored;

	*reply = (struct rest_reply){.err = c->call.err, .http = c, .code = "", .reason = ""};
	if (c->call.err.code != ERR_OK) {
		reply->reason = reply->err.text;
		return;
	}
	reply->status = c->status;
	reply->date = http_reply_header(c, "date");
	reply->json = json_parse_rounding(s->arena, c->body, &ignored);
	reply->data = json_get(reply->json, "data") ? json_get(reply->json, "data") : reply->json;
	error = first_error(reply->json);
	code = json_get_text(json_get(error, "extensions"), "code");
	message = json_get_text(error, "message");
	reply->code = code ? code : "";
	reply->reason = message ? message : arena_printf(s->arena, "status %d", c->status);
}

static bool ask(struct setup *s, const struct http_request *req, struct rest_reply *reply)
{
	struct http_call *c = arena_make(s->arena, struct http_call);

	http_start(s->services.http, c, req, s->arena);
	setup_wait(s, &c->call);
	read_reply(s, c, reply);
	return reply->status >= 200 && reply->status < 300;
}

bool rest_ask(const struct rest *r, const char *method, const char *path, const cJSON *body,
	      struct rest_reply *reply)
{
	struct arena *a = r->setup->arena;
	struct http_header headers[4] = {
		{"Accept", "application/json"}
        };
	size_t n = 1;
	struct http_request req = {
		.method = method,
		.url = arena_printf(a, "%s%s", r->url, path),
		.headers = headers,
		.timeout_ms = REST_TIMEOUT_MS,
		.connect_timeout_ms = REST_TIMEOUT_MS / 3,
		.repeatable = strcmp(method, "POST") != 0,
	};

	if (r->token)
		headers[n++] = (struct http_header){"Authorization",
						    arena_printf(a, "Bearer %s", r->token)};
	if (body) {
		headers[n++] = (struct http_header){"Content-Type", "application/json"};
		req.body = json_print(a, body);
	}
	return ask(r->setup, &req, reply);
}

bool rest_get(struct setup *setup, const char *url, const struct http_header *headers,
	      struct rest_reply *reply)
{
	const struct http_request req = {
		.method = "GET",
		.url = url,
		.headers = headers,
		.timeout_ms = REST_TIMEOUT_MS,
		.connect_timeout_ms = REST_TIMEOUT_MS / 3,
		.repeatable = true,
	};

	return ask(setup, &req, reply);
}
