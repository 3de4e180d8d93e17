#include "worker/notice/run_logs.h"

#include "common/config.h"
#include "common/directus.h"
#include "common/loop.h"
#include "worker/flow/run.h"
#include "worker/notice/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TELL_AGAIN_MS = 60 * 1000 };

struct run_logs {
	const struct config *config;
	struct outbox *outbox;
	uint64_t told_ms; /* when a failure was last logged: not for every job */
	double lost;      /* since then */
};

struct run_logs *run_logs_new(const struct config *config, struct outbox *outbox)
{
	struct run_logs *l;

	if (!config->worker_run_log_collection || config->run_log_max_bytes == 0)
		return NULL;
	l = xmalloc(sizeof(*l));
	l->config = config;
	l->outbox = outbox;
	return l;
}

void run_logs_free(struct run_logs *l)
{
	free(l);
}

/* ---- what must not be seen ---- */

#define REDACTED "--redacted--"

/* As Directus' redact-object.ts has it for its own log; arrays are entered, too. */
static bool is_secret(const char *parent, const char *name)
{
	static const struct {
		const char *parent, *name;
	} secrets[] = {
		{"headers", "authorization"               },
		{"headers", "cookie"                      },
		{"query",   "access_token"                },
		{"payload", "password"                    },
		{"payload", "token"                       },
		{"payload", "tfa_secret"                  },
		{"payload", "external_identifier"         },
		{"payload", "auth_data"                   },
		{"payload", "credentials"                 },
		{"payload", "ai_openai_api_key"           },
		{"payload", "ai_anthropic_api_key"        },
		{"payload", "ai_google_api_key"           },
		{"payload", "ai_openai_compatible_api_key"},
	};

	for (size_t i = 0; parent && i < ARRAY_LEN(secrets); i++)
		if (strcmp(secrets[i].parent, parent) == 0 && strcmp(secrets[i].name, name) == 0)
			return true;
	return false;
}

/* A copy without them. `parent` is the name under which the value stands. */
static cJSON *scrubbed(struct arena *a, const cJSON *value, const char *parent)
{
	const cJSON *item;
	cJSON *copy;

	if (cJSON_IsArray(value)) {
		copy = json_array(a);
		json_each(item, value)
			json_push(copy, scrubbed(a, item, parent));
		return copy;
	}
	if (!cJSON_IsObject(value))
		return value ? json_copy(a, value) : json_null(a);
	copy = json_object(a);
	json_each(item, value)
		json_append(a, copy, item->string,
			    is_secret(parent, item->string) ? json_text(a, REDACTED)
							    : scrubbed(a, item, item->string));
	return copy;
}

/* ---- writing ---- */

static const char *now_text(struct arena *a)
{
	uint64_t ms = wall_ms();
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
	return arena_printf(a, "%s.%03uZ", text, (unsigned)(ms % 1000));
}

static void lost(struct run_logs *l, const struct error *err)
{
	uint64_t now = wall_ms();

	l->lost++;
	if (l->told_ms && now - l->told_ms < TELL_AGAIN_MS)
		return;
	log_write(LOG_WARN, "run logs are not written: WORKER_RUN_LOG_COLLECTION",
		  LOG_TEXT("collection", l->config->worker_run_log_collection),
		  LOG_NUMBER("runs", l->lost), LOG_FAILURE(err), LOG_END);
	l->told_ms = now;
	l->lost = 0;
}

static void was_sent(void *arg, const struct error *err)
{
	if (err->code != ERR_OK)
		lost(arg, err);
}

static cJSON *row(struct arena *a, const struct run_logs *l, const struct run *run,
		  const char *status)
{
	const cJSON *report = run_report(run, (size_t)l->config->run_log_max_bytes);
	const char *flow = json_get_text(report, "flow");
	cJSON *body = json_object(a), *data = json_object(a);

	if (!flow && run->flow)
		flow = run->flow->name;
	json_set(a, data, "steps", scrubbed(a, json_get(report, "steps"), NULL));
	json_set(a, data, "data", scrubbed(a, json_get(report, "data"), NULL));
	json_set(a, body, "flow", flow ? json_text(a, flow) : json_null(a));
	json_set_text(a, body, "job", json_get_text(report, "job"));
	json_set_text(a, body, "status", status);
	json_set_text(a, body, "date", now_text(a));
	json_set(a, body, "data", data);
	return body;
}

void run_logs_write(struct run_logs *l, const struct run *run, const char *status)
{
	struct outbox_message m = {.sent = was_sent, .arg = l};
	struct arena *a;
	struct error err;

	if (!l)
		return;
	a = arena_new();
	if (!directus_collection_path(a, l->config->worker_run_log_collection, &m.path, &err)) {
		arena_free(a);
		lost(l, &err);
		return;
	}
	m.body = row(a, l, run, status);
	if (outbox_send(l->outbox, a, &m))
		return;
	(void)fail(&err, ERR_UNAVAILABLE, "too many are under way, or DIRECTUS_URL is not set");
	lost(l, &err);
}
