/* What of this machine and of the variables can be wrong. */
#include "worker/admin/doctor.h"

#include "common/buf.h"
#include "worker/cli/cli_file.h"
#include "worker/door/door.h"
#include "worker/schedule/schedules.h"
#include "worker/tokenizers.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	DESCRIPTORS_PER_JOB = 2, /* a provider's connection, one of Directus' */
	DESCRIPTORS_MORE = 64    /* Redis, the door, the loop, the libraries */
};

static void check_env_file(struct doctor *d)
{
	const char *path = d->env_file ? d->env_file : ".env";
	struct stat st;

	if (stat(path, &st) != 0)
		doctor_skip(d, "there is no '%s': all variables come from the environment", path);
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		doctor_warn(d, arena_printf(d->arena, "chmod 600 %s", path),
			    "'%s' holds keys and has mode %03o: others of this machine can read it",
			    path, (unsigned)st.st_mode & 0777U);
	else
		doctor_good(d, "only its owner can read '%s'", path);
}

static void check_admin_token(struct doctor *d)
{
	if (d->config->directus_admin_token)
		doctor_warn(d,
			    "remove it from the environment and from .env; `connect` asks for it",
			    "DIRECTUS_ADMIN_TOKEN is set, which no running worker needs");
}

static void check_descriptors(struct doctor *d)
{
	uint64_t need = d->config->worker_concurrency * DESCRIPTORS_PER_JOB + DESCRIPTORS_MORE;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		doctor_skip(d, "the limit of open files is not known");
	else if (limit.rlim_cur < need)
		doctor_bad(d,
			   arena_printf(d->arena,
					"ulimit -n %ju (systemd: LimitNOFILE=), or a lower "
					"WORKER_CONCURRENCY",
					(uintmax_t)need),
			   "%ju files may be open, WORKER_CONCURRENCY=%ju may need %ju",
			   (uintmax_t)limit.rlim_cur, (uintmax_t)d->config->worker_concurrency,
			   (uintmax_t)need);
	else
		doctor_good(d, "%ju files may be open, at most %ju are needed",
			    (uintmax_t)limit.rlim_cur, (uintmax_t)need);
}

static void check_state_directory(struct doctor *d)
{
	const char *path = d->config->worker_state_directory;
	struct stat st;

	if (!path)
		doctor_skip(d,
			    "WORKER_STATE_DIRECTORY is not set: answers that were paid for while "
			    "Redis is away are kept in memory only");
	else if (stat(path, &st) != 0)
		doctor_bad(d,
			   arena_printf(d->arena, "mkdir -p %s, owned by the worker's user", path),
			   "WORKER_STATE_DIRECTORY '%s': %s", path, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		doctor_bad(d, "name a folder, not a file",
			   "WORKER_STATE_DIRECTORY '%s' is no folder", path);
	else if (access(path, W_OK | X_OK) != 0)
		doctor_bad(d,
			   arena_printf(d->arena, "chown it to the worker's user: chown %u %s",
					(unsigned)geteuid(), path),
			   "WORKER_STATE_DIRECTORY '%s' can not be written: %s", path,
			   strerror(errno));
	else
		doctor_good(d, "'%s' can be written", path);
}

static void check_ca_file(struct doctor *d, const char *name, const char *path)
{
	if (path && access(path, R_OK) != 0)
		doctor_bad(d, "name a file in PEM format that the worker's user can read",
			   "%s '%s' can not be read: %s", name, path, strerror(errno));
}

static void check_certificates(struct doctor *d)
{
	check_ca_file(d, "WORKER_TLS_CA_FILE", d->config->tls_ca_file);
	check_ca_file(d, "REDIS_TLS_CA_FILE", d->config->redis_tls_ca_file);
}

static void check_schedules(struct doctor *d)
{
	const char *path = d->config->worker_schedules;
	const cJSON *file;
	struct error err;

	if (!path) {
		doctor_skip(d, "WORKER_SCHEDULES is not set");
		return;
	}
	file = cli_file_json(d->arena, path, &err);
	if (!file || !schedules_check_file(file, &err))
		doctor_bad(d, "correct the file: the worker does not start with it",
			   "WORKER_SCHEDULES: %s", err.text);
	else
		doctor_good(d, "%zu schedules in '%s'", json_count(file), path);
}

static void check_tokenizers(struct doctor *d)
{
	const char *folder = tokenizers_folder(d->config);
	unsigned count;
	struct error err;

	if (!tokenizers_load(d->setup.services.models, d->config, false, &count, &err))
		doctor_bad(d, arena_printf(d->arena, "run deploy/tokenizer %s", folder), "%s",
			   err.text);
	else if (count)
		doctor_good(d, "tokens are counted by byte pairs, with %u files of '%s'", count,
			    folder);
	else
		doctor_skip(d,
			    "no tokenizer in '%s': tokens are estimated by classes of characters "
			    "(deploy/tokenizer installs one)",
			    folder);
}

/* ---- the HTTP door ---- */

static const char *never_ready(void *arg)
{
	(void)arg;
	return "doctor";
}

static void no_metrics(void *arg, struct buf *out)
{
	(void)arg;
	(void)out;
}

static void no_call(void *arg, struct door_call *c)
{
	(void)arg;
	call_end(&c->call);
}

/* Whether a worker answers there. */
static bool is_ours(struct doctor *d)
{
	const char *url = door_url(d->arena, d->config->worker_http_address, "/health");
	struct rest_reply reply;

	return rest_get(&d->setup, url, NULL, &reply);
}

static void check_door(struct doctor *d)
{
	static const struct door_handlers handlers = {NULL, never_ready, no_metrics, no_call,
						      no_call};
	const struct config *c = d->config;
	struct door_options options = {c->worker_http_address, c->worker_http_token, 1024,
				       &handlers};
	struct door *door;
	struct error err;

	if (!c->worker_http_address) {
		doctor_skip(d, "WORKER_HTTP_ADDRESS is not set: no /health, /ready, /metrics");
		return;
	}
	door = door_new(d->setup.services.loop, &options, &err);
	if (door)
		doctor_good(d, "%s is free", c->worker_http_address);
	else if (is_ours(d))
		doctor_good(d, "a worker answers at %s", c->worker_http_address);
	else
		doctor_bad(d,
			   "set WORKER_HTTP_ADDRESS to an address of this machine and a free port",
			   "WORKER_HTTP_ADDRESS %s: %s", c->worker_http_address, err.text);
	door_free(door);
}

const struct check doctor_process_checks[] = {
	{"env-file",        check_env_file       },
	{"admin-token",     check_admin_token    },
	{"descriptors",     check_descriptors    },
	{"state-directory", check_state_directory},
	{"certificates",    check_certificates   },
	{"schedules",       check_schedules      },
	{"tokenizers",      check_tokenizers     },
	{"http-door",       check_door           },
	{NULL,              NULL                 },
};
