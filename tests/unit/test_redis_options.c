/* Where Redis is and who we are: passwords, users, sockets, TLS; and options that make no sense. */
#include "common/redis_private.h"

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
	run_until_lost(&g, 1);
	start(&g, 100, "GET", "k");
	run(&g);
	assert_failed(&g.calls[0], ERR_TIMEOUT, "redis answered AUTH with: WRONGPASS");
	assert_null(strstr(g.calls[0].call.err.text, "wr0ng"));
	assert_int_equal(g.made, 0);
	assert_int_equal(g.lost, 1); /* the same news is told once */
	assert_string_equal(g.why.detail, "WRONGPASS");
	rig_close(&g);

	rig_open(&g, &(struct redis_options){.url = s.url});
	run_until_lost(&g, 1);
	start(&g, 20, "GET", "k");
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
			       i == 0 ? "localhost" : "127.0.0.1",
			       (unsigned)(i == 4 ? s.port : s.spare));
		rig_open(&g, &(struct redis_options){.url = url,
						     .connect_timeout_ms = 150,
						     .ca_file = i == 2   ? other_ca
								: i == 3 ? NULL
									 : ca});
		run_until_lost(&g, 1);
		start(&g, 20, "PING");
		run(&g);
		assert_failed(&g.calls[0], ERR_TIMEOUT, why[i]);
		rig_close(&g);
	}
	redis_server_stop(&s);
	redis_server_stop(&other);
}

TEST(a_sentinel_has_a_login_of_its_own)
{
	struct redis_server s, sentinel;
	struct rig g;
	char config[200], list[40];
	struct redis_options options = {.password = "server-pw",
					.sentinels = list,
					.sentinel_name = "main",
					.sentinel_username = "asker",
					.sentinel_password = "sentinel-pw"};

	(void)state;
	redis_server_start(&s, "requirepass server-pw\n");
	(void)snprintf(config, sizeof(config),
		       "user asker on >sentinel-pw ~* &* +@all\nuser default off\n"
		       "sentinel monitor main 127.0.0.1 %u 1\n"
		       "sentinel auth-pass main server-pw\n",
		       s.port);
	redis_sentinel_start(&sentinel, config);
	(void)snprintf(list, sizeof(list), "127.0.0.1:%u", sentinel.port);
	rig_open(&g, &options);
	assert_reply(say(&g, "SET", "k", "v"), "OK");
	rig_close(&g);

	options.sentinel_password = "wr0ng-pw";
	rig_open(&g, &options);
	run_until_lost(&g, 1);
	assert_non_null(strstr(g.why.text, "redis answered AUTH (sentinel) with: WRONGPASS"));
	rig_close(&g);
	redis_server_stop(&sentinel);
	redis_server_stop(&s);
}

/* ---- the URL ---- */

#define FORTY "0123456789012345678901234567890123456789"

static void assert_text(const char *text, const char *expected) /* or both NULL */
{
	assert_string_equal(text ? text : "NULL", expected ? expected : "NULL");
}

TEST(a_url_says_all_that_is_in_it)
{
	static const struct {
		const char *url, *host, *path;
		uint16_t port;
		int db;
		bool tls;
		const char *username, *password;
	} cases[] = {
		{NULL,			    "127.0.0.1", NULL,              6379,  0,  false, NULL, NULL   },
		{"",			      "127.0.0.1", NULL,              6379,  0,  false, NULL, NULL   },
		{"redis://redis",                 "redis",     NULL,              6379,  0,  false, NULL, NULL   },
		{"redis://redis/",                "redis",     NULL,              6379,  0,  false, NULL, NULL   },
		{"redis://h:1234/15",             "h",         NULL,              1234,  15, false, NULL, NULL   },
		{"rediss://h:65535",              "h",         NULL,              65535, 0,  true,  NULL, NULL   },
		{"redis://:pw@h",                 "h",         NULL,              6379,  0,  false, NULL, "pw"   },
		{"redis://u:p%40%2f%3A@h/2",      "h",         NULL,              6379,  2,  false, "u",  "p@/:" },
		{"redis://u:a@b:c@h:7",           "h",         NULL,              7,     0,  false, "u",  "a@b:c"},
		{"redis://u%25:p@[::1]:8/1?db=3", "::1",       NULL,              8,     3,  false, "u%", "p"    },
		{"unix:/run/redis.sock",          NULL,        "/run/redis.sock", 6379,  0,  false, NULL, NULL   },
		{"unix:///run/a%20b?db=4",        NULL,        "/run/a b",        6379,  4,  false, NULL, NULL   },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct arena *a = arena_new();
		struct redis_target t;
		struct error err;

		if (!redis_target_parse(&t, &(struct redis_options){.url = cases[i].url}, a, &err))
			FAIL("%s: %s", cases[i].url, err.text);
		assert_text(t.node.host, cases[i].host);
		assert_text(t.node.path, cases[i].path);
		assert_int_equal(t.node.port, cases[i].port);
		assert_int_equal(t.db, cases[i].db);
		assert_int_equal(t.tls, cases[i].tls);
		assert_text(t.login.username, cases[i].username);
		assert_text(t.login.password, cases[i].password);
		arena_free(a);
	}
}

TEST(parts_stand_over_those_of_the_url)
{
	struct arena *a = arena_new();
	struct redis_target t;
	struct error err;

	(void)state;
	assert_true(redis_target_parse(&t,
				       &(struct redis_options){.url = "rediss://u:p@h:1/2",
							       .host = "other",
							       .port = 3,
							       .username = "v",
							       .password = "q",
							       .db = 4,
							       .timeout_ms = 7},
				       a, &err));
	assert_string_equal(t.node.host, "other");
	assert_int_equal(t.node.port, 3);
	assert_string_equal(t.login.username, "v");
	assert_string_equal(t.login.password, "q");
	assert_int_equal(t.db, 4);
	assert_true(t.tls);
	assert_int_equal(t.timeout_ms, 7);
	assert_int_equal(t.connect_timeout_ms, 5000);
	arena_free(a);
}

TEST(a_list_of_sentinels_is_taken_apart)
{
	struct arena *a = arena_new();
	struct redis_target t;
	struct error err;

	(void)state;
	assert_true(redis_target_parse(&t,
				       &(struct redis_options){.url = "redis://:pw@ignored/1",
							       .sentinels = "a:1, b ,[::2]:3",
							       .sentinel_name = "main"},
				       a, &err));
	assert_int_equal(t.sentinel_count, 3);
	assert_string_equal(t.sentinels[0].host, "a");
	assert_int_equal(t.sentinels[0].port, 1);
	assert_string_equal(t.sentinels[1].host, "b");
	assert_int_equal(t.sentinels[1].port, 26379);
	assert_string_equal(t.sentinels[2].host, "::2");
	assert_string_equal(t.login.password, "pw");
	assert_int_equal(t.db, 1);
	arena_free(a);
}

TEST(options_that_make_no_sense_are_refused_without_a_secret_in_the_text)
{
	static const struct {
		struct redis_options options;
		const char *text;
	} cases[] = {
		{{.url = "http://h"},						      "expected redis://host:port"    },
		{{.url = "redis:/h"},						      "expected redis://host:port"    },
		{{.url = "redis://"},						      "the host of Redis is empty"    },
		{{.url = "redis://:s3cret@"},					      "the host of Redis is empty"    },
		{{.url = "redis://u:s3cret/x@h"},                                          "the port of Redis is no number"},
		{{.url = "redis://u:s3cret?x@h"},                                          "the port of Redis is no number"},
		{{.url = "redis://:12?s3cret@h"},                                          "the host of Redis is empty"    },
		{{.url = "redis://u:s3cret%zz@h"},                                         "not followed by"               },
		{{.url = "redis://u:s3cret%2@h"},                                          "not followed by"               },
		{{.url = "redis://u:s3cret%00@h"},                                         "not followed by"               },
		{{.url = "redis://h:0"},						   "the port of Redis is no number"},
		{{.url = "redis://h:65536"},					       "the port of Redis is no number"},
		{{.url = "redis://h:99999999999999999999"},                                "the port of Redis is no number"},
		{{.url = "redis://h:1/s3cret"},                                            "the database of Redis is no"   },
		{{.url = "redis://h:1/-1"},						"the database of Redis is no"   },
		{{.url = "redis://h?s3cret=1"},                                            "a parameter other than 'db'"   },
		{{.url = "redis://u@h"},						   "a user name, but no password"  },
		{{.url = "redis://[::1"},						  "expected [IPv6]:port"          },
		{{.url = "redis://[::1]x"},						"expected [IPv6]:port"          },
		{{.url = "redis://a b"},						   "a space or control character"  },
		{{.url = "unix:relative"},						 "expected unix:/path"           },
		{{.url = "unix:/" FORTY FORTY FORTY},                                      "longer than 107 bytes"         },
		{{.host = "a/b"},							  "a character that no host has"  },
		{{.db = -1},							       "the database of Redis: -1"     },
		{{.sentinels = "a:1"},						     "REDIS_SENTINEL_NAME"           },
		{{.sentinels = "a:1,,b", .sentinel_name = "m"},                            "the host of Redis is empty"    },
		{{.sentinels = "a:x", .sentinel_name = "m"},                               "the port of Redis is no number"},
		{{.sentinels = "1,2,3,4,5,6,7,8,9,0,1,2,3,4,5,6,7", .sentinel_name = "m"},
		 "more than 16 sentinels"										  },
		{{.url = "unix:/s", .sentinels = "a", .sentinel_name = "m"},               "exclude each other"            },
		{{.client_name = "two words"},                                             "client name"                   },
		{{.url = "rediss://h", .ca_file = "/nowhere/ca.crt"},                      "/nowhere/ca.crt"               },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct error err = {.code = ERR_OK};

		if (redis_check_options(&cases[i].options, &err) || err.code != ERR_CONFIG ||
		    !strstr(err.text, cases[i].text) || strstr(err.text, "s3cret"))
			FAIL("case %zu: expected '%s', got '%s'", i, cases[i].text, err.text);
	}
}

TEST(a_connection_with_wrong_options_ends_each_command_with_the_reason)
{
	struct rig g;

	(void)state;
	rig_open(&g, &(struct redis_options){.url = "redis://h:x"});
	assert_failed(say(&g, "PING"), ERR_CONFIG, "the port of Redis is no number");
	rig_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(a_password_is_sent_and_a_wrong_one_told),
		ENTRY(a_url_names_user_database_and_the_client_has_a_name),
		ENTRY(a_unix_socket_works),
		ENTRY(tls_reaches_a_server_whose_certificate_is_good),
		ENTRY(tls_refuses_a_server_whose_certificate_is_not_good),
		ENTRY(a_sentinel_has_a_login_of_its_own),
		ENTRY(a_url_says_all_that_is_in_it),
		ENTRY(parts_stand_over_those_of_the_url),
		ENTRY(a_list_of_sentinels_is_taken_apart),
		ENTRY(options_that_make_no_sense_are_refused_without_a_secret_in_the_text),
		ENTRY(a_connection_with_wrong_options_ends_each_command_with_the_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
