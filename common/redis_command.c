/* Commands and what comes of them.
 *
 * Commands wait while the connection is not up, then go out in their order; their replies come in
 * the same order, so the first command in `sent` is the one that the next reply belongs to. What
 * the replicas have to have, too, is `answered` then, until a WAIT that was sent after its reply. A
 * command whose call has ended before (cancelled, or its time was over soon after it was sent) stays
 * in `sent` without its call until then, and keeps a timeout: a server that has fallen silent is
 * noticed all the same. */
#include "common/redis.h"

#include "common/loop.h"
#include "common/redis_private.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PENDING_MAX = 100000, /* commands */
	WORDS_MAX = 32,       /* of redis_start() */
};

struct redis_command {
	TAILQ_ENTRY(redis_command) entry;
	struct redis *redis;
	struct redis_call *call; /* NULL: cancelled, its reply is swallowed */
	struct arena *arena;
	struct timeout timeout;
	uint32_t timeout_ms;
	uint64_t sent_ms; /* when it was put into `sent` */
	struct str bytes;
	const struct redis_script *script; /* sent as EVALSHA: EVAL may have to follow */
	bool said_source;                  /* EVAL has followed */
	struct command_list *list;         /* the one that it is on */
	bool confirm;                      /* by replicas */
	bool is_wait;                      /* it is our own WAIT, for those that are `covered` */
	bool covered;                      /* the WAIT under way was sent after its reply */
	uint64_t order;
	char name[32]; /* for error texts */
};

/* ---- the end ---- */

/* Takes it off its list and ends its call, whose err is set. */
static void end_command(struct redis_command *cmd)
{
	struct redis *r = cmd->redis;

	if (cmd->is_wait)
		r->is_confirming = false;
	TAILQ_REMOVE(cmd->list, cmd, entry);
	r->pending--;
	r->pending_bytes -= cmd->bytes.len;
	timeout_stop(r->loop, &cmd->timeout);
	free_command(cmd->bytes);
	if (cmd->call) {
		cmd->call->command = NULL;
		call_end(&cmd->call->call);
	}
	free(cmd);
}

void redis_end_all(struct command_list *list, enum error_code code, const char *why)
{
	struct redis_command *cmd;

	while ((cmd = TAILQ_FIRST(list))) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it has left the list, which the analyser does not see */
		if (cmd->call)
			(void)fail(&cmd->call->call.err, code, "redis command %s: %s", cmd->name,
				   why);
		end_command(cmd);
	}
}

/* ---- the start ---- */

static void command_timed_out(struct timeout *t);

/* Its call's time is over, but the server has not had that long to answer: a command may have waited
 * for the connection all the while. That is no reason to lose the connection; its reply is awaited
 * without the call. */
static void end_call_early(struct redis_command *cmd, uint64_t since_sent)
{
	struct redis *r = cmd->redis;
	struct redis_call *call = cmd->call;

	if (call)
		(void)fail(
			&call->call.err, ERR_TIMEOUT,
			"redis command %s: no answer within %u ms; it could be sent only %" PRIu64
			" ms ago",
			cmd->name, cmd->timeout_ms, since_sent);
	if (cmd->list != &r->sent) {
		end_command(cmd); /* its reply is there */
		return;
	}
	cmd->call = NULL;
	timeout_start(r->loop, &cmd->timeout, cmd->timeout_ms - since_sent, command_timed_out);
	if (call) {
		call->command = NULL;
		call_end(&call->call);
	}
}

static void command_timed_out(struct timeout *t)
{
	struct redis_command *cmd = container_of(t, struct redis_command, timeout);
	struct redis *r = cmd->redis;
	uint64_t since_sent = loop_now(r->loop) - cmd->sent_ms;
	struct error err;

	if (cmd->list == &r->waiting) {
		(void)fail(&cmd->call->call.err, ERR_TIMEOUT,
			   "redis command %s: no connection within %u ms%s%s", cmd->name,
			   cmd->timeout_ms, r->error.code ? ": " : "", r->error.text);
		end_command(cmd);
		return;
	}
	if (since_sent < cmd->timeout_ms) {
		end_call_early(cmd, since_sent);
		return;
	}
	(void)fail(&err, ERR_REDIS, "redis did not answer %s within %u ms", cmd->name,
		   cmd->timeout_ms);
	if (cmd->call) {
		cmd->call->call.err = err;
		cmd->call->call.err.code = ERR_TIMEOUT;
	}
	end_command(cmd);
	redis_connect_again(r, &err);
}

static void move_command(struct redis_command *cmd, struct command_list *to)
{
	TAILQ_REMOVE(cmd->list, cmd, entry);
	TAILQ_INSERT_TAIL(to, cmd, entry);
	cmd->list = to;
}

static void send_command(struct redis_command *cmd)
{
	struct redis *r = cmd->redis;

	if (!link_send(r->link, cmd->bytes)) {
		if (cmd->call)
			(void)fail(&cmd->call->call.err, ERR_REDIS,
				   "redis command %s: more than %d bytes wait to be sent already",
				   cmd->name, REDIS_HELD_MAX);
		end_command(cmd);
		return;
	}
	cmd->sent_ms = loop_now(r->loop);
	move_command(cmd, &r->sent);
}

void redis_send_waiting(struct redis *r)
{
	struct redis_command *cmd;

	while ((cmd = TAILQ_FIRST(&r->waiting)))
		send_command(cmd); /* NOLINT(clang-analyzer-unix.Malloc): as above */
}

static void cancel_command(struct call *c)
{
	struct redis_call *call = container_of(c, struct redis_call, call);
	struct redis_command *cmd = call->command;

	if (cmd->list == &cmd->redis->sent) {
		cmd->call = NULL;
		call->command = NULL;
		call_end(c);
	} else {
		end_command(cmd);
	}
}

/* Why a command cannot be taken at all. */
static bool can_take(struct redis *r, size_t bytes, const char *name, struct error *err)
{
	if (r->error.code == ERR_CONFIG) {
		*err = r->error;
		return false;
	}
	if (r->pending >= PENDING_MAX || r->pending_bytes + bytes > REDIS_HELD_MAX)
		return fail(err, ERR_REDIS,
			    "redis command %s: %zu commands with %zu bytes are under way already",
			    name, r->pending, r->pending_bytes);
	return true;
}

static void start_command(struct redis_command *cmd)
{
	struct redis *r = cmd->redis;

	cmd->order = ++r->order;
	cmd->list = &r->waiting;
	TAILQ_INSERT_TAIL(cmd->list, cmd, entry);
	r->pending_bytes += cmd->bytes.len;
	r->pending++;
	timeout_start(r->loop, &cmd->timeout, cmd->timeout_ms, command_timed_out);
	if (r->state == UP && !r->is_moving)
		send_command(cmd);
}

struct command_options {
	struct arena *arena;
	uint32_t timeout_ms;
	const struct redis_script *script;
	struct str name;
};

static void start_words(struct redis *r, struct redis_call *c, const struct command_options *o,
			size_t count, const struct str *words)
{
	struct redis_command *cmd;
	char name[sizeof(cmd->name)] = "";
	struct str bytes = format_command(count, words);

	assert(r->channel_count == 0);
	call_begin(&c->call, r->loop, cancel_command);
	c->reply = NULL;
	c->command = NULL;
	memcpy(name, o->name.ptr, size_min(o->name.len, sizeof(name) - 1));
	if (!can_take(r, bytes.len, name, &c->call.err)) {
		free_command(bytes);
		call_end(&c->call);
		return;
	}
	cmd = xmalloc(sizeof(*cmd));
	memcpy(cmd->name, name, sizeof(name));
	cmd->redis = r;
	cmd->call = c;
	cmd->arena = o->arena;
	cmd->timeout_ms = o->timeout_ms ? o->timeout_ms : r->target.timeout_ms;
	cmd->bytes = bytes;
	cmd->script = o->script;
	c->command = cmd;
	start_command(cmd);
}

void redis_start_argv(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		      size_t count, const struct str *words)
{
	assert(count > 0);
	start_words(r, c, &(struct command_options){a, timeout_ms, NULL, words[0]}, count, words);
}

void redis_start(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		 const char *word, ...)
{
	struct str words[WORDS_MAX];
	size_t count = 0;
	va_list more;

	va_start(more, word);
	for (; word; word = va_arg(more, const char *)) {
		assert(count < WORDS_MAX);
		words[count++] = str_of(word);
	}
	va_end(more);
	redis_start_argv(r, c, a, timeout_ms, count, words);
}

static void hash_script(struct redis_script *script)
{
	unsigned char hash[SHA_DIGEST_LENGTH];

	(void)SHA1((const unsigned char *)script->source, strlen(script->source), hash);
	for (size_t i = 0; i < sizeof(hash); i++)
		(void)snprintf(script->sha1 + 2 * i, 3, "%02x", hash[i]);
}

/* NOLINTNEXTLINE(readability-function-size): what every caller has, one argument each */
void redis_eval(struct redis *r, struct redis_call *c, struct arena *a, uint32_t timeout_ms,
		struct redis_script *script, size_t key_count, size_t count,
		const struct str *keys_and_arguments)
{
	struct str *words = xmalloc((count + 3) * sizeof(*words));
	char keys[24];

	if (!script->sha1[0])
		hash_script(script);
	(void)snprintf(keys, sizeof(keys), "%zu", key_count);
	words[0] = STR("EVALSHA");
	words[1] = str_of(script->sha1);
	words[2] = str_of(keys);
	if (count)
		memcpy(words + 3, keys_and_arguments, count * sizeof(*words));
	start_words(r, c, &(struct command_options){a, timeout_ms, script, str_of(script->name)},
		    count + 3, words);
	free(words);
}

/* ---- replies ---- */

/* The server does not know the script: it gets the source in place of its hash. */
static bool send_source(struct redis *r, struct redis_command *cmd)
{
	struct str source = str_of(cmd->script->source), rest = cmd->bytes;
	size_t words = (size_t)strtoul(cmd->bytes.ptr + 1, NULL, 10);
	int head;
	struct buf eval;
	bool sent;

	head = snprintf(NULL, 0, "*%zu\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n", words,
			cmd->script->sha1);
	rest = (struct str){rest.ptr + head, rest.len - (size_t)head};
	buf_init(&eval, REDIS_HELD_MAX);
	(void)buf_printf(&eval, "*%zu\r\n$4\r\nEVAL\r\n$%zu\r\n", words, source.len);
	(void)buf_add_str(&eval, source);
	(void)buf_add_text(&eval, "\r\n");
	(void)buf_add_str(&eval, rest);
	sent = !buf_overflowed(&eval) && link_send(r->link, buf_str(&eval));
	buf_clear(&eval);
	if (!sent)
		return false;
	cmd->said_source = true;
	cmd->sent_ms = loop_now(r->loop);
	move_command(cmd, &r->sent);
	return true;
}

/* "MOVED 3999 127.0.0.1:6381"; a server that does not know its own name leaves the host out. */
static bool read_move(struct redis *r, struct str text)
{
	const char *place = memrchr(text.ptr, ' ', text.len);
	const char *colon = memrchr(text.ptr, ':', text.len);
	unsigned long port;

	if (!place || !colon || colon < place)
		return false;
	port = strtoul(colon + 1, NULL, 10); /* hiredis ends it with a NUL */
	if (port == 0 || port > UINT16_MAX || colon - place > (int)sizeof(r->moved_host))
		return false;
	memcpy(r->moved_host, place + 1, (size_t)(colon - place - 1));
	r->moved_host[colon - place - 1] = '\0';
	if (r->moved_host[0] == '\0' && r->target.node.host)
		(void)snprintf(r->moved_host, sizeof(r->moved_host), "%s", r->target.node.host);
	r->moved = (struct redis_node){.host = r->moved_host, .port = (uint16_t)port};
	return r->moved_host[0] != '\0';
}

/* Back to those that wait, before all that were started later. */
static void wait_again(struct redis *r, struct redis_command *cmd)
{
	struct redis_command *before = TAILQ_LAST(&r->waiting, command_list);

	TAILQ_REMOVE(&r->sent, cmd, entry);
	while (before && before->order > cmd->order)
		before = TAILQ_PREV(before, command_list, entry);
	if (before)
		TAILQ_INSERT_AFTER(&r->waiting, before, cmd, entry);
	else
		TAILQ_INSERT_HEAD(&r->waiting, cmd, entry);
	cmd->list = &r->waiting;
	cmd->said_source = false;
}

/* ---- replicas ---- */

void redis_confirm(struct redis_call *c)
{
	if (c->command)
		c->command->confirm = c->command->redis->target.wait_replicas > 0;
}

/* One WAIT is under way at a time: what is answered meanwhile is confirmed by the next. */
static void confirm_answered(struct redis *r)
{
	struct redis_command *wait, *cmd = TAILQ_FIRST(&r->answered);
	char replicas[24], ms[24];
	struct str words[] = {
		STR("WAIT"), {replicas, 0},
                 {ms,       0}
        };

	if (!cmd || r->is_confirming || r->is_moving || r->state != UP)
		return;
	words[1].len = (size_t)snprintf(replicas, sizeof(replicas), "%u", r->target.wait_replicas);
	words[2].len = (size_t)snprintf(
		ms, sizeof(ms), "%" PRIu64,
		u64_min(r->target.wait_timeout_ms, u64_max(1, cmd->timeout_ms / 3)));
	for (; cmd; cmd = TAILQ_NEXT(cmd, entry))
		cmd->covered = true;
	wait = xmalloc(sizeof(*wait));
	wait->redis = r;
	wait->is_wait = true;
	wait->timeout_ms = r->target.timeout_ms;
	wait->bytes = format_command(ARRAY_LEN(words), words);
	(void)snprintf(wait->name, sizeof(wait->name), "WAIT");
	r->is_confirming = true;
	start_command(wait);
}

static void fail_unconfirmed(struct redis_command *cmd, uint64_t replicas)
{
	struct error *err = &cmd->call->call.err;
	uint32_t wanted = cmd->redis->target.wait_replicas;

	(void)fail(err, ERR_REDIS,
		   "redis command %s was carried out, but only %" PRIu64 " of %u replicas "
		   "(REDIS_WAIT_REPLICAS) have said in time that they have it",
		   cmd->name, replicas, wanted);
	(void)snprintf(err->detail, sizeof(err->detail), "NOREPLICAS");
}

/* WAIT was answered: so many replicas have what is covered by it, or why nobody knows. */
static void confirmed(struct redis *r, uint64_t replicas, const struct error *why)
{
	struct redis_command *cmd, *next;

	for (cmd = TAILQ_FIRST(&r->answered); cmd; cmd = next) {
		next = TAILQ_NEXT(cmd, entry);
		if (!cmd->covered)
			break; /* the later ones neither */
		if (why)
			cmd->call->call.err = *why;
		else if (replicas < r->target.wait_replicas)
			fail_unconfirmed(cmd, replicas);
		end_command(cmd);
	}
}

/* These say that another server, or this one in a moment, is the one to ask. */
static bool is_failover(const char *word)
{
	static const char *const words[] = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
					    "UNBLOCKED"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}

/* What came of a command that was answered with an error. */
static void take_error(struct redis *r, struct redis_command *cmd, struct str text)
{
	struct error err;

	(void)redis_fail_by_reply(&err, cmd->name, text);
	if (cmd->call && cmd->script && !cmd->said_source && strcmp(err.detail, "NOSCRIPT") == 0 &&
	    send_source(r, cmd))
		return;
	if (strcmp(err.detail, "MOVED") == 0 && read_move(r, text)) {
		r->is_moving = true;
		if (cmd->call) {
			wait_again(r, cmd);
			return;
		}
	}
	if (cmd->is_wait)
		confirmed(r, 0, &err);
	if (cmd->call)
		cmd->call->call.err = err;
	end_command(cmd);
	if (is_failover(err.detail))
		redis_connect_again(r, &err);
}

static void take_good(struct redis *r, struct redis_command *cmd, const redisReply *reply)
{
	if (cmd->is_wait)
		confirmed(r, (uint64_t)reply->integer, NULL);
	if (cmd->call && cmd->confirm)
		move_command(cmd, &r->answered);
	else
		end_command(cmd);
}

void redis_take_reply(struct redis *r, const redisReply *reply)
{
	struct redis_command *cmd = TAILQ_FIRST(&r->sent);
	struct redis_value *value, nothing;
	struct str error = {NULL, 0};
	struct error err;
	bool good;

	if (!cmd) {
		(void)fail(&err, ERR_REDIS, "redis sent a reply that nobody waits for");
		redis_connect_again(r, &err);
		return;
	}
	if (cmd->call) {
		value = arena_make(cmd->arena, struct redis_value);
		good = redis_copy_reply(value, reply, cmd->arena, &error);
		cmd->call->reply = good ? value : NULL;
	} else if (reply->type == REDIS_REPLY_ERROR) {
		good = redis_copy_reply(&nothing, reply, r->arena, &error);
	} else {
		good = true;
	}
	if (!good)
		take_error(r, cmd, error);
	else
		take_good(r, cmd, reply);
	confirm_answered(r);
	if (r->is_moving && TAILQ_EMPTY(&r->sent)) {
		(void)fail(&err, ERR_REDIS, "the keys are at another node of the cluster: %s:%u",
			   r->moved_host, r->moved.port);
		redis_connect_again(r, &err);
	}
}
