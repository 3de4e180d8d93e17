/* Commands, replies, scripts, cancelling: against a real server. */
#include "tests/unit/redis_rig.h"

#include <stdlib.h>

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
	rig_open(&g, &(struct redis_options){.url = s.url, .timeout_ms = RIG_PATIENCE_MS});
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
		FAIL("%s", c->call.err.text);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
