/* Where Redis is and who we are: passwords, users, sockets, TLS; and options that make no sense. */
#include "tests/unit/redis_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
			"it does not answer in TLS",
		};

		(void)snprintf(url, sizeof(url), "rediss://%s:%u",
			       i == 0 ? "localhost" : "127.0.0.1", i == 4 ? s.port : s.spare);
		rig_open(&g, &(struct redis_options){.url = url,
						     .connect_timeout_ms = 150,
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_password_is_sent_and_a_wrong_one_told),
		ENTRY(a_url_names_user_database_and_the_client_has_a_name),
		ENTRY(a_unix_socket_works),
		ENTRY(tls_reaches_a_server_whose_certificate_is_good),
		ENTRY(tls_refuses_a_server_whose_certificate_is_not_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
