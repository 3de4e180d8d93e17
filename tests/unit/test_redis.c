/* The connection to Redis, against a real server that is stopped, killed and restarted. */
#include "common/redis.h"

#include "common/arena.h"
#include "common/loop.h"

#include "tests/unit/redis_server.h"
#include "tests/unit/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 30000, CALLS_MAX = 100001 };

#define test_failed(...)                   \
	do {                               \
		print_error(__VA_ARGS__);  \
		print_error("\n");         \
		_fail(__FILE__, __LINE__); \
	} while (0)

/* What every test has: a loop, a connection, and calls that end. */
struct rig {
	struct loop *loop;
	struct arena *arena;
	struct redis *redis;
	struct redis_call *calls;
	unsigned *ends; /* how often each has ended */
	size_t started, ended, wanted;
	struct timeout patience;
	size_t made, lost; /* connections */
	struct error why;
	bool *until; /* for run_until() */
};

static struct rig *rig_now; /* done() has only its call; a test has one rig */

static void out_of_patience(struct timeout *t)
{
	(void)t;
	test_failed("waited %d ms in vain: %zu of %zu calls ended; %s", PATIENCE_MS, rig_now->ended,
		    rig_now->started, rig_now->why.text);
}

static void changed(void *arg, const struct error *err)
{
	struct rig *g = arg;

	if (err) {
		g->lost++;
		g->why = *err;
	} else {
		g->made++;
	}
	if (g->until)
		loop_stop(g->loop);
}

static void rig_open(struct rig *g, const struct redis_options *options)
{
	*g = (struct rig){.loop = loop_new(), .arena = arena_new()};
	g->calls = xmalloc(CALLS_MAX * sizeof(*g->calls));
	g->ends = xmalloc(CALLS_MAX * sizeof(*g->ends));
	g->redis = redis_new(g->loop, options);
	redis_on_change(g->redis, changed, g);
	timeout_start(g->loop, &g->patience, PATIENCE_MS, out_of_patience);
	rig_now = g;
}

/* Frees the connection; the calls can still be looked at. */
static void rig_stop(struct rig *g)
{
	timeout_stop(g->loop, &g->patience);
	redis_free(g->redis);
	g->redis = NULL;
	loop_run(g->loop); /* ends by itself: nothing is left */
	for (size_t i = 0; i < g->started; i++)
		assert_int_equal(g->ends[i], 1);
}

static void rig_close(struct rig *g)
{
	rig_stop(g);
	loop_free(g->loop);
	arena_free(g->arena);
	free(g->calls);
	free(g->ends);
}

static void ended(struct call *c)
{
	struct rig *g = rig_now;

	g->ends[container_of(c, struct redis_call, call) - g->calls]++;
	if (++g->ended == g->wanted)
		loop_stop(g->loop);
}

static struct redis_call *next_call(struct rig *g)
{
	struct redis_call *c = &g->calls[g->started++];

	c->call.done = ended;
	return c;
}

/* Until all that was started has ended. */
static void run(struct rig *g)
{
	g->wanted = g->started;
	while (g->ended < g->wanted)
		loop_run(g->loop);
}

#define start(g, timeout_ms, ...) \
	redis_start((g)->redis, next_call(g), (g)->arena, (timeout_ms), __VA_ARGS__, NULL)

/* One command, and its reply. */
#define say(g, ...) (start((g), 0, __VA_ARGS__), run(g), &(g)->calls[(g)->started - 1])

static void run_until_made(struct rig *g, size_t count)
{
	bool here = true;

	g->until = &here;
	while (g->made < count)
		loop_run(g->loop);
	g->until = NULL;
}

static void stop_loop(struct timeout *t)
{
	(void)t;
	loop_stop(rig_now->loop);
}

/* Until the server's reply to the command contains the text. */
static void run_until_said(struct rig *g, struct redis_server *s, const char *text,
			   const char *command)
{
	struct timeout soon = {.place = 0};

	while (!strstr(redis_server_do(s, command, NULL), text)) {
		timeout_start(g->loop, &soon, 2, stop_loop);
		loop_run(g->loop);
	}
	timeout_stop(g->loop, &soon);
}

static void assert_reply(const struct redis_call *c, const char *expected)
{
	if (c->call.err.code)
		test_failed("%s", c->call.err.text);
	assert_non_null(c->reply);
	assert_str(c->reply->text, expected);
}

static void assert_failed(const struct redis_call *c, enum error_code code, const char *text)
{
	if (c->call.err.code != code || !strstr(c->call.err.text, text))
		test_failed("expected %s '%s', got %s '%s'", error_code_name(code), text,
			    error_name(&c->call.err), c->call.err.text);
}

/* ---- replies ---- */

TEST(a_command_is_answered)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	assert_reply(say(&g, "GET", "k"), "v");
	assert_int_equal(say(&g, "GET", "none")->reply->type, REDIS_NIL);
	assert_int_equal(say(&g, "INCRBY", "n", "41")->reply->integer, 41);
	assert_true(redis_is_connected(g.redis));
	assert_int_equal(g.made, 1);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(values_are_binary_and_may_be_large)
{
	enum { SIZE = 1024 * 1024 };
	struct redis_server s;
	struct rig g;
	char *bytes = xmalloc(SIZE);
	const struct redis_call *c;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	redis_start_argv(g.redis, next_call(&g), g.arena, 0, 3,
			 (struct str[]){
				 STR("SET"), STR("k"), {bytes, SIZE}
        });
	c = say(&g, "GET", "k");
	assert_null(c->call.err.text[0] ? c : NULL);
	assert_int_equal(c->reply->text.len, SIZE);
	assert_memory_equal(c->reply->text.ptr, bytes, SIZE);
	assert_int_equal(c->reply->text.ptr[SIZE], 0);
	redis_start_argv(g.redis, next_call(&g), g.arena, 0, 2,
			 (struct str[]){
				 STR("ECHO"), {NULL, 0}
        });
	run(&g);
	assert_reply(&g.calls[2], "");
	rig_close(&g);
	redis_server_stop(&s);
	free(bytes);
}

TEST(a_reply_that_is_too_long_drops_the_connection)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_int_equal(say(&g, "SETRANGE", "k", "70000000", "x")->reply->integer, 70000001);
	assert_failed(say(&g, "GET", "k"), ERR_REDIS, "a reply is longer than 64 MiB");
	assert_reply(say(&g, "PING"), "PONG");
	rig_close(&g);
	redis_server_stop(&s);
}

static struct redis_script nested = {
	.name = "nested",
	.source = "return {1, {ARGV[1], {KEYS[1], {'deep'}}}, false, redis.status_reply('FINE')}",
};

static const struct redis_call *eval(struct rig *g, struct redis_script *script, const char *key,
				     const char *argument)
{
	struct redis_call *c = next_call(g);

	redis_eval(g->redis, c, g->arena, 0, script, 1, 2,
		   (struct str[]){str_of(key), str_of(argument)});
	return c;
}

static void assert_nested(const struct redis_call *c, const char *argument)
{
	const struct redis_value *v = c->reply;

	if (!v)
		test_failed("%s", c->call.err.text);
	assert_int_equal(v->count, 4);
	assert_int_equal(v->items[0].integer, 1);
	assert_str(v->items[1].items[0].text, argument);
	assert_str(v->items[1].items[1].items[0].text, "key");
	assert_str(v->items[1].items[1].items[1].items[0].text, "deep");
	assert_int_equal(v->items[2].type, REDIS_NIL);
	assert_int_equal(v->items[3].type, REDIS_STATUS);
	assert_str(v->items[3].text, "FINE");
}

TEST(a_script_that_the_server_does_not_know_is_sent_again_in_full)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	for (int round = 0; round < 2; round++) {
		const struct redis_call *a = eval(&g, &nested, "key", "a");
		const struct redis_call *b = eval(&g, &nested, "key", "b");

		start(&g, 0, "ECHO", "between");
		run(&g);
		assert_nested(a, "a");
		assert_nested(b, "b");
		assert_reply(&g.calls[g.started - 1], "between");
		assert_reply(say(&g, "SCRIPT", "FLUSH"), "OK");
	}
	assert_int_equal(strlen(nested.sha1), 40);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(an_error_reply_says_what_kind_it_is)
{
	static struct redis_script wrong = {"wrong", "return redis.error_reply('MYERR no')", ""};
	static struct redis_script inside = {"inside", "return {1, {err = 'DEEP in it'}}", ""};
	struct redis_server s;
	struct rig g;
	const struct redis_call *c;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	c = say(&g, "LPUSH", "k", "v");
	assert_failed(c, ERR_REDIS, "redis answered LPUSH with: WRONGTYPE Operation against");
	assert_string_equal(c->call.err.detail, "WRONGTYPE");
	assert_null(c->reply);
	c = eval(&g, &wrong, "k", "x");
	run(&g);
	assert_failed(c, ERR_REDIS, "redis answered wrong with: MYERR no");
	assert_string_equal(c->call.err.detail, "MYERR");
	c = eval(&g, &inside, "k", "x");
	run(&g);
	assert_failed(c, ERR_REDIS, "redis answered inside with: DEEP in it");
	c = say(&g, "NOSUCH", "a-secret");
	assert_failed(c, ERR_REDIS, "unknown command 'NOSUCH'");
	assert_null(strstr(c->call.err.text, "a-secret"));
	assert_int_equal(g.lost, 0);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(ten_thousand_commands_at_once_are_answered_in_order)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	for (int i = 0; i < 10000; i++)
		start(&g, 0, "INCR", "n");
	run(&g);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(g.calls[i].reply->integer, i + 1);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(commands_beyond_the_limit_are_refused)
{
	enum { LIMIT = 100000 };
	struct rig g;

	(void)state;
	rig_open(&g, &(struct redis_options){.host = "127.0.0.1", .port = free_port()});
	for (int i = 0; i <= LIMIT; i++)
		start(&g, 0, "PING");
	g.wanted = 1;
	loop_run(g.loop);
	assert_failed(&g.calls[LIMIT], ERR_REDIS, "100000 commands");
	rig_stop(&g);
	assert_failed(&g.calls[0], ERR_SHUTDOWN, "");
	rig_close(&g);
}

/* ---- cancel and free ---- */

TEST(the_reply_to_a_cancelled_command_is_swallowed)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	start(&g, 0, "ECHO", "waits");
	call_cancel(&g.calls[0].call, ERR_CANCELLED);
	run_until_made(&g, 1);
	start(&g, 0, "BLPOP", "list", "0");
	start(&g, 0, "ECHO", "two");
	start(&g, 0, "ECHO", "three");
	run_until_said(&g, &s, "blocked_clients:1", "INFO clients");
	call_cancel(&g.calls[1].call, ERR_CANCELLED);
	call_cancel(&g.calls[1].call, ERR_TIMEOUT);
	call_cancel(&g.calls[2].call, ERR_TIMEOUT);
	(void)redis_server_do(&s, "RPUSH list x");
	run(&g);
	assert_failed(&g.calls[0], ERR_CANCELLED, "");
	assert_failed(&g.calls[1], ERR_CANCELLED, "");
	assert_failed(&g.calls[2], ERR_TIMEOUT, "");
	assert_reply(&g.calls[3], "three");
	assert_int_equal(g.lost, 0);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_cancelled_script_that_the_server_does_not_know_is_not_sent_again)
{
	static struct redis_script sets = {"sets", "return redis.call('SET', KEYS[1], ARGV[1])",
					   ""};
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_made(&g, 1);
	(void)eval(&g, &sets, "k", "v");
	call_cancel(&g.calls[0].call, ERR_CANCELLED);
	assert_int_equal(say(&g, "EXISTS", "k")->reply->integer, 0);
	assert_int_equal(say(&g, "EXISTS", "k")->reply->integer, 0);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(freeing_the_connection_ends_what_is_under_way)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_made(&g, 1);
	start(&g, 0, "BLPOP", "list", "0");
	run_until_said(&g, &s, "blocked_clients:1", "INFO clients");
	start(&g, 0, "PING");
	rig_stop(&g);
	assert_failed(&g.calls[0], ERR_SHUTDOWN, "BLPOP");
	assert_failed(&g.calls[1], ERR_SHUTDOWN, "PING");
	rig_close(&g);
	redis_server_stop(&s);
}

/* ---- who we are and where it is ---- */

TEST(a_password_is_sent_and_a_wrong_one_told)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, "requirepass pa55/word\n");
	rig_open(&g, &(struct redis_options){
			     .host = "127.0.0.1", .port = s.port, .password = "pa55/word"});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	rig_close(&g);

	rig_open(&g, &(struct redis_options){
			     .host = "127.0.0.1", .port = s.port, .password = "wr0ng/word"});
	start(&g, 300, "GET", "k");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "redis answered AUTH with: WRONGPASS");
	assert_null(strstr(g.calls[0].call.err.text, "wr0ng"));
	assert_int_equal(g.made, 0);
	assert_int_equal(g.lost, 1); /* the same news is told once */
	assert_string_equal(g.why.detail, "WRONGPASS");
	rig_close(&g);

	rig_open(&g, &(struct redis_options){.url = s.url});
	start(&g, 300, "GET", "k");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "NOAUTH");
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_url_names_user_database_and_the_client_has_a_name)
{
	struct redis_server s;
	struct rig g;
	char url[128];
	const char *list;

	(void)state;
	redis_server_start(&s, "user worker on >s%cret: ~* &* +@all -@dangerous +client\n");
	(void)snprintf(url, sizeof(url), "redis://worker:s%%25cret%%3a@127.0.0.1:%u/3", s.port);
	rig_open(&g, &(struct redis_options){.url = url, .client_name = "flow-worker"});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	list = redis_server_do(&s, "CLIENT LIST");
	assert_non_null(strstr(list, "name=flow-worker"));
	assert_non_null(strstr(list, "db=3"));
	assert_non_null(strstr(list, "user=worker"));
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_unix_socket_works)
{
	struct redis_server s;
	struct rig g;
	char url[128];

	(void)state;
	redis_server_start(&s, NULL);
	(void)snprintf(url, sizeof(url), "unix:%s?db=2", s.socket);
	rig_open(&g, &(struct redis_options){.url = url});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	assert_non_null(strstr(redis_server_do(&s, "INFO keyspace"), "db2:keys=1"));
	redis_server_kill(&s, SIGKILL);
	start(&g, 50, "GET", "k");
	run(&g);
	assert_true(g.calls[1].call.err.code == ERR_REDIS ||
		    g.calls[1].call.err.code == ERR_TIMEOUT);
	redis_server_again(&s);
	assert_int_equal(say(&g, "GET", "k")->reply->type, REDIS_NIL);
	rig_close(&g);
	redis_server_stop(&s);
}

/* Makes an authority and a certificate signed by it, in the server's folder. */
static void make_certificate(const struct redis_server *s, const char *names)
{
	char command[1200];

	(void)snprintf(command, sizeof(command),
		       "cd %s && exec >openssl.log 2>&1 && openssl req -x509 -newkey ec -pkeyopt "
		       "ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority -keyout ca.key "
		       "-out ca.crt && openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
		       "-nodes -subj /CN=redis -keyout tls.key -out tls.csr && printf "
		       "'subjectAltName=%s' >names && openssl x509 -req -in tls.csr -CA ca.crt "
		       "-CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.crt",
		       s->dir, names);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own words */
}

static const char tls_config[] = "tls-port %S\ntls-cert-file %D/tls.crt\ntls-key-file %D/tls.key\n"
				 "tls-ca-cert-file %D/ca.crt\ntls-auth-clients no\n";

TEST(tls_reaches_a_server_whose_certificate_is_good)
{
	static const char *const hosts[] = {"localhost", "127.0.0.1"};
	enum { SIZE = 300000 };
	struct redis_server s;
	struct rig g;
	char url[128], ca[128], *bytes = xmalloc(SIZE);

	(void)state;
	memset(bytes, 'x', SIZE);
	redis_server_prepare(&s);
	make_certificate(&s, "DNS:localhost,IP:127.0.0.1");
	redis_server_run(&s, tls_config);
	(void)snprintf(ca, sizeof(ca), "%s/ca.crt", s.dir);
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		(void)snprintf(url, sizeof(url), "rediss://%s:%u/1", hosts[i], s.spare);
		rig_open(&g, &(struct redis_options){.url = url, .ca_file = ca});
		redis_start_argv(g.redis, next_call(&g), g.arena, 0, 3,
				 (struct str[]){
					 STR("SET"), STR("k"), {bytes, SIZE}
                });
		for (int n = 0; n < 100; n++)
			start(&g, 0, "GET", "k");
		run(&g);
		for (int n = 1; n <= 100; n++) {
			assert_int_equal(g.calls[n].call.err.code, ERR_OK);
			assert_int_equal(g.calls[n].reply->text.len, SIZE);
			assert_memory_equal(g.calls[n].reply->text.ptr, bytes, SIZE);
		}
		rig_close(&g);
	}
	rig_open(&g, &(struct redis_options){.url = url, .ca_file = ca});
	run_until_made(&g, 1);
	redis_server_kill(&s, SIGKILL);
	redis_server_again(&s);
	start(&g, 0, "PING");
	run_until_made(&g, 2);
	assert_reply(say(&g, "PING"), "PONG");
	rig_close(&g);
	redis_server_stop(&s);
	free(bytes);
}

TEST(tls_refuses_a_server_whose_certificate_is_not_good)
{
	struct redis_server s, other;
	struct rig g;
	char url[128], ca[128], other_ca[128];

	(void)state;
	redis_server_prepare(&s);
	redis_server_prepare(&other);
	make_certificate(&s, "DNS:redis.example.org,IP:127.0.0.9");
	make_certificate(&other, "DNS:localhost");
	redis_server_run(&s, tls_config);
	(void)snprintf(ca, sizeof(ca), "%s/ca.crt", s.dir);
	(void)snprintf(other_ca, sizeof(other_ca), "%s/ca.crt", other.dir);
	for (int i = 0; i < 5; i++) {
		static const char *const why[] = {
			"hostname mismatch",         "IP address mismatch",
			"self-signed certificate",   "self-signed certificate",
			"TLS: wrong version number",
		};

		(void)snprintf(url, sizeof(url), "rediss://%s:%u",
			       i == 0 ? "localhost" : "127.0.0.1", i == 4 ? s.port : s.spare);
		rig_open(&g, &(struct redis_options){.url = url,
						     .ca_file = i == 2   ? other_ca
								: i == 3 ? NULL
									 : ca});
		start(&g, 300, "PING");
		run(&g);
		assert_failed(&g.calls[0], ERR_TIMEOUT, why[i]);
		rig_close(&g);
	}
	redis_server_stop(&s);
	redis_server_stop(&other);
}

/* ---- the server is away ---- */

TEST(commands_wait_for_a_server_that_comes_later)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_prepare(&s);
	rig_open(&g, &(struct redis_options){.url = s.url});
	start(&g, 20, "SET", "k", "1");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "no connection within 20 ms: cannot connect to");
	start(&g, 20000, "SET", "k", "2");
	redis_server_run(&s, NULL);
	run(&g);
	assert_reply(&g.calls[1], "OK");
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_server_that_is_killed_ends_each_command_once)
{
	struct redis_server s;
	struct rig g;
	size_t before;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_made(&g, 1);
	for (int i = 0; i < 100; i++)
		start(&g, 0, "BLPOP", "nothing", "0");
	run_until_said(&g, &s, "blocked_clients:1", "INFO clients");
	before = g.made;
	redis_server_kill(&s, SIGKILL);
	run(&g);
	for (size_t i = 0; i < g.started; i++)
		assert_failed(&g.calls[i], ERR_REDIS, "lost the connection to Redis at 127.0.0.1:");
	redis_server_again(&s);
	run_until_made(&g, before + 1);
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	rig_close(&g);
	redis_server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_command_is_answered),
		ENTRY(values_are_binary_and_may_be_large),
		ENTRY(a_reply_that_is_too_long_drops_the_connection),
		ENTRY(a_script_that_the_server_does_not_know_is_sent_again_in_full),
		ENTRY(an_error_reply_says_what_kind_it_is),
		ENTRY(ten_thousand_commands_at_once_are_answered_in_order),
		ENTRY(commands_beyond_the_limit_are_refused),
		ENTRY(the_reply_to_a_cancelled_command_is_swallowed),
		ENTRY(a_cancelled_script_that_the_server_does_not_know_is_not_sent_again),
		ENTRY(freeing_the_connection_ends_what_is_under_way),
		ENTRY(a_password_is_sent_and_a_wrong_one_told),
		ENTRY(a_url_names_user_database_and_the_client_has_a_name),
		ENTRY(a_unix_socket_works),
		ENTRY(tls_reaches_a_server_whose_certificate_is_good),
		ENTRY(tls_refuses_a_server_whose_certificate_is_not_good),
		ENTRY(commands_wait_for_a_server_that_comes_later),
		ENTRY(a_server_that_is_killed_ends_each_command_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
