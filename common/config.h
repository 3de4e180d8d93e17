/* common/config.h: what the process was told: every variable, read once, checked, never changed.
 *
 * Values come from the environment, and from `.env` in the working directory or the file named by
 * --env-file; the environment wins. A variable that holds a secret may be given as NAME_FILE, the
 * path of a file that holds it. Directus' prefixes are understood where they fit the type: json:,
 * array:, string:, number:, boolean:. Times are milliseconds or 500ms, 15s, 5m, 24h, 7d; sizes are
 * bytes or 64kb, 1mb.
 *
 * The table in config_table.c holds name, type, default, limits and help of each variable; a new
 * one is a field here and a line there. Providers and credentials are families of variables
 * (config_providers.c). Every secret is handed to secrets_add() while it is read. */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include "common/json.h"
#include "common/log.h"

struct http_header;

/* A comma list. Whether it was given at all matters: AI_*_ALLOWED_MODELS unset means the table's
 * models, given but empty means none. */
struct config_list {
	bool set;
	size_t count;
	const char *const *items;
};

enum provider_kind {
	PROVIDER_OPENAI,
	PROVIDER_ANTHROPIC,
	PROVIDER_GOOGLE,
	PROVIDER_OPENAI_COMPATIBLE
};

/* AI_OPENAI_*, AI_ANTHROPIC_*, AI_GOOGLE_*, AI_OPENAI_COMPATIBLE_[<NAME>_]*. */
struct provider_config {
	const char *id; /* "openai", "openai-compatible", "openai-compatible:gpu_box" */
	enum provider_kind kind;
	const char *name; /* for people: AI_OPENAI_COMPATIBLE_NAME, else as the id */
	bool enabled;     /* by a key (openai-compatible: by the base URL), unless told otherwise */
	const char *base_url; /* without a slash at the end; NULL: the provider's or preset's own */
	const char *api_key;  /* NULL: none */
	const struct http_header *headers; /* further ones; ends with {NULL} */
	/* openai-compatible: "azure", "ollama", ..., guessed from the base URL where not given, else
	 * "generic"; NULL for the others */
	const char *preset;
	const char *auth;      /* "bearer", "x-api-key", "api-key", "none"; NULL: the usual way */
	uint64_t context_size; /* openai-compatible, Ollama: num_ctx to ask for; 0: leave it */
	const char *
		api_version; /* NULL: the default; anthropic-version, Azure's api-version, v1beta */
	const char *organization, *project; /* OpenAI; NULL: not sent */
	const char *workspace;              /* Anthropic; NULL: not sent */
	struct config_list betas;           /* Anthropic's anthropic-beta */
	struct config_list allowed;         /* unset: the model table's; set: exactly these */
	const cJSON
		*models; /* openai-compatible: [{id, name, context, output, ...}]; NULL: any id */
};

/* AI_CREDENTIAL_<NAME>_*: a key for the option `credential`. What is NULL stays the provider's. */
struct credential_config {
	const char *name;     /* lower case: "marketing_team" */
	const char *provider; /* the provider id it is for; NULL: any */
	const char *api_key;
	const char *base_url;
	const char *organization, *project, *workspace;
	const struct http_header *headers; /* further ones; ends with {NULL}; or NULL */
};

enum on_ambiguous { AMBIGUOUS_RETRY, AMBIGUOUS_HOLD, AMBIGUOUS_RESUME };

struct config {
	/* ---- models ---- */
	bool ai_enabled;
	const cJSON *ai_models;       /* an array; NULL: not given */
	const char *ai_default_model; /* "provider:model"; NULL: not given */
	const char *ai_system_prompt; /* NULL: not given */
	const char *ai_tokenizer_dir; /* NULL: the usual one (worker/tokenizers.h) */
	const cJSON *ai_limits;       /* an array of checked entries; NULL: none */
	bool ai_allow_inline_keys;    /* options `apiKey…` count */
	bool ai_settings_import;      /* allowed models and model lists from Directus' settings */
	const struct provider_config
		*providers; /* the three standard ones first, configured or not */
	size_t provider_count;
	const struct credential_config *credentials;
	size_t credential_count;

	/* ---- Directus ---- */
	const char *directus_url;         /* without a slash at the end; NULL: not given */
	const char *directus_token;       /* NULL: not given */
	const char *directus_admin_token; /* for `connect`; NULL: not given */
	const char *directus_bus_redis;   /* NULL: the worker's own */
	const char *directus_bus_namespace;
	uint64_t directus_concurrency, directus_bulk_share;
	struct config_list flows_env_allow_list;
	const cJSON *flow_env; /* $env: the allowed variables, with Directus' types; an object */
	const char *import_ip_deny_list; /* the comma list as http_options wants it */

	/* ---- Redis ---- */
	const char *redis; /* redis://, rediss://, unix:; NULL: not given */
	const char *redis_host, *redis_username, *redis_password; /* NULL: not given */
	uint64_t redis_port;                                      /* 0: not given */
	uint64_t redis_db;
	const char *redis_sentinels; /* "host:port,host:port"; NULL: none */
	const char *redis_sentinel_name, *redis_sentinel_username, *redis_sentinel_password;
	const char *redis_tls_ca_file; /* NULL: the system's certificates */
	uint64_t redis_wait_replicas;  /* how many have what is acknowledged; 0: the master alone */
	uint64_t redis_wait_timeout_ms;

	/* ---- queue ---- */
	const char *queue_prefix;
	uint64_t job_max_bytes;
	uint64_t result_ttl_ms;
	uint64_t run_log_max_bytes;
	uint64_t queue_dead_max_bytes;
	uint64_t run_log_ttl_ms;
	bool queue_allow_eviction; /* start although Redis may throw keys away */

	/* ---- worker ---- */
	uint64_t worker_concurrency;
	uint64_t worker_lease_ms;
	uint64_t worker_drain_timeout_ms; /* 0: the longest call under way + 10 s */
	enum on_ambiguous worker_on_ambiguous;
	uint64_t worker_ambiguous_wait_ms;
	const char *worker_job_secret; /* NULL: jobs are not signed */
	bool worker_trust_permissions;
	const char *worker_state_directory; /* for answers that Redis does not take; NULL: none */
	const char *worker_schedules;       /* file with schedules; NULL: none */
	const char *worker_http_address;    /* "host:port", ":port", "[::1]:8080"; NULL: no door */
	const char *worker_http_token;      /* NULL: POST /jobs is closed */
	const char *worker_on_dead;         /* URL of a webhook, "directus:<user id>"; NULL: none */
	const char *worker_run_log_collection; /* NULL: run logs are not written to Directus */
	const char *tls_ca_file; /* more trusted certificates for providers and Directus; or NULL */
	enum log_level log_level;
	enum log_style log_style;

	const struct config_sources *sources; /* for config_print; config's own */
};

/* ---- reading ---- */

struct config_options {
	const char *const *environment; /* "NAME=value", ends with NULL; NULL: the process' own */
	const char *env_file; /* must exist; NULL: .env of the working directory if there is one */
	bool no_env_file;     /* for tests: no .env at all */
};

/* Everything that is wrong, not only the first thing: one text each, with name, value (masked if it
 * is a secret) and what was expected. */
struct config_report {
	const char *const *errors; /* of the arena given to config_load() */
	size_t error_count;
	const char *const *warnings;
	size_t warning_count;
};

/* NULL: report->errors says why. The config lives in the arena, which is best one of its own. */
const struct config *config_load(struct arena *a, const struct config_options *options,
				 struct config_report *report) NODISCARD;

/* The provider of an id; names are compared without regard to case, and `-` is `_`. NULL: there is
 * none of that id, which is not the same as one that is not enabled. */
const struct provider_config *config_provider(const struct config *c, const char *id);
const struct credential_config *config_credential(const struct config *c, const char *name);

/* The parts of "provider:model", as AI_DEFAULT_MODEL and flows name it; a model's id may hold colons
 * itself ("openai-compatible:gpu:qwen3:8b"). NULL: there is no such provider. */
const struct provider_config *config_split_model(const struct config *c, const char *text,
						 const char **model);

/* "500ms", "15s", "5m", "24h", "7d", or milliseconds. */
bool config_duration(const char *text, uint64_t *ms) NODISCARD;

/* ---- showing ---- */

struct buf;
/* Every variable with the value in force, secrets masked. */
void config_print_table(const struct config *c, struct buf *out);
cJSON *config_print_json(const struct config *c, struct arena *a);
/* The README's table of variables; needs no configuration. */
void config_print_markdown(struct buf *out);

#endif
