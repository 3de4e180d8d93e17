/* Whom a request may reach, and whom it believes: denied addresses, requests that are no good, certificates. */
#include "tests/unit/http_rig.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void serve(void *arg, const struct web_request *r)
{
	(void)arg;
	web_reply(r->peer, 200, "", "hello");
}

static int set_up(void **state)
{
	struct http_rig *g = xmalloc(sizeof(*g));

	http_rig_open(g, serve, NULL);
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	http_rig_close(*state);
	free(*state);
	return 0;
}

TEST(guarded_requests_do_not_reach_this_machine)
{
	static const char *const hosts[] = {
		"127.0.0.1", "localhost",          "[::1]",     "0x7f.1", "127.1",
		"0",         "[::ffff:127.0.0.1]", "2130706433"};
	struct http_rig *g = *state;
	struct http_call c = {0};

	http_rig_exchange(g, &c,
			  (struct http_request){.url = "/ok"}); /* leaves an open connection */
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		const char *url =
			arena_printf(g->arena, "http://%s:%u/", hosts[i], web_port(g->web));

		http_rig_exchange(g, &c, (struct http_request){.url = url, .guarded = true});
		if (c.call.err.code != ERR_FORBIDDEN)
			print_error("host %s: %s\n", hosts[i], c.call.err.text);
		assert_int_equal(c.call.err.code, ERR_FORBIDDEN);
		assert_false(c.sent);
	}
	http_rig_exchange(g, &c,
			  (struct http_request){.url = "http://169.254.169.254/latest/meta-data",
						.guarded = true});
	assert_int_equal(c.call.err.code, ERR_FORBIDDEN);
	assert_int_equal(web_requests(g->web), 1);
}

TEST(a_bad_deny_list_denies_everything)
{
	struct http_rig *g = *state;
	struct http_call c = {0};

	http_free(g->http);
	g->http = http_new(g->loop, &(struct http_options){.deny_list = "10.0.0.0/99"});
	http_rig_exchange(g, &c, (struct http_request){.url = "/ok", .guarded = true});
	assert_int_equal(c.call.err.code, ERR_FORBIDDEN);
	assert_non_null(strstr(c.call.err.text, "10.0.0.0/99"));
	http_free(g->http);
	g->http = http_new(g->loop, &(struct http_options){.deny_list = ""});
	http_rig_exchange(g, &c, (struct http_request){.url = "/ok", .guarded = true});
	assert_int_equal(c.status, 200);
}

static void refused(struct http_rig *g, struct http_request req)
{
	struct http_call c = {0};

	http_rig_exchange(g, &c, req);
	if (c.call.err.code != ERR_INVALID_PAYLOAD)
		print_error("URL '%s': %s\n", req.url, c.call.err.text);
	assert_int_equal(c.call.err.code, ERR_INVALID_PAYLOAD);
	assert_false(c.sent);
}

TEST(what_is_no_good_request_is_refused)
{
	static const char *const urls[] = {
		"ftp://example.org/",
		"file:///etc/passwd",
		"gopher://example.org",
		"example.org",
		"",
		"http://",
		"http:///path",
		"http://exa mple.org/",
		"http://example.org/a b",
		"http://example.org\\@127.0.0.1/",
		"http://example.org:99999/",
	};
	static const char *const methods[] = {"GET / HTTP/1.1\r\n", "", "G\xc3\xa4T"};
	static const char *const headers[][2] = {
		{"X-A",         "b\r\nX-Evil: c"},
		{"X-A: b\r\nX", "c"             },
		{"",            "c"             },
	};
	struct http_rig *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		refused(g, (struct http_request){.url = urls[i]});
	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		refused(g, (struct http_request){.url = "/ok", .method = methods[i]});
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		struct http_header list[2] = {{0}};

		list[0] = (struct http_header){headers[i][0], headers[i][1]};
		refused(g, (struct http_request){.url = "/ok", .headers = list});
	}
	assert_int_equal(web_requests(g->web), 0);
}

static pid_t start_openssl(struct http_rig *g, const char *words)
{
	const char *command =
		arena_printf(g->arena, "exec openssl %s </dev/null >/dev/null 2>&1", words);
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static bool make_certificate(struct http_rig *g, const char *dir)
{
	int status = 1;
	pid_t pid = start_openssl(
		g, arena_printf(
			   g->arena,
			   "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
			   "subjectAltName=DNS:localhost -keyout %s/key.pem -out %s/cert.pem",
			   dir, dir));

	return waitpid(pid, &status, 0) == pid && status == 0;
}

struct pause {
	struct timeout timeout;
	struct loop *loop;
};

static void woken(struct timeout *t)
{
	loop_stop(container_of(t, struct pause, timeout)->loop);
}

/* The server of openssl needs a moment: asks until somebody answers there. */
static void exchange_when_up(struct http_rig *g, struct http_call *c, const char *url)
{
	struct pause pause = {.loop = g->loop};

	http_rig_exchange(g, c, (struct http_request){.url = url});
	while (strcmp(c->call.err.detail, "curl 7") == 0) {
		timeout_start(g->loop, &pause.timeout, 20, woken);
		loop_run(g->loop);
		http_rig_exchange(g, c, (struct http_request){.url = url});
	}
}

TEST(a_certificate_must_be_known_and_no_keys_are_written)
{
	struct http_rig *g = *state;
	char dir[] = "/tmp/flow-worker-http.XXXXXX";
	struct web *port = web_new(g->loop, serve, NULL); /* a port that is free then */
	unsigned number = web_port(port);
	const char *url = arena_printf(g->arena, "https://localhost:%u/", number);
	const char *certificate, *log;
	struct http_call c = {0};
	pid_t server;

	web_free(port);
	assert_non_null(mkdtemp(dir));
	assert_true(make_certificate(g, dir));
	certificate = arena_printf(g->arena, "%s/cert.pem", dir);
	server = start_openssl(
		g, arena_printf(g->arena,
				"s_server -accept 127.0.0.1:%u -key %s/key.pem -cert %s -www",
				number, dir, certificate));
	exchange_when_up(g, &c, url);
	assert_int_equal(c.call.err.code, ERR_CONNECTION);
	assert_string_equal(c.call.err.detail, "curl 60");
	assert_false(c.sent);

	http_free(g->http);
	log = arena_printf(g->arena, "%s/keys.log", dir);
	(void)setenv("SSLKEYLOGFILE", log, 1); /* must not make curl write the keys there */
	g->http = http_new(g->loop, &(struct http_options){.ca_file = certificate});
	http_rig_exchange(g, &c, (struct http_request){.url = url});
	assert_string_equal(c.call.err.text, "");
	assert_int_equal(c.status, 200);
	assert_int_equal(access(log, F_OK), -1);

	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)unlink(arena_printf(g->arena, "%s/key.pem", dir));
	(void)unlink(certificate);
	(void)rmdir(dir);
}

#define ENTRY_IN_RIG(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY_IN_RIG(guarded_requests_do_not_reach_this_machine),
		ENTRY_IN_RIG(a_bad_deny_list_denies_everything),
		ENTRY_IN_RIG(what_is_no_good_request_is_refused),
		ENTRY_IN_RIG(a_certificate_must_be_known_and_no_keys_are_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
