#include "worker/setup.h"

#include "common/call.h"
#include "common/config.h"
#include "common/directus.h"
#include "common/http.h"
#include "common/log.h"
#include "common/loop.h"
#include "operations/models.h"
#include "worker/cli/cli.h"
#include "worker/flow/flows.h"
#include "worker/tokenizers.h"

static struct redis_options redis_options_of(const struct config *c)
{
	return (struct redis_options){
		.url = c->redis,
		.host = c->redis_host,
		.port = (uint16_t)c->redis_port,
		.username = c->redis_username,
		.password = c->redis_password,
		.db = (int)c->redis_db,
		.ca_file = c->redis_tls_ca_file,
		.sentinels = c->redis_sentinels,
		.sentinel_name = c->redis_sentinel_name,
		.sentinel_username = c->redis_sentinel_username,
		.sentinel_password = c->redis_sentinel_password,
		.wait_replicas = (uint32_t)c->redis_wait_replicas,
		.wait_timeout_ms = (uint32_t)c->redis_wait_timeout_ms,
		.client_name = "flow-worker",
	};
}

bool setup_make(struct setup *s, const struct config *config, struct arena *a, struct error *err)
{
	struct http_options http = {.user_agent = "flow-worker/" FLOW_WORKER_VERSION};
	struct directus_options directus = {.url = NULL};

	*s = (struct setup){.arena = a, .config = config};
	s->services.models = models_new(config, err);
	if (!s->services.models)
		return false;
	http.ca_file = config->tls_ca_file;
	http.deny_list = config->import_ip_deny_list;
	s->redis = redis_options_of(config);
	s->services.config = config;
	s->services.loop = loop_new();
	s->services.http = http_new(s->services.loop, &http);
	if (config->directus_url) {
		directus.url = config->directus_url;
		directus.token = config->directus_token;
		directus.concurrency = (unsigned)config->directus_concurrency;
		directus.bulk_share = (unsigned)config->directus_bulk_share;
		s->services.directus = directus_new(s->services.http, s->services.loop, &directus);
		s->flows = flows_new(s->services.loop, s->services.directus);
	}
	return true;
}

bool setup_open(struct setup *s, const struct cli *cli)
{
	struct arena *a = arena_new();
	const struct config *config = cli_config_load(cli, a);
	struct error err;

	if (config && setup_make(s, config, a, &err))
		return true;
	if (config)
		(void)cli_failed(cli, &err);
	arena_free(a);
	return false;
}

void setup_close(struct setup *s)
{
	flows_free(s->flows);
	directus_free(s->services.directus);
	http_free(s->services.http);
	models_free(s->services.models);
	loop_free(s->services.loop);
	arena_free(s->arena);
}

static void ended(struct call *c)
{
	loop_stop(c->loop);
}

void setup_wait(struct setup *s, struct call *c)
{
	c->done = ended;
	loop_run(s->services.loop);
}

bool setup_count(struct setup *s, const struct cli *cli)
{
	struct error err;
	unsigned count;

	if (tokenizers_load(s->services.models, s->config, false, &count, &err))
		return true;
	(void)cli_failed(cli, &err);
	return false;
}

/* ---- Directus' AI settings ---- */

enum { IMPORT_TIMEOUT_MS = 5000 };

struct import {
	struct directus_call call;
	struct timeout timeout;
};

static void give_up(struct timeout *t)
{
	struct import *i = container_of(t, struct import, timeout);

	call_cancel(&i->call.task.call, ERR_TIMEOUT);
}

void setup_import(struct setup *s)
{
	struct import *i = arena_make(s->arena, struct import);
	const struct directus_request req = {
		.method = "GET",
		.path = "/settings",
		.query = "fields=ai_openai_allowed_models,ai_anthropic_allowed_models,"
			 "ai_google_allowed_models,ai_openai_compatible_models",
		.timeout_ms = IMPORT_TIMEOUT_MS,
	};
	const struct error *err = &i->call.task.call.err;

	if (!s->config->ai_settings_import || !s->services.directus)
		return;
	directus_start(s->services.directus, &i->call, &req, s->arena);
	timeout_start(s->services.loop, &i->timeout, IMPORT_TIMEOUT_MS, give_up);
	setup_wait(s, &i->call.task.call);
	timeout_stop(s->services.loop, &i->timeout);
	if (err->code != ERR_OK)
		log_write(LOG_WARN, "Directus' AI settings were not read", LOG_FAILURE(err),
			  LOG_END);
	else
		models_import(s->services.models, i->call.data);
}
