/* Requests to the simulator itself, under /__sim. */
#include "simulator.h"

#include <stdlib.h>

/* The value of a field of the query, undecoded, or "". */
static const char *query_field(struct arena *a, const char *query, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = query; *at; at += strcspn(at, "&"), at += *at == '&')
		if (strncmp(at, name, len) == 0 && at[len] == '=')
			return arena_strndup(a, at + len + 1, strcspn(at + len + 1, "&"));
	return "";
}

static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		char hex[3] = {0};
		if (text[0] == '%' && text[1] && text[2]) {
			memcpy(hex, text + 1, 2);
			*out++ = (char)strtol(hex, NULL, 16);
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static void get_ledger(struct exchange *x, struct reply *reply, struct buf *out)
{
	const char *since = query_field(x->arena, x->request.query, "since");
	char *call = arena_strdup(x->arena, query_field(x->arena, x->request.query, "call"));

	unescape(call);
	ledger_print(out, strtod(since, NULL), call);
	reply_json(reply, 200, out);
	reply->content_type = "application/x-ndjson";
}

static void get_stats(struct exchange *x, struct reply *reply, struct buf *out)
{
	buf_add_char(out, '{');
	ledger_stats(out);
	buf_printf(out, ",\"background_stopped\":%zu", background_stopped());
	buf_add_text(out, ",\"limits\":");
	limits_print(out);
	buf_add_text(out, "}\n");
	reply_json(reply, 200, out);
}

static void get_faults(struct exchange *x, struct reply *reply, struct buf *out)
{
	faults_print(out);
	reply_json(reply, 200, out);
}

static void post_faults(struct exchange *x, struct reply *reply, struct buf *out)
{
	const char *bad = faults_add(x->arena, x->request.body);

	buf_add_text(out, bad ? "{\"error\":" : "{\"queued\":true}");
	if (bad) {
		add_quoted(out, str_of(bad));
		buf_add_char(out, '}');
	}
	reply_json(reply, bad ? 400 : 200, out);
}

static void delete_faults(struct exchange *x, struct reply *reply, struct buf *out)
{
	faults_clear();
	buf_add_text(out, "{\"cleared\":true}");
	reply_json(reply, 200, out);
}

static void delete_all(struct exchange *x, struct reply *reply, struct buf *out)
{
	faults_clear();
	ledger_reset();
	limits_reset();
	background_forget();
	buf_add_text(out, "{\"reset\":true}");
	reply_json(reply, 200, out);
}

static void post_options(struct exchange *x, struct reply *reply, struct buf *out)
{
	const cJSON *json = parse_json(x->arena, x->request.body), *field;
	const char *bad = cJSON_IsObject(json) ? NULL : "the body is not a JSON object";

	cJSON_ArrayForEach(field, json)
		if (!bad && !option_set(field->string, cJSON_GetStringValue(field)))
			bad = arena_printf(x->arena, "bad option '%s'", field->string);
	buf_add_text(out, bad ? "{\"error\":" : "{\"set\":true}");
	if (bad) {
		add_quoted(out, str_of(bad));
		buf_add_char(out, '}');
	}
	reply_json(reply, bad ? 400 : 200, out);
}

static const struct {
	const char *method, *path;
	void (*handle)(struct exchange *x, struct reply *reply, struct buf *out);
} routes[] = {
	{"GET",    "/__sim/ledger",  get_ledger   },
        {"GET",    "/__sim/stats",   get_stats    },
	{"GET",    "/__sim/faults",  get_faults   },
        {"POST",   "/__sim/faults",  post_faults  },
	{"DELETE", "/__sim/faults",  delete_faults},
        {"POST",   "/__sim/options", post_options },
	{"DELETE", "/__sim",         delete_all   },
};

void control_handle(struct exchange *x, struct reply *reply)
{
	struct buf *out = buf_in(x->arena);

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (strcmp(routes[i].method, x->request.method) != 0 ||
		    strcmp(routes[i].path, x->request.path) != 0)
			continue;
		routes[i].handle(x, reply, out);
		return;
	}
	buf_add_text(out, "{\"error\":\"the simulator has no such route\"}");
	reply_json(reply, 404, out);
}
