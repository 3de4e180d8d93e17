/* The variables of the process. A new one is a field of struct config and a line here: reading,
 * limits, `flow-worker config` and the README follow. */
#include "common/config_parts.h"

#include "common/address.h"

#define AT(field) offsetof(struct config, field)

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (24ULL * HOUR)
#define KB  1024ULL
#define MB  (1024ULL * KB)

/* clang-format off */
static const struct config_variable model_variables[] = {
	{.name = "AI_ENABLED", .type = CONFIG_BOOL, .offset = AT(ai_enabled), .by_default = "true",
	 .help = "Master switch. `false`: every AI operation fails with AI_DISABLED"},
	{.name = "AI_DEFAULT_MODEL", .type = CONFIG_TEXT, .offset = AT(ai_default_model),
	 .help = "`provider:model` for operations that name none"},
	{.name = "AI_SYSTEM_PROMPT", .type = CONFIG_TEXT, .offset = AT(ai_system_prompt),
	 .help = "System text for operations that have none of their own"},
	{.name = "AI_MODELS", .type = CONFIG_JSON, .offset = AT(ai_models),
	 .shape = config_shape_models,
	 .help = "`json:[{\"provider\",\"model\",\"name\",\"limit\":{\"context\",\"output\"},"
		 "\"cost\":{\"input\",\"output\"},\"attachment\",\"reasoning\"}]`: adds to the "
		 "model table or overrides it; costs are USD per million tokens"},
	{.name = "AI_TOKENIZER_DIR", .type = CONFIG_TEXT, .offset = AT(ai_tokenizer_dir),
	 .unset = "/usr/local/share/flow-worker",
	 .help = "Folder with the tokenizers' files (`deploy/tokenizer` puts them there); without "
		 "them tokens are estimated by classes of characters"},
	{.name = "AI_LIMITS", .type = CONFIG_JSON, .offset = AT(ai_limits),
	 .shape = config_shape_limits,
	 .help = "`json:[{\"scope\",\"rpm\",\"rpd\",\"tpm\",\"itpm\",\"otpm\",\"concurrency\","
		 "\"budgetUsd\",\"softUsd\",\"period\",\"timeZone\",\"onBudget\"}]`; scope: "
		 "provider, provider/model, `flow:ID`, `tenant:`, `collection:`, `user:`, `*`"},
	{.name = "AI_ALLOW_INLINE_KEYS", .type = CONFIG_BOOL, .offset = AT(ai_allow_inline_keys),
	 .by_default = "false",
	 .help = "Whether an API key written into a flow's options is used; else it is ignored "
		 "with a warning"},
	{.name = "AI_SETTINGS_IMPORT", .type = CONFIG_BOOL, .offset = AT(ai_settings_import),
	 .by_default = "false",
	 .help = "Take lists of allowed and custom models from Directus' AI settings (keys "
		 "never come from there)"},
	{0},
};

static const struct config_variable directus_variables[] = {
	{.name = "DIRECTUS_URL", .type = CONFIG_BASE_URL, .offset = AT(directus_url),
	 .help = "The Directus instance, such as https://cms.example.com"},
	{.name = "DIRECTUS_TOKEN", .type = CONFIG_LINE, .offset = AT(directus_token),
	 .secret = true,
	 .help = "Static token of the worker's own Directus user"},
	{.name = "DIRECTUS_ADMIN_TOKEN", .type = CONFIG_LINE, .offset = AT(directus_admin_token),
	 .secret = true, .unset = "asked for",
	 .help = "Token of an administrator, for `flow-worker connect` only; not for a running worker"},
	{.name = "DIRECTUS_BUS_REDIS", .type = CONFIG_REDIS, .offset = AT(directus_bus_redis),
	 .secret = true, .unset = "the worker's Redis",
	 .help = "Redis that Directus itself uses (its `REDIS`): tells at once when a flow has "
		 "changed; without it a change is seen within a minute"},
	{.name = "DIRECTUS_BUS_NAMESPACE", .type = CONFIG_NAME,
	 .offset = AT(directus_bus_namespace), .by_default = "directus:bus",
	 .help = "`REDIS_BUS_NAMESPACE` of Directus"},
	{.name = "DIRECTUS_CONCURRENCY", .type = CONFIG_NUMBER, .offset = AT(directus_concurrency),
	 .by_default = "8", .min = 1, .max = 256,
	 .help = "Requests to Directus at the same time, at most; fewer while it is slow"},
	{.name = "DIRECTUS_BULK_SHARE", .type = CONFIG_NUMBER, .offset = AT(directus_bulk_share),
	 .by_default = "10", .min = 1, .max = 25600,
	 .help = "Percent of the time in which Directus works for batches and other bulk jobs (lane 2) "
		 "of all workers; more is faster, and slows the site down; above 100: several requests "
		 "at a time"},
	{.name = "FLOWS_ENV_ALLOW_LIST", .type = CONFIG_LIST, .offset = AT(flows_env_allow_list),
	 .empty_says = true, .unset = "none",
	 .help = "Names of the variables that flows see as `$env`"},
	{.name = "IMPORT_IP_DENY_LIST", .type = CONFIG_TEXT, .offset = AT(import_ip_deny_list),
	 .by_default = DENY_LIST_DEFAULT, .empty_says = true,
	 .help = "Addresses and networks that URLs from flows must not reach; `0.0.0.0` stands "
		 "for this machine"},
	{0},
};

static const struct config_variable redis_variables[] = {
	{.name = "REDIS", .type = CONFIG_REDIS, .offset = AT(redis), .secret = true,
	 .unset = "the parts below",
	 .help = "`redis://user:password@host:6379/0`, `rediss://` for TLS, `unix:/path`"},
	{.name = "REDIS_HOST", .type = CONFIG_TEXT, .offset = AT(redis_host), .unset = "127.0.0.1",
	 .help = "Host, where REDIS is not set"},
	{.name = "REDIS_PORT", .type = CONFIG_NUMBER, .offset = AT(redis_port), .min = 1,
	 .max = 65535, .unset = "6379",
	 .help = "Port"},
	{.name = "REDIS_USERNAME", .type = CONFIG_TEXT, .offset = AT(redis_username),
	 .help = "User (Redis ACL)"},
	{.name = "REDIS_PASSWORD", .type = CONFIG_LINE, .offset = AT(redis_password),
	 .secret = true,
	 .help = "Password"},
	{.name = "REDIS_DB", .type = CONFIG_NUMBER, .offset = AT(redis_db), .by_default = "0",
	 .max = 65535,
	 .help = "Number of the database"},
	{.name = "REDIS_SENTINELS", .type = CONFIG_TEXT, .offset = AT(redis_sentinels),
	 .help = "`host:port,host:port`: ask these Sentinels for the master"},
	{.name = "REDIS_SENTINEL_NAME", .type = CONFIG_NAME, .offset = AT(redis_sentinel_name),
	 .by_default = "mymaster",
	 .help = "Name of the master there"},
	{.name = "REDIS_SENTINEL_USERNAME", .type = CONFIG_TEXT,
	 .offset = AT(redis_sentinel_username),
	 .help = "User of the Sentinels themselves"},
	{.name = "REDIS_SENTINEL_PASSWORD", .type = CONFIG_LINE,
	 .offset = AT(redis_sentinel_password), .secret = true,
	 .help = "Password of the Sentinels themselves"},
	{.name = "REDIS_TLS_CA_FILE", .type = CONFIG_TEXT, .offset = AT(redis_tls_ca_file),
	 .unset = "the system's",
	 .help = "File with the trusted certificates for `rediss://`"},
	{.name = "REDIS_WAIT_REPLICAS", .type = CONFIG_NUMBER, .offset = AT(redis_wait_replicas),
	 .by_default = "0", .max = 64,
	 .help = "How many replicas must have a job, a call's intent, an answer, a step, an end "
		 "before it counts (`WAIT`): as many as there are, and no failover loses them"},
	{.name = "REDIS_WAIT_TIMEOUT", .type = CONFIG_DURATION, .offset = AT(redis_wait_timeout_ms),
	 .by_default = "500ms", .min = 10, .max = 60 * SECOND,
	 .help = "How long one `WAIT` may take; then the command is sent again"},
	{0},
};

static const struct config_variable queue_variables[] = {
	{.name = "QUEUE_PREFIX", .type = CONFIG_NAME, .offset = AT(queue_prefix),
	 .by_default = "{flow-worker}:",
	 .help = "What all keys in Redis begin with; the part in braces keeps them on one node "
		 "of a cluster"},
	{.name = "JOB_MAX_BYTES", .type = CONFIG_SIZE, .offset = AT(job_max_bytes),
	 .by_default = "1mb", .min = KB, .max = 64 * MB,
	 .help = "The longest job"},
	{.name = "RESULT_TTL", .type = CONFIG_DURATION, .offset = AT(result_ttl_ms),
	 .by_default = "24h", .min = SECOND, .max = 365 * DAY,
	 .help = "How long results are kept"},
	{.name = "RUN_LOG_MAX_BYTES", .type = CONFIG_SIZE, .offset = AT(run_log_max_bytes),
	 .by_default = "64kb", .max = 16 * MB,
	 .help = "The longest run log (options and result of each step) of a job; 0: none"},
	{.name = "RUN_LOG_TTL", .type = CONFIG_DURATION, .offset = AT(run_log_ttl_ms),
	 .by_default = "24h", .min = SECOND, .max = 365 * DAY,
	 .help = "How long run logs are kept"},
	{.name = "QUEUE_DEAD_MAX_BYTES", .type = CONFIG_SIZE, .offset = AT(queue_dead_max_bytes),
	 .by_default = "256mb", .max = 1ULL << 40,
	 .help = "How much the bodies and answers of dead and quarantined jobs may take in Redis: above "
		 "it the oldest of those go that `flow-worker jobs` has shown, never one that nobody "
		 "has seen. 0: any"},
	{.name = "QUEUE_ALLOW_EVICTION", .type = CONFIG_BOOL, .offset = AT(queue_allow_eviction),
	 .by_default = "false",
	 .help = "Start although Redis' `maxmemory-policy` may throw jobs away"},
	{0},
};

static const struct config_variable worker_variables[] = {
	{.name = "WORKER_CONCURRENCY", .type = CONFIG_NUMBER, .offset = AT(worker_concurrency),
	 .by_default = "100", .min = 1, .max = 10000,
	 .help = "Jobs of this process at the same time"},
	{.name = "WORKER_LEASE", .type = CONFIG_DURATION, .offset = AT(worker_lease_ms),
	 .by_default = "15s", .min = SECOND, .max = HOUR,
	 .help = "How long a job stays with a worker that gives no sign of life"},
	{.name = "WORKER_DRAIN_TIMEOUT", .type = CONFIG_DURATION,
	 .offset = AT(worker_drain_timeout_ms), .max = DAY,
	 .unset = "the longest call under way + 10s",
	 .help = "How long running jobs may take to end after SIGTERM; then they go back to the "
		 "queue, and if Redis is away the process ends five seconds later without it"},
	{.name = "WORKER_ON_AMBIGUOUS", .type = CONFIG_CHOICE, .offset = AT(worker_on_ambiguous),
	 .by_default = "retry", .choices = "retry|hold|resume",
	 .help = "What becomes of a call that was sent and never answered, and so may have been "
		 "billed: `retry` asks again, `hold` waits for a person, `resume` asks OpenAI in the "
		 "background, where the answer is kept for some minutes (not with zero data "
		 "retention) and is fetched instead of paid again; other providers as `retry`"},
	{.name = "WORKER_AMBIGUOUS_WAIT", .type = CONFIG_DURATION,
	 .offset = AT(worker_ambiguous_wait_ms), .by_default = "30s", .max = HOUR,
	 .help = "How long the answer of a lost worker is waited for before asking again"},
	{.name = "WORKER_JOB_SECRET", .type = CONFIG_LINE, .offset = AT(worker_job_secret),
	 .secret = true, .unset = "no job is trusted",
	 .help = "Shared with the extension (FLOW_WORKER_JOB_SECRET), which signs jobs with it"},
	{.name = "WORKER_TRUST_PERMISSIONS", .type = CONFIG_BOOL,
	 .offset = AT(worker_trust_permissions), .by_default = "false",
	 .help = "Run operations that ask for another identity with the worker's own token"},
	{.name = "WORKER_STATE_DIRECTORY", .type = CONFIG_TEXT,
	 .offset = AT(worker_state_directory), .unset = "memory only",
	 .help = "Folder for answers that were paid for while Redis was away; made if it is missing"},
	{.name = "WORKER_SCHEDULES", .type = CONFIG_TEXT, .offset = AT(worker_schedules),
	 .help = "File with schedules (a JSON array), kept in step with Redis at start"},
	{.name = "WORKER_HTTP_ADDRESS", .type = CONFIG_ADDRESS, .offset = AT(worker_http_address),
	 .unset = "off",
	 .help = "`host:port` for /health, /ready, /metrics and POST /jobs; a port alone "
		 "listens on 127.0.0.1, `:port` on all addresses"},
	{.name = "WORKER_HTTP_TOKEN", .type = CONFIG_LINE, .offset = AT(worker_http_token),
	 .secret = true, .unset = "/jobs is closed",
	 .help = "Bearer token for POST /jobs and GET /jobs/ID"},
	{.name = "WORKER_ON_DEAD", .type = CONFIG_WEBHOOK, .offset = AT(worker_on_dead),
	 .secret = true,
	 .help = "Who is told of jobs that failed for good: the URL of a webhook, or "
		 "`directus:USER-ID` for a notification in Directus. At once, then at most once a "
		 "minute with counts"},
	{.name = "WORKER_RUN_LOG_COLLECTION", .type = CONFIG_NAME,
	 .offset = AT(worker_run_log_collection),
	 .help = "Directus collection into which run logs are written: fields `flow`, `job`, "
		 "`status`, `date`, and `data` (JSON) with the steps as the Studio's log has them"},
	{.name = "WORKER_TLS_CA_FILE", .type = CONFIG_TEXT, .offset = AT(tls_ca_file),
	 .unset = "the system's",
	 .help = "File with further trusted certificates for providers and Directus"},
	{.name = "LOG_LEVEL", .type = CONFIG_CHOICE, .offset = AT(log_level), .by_default = "info",
	 .choices = "silent|fatal|error|warn|info|debug|trace",
	 .help = "How much is logged (to standard error)"},
	{.name = "LOG_STYLE", .type = CONFIG_CHOICE, .offset = AT(log_style),
	 .choices = "raw|pretty", .unset = "pretty on a terminal, else raw",
	 .help = "`raw`: one JSON object a line"},
	{0},
};
/* clang-format on */

const struct config_section config_sections[] = {
	{"Models",   model_variables   },
        {"Directus", directus_variables},
        {"Redis",    redis_variables   },
	{"Queue",    queue_variables   },
        {"Worker",   worker_variables  },
        {NULL,       NULL              },
};
