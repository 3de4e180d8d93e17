/* The connection to Redis through the fault proxy: errors in Redis' name, silence, cut replies. */
#include "tests/unit/redis_rig.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program built beside this one, in front of a server. */
struct proxy {
	pid_t pid;
	unsigned port, control;
	char url[64];
};

static unsigned number_after(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	assert_non_null(at);
	return (unsigned)strtoul(at + strlen(name), NULL, 10);
}

static void proxy_start(struct proxy *p, const struct redis_server *s)
{
	char path[512], to[32], line[128] = "";
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 16);
	int ends[2];
	FILE *out;

	assert_true(len > 0);
	path[len] = '\0';
	memcpy(strrchr(path, '/'), "/proxy", sizeof("/proxy"));
	(void)snprintf(to, sizeof(to), "--to=%u", s->port);
	assert_int_equal(pipe(ends), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		(void)execl(path, path, to, (char *)NULL);
		_exit(127);
	}
	(void)close(ends[1]);
	out = fdopen(ends[0], "r");
	assert_non_null(fgets(line, sizeof(line), out));
	p->port = number_after(line, "\"port\":");
	p->control = number_after(line, "\"control\":");
	(void)fclose(out);
	(void)snprintf(p->url, sizeof(p->url), "redis://127.0.0.1:%u", p->port);
}

static void proxy_stop(struct proxy *p)
{
	assert_int_equal(kill(p->pid, SIGTERM), 0);
	assert_int_equal(waitpid(p->pid, NULL, 0), p->pid);
}

/* A line of its README. */
static void proxy_say(const struct proxy *p, const char *line)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)p->control),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[8] = "";

	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(dprintf(fd, "%s\n", line), strlen(line) + 1);
	assert_int_equal(read(fd, answer, sizeof(answer) - 1), 3);
	assert_string_equal(answer, "ok\n");
	(void)close(fd);
}

TEST(an_error_of_a_failover_drops_the_connection_and_the_next_command_works)
{
	static const char *const errors[] = {
		"READONLY You can't write against a read only replica.",
		"LOADING Redis is loading the dataset in memory",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"CLUSTERDOWN The cluster is down",
		"UNBLOCKED force unblock from blocking operation, instance state changed",
		"ERR Error running script (call to f_1): @user_script:1: -READONLY no",
	};
	struct redis_server s;
	struct proxy p;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	rig_open(&g, &(struct redis_options){.url = p.url});
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		const struct redis_call *c;
		char line[200];

		run_until_made(&g, i + 1);
		(void)snprintf(line, sizeof(line), "error on SET %s", errors[i]);
		proxy_say(&p, line);
		c = say(&g, "SET", "k", "v");
		assert_failed(c, ERR_REDIS, errors[i]);
		assert_int_equal(g.lost, i + 1);
		assert_reply(say(&g, "SET", "k", "v"), "OK");
	}
	assert_string_equal(g.why.detail, "READONLY"); /* also when a script wraps it */
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

TEST(an_error_that_is_none_of_the_connection_leaves_it_alone)
{
	static struct redis_script script = {"script", "return ARGV[1]", ""};
	struct redis_server s;
	struct proxy p;
	struct rig g;
	struct redis_call *c;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	rig_open(&g, &(struct redis_options){.url = p.url});
	proxy_say(&p, "error on SET OOM command not allowed when used memory > 'maxmemory'.");
	start(&g, 0, "SET", "k", "v");
	start(&g, 0, "GET", "k");
	run(&g);
	assert_failed(&g.calls[0], ERR_REDIS, "OOM command not allowed");
	assert_string_equal(g.calls[0].call.err.detail, "OOM");
	assert_int_equal(g.calls[1].reply->type, REDIS_NIL);
	for (int i = 0; i < 2; i++) {
		proxy_say(&p, "error on EVALSHA NOSCRIPT No matching script. Please use EVAL.");
		c = next_call(&g);
		redis_eval(g.redis, c, g.arena, 0, &script, 0, 1, &STR("said"));
		run(&g);
		assert_reply(c, "said");
	}
	proxy_say(&p, "error on EVALSHA NOSCRIPT No matching script.");
	proxy_say(&p, "error on EVAL NOSCRIPT No matching script.");
	c = next_call(&g);
	redis_eval(g.redis, c, g.arena, 0, &script, 0, 1, &STR("said"));
	run(&g);
	assert_failed(c, ERR_REDIS, "NOSCRIPT"); /* and not for ever */
	assert_int_equal(g.lost, 0);
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

TEST(a_reply_that_is_cut_is_no_reply)
{
	struct redis_server s;
	struct proxy p;
	struct rig g;
	char value[2001] = "";

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	rig_open(&g, &(struct redis_options){.url = p.url});
	assert_reply(say(&g, "SET", "k", value), "OK");
	for (int bytes = 0; bytes < 2007; bytes += 223) {
		const struct redis_call *c;
		char line[32];

		(void)snprintf(line, sizeof(line), "cut %d", bytes);
		run_until_made(&g, g.lost + 1);
		proxy_say(&p, line);
		c = say(&g, "GET", "k");
		assert_failed(c, ERR_REDIS, "the server closed it");
		assert_null(c->reply);
		assert_reply(say(&g, "GET", "k"), value);
	}
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

TEST(silence_is_noticed_and_what_waits_goes_on_when_it_ends)
{
	struct redis_server s;
	struct proxy p;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	rig_open(&g, &(struct redis_options){.url = p.url, .connect_timeout_ms = 200});
	assert_int_equal(say(&g, "INCR", "n")->reply->integer, 1);
	for (int round = 0; round < 3; round++) {
		proxy_say(&p, "blackhole");
		start(&g, 100, "GET", "n");
		run(&g);
		assert_failed(&g.calls[g.started - 1], ERR_TIMEOUT, "did not answer GET");
		start(&g, 20000, "INCR", "n");
		proxy_say(&p, "pass");
		run(&g);
		assert_int_equal(g.calls[g.started - 1].reply->integer, round + 2);
		run_until_made(&g, g.lost + 1);
	}
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

/* Each piece takes 300 ms: the greeting's answer is there, and the command goes out, after 600 ms; its
 * own reply comes after 1200. */
TEST(a_command_that_waited_for_the_connection_does_not_take_it_down_with_it)
{
	struct redis_server s;
	struct proxy p;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	proxy_say(&p, "delay 300");
	rig_open(&g, &(struct redis_options){.url = p.url});
	start(&g, 950, "INCR", "n");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT,
		      "INCR: no answer within 950 ms; it could be sent only");
	assert_reply(say(&g, "GET", "n"), "1"); /* the other's reply was not taken for its own */
	assert_int_equal(g.lost, 0);
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

TEST(silence_after_a_command_that_waited_for_the_connection_is_noticed)
{
	struct redis_server s;
	struct proxy p;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	proxy_say(&p, "delay 300");
	rig_open(&g, &(struct redis_options){.url = p.url});
	start(&g, 950, "INCR", "n");
	run_until_made(&g, 1);
	proxy_say(&p, "blackhole");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "it could be sent only");
	assert_int_equal(g.lost, 0);
	run_until_lost(&g, 1);
	assert_non_null(strstr(g.why.text, "did not answer INCR within 950 ms"));
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

TEST(a_slow_connection_keeps_the_order)
{
	struct redis_server s;
	struct proxy p;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	proxy_start(&p, &s);
	proxy_say(&p, "delay 20");
	rig_open(&g, &(struct redis_options){.url = p.url});
	for (int i = 0; i < 1000; i++) {
		start(&g, 0, "INCR", "n");
		if (i % 100 == 0)
			run(&g);
	}
	run(&g);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(g.calls[i].reply->integer, i + 1);
	rig_close(&g);
	proxy_stop(&p);
	redis_server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(an_error_of_a_failover_drops_the_connection_and_the_next_command_works),
		ENTRY(an_error_that_is_none_of_the_connection_leaves_it_alone),
		ENTRY(a_reply_that_is_cut_is_no_reply),
		ENTRY(silence_is_noticed_and_what_waits_goes_on_when_it_ends),
		ENTRY(a_command_that_waited_for_the_connection_does_not_take_it_down_with_it),
		ENTRY(silence_after_a_command_that_waited_for_the_connection_is_noticed),
		ENTRY(a_slow_connection_keeps_the_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
