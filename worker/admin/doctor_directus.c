/* What of Directus can be wrong, as the worker's own user sees it. */
#include "worker/admin/doctor.h"

#include "common/directus_extension.h"
#include "common/loop.h"
#include "worker/flow/flow.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

enum { MAJOR_MIN = 11, CLOCK_OFF_S = 30, FLOWS_LOOKED_AT = 200 };

static const char connect_fix[] =
	"flow-worker connect URL --collections … makes a user with the right rights and token";

static bool ask(struct doctor *d, const char *path, struct rest_reply *reply)
{
	return rest_ask(&d->directus, "GET", path, NULL, reply);
}

static bool needs_directus(struct doctor *d)
{
	if (!d->has_directus)
		doctor_skip(d, d->config->directus_url ? "Directus is not reachable, or refuses us"
						       : "DIRECTUS_URL is not set");
	return d->has_directus;
}

/* ---- reaching it ---- */

static void tell_status(struct doctor *d, const struct rest_reply *reply)
{
	const char *url = d->config->directus_url;

	if (reply->status == 0)
		doctor_bad(d,
			   strstr(reply->reason, "certificate")
				   ? "set WORKER_TLS_CA_FILE to the certificate of its authority"
				   : "start Directus, or correct DIRECTUS_URL; from a container "
				     "localhost is the container itself",
			   "%s can not be reached: %s", url, reply->reason);
	else if (reply->status == 503)
		doctor_bad(d,
			   "give Directus more CPU, or lower DIRECTUS_CONCURRENCY; "
			   "PRESSURE_LIMITER_ENABLED and its limits are Directus' variables",
			   "Directus is under pressure: it answers 503 %s", reply->reason);
	else if (reply->status == 429)
		doctor_bad(d,
			   "raise RATE_LIMITER_POINTS in Directus, or lower DIRECTUS_CONCURRENCY",
			   "Directus' rate limiter refuses us: %s", reply->reason);
	else
		doctor_bad(
			d,
			"correct DIRECTUS_URL: the address in front of /admin and /items, without "
			"them",
			"%s is no Directus: /server/ping answers status %d and not 'pong'", url,
			reply->status);
}

static void check_reach(struct doctor *d)
{
	struct rest_reply reply;

	d->directus = (struct rest){&d->setup, d->config->directus_url, d->config->directus_token};
	if (!d->config->directus_url) {
		doctor_skip(d, "DIRECTUS_URL is not set: jobs that need Directus fail");
		return;
	}
	if (!ask(d, "/server/ping", &reply) || !str_is(reply.http->body, "pong")) {
		tell_status(d, &reply);
		return;
	}
	d->has_directus = true;
	d->date = reply.date;
	doctor_good(d, "%s answers", d->config->directus_url);
}

static void check_token(struct doctor *d)
{
	struct rest_reply reply;

	if (!needs_directus(d))
		return;
	d->has_directus = false;
	if (!d->config->directus_token) {
		doctor_bad(d, connect_fix,
			   "DIRECTUS_TOKEN is not set: the worker is the public there");
		return;
	}
	if (!ask(d, "/users/me?fields=id,status", &reply)) {
		doctor_bad(d,
			   reply.status == 401 || reply.status == 403
				   ? "flow-worker connect URL --new-token … gives a new one; "
				     "DIRECTUS_TOKEN must be that of an active user"
				   : "look at Directus' log",
			   "Directus refuses DIRECTUS_TOKEN: %s %s", reply.code, reply.reason);
		return;
	}
	d->has_directus = true;
	d->user = json_get_text(reply.data, "id");
	doctor_good(d, "the token is of user %s", d->user ? d->user : "?");
}

static void check_admin(struct doctor *d)
{
	struct rest_reply reply;

	if (!needs_directus(d))
		return;
	if (!ask(d, "/policies/me/globals", &reply))
		doctor_skip(d, "not told: %s", reply.reason);
	else if (json_get_bool(reply.data, "admin_access", false))
		doctor_warn(d, connect_fix,
			    "the worker's user is an administrator: a flow could do "
			    "anything");
	else if (json_get_bool(reply.data, "app_access", false))
		doctor_warn(d, connect_fix,
			    "the worker's user may use the Studio, which it does not "
			    "need; in Directus 12 that takes a seat");
	else
		doctor_good(d, "no administrator, no Studio");
}

/* ---- what it is ---- */

static void check_version(struct doctor *d)
{
	struct rest_reply reply;
	const char *version;

	if (!needs_directus(d))
		return;
	if (ask(d, "/server/info", &reply))
		d->about = reply.data;
	version = json_get_text(d->about, "version");
	if (!version)
		doctor_skip(d, "this user is not told");
	else if (strtol(version, NULL, 10) < MAJOR_MIN)
		doctor_bad(d, "upgrade Directus to 11 or 12", "Directus is %.40s", version);
	else
		doctor_good(d, "Directus %.40s", version);
}

static void check_clock(struct doctor *d)
{
	struct tm tm = {0};
	double off;

	if (!needs_directus(d))
		return;
	if (!d->date || !strptime(d->date, "%a, %d %b %Y %H:%M:%S GMT", &tm)) {
		doctor_skip(d, "Directus does not tell the time");
		return;
	}
	off = (double)timegm(&tm) - (double)wall_ms() / 1000;
	if (fabs(off) > CLOCK_OFF_S)
		doctor_warn(d, "set both clocks by NTP (timedatectl)",
			    "Directus' clock is %.0f s %s this machine's", fabs(off),
			    off > 0 ? "ahead of" : "behind");
	else
		doctor_good(d, "the clocks agree");
}

static void check_rate_limit(struct doctor *d)
{
	const cJSON *limit = json_get(d->about, "rateLimit");
	double points = json_get_number(limit, "points", 0);
	double seconds = json_get_number(limit, "duration", 1);
	double per_second = seconds > 0 ? points / seconds : points;

	if (!needs_directus(d))
		return;
	if (points <= 0)
		doctor_good(d, "the rate limiter is off");
	else if (per_second < (double)d->config->directus_concurrency)
		doctor_warn(d,
			    "raise RATE_LIMITER_POINTS in Directus, or lower DIRECTUS_CONCURRENCY",
			    "Directus takes %.1f requests a second from one address, "
			    "DIRECTUS_CONCURRENCY is %ju",
			    per_second, (uintmax_t)d->config->directus_concurrency);
	else
		doctor_good(d, "%.0f requests in %.0f s are allowed", points, seconds);
}

/* ---- rights ---- */

static bool may(const struct doctor *d, const char *collection, const char *action)
{
	const char *access = json_get_text(json_path(d->may, collection, action, NULL), "access");

	return access && strcmp(access, "none") != 0;
}

static bool may_write_something(const struct doctor *d)
{
	const cJSON *collection;

	json_each(collection, d->may)
		if (strncmp(collection->string, "directus_", 9) != 0 &&
		    (may(d, collection->string, "update") || may(d, collection->string, "create")))
			return true;
	return false;
}

static void check_rights(struct doctor *d)
{
	struct rest_reply reply;

	if (!needs_directus(d))
		return;
	if (!ask(d, "/permissions/me", &reply)) {
		doctor_skip(d, "not told: %s", reply.reason);
		return;
	}
	d->may = reply.data;
	if (!may(d, "directus_flows", "read") || !may(d, "directus_operations", "read"))
		doctor_bad(d, connect_fix,
			   "the worker may not read directus_flows and "
			   "directus_operations: jobs that name a flow fail");
	if (!may_write_something(d))
		doctor_warn(d, connect_fix, "the worker may write to no collection");
}

/* An operation whose collection is written out, and the right that it needs. */
static void check_operation(struct doctor *d, const char *flow, const cJSON *operation)
{
	static const struct {
		const char *type, *action;
	} needs[] = {
		{"item-update", "update"},
		{"item-create", "create"},
		{"item-read",   "read"  },
		{"item-delete", "delete"}
        };
	const char *type = json_get_text(operation, "type");
	const char *collection = json_get_text(json_get(operation, "options"), "collection");

	if (!type || !collection || strchr(collection, '{'))
		return;
	for (size_t i = 0; i < ARRAY_LEN(needs); i++)
		if (strcmp(needs[i].type, type) == 0 && !may(d, collection, needs[i].action))
			doctor_warn(
				d,
				arena_printf(d->arena,
					     "flow-worker connect URL --collections %s%s%s%s",
					     collection, i == 1 || i == 3 ? " --" : "",
					     i == 1 || i == 3 ? needs[i].action : "",
					     ", or install the extension and set the operation's "
					     "permissions"),
				"flow '%.60s': the worker's user may not %s %s", flow,
				needs[i].action, collection);
}

/* Flows in which the worker has a part. */
static bool is_for_worker(const cJSON *flow)
{
	const cJSON *operation;

	json_each(operation, json_get(flow, "operations")) {
		const char *type = json_get_text(operation, "type");

		if (type && (strncmp(type, "ai-", 3) == 0 || strncmp(type, "flow-worker", 11) == 0))
			return true;
	}
	return false;
}

static void check_flows(struct doctor *d)
{
	struct rest_reply reply;
	const cJSON *flow, *operation;
	size_t ours = 0;

	if (!needs_directus(d))
		return;
	if (!ask(d,
		 arena_printf(d->arena,
			      "/flows?filter[status][_eq]=active&limit=%d&fields=name,"
			      "operations.type,operations.options",
			      FLOWS_LOOKED_AT),
		 &reply)) {
		doctor_skip(d, "flows can not be read: %s", reply.reason);
		return;
	}
	json_each(flow, reply.data) {
		const char *name = json_get_text(flow, "name");

		if (!is_for_worker(flow))
			continue;
		ours++;
		json_each(operation, json_get(flow, "operations"))
			if (d->may)
				check_operation(d, name ? name : "?", operation);
	}
	doctor_good(d, "%zu active flows, %zu with operations of ours", json_count(reply.data),
		    ours);
}

static void check_run_log(struct doctor *d)
{
	const char *collection = d->config->worker_run_log_collection;

	if (!collection)
		doctor_skip(d, "WORKER_RUN_LOG_COLLECTION is not set");
	else if (needs_directus(d) && d->may && !may(d, collection, "create"))
		doctor_bad(
			d,
			"create the collection (README: run logs), and run `flow-worker connect` "
			"with WORKER_RUN_LOG_COLLECTION set",
			"the worker may not create items in WORKER_RUN_LOG_COLLECTION '%s', or "
			"there is no such collection",
			collection);
}

static void check_on_dead(struct doctor *d)
{
	const char *whom = d->config->worker_on_dead;

	if (!whom)
		doctor_skip(d, "WORKER_ON_DEAD is not set: nobody is told of jobs that failed");
	else if (strncmp(whom, "directus:", 9) == 0 && needs_directus(d) && d->may &&
		 !may(d, "directus_notifications", "create"))
		doctor_bad(d, "flow-worker connect URL --notifications …",
			   "WORKER_ON_DEAD names a user of Directus, but the worker may not create "
			   "notifications");
}

/* ---- the extension ---- */

static void tell_extension(struct doctor *d, const cJSON *told)
{
	const char *version = json_get_text(told, "version");
	double protocol = json_get_number(told, "protocol", 0);

	if (protocol != DIRECTUS_EXTENSION_PROTOCOL)
		doctor_bad(d, "install the extension and the worker of one release",
			   "the extension speaks protocol %.0f, this worker %d", protocol,
			   DIRECTUS_EXTENSION_PROTOCOL);
	else if (!version || strcmp(version, FLOW_WORKER_VERSION) != 0)
		doctor_warn(d, "install the extension of the worker's release",
			    "the extension is version %.40s, the worker " FLOW_WORKER_VERSION,
			    version ? version : "?");
	else
		doctor_good(d, "loaded, version %.40s", version);
}

static void check_extension(struct doctor *d)
{
	struct rest_reply reply;

	if (!needs_directus(d))
		return;
	if (ask(d, "/flow-worker", &reply))
		tell_extension(d, reply.data);
	else if (reply.status == 403)
		doctor_bad(d,
			   arena_printf(d->arena,
					"set FLOW_WORKER_USER=%s in Directus' environment, "
					"and start it again",
					d->user ? d->user : "<id>"),
			   "the extension is loaded but does not take this user as the worker's");
	else if (reply.status == 404)
		doctor_warn(
			d,
			"put directus-extension-flow-worker into Directus' extensions folder, set "
			"EXTENSIONS_MUST_LOAD=true there so that a broken one stops the start, and "
			"start it again",
			"the extension is not loaded: no AI operations in the Studio");
	else
		doctor_bad(d, "look at Directus' log", "the extension does not answer: %s %s",
			   reply.code, reply.reason);
}

static void check_secret(struct doctor *d)
{
	if (d->config->worker_job_secret)
		doctor_good(d, "jobs can be signed");
	else
		doctor_warn(
			d,
			"set one secret on both sides: WORKER_JOB_SECRET here, "
			"FLOW_WORKER_JOB_SECRET in Directus",
			"WORKER_JOB_SECRET is not set: no job may act as the user who caused it");
}

/* ---- AI settings of the Studio ---- */

static bool has_provider(const struct doctor *d, const char *id)
{
	const struct provider_config *p = config_provider(d->config, id);

	return p && p->enabled;
}

/* A key reads as ********** over REST; 12.x also lists the providers in /server/info. */
static bool is_in_studio(const struct doctor *d, const char *id, const char *setting)
{
	const cJSON *item;

	if (json_get_text(d->settings, setting))
		return true;
	json_each(item, json_get(d->about, "ai_providers"))
		if (cJSON_IsString(item) && strcmp(item->valuestring, id) == 0)
			return true;
	return false;
}

static void check_settings(struct doctor *d)
{
	static const struct {
		const char *id, *setting, *variable;
	} keys[] = {
		{"openai",            "ai_openai_api_key",            "AI_OPENAI_API_KEY"   },
		{"anthropic",         "ai_anthropic_api_key",         "AI_ANTHROPIC_API_KEY"},
		{"google",            "ai_google_api_key",            "AI_GOOGLE_API_KEY"   },
		{"openai-compatible", "ai_openai_compatible_api_key",
		 "AI_OPENAI_COMPATIBLE_BASE_URL"                                            },
	};
	struct rest_reply reply;

	if (!needs_directus(d))
		return;
	if (ask(d, "/settings", &reply))
		d->settings = reply.data;
	else if (d->config->ai_settings_import)
		doctor_bad(
			d,
			"run `flow-worker connect` with AI_SETTINGS_IMPORT=true: it adds the right "
			"to read directus_settings",
			"AI_SETTINGS_IMPORT is on, but the worker may not read the settings");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (is_in_studio(d, keys[i].id, keys[i].setting) && !has_provider(d, keys[i].id))
			doctor_warn(d,
				    arena_printf(d->arena,
						 "set %s here too: Directus shows keys to "
						 "nobody, so they can not be taken from there",
						 keys[i].variable),
				    "%s has a key in the Studio's AI settings, but not here",
				    keys[i].id);
}

const struct check doctor_directus_checks[] = {
	{"directus",            check_reach     },
        {"directus-token",      check_token     },
	{"directus-version",    check_version   },
        {"directus-admin",      check_admin     },
	{"directus-clock",      check_clock     },
        {"directus-rate-limit", check_rate_limit},
	{"directus-rights",     check_rights    },
        {"directus-flows",      check_flows     },
	{"run-log",             check_run_log   },
        {"on-dead",             check_on_dead   },
	{"extension",           check_extension },
        {"job-secret",          check_secret    },
	{"studio-keys",         check_settings  },
        {NULL,                  NULL            },
};
