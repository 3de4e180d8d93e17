/* A server that is away, killed, stopped, demoted, loading or moved, and who listens meanwhile. */
#include "tests/unit/redis_rig.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the server is away ---- */

TEST(commands_wait_for_a_server_that_comes_later)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_prepare(&s);
	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_lost(&g, 1);
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

TEST(commands_under_way_while_the_server_comes_and_goes_end_once)
{
	struct redis_server s;
	struct rig g;
	int64_t last = 0;
	size_t good = 0;

	(void)state;
	redis_server_start(&s, "appendonly yes\nappendfsync always\n");
	rig_open(&g, &(struct redis_options){.url = s.url});
	for (size_t round = 1; round <= 5; round++) {
		run_until_made(&g, round);
		for (int i = 0; i < 200; i++)
			start(&g, 0, "INCR", "n");
		g.wanted = g.ended + 50; /* in the middle of them */
		loop_run(g.loop);
		redis_server_kill(&s, SIGKILL);
		for (int i = 0; i < 200; i++)
			start(&g, 20000, "INCR", "n"); /* fail, or wait for the next one */
		redis_server_again(&s);
		run(&g);
	}
	for (size_t i = 0; i < g.started; i++) {
		const struct redis_call *c = &g.calls[i];

		if (c->call.err.code) {
			assert_failed(c, ERR_REDIS, "lost the connection");
			continue;
		}
		assert_true(c->reply->integer > last); /* in order, none twice */
		last = c->reply->integer;
		good++;
	}
	assert_true(good >= 5 * 50);
	assert_true(g.lost >= 5);
	rig_close(&g);
	redis_server_stop(&s);
}

/* A peer that takes connections, and does with each what `accepted` does. */
struct peer {
	int fd;
	uint16_t port;
	struct watch *watch;
	size_t accepted;
};

static void reset_connection(void *arg, int events)
{
	struct peer *p = arg;
	int fd = accept(p->fd, NULL, NULL);

	(void)events;
	p->accepted++;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	(void)close(fd);
}

static void peer_open(struct peer *p)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(a);

	*p = (struct peer){.fd = socket(AF_INET, SOCK_STREAM, 0)};
	assert_int_equal(bind(p->fd, (struct sockaddr *)&a, size), 0);
	assert_int_equal(listen(p->fd, 64), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &size), 0);
	p->port = ntohs(a.sin_port);
}

static void peer_close(struct peer *p)
{
	watch_free(p->watch);
	(void)close(p->fd);
}

TEST(a_connection_that_is_reset_is_tried_again)
{
	struct peer p;
	struct rig g;

	(void)state;
	peer_open(&p);
	rig_open(&g, &(struct redis_options){.host = "127.0.0.1", .port = p.port});
	p.watch = watch_new(g.loop, p.fd, WATCH_READ, reset_connection, &p);
	run_until_lost(&g, 1);
	start(&g, 1000, "PING");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "Redis at 127.0.0.1:");
	/* at once, then after 25-50, 50-100, 100-200, 200-400 and 400-800 ms */
	assert_in_range(p.accepted, 2, 8);
	watch_free(p.watch);
	p.watch = NULL;
	rig_close(&g);
	peer_close(&p);
}

TEST(a_peer_that_says_nothing_is_left_after_the_connect_timeout)
{
	struct peer p;
	struct rig g;

	(void)state;
	peer_open(&p);
	rig_open(&g, &(struct redis_options){
			     .host = "127.0.0.1", .port = p.port, .connect_timeout_ms = 50});
	run_until_lost(&g, 1);
	/* Between two attempts to connect the text is another one. */
	do {
		start(&g, 50, "PING");
		run(&g);
	} while (g.started < 20 && !strstr(g.calls[g.started - 1].call.err.text, "silent"));
	assert_failed(&g.calls[g.started - 1], ERR_TIMEOUT, "redis is connected but silent");
	rig_close(&g);
	peer_close(&p);
}

TEST(a_server_that_stops_answering_is_noticed)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){
			     .url = s.url, .timeout_ms = 20000, .connect_timeout_ms = 200});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	start(&g, 100, "GET", "k");
	start(&g, 0, "GET", "k");
	run(&g);
	assert_failed(&g.calls[1], ERR_TIMEOUT, "redis did not answer GET within 100 ms");
	assert_failed(&g.calls[2], ERR_REDIS, "redis did not answer GET within 100 ms");
	start(&g, 0, "GET", "k");
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	run(&g);
	assert_reply(&g.calls[3], "v");
	rig_close(&g);
	redis_server_stop(&s);
}

/* ---- failover ---- */

TEST(a_demoted_server_is_left_until_it_is_master_again)
{
	struct redis_server s;
	struct rig g;
	const struct redis_call *c;

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	(void)redis_server_do(&s, "REPLICAOF 127.0.0.1 %s", "1");
	c = say(&g, "SET", "k", "w");
	/* the demotion itself may have cut the connection */
	if (strcmp(c->call.err.detail, "READONLY") != 0)
		c = say(&g, "SET", "k", "w");
	assert_failed(c, ERR_REDIS, "redis answered SET with: READONLY");
	assert_string_equal(c->call.err.detail, "READONLY");
	assert_true(g.lost >= 1);
	(void)redis_server_do(&s, "REPLICAOF NO ONE");
	assert_reply(say(&g, "SET", "k", "w"), "OK");
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(commands_wait_while_the_server_loads_its_data)
{
	struct redis_server s;
	struct rig g;

	(void)state;
	redis_server_start(&s, "enable-debug-command yes\nkey-load-delay 100\n"
			       "loading-process-events-interval-bytes 1024\n");
	(void)redis_server_do(&s, "DEBUG POPULATE 10000 key 100");
	(void)redis_server_do(&s, "SAVE");
	redis_server_kill(&s, SIGKILL);
	redis_server_again(&s); /* answers, with LOADING, for at least a second */
	rig_open(&g, &(struct redis_options){.url = s.url});
	assert_int_equal(say(&g, "DBSIZE")->reply->integer, 10000);
	assert_string_equal(g.why.detail, "LOADING");
	assert_int_equal(g.made, 1);
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_cluster_that_moved_the_keys_is_followed)
{
	static const char config[] =
		"cluster-enabled yes\ncluster-port %S\ncluster-require-full-coverage no\n";
	struct redis_server a, b;
	struct rig g;

	(void)state;
	redis_server_start(&a, config);
	redis_server_start(&b, config);
	(void)redis_server_do(&b, "CLUSTER ADDSLOTSRANGE 0 16383");
	(void)redis_server_do(&a, "CLUSTER MEET 127.0.0.1 %d %d", (int)b.port, (int)b.spare);
	rig_open(&g, &(struct redis_options){.url = a.url});
	run_until_said(&g, &a, "cluster_slots_assigned:16384", "CLUSTER INFO");
	run_until_said(&g, &b, "cluster_state:ok", "CLUSTER INFO");
	run_until_said(&g, &a, "cluster_state:ok", "CLUSTER INFO");
	for (int i = 0; i < 10; i++)
		start(&g, 0, "INCR", "{tag}:n");
	run(&g);
	for (int i = 0; i < 10; i++) {
		if (g.calls[i].call.err.code)
			FAIL("%s", g.calls[i].call.err.text);
		assert_int_equal(g.calls[i].reply->integer, i + 1);
	}
	assert_non_null(strstr(g.why.text, "another node of the cluster: 127.0.0.1:"));
	rig_close(&g);
	redis_server_stop(&a);
	redis_server_stop(&b);
}

/* Two servers and three sentinels that call the first one the master. */
struct replica_set {
	struct redis_server servers[2], sentinels[3];
	char addresses[128];
};

static void replica_set_start(struct replica_set *set)
{
	char config[400];
	size_t len = 0;

	redis_server_start(&set->servers[0], "repl-diskless-sync-delay 0\n");
	(void)snprintf(config, sizeof(config),
		       "repl-diskless-sync-delay 0\nreplicaof 127.0.0.1 %u\n",
		       set->servers[0].port);
	redis_server_start(&set->servers[1], config);
	redis_server_wait_for(&set->servers[1], "master_link_status:up", "INFO replication");
	(void)snprintf(config, sizeof(config),
		       "sentinel monitor main 127.0.0.1 %u 2\n"
		       "sentinel down-after-milliseconds main 300\n"
		       "sentinel failover-timeout main 3000\n",
		       set->servers[0].port);
	for (size_t i = 0; i < ARRAY_LEN(set->sentinels); i++) {
		redis_sentinel_start(&set->sentinels[i], config);
		len += (size_t)snprintf(set->addresses + len, sizeof(set->addresses) - len,
					"%s127.0.0.1:%u", i ? ", " : "", set->sentinels[i].port);
	}
	for (size_t i = 0; i < ARRAY_LEN(set->sentinels); i++)
		redis_server_wait_for(&set->sentinels[i], "slaves=1,sentinels=3", "INFO sentinel");
}

static void replica_set_stop(struct replica_set *set)
{
	for (size_t i = 0; i < ARRAY_LEN(set->sentinels); i++)
		redis_server_stop(&set->sentinels[i]);
	for (size_t i = 0; i < ARRAY_LEN(set->servers); i++)
		redis_server_stop(&set->servers[i]);
}

TEST(sentinels_name_the_master_also_after_a_failover)
{
	struct replica_set set;
	struct rig g;
	char list[200];

	(void)state;
	replica_set_start(&set);
	/* the first of the list is not there at all */
	(void)snprintf(list, sizeof(list), "127.0.0.1:%u, %s", free_port(), set.addresses);
	rig_open(&g, &(struct redis_options){.sentinels = list, .sentinel_name = "main"});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	start(&g, 0, "WAIT", "1", "10000");
	run(&g);
	redis_server_kill(&set.sentinels[0], SIGKILL);
	redis_server_kill(&set.servers[0], SIGKILL);
	run_until_made(&g, 2);
	start(&g, 20000, "SET", "k", "w");
	start(&g, 20000, "GET", "k");
	run(&g);
	assert_reply(&g.calls[2], "OK");
	assert_reply(&g.calls[3], "w");
	assert_non_null(strstr(redis_server_do(&set.servers[1], "ROLE"), "master"));
	rig_close(&g);

	rig_open(&g, &(struct redis_options){.sentinels = list, .sentinel_name = "other"});
	run_until_lost(&g, 1);
	start(&g, 50, "PING");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "knows no master 'other'");
	rig_close(&g);
	replica_set_stop(&set);
}

TEST(a_master_that_was_replaced_while_it_stood_still_is_left_before_its_time_is_over)
{
	struct replica_set set;
	struct rig g;

	(void)state;
	replica_set_start(&set);
	rig_open(&g, &(struct redis_options){.sentinels = set.addresses,
					     .sentinel_name = "main",
					     .timeout_ms = 60000,
					     .connect_timeout_ms = 60000});
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	assert_int_equal(kill(set.servers[0].pid, SIGSTOP), 0);
	start(&g, 0, "SET", "k", "w");
	run(&g);
	assert_failed(&g.calls[1], ERR_REDIS, "the sentinels name another master now: 127.0.0.1:");
	assert_reply(say(&g, "SET", "k", "w"), "OK");
	assert_string_equal(redis_server_do(&set.servers[1], "GET k"), "w");
	assert_int_equal(kill(set.servers[0].pid, SIGCONT), 0);
	rig_close(&g);
	replica_set_stop(&set);
}

/* ---- replicas ---- */

/* A master and one replica in step with it. */
static void pair_start(struct redis_server *master, struct redis_server *replica)
{
	char config[80];

	redis_server_start(master, "repl-diskless-sync-delay 0\n");
	(void)snprintf(config, sizeof(config), "replicaof 127.0.0.1 %u\n", master->port);
	redis_server_start(replica, config);
	redis_server_wait_for(replica, "master_link_status:up", "INFO replication");
}

#define PATIENT(server)                                   \
	((struct redis_options){.url = (server)->url,     \
				.wait_replicas = 1,       \
				.wait_timeout_ms = 20000, \
				.timeout_ms = 60000})
#define start_confirmed(g, ...) \
	(start((g), 0, __VA_ARGS__), redis_confirm(&(g)->calls[(g)->started - 1]))

TEST(what_is_confirmed_is_on_the_replica_when_it_ends)
{
	struct redis_server master, replica;
	struct rig g;
	char key[16];

	(void)state;
	pair_start(&master, &replica);
	rig_open(&g, &PATIENT(&master));
	for (int i = 0; i < 200; i++) {
		(void)snprintf(key, sizeof(key), "k%d", i);
		start_confirmed(&g, "SET", key, "v");
		run(&g);
		assert_reply(&g.calls[i], "OK");
		assert_string_equal(redis_server_do(&replica, "GET %s", key), "v");
	}
	rig_close(&g);
	redis_server_stop(&replica);
	redis_server_stop(&master);
}

TEST(many_commands_share_one_wait_and_unconfirmed_ones_do_not_wait)
{
	struct redis_server master, replica;
	struct rig g;
	const char *stats, *calls;

	(void)state;
	pair_start(&master, &replica);
	rig_open(&g, &PATIENT(&master));
	run_until_made(&g, 1);
	for (int i = 0; i < 1000; i++)
		start_confirmed(&g, "INCR", "n");
	start(&g, 0, "GET", "n");
	run(&g);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(g.calls[i].reply->integer, i + 1);
	assert_reply(&g.calls[1000], "1000");
	stats = redis_server_do(&master, "INFO commandstats");
	calls = strstr(stats, "cmdstat_wait:calls=");
	assert_non_null(calls);
	assert_in_range(strtoul(calls + strlen("cmdstat_wait:calls="), NULL, 10), 1, 20);
	rig_close(&g);
	redis_server_stop(&replica);
	redis_server_stop(&master);
}

TEST(what_too_few_replicas_have_fails_and_may_be_sent_again)
{
	struct redis_server master, replica;
	struct rig g;

	(void)state;
	pair_start(&master, &replica);
	rig_open(&g, &(struct redis_options){
			     .url = master.url, .wait_replicas = 1, .wait_timeout_ms = 50});
	run_until_made(&g, 1);
	assert_int_equal(kill(replica.pid, SIGSTOP), 0);
	start_confirmed(&g, "SET", "k", "v");
	start(&g, 0, "SET", "other", "v");
	run(&g);
	assert_failed(&g.calls[0], ERR_REDIS, "only 0 of 1 replicas");
	assert_string_equal(g.calls[0].call.err.detail, "NOREPLICAS");
	assert_reply(&g.calls[1], "OK");
	assert_reply(say(&g, "GET", "k"), "v"); /* the master has it */
	assert_int_equal(kill(replica.pid, SIGCONT), 0);
	do {
		start_confirmed(&g, "SET", "k", "v");
		run(&g);
	} while (g.calls[g.started - 1].call.err.code != ERR_OK);
	assert_string_equal(redis_server_do(&replica, "GET k"), "v");
	assert_int_equal(g.made, 1);
	rig_close(&g);
	redis_server_stop(&replica);
	redis_server_stop(&master);
}

TEST(a_confirmation_under_way_ends_with_the_connection_once)
{
	struct redis_server master, replica;
	struct rig g;

	(void)state;
	pair_start(&master, &replica);
	rig_open(&g, &PATIENT(&master));
	run_until_made(&g, 1);
	assert_int_equal(kill(replica.pid, SIGSTOP), 0);
	for (int i = 0; i < 10; i++)
		start_confirmed(&g, "INCR", "n");
	run_until_said(&g, &master, "blocked_clients:1", "INFO clients");
	call_cancel(&g.calls[3].call, ERR_CANCELLED);
	redis_server_kill(&master, SIGKILL);
	run(&g);
	for (int i = 0; i < 10; i++)
		assert_failed(&g.calls[i], i == 3 ? ERR_CANCELLED : ERR_REDIS, "");
	redis_server_again(&master);
	run_until_made(&g, 2);
	assert_int_equal(kill(replica.pid, SIGCONT), 0);
	start_confirmed(&g, "SET", "k", "v");
	rig_stop(&g); /* with a confirmation under way, or waiting for its reply */
	rig_close(&g);
	redis_server_stop(&replica);
	redis_server_stop(&master);
}

/* ---- listening ---- */

struct heard {
	struct rig *rig;
	char texts[8][64];
	size_t count, gaps;
};

static void hear(void *arg, const char *channel, struct str text)
{
	struct heard *h = arg;

	if (!channel) {
		h->gaps++;
	} else if (h->count < ARRAY_LEN(h->texts)) {
		char *to = h->texts[h->count++];
		int len = snprintf(to, 30, "%.20s:", channel);

		memcpy(to + len, text.ptr, size_min(text.len, 30));
	}
	loop_stop(h->rig->loop);
}

TEST(a_listener_hears_again_after_a_restart_and_is_told_of_the_gap)
{
	static const char *const channels[] = {"one", "two"};
	struct redis_server s;
	struct rig g;
	struct heard h = {.rig = &g};

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url});
	redis_subscribe(g.redis, channels, 2, hear, &h);
	run_until_made(&g, 1);
	(void)redis_server_do(&s, "PUBLISH two hello");
	while (h.count < 1)
		loop_run(g.loop);
	assert_string_equal(h.texts[0], "two:hello");
	assert_int_equal(h.gaps, 0);
	redis_server_kill(&s, SIGKILL);
	redis_server_again(&s);
	while (h.gaps < 1)
		loop_run(g.loop);
	assert_int_equal(g.made, 2);
	(void)redis_server_do(&s, "PUBLISH one again");
	while (h.count < 2)
		loop_run(g.loop);
	assert_string_equal(h.texts[1], "one:again");
	rig_close(&g);
	redis_server_stop(&s);
}

TEST(a_listener_notices_that_its_server_has_fallen_silent)
{
	static const char *const channels[] = {"one"};
	struct redis_server s;
	struct rig g;
	struct heard h = {.rig = &g};

	(void)state;
	redis_server_start(&s, NULL);
	rig_open(&g, &(struct redis_options){.url = s.url, .timeout_ms = 200});
	redis_subscribe(g.redis, channels, 1, hear, &h);
	run_until_made(&g, 1);
	assert_int_equal(kill(s.pid, SIGSTOP), 0);
	run_until_lost(&g, 1);
	assert_non_null(strstr(g.why.text, "redis has fallen silent"));
	assert_int_equal(kill(s.pid, SIGCONT), 0);
	while (h.gaps == 0)
		loop_run(g.loop);
	rig_close(&g);
	redis_server_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(commands_wait_for_a_server_that_comes_later),
		ENTRY(a_server_that_is_killed_ends_each_command_once),
		ENTRY(commands_under_way_while_the_server_comes_and_goes_end_once),
		ENTRY(a_connection_that_is_reset_is_tried_again),
		ENTRY(a_peer_that_says_nothing_is_left_after_the_connect_timeout),
		ENTRY(a_server_that_stops_answering_is_noticed),
		ENTRY(a_demoted_server_is_left_until_it_is_master_again),
		ENTRY(commands_wait_while_the_server_loads_its_data),
		ENTRY(a_cluster_that_moved_the_keys_is_followed),
		ENTRY(sentinels_name_the_master_also_after_a_failover),
		ENTRY(a_master_that_was_replaced_while_it_stood_still_is_left_before_its_time_is_over),
		ENTRY(what_is_confirmed_is_on_the_replica_when_it_ends),
		ENTRY(many_commands_share_one_wait_and_unconfirmed_ones_do_not_wait),
		ENTRY(what_too_few_replicas_have_fails_and_may_be_sent_again),
		ENTRY(a_confirmation_under_way_ends_with_the_connection_once),
		ENTRY(a_listener_hears_again_after_a_restart_and_is_told_of_the_gap),
		ENTRY(a_listener_notices_that_its_server_has_fallen_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
