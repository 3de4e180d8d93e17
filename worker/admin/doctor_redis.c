/* What of Redis can be wrong: for the first check that fails the rest is left out. */
#include "worker/admin/doctor.h"

#include "common/loop.h"
#include "worker/cli/cli_queue.h"
#include "worker/queue/queue_own.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { REDIS_WAIT_MS = 4000, CLOCK_OFF_MS = 2000, MINOR_MIN = 2, MAJOR_MIN = 6, WORDS_MAX = 8 };

/* ---- asking ---- */

static const struct redis_value *ask_words(struct doctor *d, struct redis_call *c, size_t count,
					   const struct str *words)
{
	redis_start_argv(d->redis, c, d->arena, REDIS_WAIT_MS, count, words);
	setup_wait(&d->setup, &c->call);
	return c->call.err.code == ERR_OK ? c->reply : NULL;
}

/* A command of words with blanks between them; "%" stands for the prefix. NULL: see c->call.err. */
static const struct redis_value *ask(struct doctor *d, struct redis_call *c, const char *command)
{
	struct str words[WORDS_MAX];
	size_t count = 0;

	while (*command && count < WORDS_MAX) {
		size_t len = strcspn(command, " ");
		const char *word = arena_strndup(d->arena, command, len);

		if (word[0] == '%')
			word = arena_printf(d->arena, "%s%s", d->config->queue_prefix, word + 1);
		words[count++] = str_of(word);
		command += len + (command[len] == ' ');
	}
	return ask_words(d, c, count, words);
}

/* "name:value" of INFO; "" if it is not there. */
static const char *info(struct doctor *d, const char *name)
{
	const char *line = d->info ? strstr(d->info, arena_printf(d->arena, "\n%s:", name)) : NULL;

	if (!line)
		return "";
	line += strlen(name) + 2;
	return arena_strndup(d->arena, line, strcspn(line, "\r\n"));
}

static double info_number(struct doctor *d, const char *name)
{
	return strtod(info(d, name), NULL);
}

static bool needs_info(struct doctor *d)
{
	if (!d->info)
		doctor_skip(d,
			    d->has_redis ? "the user may not use INFO" : "Redis is not reachable");
	return d->info != NULL;
}

static bool needs_redis(struct doctor *d)
{
	if (!d->has_redis)
		doctor_skip(d, "Redis is not reachable");
	return d->has_redis;
}

/* ---- reaching it ---- */

static void changed(void *arg, const struct error *err)
{
	struct doctor *d = arg;

	if (err && d->redis_err.code == ERR_OK)
		d->redis_err = *err;
}

static const char *fix_for(const char *text)
{
	static const struct {
		const char *word, *fix;
	} fixes[] = {
		{"WRONGPASS",
		 "set REDIS_USERNAME and REDIS_PASSWORD, or REDIS=redis://user:password@host"         },
		{"NOAUTH",      "set REDIS_PASSWORD, or REDIS=redis://:password@host"                 },
		{"AUTH",        "set REDIS_USERNAME and REDIS_PASSWORD as Redis knows them (ACL LIST)"},
		{"DB index",    "set REDIS_DB to a database that is there (0 to 15, in a cluster 0)"  },
		{"SELECT",      "set REDIS_DB to a database that is there (0 to 15, in a cluster 0)"  },
		{"certificate", "set REDIS_TLS_CA_FILE to the certificate of Redis' authority"        },
		{"TLS",         "use redis:// for a server without TLS, rediss:// for one with it"    },
		{"NOPERM",      "allow it to the user: see check redis-acl"                           },
		{"entinel",     "look at REDIS_SENTINELS and REDIS_SENTINEL_NAME"                     },
	};

	for (size_t i = 0; i < ARRAY_LEN(fixes); i++)
		if (strstr(text, fixes[i].word))
			return fixes[i].fix;
	return "start Redis, or set REDIS (or REDIS_HOST and REDIS_PORT) to where it is";
}

static void check_reach(struct doctor *d)
{
	struct redis_options *options = &d->setup.redis;
	struct redis_call c;
	struct error err;

	if (!redis_check_options(options, &err)) {
		doctor_bad(d, fix_for(err.text), "%s", err.text);
		return;
	}
	options->connect_timeout_ms = REDIS_WAIT_MS / 2;
	d->redis = redis_new(d->setup.services.loop, options);
	redis_on_change(d->redis, changed, d);
	scripts_init(&d->scripts, d->redis, d->config->queue_prefix);
	d->scripts.timeout_ms = REDIS_WAIT_MS;
	if (ask(d, &c, "PING") || strcmp(c.call.err.detail, "NOPERM") == 0) {
		d->has_redis = true;
		doctor_good(d, "Redis answers");
	} else {
		err = d->redis_err.code != ERR_OK ? d->redis_err : c.call.err;
		doctor_bad(d, fix_for(err.text), "%s", err.text);
		return;
	}
	if (ask(d, &c, "INFO"))
		d->info = c.reply->text.ptr;
}

static void check_version(struct doctor *d)
{
	const char *version = info(d, "redis_version"), *valkey = info(d, "valkey_version");
	char *rest;
	long major = strtol(version, &rest, 10);
	long minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;

	if (!needs_info(d))
		return;
	if (major < MAJOR_MIN || (major == MAJOR_MIN && minor < MINOR_MIN))
		doctor_bad(d, "upgrade to Redis 6.2 or later, or Valkey", "Redis is %s", version);
	else
		doctor_good(d, *valkey ? "Valkey %s" : "Redis %s", *valkey ? valkey : version);
}

static void check_eviction(struct doctor *d)
{
	const char *policy = info(d, "maxmemory_policy");
	static const char fix[] =
		"CONFIG SET maxmemory-policy noeviction, and the same in redis.conf; "
		"a cache belongs into another Redis";

	if (!needs_info(d))
		return;
	if (strcmp(policy, "noeviction") == 0 || !*policy)
		doctor_good(d, "nothing is thrown away");
	else if (d->config->queue_allow_eviction)
		doctor_warn(d, fix,
			    "maxmemory-policy is '%s': jobs may be thrown away "
			    "(QUEUE_ALLOW_EVICTION allows it)",
			    policy);
	else
		doctor_bad(d, fix,
			   "maxmemory-policy is '%s': jobs may be thrown away, and the worker "
			   "does not start",
			   policy);
}

static void check_persistence(struct doctor *d)
{
	bool aof = strcmp(info(d, "aof_enabled"), "1") == 0;
	const char *aof_write = info(d, "aof_last_write_status");
	const char *rdb = info(d, "rdb_last_bgsave_status");

	if (!needs_info(d))
		return;
	if (aof && strcmp(aof_write, "err") == 0)
		doctor_bad(d, "give Redis' disk room, and look at its log",
			   "Redis can not write its append-only file");
	else if (!aof && strcmp(rdb, "err") == 0)
		doctor_bad(d,
			   "give Redis' disk room or the right to its folder (CONFIG GET dir), and "
			   "look at its log",
			   "Redis could not write its last snapshot: it refuses writes then");
	else if (!aof)
		doctor_warn(
			d, "CONFIG SET appendonly yes, and the same in redis.conf",
			"the append-only file is off: a crash of Redis loses the jobs since its "
			"last snapshot");
	else
		doctor_good(d, "the append-only file is on");
}

static void check_role(struct doctor *d)
{
	const char *role = info(d, "role");

	uint64_t wanted = d->config->redis_wait_replicas;
	double replicas = info_number(d, "connected_slaves");

	if (!needs_info(d))
		return;
	if ((strcmp(role, "master") == 0 || !*role) && replicas < (double)wanted)
		doctor_bad(d,
			   "start the replicas (INFO replication), or lower REDIS_WAIT_REPLICAS: "
			   "nothing counts as done until that many have it",
			   "it takes writes, but has %.0f replicas, REDIS_WAIT_REPLICAS is "
			   "%" PRIu64,
			   replicas, wanted);
	else if (strcmp(role, "master") == 0 || !*role)
		doctor_good(d, "it takes writes");
	else
		doctor_bad(d,
			   "set REDIS to the master, or let Sentinel name it (REDIS_SENTINELS, "
			   "REDIS_SENTINEL_NAME)",
			   "this Redis is a replica (READONLY), its master is %s:%s",
			   info(d, "master_host"), info(d, "master_port"));
}

static void check_memory(struct doctor *d)
{
	double max = info_number(d, "maxmemory"), used = info_number(d, "used_memory");
	double percent = max > 0 ? 100 * used / max : 0;
	static const char fix[] = "raise maxmemory, or keep less: RESULT_TTL, RUN_LOG_TTL, "
				  "RUN_LOG_MAX_BYTES, `flow-worker jobs purge`";

	if (!needs_info(d))
		return;
	if (percent >= 95)
		doctor_bad(d, fix,
			   "%.0f %% of Redis' maxmemory is used: it soon takes no jobs (OOM)",
			   percent);
	else if (percent >= 80)
		doctor_warn(d, fix, "%.0f %% of Redis' maxmemory is used", percent);
	else
		doctor_good(d, "%s used%s", info(d, "used_memory_human"),
			    max > 0 ? "" : ", no maxmemory");
}

static void check_clients(struct doctor *d)
{
	double max = info_number(d, "maxclients"), now = info_number(d, "connected_clients");

	if (!needs_info(d))
		return;
	if (max > 0 && now > max * 0.9)
		doctor_warn(d, "raise maxclients, or look who connects (CLIENT LIST)",
			    "%.0f of %.0f connections of Redis are taken", now, max);
	else
		doctor_good(d, "%.0f connections", now);
}

static void check_clock(struct doctor *d)
{
	struct redis_call c;
	const struct redis_value *time = needs_redis(d) ? ask(d, &c, "TIME") : NULL;
	double theirs, off;

	if (!time)
		return;
	theirs = cli_item_number(time, 0) * 1000 + cli_item_number(time, 1) / 1000;
	off = (theirs - (double)wall_ms()) / 1000;
	if (fabs(off) * 1000 > CLOCK_OFF_MS)
		doctor_bad(
			d, "set both clocks by NTP (timedatectl)",
			"Redis' clock is %.1f s %s this machine's: schedules, limits and budgets "
			"go by it",
			fabs(off), off > 0 ? "ahead of" : "behind");
	else
		doctor_good(d, "%.2f s between Redis' clock and ours", fabs(off));
}

/* ---- rights ---- */

/* Every command of the scripts and of the program, on keys that nobody uses. The README's line of rights is
 * made of them: a test compares. */
static const char *const commands[] = {
	"PING", "TIME", "GET %doctor", "MGET %doctor", "EXISTS %doctor", "STRLEN %doctor",
	"HGET %doctor f", "HGETALL %doctor", "HMGET %doctor f", "HEXISTS %doctor f",
	"HKEYS %doctor", "HLEN %doctor", "HSTRLEN %doctor f", "HSCAN %doctor 0", "SMEMBERS %doctor",
	"LLEN %doctor", "LINDEX %doctor 0", "LRANGE %doctor 0 0", "XLEN %doctor",
	"XRANGE %doctor - +", "XREVRANGE %doctor + -", "XINFO GROUPS %doctor", "ZCARD %doctor",
	"ZCOUNT %doctor 0 0", "ZRANGE %doctor 0 0", "ZREVRANGE %doctor 0 0",
	"ZRANGEBYSCORE %doctor 0 0", "ZSCORE %doctor m",
	/* what writes, on keys that are not there */
	"SET %doctor x XX", "EXPIRE %doctor 1", "PEXPIRE %doctor 1", "PEXPIREAT %doctor 1",
	"HDEL %doctor f", "SREM %doctor m", "SPOP %doctor", "ZREM %doctor m", "ZPOPMIN %doctor",
	"ZREMRANGEBYSCORE %doctor 0 0", "ZADD %doctor XX 1 m", "XDEL %doctor 1-1",
	"LTRIM %doctor 0 0", "XADD %doctor NOMKSTREAM * f v",
	"XREADGROUP GROUP g c STREAMS %doctor >", "XGROUP CREATE %doctor g $", "PUBLISH %doctor x",
	"EVAL return(1) 0", "EVALSHA 0 0",
	/* what makes a key: it is gone with the DEL */
	"HSET %doctor-h f 1", "HSETNX %doctor-h f 1", "HINCRBY %doctor-h f 1", "INCRBY %doctor-n 1",
	"DECRBY %doctor-n 1", "SADD %doctor-s m", "RPUSH %doctor-l x", "LPUSH %doctor-l x",
	"DEL %doctor-h %doctor-n %doctor-s %doctor-l",
	"WAIT 0 1", /* the last one: only with REDIS_WAIT_REPLICAS */
};

/* "+xinfo|groups": a command as ACL SETUSER wants it. */
static const char *right_of(struct doctor *d, const char *command)
{
	bool has_parts = strncmp(command, "XINFO", 5) == 0 || strncmp(command, "XGROUP", 6) == 0;
	size_t len = strcspn(command, " ");
	char *right;

	if (has_parts)
		len += 1 + strcspn(command + len + 1, " ");
	right = arena_strndup(d->arena, command, len);
	for (char *p = right; *p; p++)
		*p = *p == ' ' ? '|' : (char)tolower((unsigned char)*p);
	return arena_printf(d->arena, " +%s", right);
}

/* The least that works. */
static const char *rights(struct doctor *d, size_t count)
{
	const char *line =
		arena_printf(d->arena, "ACL SETUSER <user> on ~%s* &%s* +info +subscribe",
			     d->config->queue_prefix, d->config->queue_prefix);

	for (size_t i = 0; i < count; i++)
		line = arena_printf(d->arena, "%s%s", line, right_of(d, commands[i]));
	return line;
}

static void tell_refused(struct doctor *d, size_t count, const char *refused, bool keys,
			 bool channels)
{
	doctor_bad(d, rights(d, count), "the user may not%s%s: %s", keys ? " touch the keys" : "",
		   channels ? " use the channels" : "", refused);
}

static void check_acl(struct doctor *d)
{
	const char *refused = "";
	bool keys = false, channels = false;
	size_t count = ARRAY_LEN(commands) - (d->config->redis_wait_replicas > 0 ? 0 : 1);

	if (!needs_redis(d))
		return;
	if (strcmp(info(d, "role"), "slave") == 0) {
		doctor_skip(d, "a replica takes no writes to try");
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct redis_call c;
		size_t len = strcspn(commands[i], " ");

		(void)ask(d, &c, commands[i]);
		if (strcmp(c.call.err.detail, "NOPERM") != 0)
			continue;
		keys = keys || strstr(c.call.err.text, "key");
		channels = channels || strstr(c.call.err.text, "channel");
		refused = arena_printf(d->arena, "%s%s%.*s", refused, *refused ? " " : "", (int)len,
				       commands[i]);
	}
	if (*refused)
		tell_refused(d, count, refused, keys, channels);
	else
		doctor_good(d, "all %zu commands are allowed", count);
}

/* ---- the queue ---- */

static void check_prefix(struct doctor *d)
{
	const char *prefix = d->config->queue_prefix, *open = strchr(prefix, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	bool cluster = strcmp(info(d, "cluster_enabled"), "1") == 0;
	static const char fix[] =
		"QUEUE_PREFIX={flow-worker}: or another name in braces, and the same "
		"FLOW_WORKER_PREFIX in Directus";

	if (close && close > open + 1)
		doctor_good(d, "'%s'", prefix);
	else if (cluster)
		doctor_bad(d, fix,
			   "QUEUE_PREFIX '%s' has no part in braces: in this cluster its keys "
			   "are on several nodes, where no script can reach them together",
			   prefix);
	else
		doctor_warn(d, fix,
			    "QUEUE_PREFIX '%s' has no part in braces: it does not work in a "
			    "cluster",
			    prefix);
}

static void check_layout(struct doctor *d)
{
	struct redis_call c;
	const struct redis_value *v = needs_redis(d) ? ask(d, &c, "GET %v") : NULL;
	long there = v && v->type == REDIS_TEXT ? strtol(v->text.ptr, NULL, 10) : QUEUE_LAYOUT;

	if (!d->has_redis)
		return;
	if (!v)
		doctor_bad(d, fix_for(c.call.err.text), "%s", c.call.err.text);
	else if (labs(there - QUEUE_LAYOUT) > 1)
		doctor_bad(d, "use a release that fits, or another QUEUE_PREFIX",
			   "the queue has layout %ld, this program knows %d and its neighbours",
			   there, QUEUE_LAYOUT);
	else
		doctor_good(d, "layout %ld", there);
}

/* As report.lua gives them. */
enum { REPORT_COUNTS, REPORT_WORKERS, REPORT_PAUSED = 4, REPORT_RESTING = 6 };

static const struct redis_value *report(struct doctor *d)
{
	const struct str words[] = {word_of(d->arena, 1), word_of(d->arena, 0)};
	struct redis_call c;

	script_start(&d->scripts, &c, d->arena, SCRIPT_REPORT, ARRAY_LEN(words), words);
	setup_wait(&d->setup, &c.call);
	return c.call.err.code == ERR_OK && c.reply->count > REPORT_RESTING ? c.reply : NULL;
}

static const char *version_of(struct doctor *d, const struct redis_value *heartbeat)
{
	struct error err;
	const char *version =
		json_get_text(json_parse_rounding(d->arena, heartbeat->text, &err), "version");

	return version ? version : "?";
}

static void tell_versions(struct doctor *d, const struct redis_value *workers)
{
	const char *others = "";

	for (size_t i = 0; i + 1 < workers->count; i += 2) {
		const char *version = version_of(d, &workers->items[i + 1]);

		if (strcmp(version, FLOW_WORKER_VERSION) != 0)
			others =
				arena_printf(d->arena, "%s%s%s has %s", others, *others ? ", " : "",
					     cli_item_text(d->arena, workers, i), version);
	}
	if (*others)
		doctor_warn(d,
			    "upgrade all workers to one release; two neighbouring ones may share a "
			    "Redis for a while",
			    "this is flow-worker " FLOW_WORKER_VERSION ", but %s", others);
	else
		doctor_good(d, "%zu at work, all of version " FLOW_WORKER_VERSION,
			    workers->count / 2);
}

static void tell_dead(struct doctor *d, const struct redis_value *counts)
{
	static const char fix[] =
		"look at them with `flow-worker jobs list --state dead`, then `jobs "
		"retry` or `jobs purge`; or raise QUEUE_DEAD_MAX_BYTES";
	double bytes = cli_reply_number(counts, "deadBytes");
	double most = (double)d->config->queue_dead_max_bytes;

	if (most > 0 && bytes > most)
		doctor_bad(d, fix,
			   "dead and quarantined jobs take %.1f MB of %.1f MB, and none is "
			   "dropped that nobody has seen",
			   bytes / 1e6, most / 1e6);
	else if (most > 0 && bytes > most * 0.8)
		doctor_warn(d, fix, "dead and quarantined jobs take %.1f MB of %.1f MB",
			    bytes / 1e6, most / 1e6);
}

/* What a person has stopped, and what has stopped by itself. */
static void tell_pauses(struct doctor *d, const struct redis_value *paused,
			const struct redis_value *resting)
{
	for (size_t i = 0; i + 1 < paused->count; i += 2)
		doctor_warn(d, "see `flow-worker jobs resume --help`", "%s",
			    cli_paused_text(d->arena, cli_item_text(d->arena, paused, i)));
	for (size_t i = 0; i + REST_WIDTH <= resting->count; i += REST_WIDTH) {
		const char *cause = cli_rest_cause(d->arena, resting, i);
		const char *text = cli_rest_text(d->arena, resting, i);

		if (strcmp(cause, "credit") == 0)
			doctor_bad(d, "pay the provider, then `flow-worker jobs resume`", "%s",
				   text);
		else if (strcmp(cause, "circuit") == 0)
			doctor_warn(d, "see the provider's status page, and `flow-worker status`",
				    "%s", text);
	}
}

static void check_workers(struct doctor *d)
{
	const struct redis_value *r = needs_redis(d) ? report(d) : NULL;
	const struct redis_value *counts;
	double waiting;

	if (!r) {
		if (d->has_redis)
			doctor_skip(d, "the queue does not report: see redis-acl");
		return;
	}
	counts = &r->items[REPORT_COUNTS];
	waiting = cli_reply_number(counts, "ready") + cli_reply_number(counts, "limited") +
		  cli_reply_number(counts, "paused") + cli_reply_number(counts, "door");
	if (r->items[REPORT_WORKERS].count)
		tell_versions(d, &r->items[REPORT_WORKERS]);
	else if (waiting > 0)
		doctor_bad(d, "start one: `flow-worker`, with the same REDIS and QUEUE_PREFIX",
			   "%.0f jobs wait and no worker is alive", waiting);
	else
		doctor_good(d, "none is alive yet");
	tell_dead(d, counts);
	tell_pauses(d, &r->items[REPORT_PAUSED], &r->items[REPORT_RESTING]);
}

const struct check doctor_redis_checks[] = {
	{"redis",             check_reach      },
	{"redis-version",     check_version    },
	{"redis-eviction",    check_eviction   },
	{"redis-persistence", check_persistence},
	{"redis-role",        check_role       },
	{"redis-memory",      check_memory     },
	{"redis-clients",     check_clients    },
	{"redis-clock",       check_clock      },
	{"redis-acl",         check_acl        },
	{"queue-prefix",      check_prefix     },
	{"queue-layout",      check_layout     },
	{"workers",           check_workers    },
	{NULL,		NULL             },
};
