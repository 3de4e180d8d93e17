/* The request operation: what goes out, byte for byte as Directus sends it, and what comes back. */
#include "common/directus.h"
#include "operations/operation.h"
#include "operations/request_text.h"
#include "operations/services.h"

#include "tests/unit/script.h"
#include "tests/unit/test.h"

#include <stdlib.h>

struct world {
	struct loop *loop;
	struct arena *arena;
	struct http *http;
	struct script *script, *other;
};

static struct loop *running;

static void done(struct call *c)
{
	(void)c;
	loop_stop(running);
}

static int set_up(void **state)
{
	struct world *w = xmalloc(sizeof(*w));

	running = w->loop = loop_new();
	w->arena = arena_new();
	/* The servers of the test are on this machine, which the default list denies. */
	w->http = http_new(w->loop, &(struct http_options){.user_agent = "test",
							   .deny_list = "169.254.169.254"});
	w->script = script_new(w->loop, w->arena);
	w->other = script_new(w->loop, w->arena);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	script_free(w->script);
	script_free(w->other);
	arena_free(w->arena);
	loop_free(w->loop);
	free(w);
	return 0;
}

/* Options as JSON with ' for "; $U is the server's URL, $O that of another one. */
static cJSON *options_of(struct world *w, const char *text)
{
	char *copy = arena_alloc(w->arena, strlen(text) * 4 + 256), *to = copy;
	struct error err = {.text = ""};
	cJSON *options;

	for (; *text; text++) {
		if (*text == '$' && (text[1] == 'U' || text[1] == 'O')) {
			const char *url = script_url(*++text == 'U' ? w->script : w->other);

			to = stpcpy(to, url);
		} else {
			*to++ = *text == '\'' ? '"' : *text;
		}
	}
	options = json_parse(w->arena, str_of(copy), &err);
	assert_string_equal(err.text, "");
	return options;
}

static void ask(struct world *w, struct op_call *c, const char *options)
{
	struct services services = {.loop = w->loop, .http = w->http};

	*c = (struct op_call){.op = operation_find("request"),
			      .use = &services,
			      .arena = w->arena,
			      .job_id = "job-1",
			      .step = "step-1",
			      .options = options_of(w, options),
			      .task.call.done = done};
	operation_start(c);
	loop_run(w->loop);
	c->use = NULL;
}

TEST(bodies_go_out_as_directus_sends_them)
{
	static const struct {
		const char *rest; /* of the options */
		const char *type; /* NULL: no such header */
		const char *body;
	} rows[] = {
		{"'body':{'a':1}",								  "application/json",                  "{\"a\":1}" },
		{"'body':[1]",								      "application/json",                  "[1]"       },
		{"'body':5",									"application/json",                  "5"         },
		{"'body':true",								     "application/json",                  "true"      },
		{"'body':null",								     "application/json",                  "null"      },
		{"'body':' {\\\"a\\\": 1} '",						       "application/json",                  "{\"a\": 1}"},
		{"'body':'hello'",								  "application/x-www-form-urlencoded", "hello"     },
		{"'body':''",								       "application/x-www-form-urlencoded", ""          },
		{"'x':1",									   "application/x-www-form-urlencoded", ""          },
		{"'body':{'a':1},'headers':[{'header':'content-type','value':'text/plain'}]",
		 "application/json",												     "{\"a\":1}" },
		{"'body':'hello','headers':[{'header':'Content-Type','value':'application/json'}]",
		 "application/json",												     "\"hello\"" },
		{"'body':'hello','headers':[{'header':'Content-Type','value':'text/plain'}]",
		 "text/plain",													   "hello"     },
		{"'body':{'a':1,'b':'x "
		 "y','c':{'d':[1,2]},'e':null,'f':[3,null]},'headers':[{'header':'Content-Type',"
		 "'value':'application/x-www-form-urlencoded'}]",		  "application/x-www-form-urlencoded",
		 "a=1&b=x+y&c%5Bd%5D%5B0%5D=1&c%5Bd%5D%5B1%5D=2&f%5B%5D=3"									   },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct op_call c;
		const char *seen;

		script_reply(w->script, 200, "", "{}");
		ask(w, &c,
		    arena_printf(w->arena, "{'method':'POST','url':'$U/p','x':0,%s}",
				 rows[i].rest));
		assert_string_equal(c.task.call.err.text, "");
		seen = script_request(w->script, i);
		assert_string_equal(seen, arena_printf(w->arena, "POST /p%s%s",
						       rows[i].body[0] ? " " : "", rows[i].body));
		seen = strstr(script_headers(w->script, i), "\r\nContent-Type: ");
		if (!rows[i].type) {
			assert_null(seen);
			continue;
		}
		assert_non_null(seen);
		assert_int_equal(strncmp(seen + strlen("\r\nContent-Type: "), rows[i].type,
					 strlen(rows[i].type)),
				 0);
	}
}

TEST(headers_and_bodies_of_get_go_out_too)
{
	struct world *w = *state;
	struct op_call c;

	script_reply(w->script, 200, "", "{}");
	ask(w, &c,
	    "{'url':'$U/p?a=b c&d=\\u00e9','body':{'q':1},'headers':[{'header':'X-A','value':'1'},"
	    "{'header':'X-A','value':2},{'header':'X-B','value':null},{'header':'Accept','value':'"
	    "text/csv'}]}");
	assert_string_equal(script_request(w->script, 0), "GET /p?a=b%20c&d=%C3%A9 {\"q\":1}");
	assert_non_null(strstr(script_headers(w->script, 0), "\r\nX-A: 2\r\n"));
	assert_null(strstr(script_headers(w->script, 0), "X-A: 1"));
	assert_null(strstr(script_headers(w->script, 0), "X-B"));
	assert_non_null(strstr(script_headers(w->script, 0), "\r\nAccept: text/csv\r\n"));
	assert_non_null(
		strstr(script_headers(w->script, 0), "\r\nAccept-Encoding: gzip, deflate, br\r\n"));
}

TEST(answers_become_json_where_they_parse)
{
	static const struct {
		const char *body, *data;
	} rows[] = {
		{"{\"a\":1}",            "{\"a\":1}"                   },
		{"123",                  "123"                         },
		{"true",                 "true"                        },
		{"null",                 "null"                        },
		{"\xef\xbb\xbf[1]",      "[1]"                         },
		{"hello",                "\"hello\""                   },
		{"",		     "\"\""                        },
		{"\xff\xfe",             "\"\xef\xbf\xbd\xef\xbf\xbd\""},
		{"{\"a\":",              "\"{\\\"a\\\":\""             },
		{"12345678901234567890", "12345678901234567000"        },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct op_call c;

		script_reply(w->script, 200,
			     "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Y: 1\r\nX-Y: 2\r\n",
			     rows[i].body);
		ask(w, &c, "{'url':'$U/'}");
		assert_int_equal((int)json_get_number(c.result, "status", 0), 200);
		assert_string_equal(json_get_text(c.result, "statusText"), "OK");
		assert_string_equal(json_print(w->arena, json_get(c.result, "data")).ptr,
				    rows[i].data);
		assert_string_equal(
			json_print(w->arena, json_path(c.result, "headers", "set-cookie", NULL))
				.ptr,
			"[\"a=1\",\"b=2\"]");
		assert_string_equal(json_get_text(json_get(c.result, "headers"), "x-y"), "1, 2");
	}
}

TEST(another_status_than_2xx_rejects_with_the_answer)
{
	struct world *w = *state;
	struct op_call c;

	script_reply(w->script, 404, "X-Why: gone\r\n", "{\"error\":\"none\"}");
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal(c.task.call.err.status, 404);
	assert_null(c.result);
	assert_int_equal((int)json_get_number(c.rejection, "status", 0), 404);
	assert_string_equal(json_get_text(json_get(c.rejection, "headers"), "x-why"), "gone");
	assert_string_equal(json_get_text(json_get(c.rejection, "data"), "error"), "none");
	script_reply(w->script, 304, "", "");
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal((int)json_get_number(c.rejection, "status", 0), 304);
}

TEST(redirects_are_followed_as_browsers_follow_them)
{
	struct world *w = *state;
	struct op_call c;

	script_reply(w->script, 302, "Location: ../b?x=1\r\n", "");
	script_reply(w->script, 200, "", "\"there\"");
	ask(w, &c, "{'method':'POST','url':'$U/a/c','body':{'k':1}}");
	assert_string_equal(script_request(w->script, 1), "GET /b?x=1");
	assert_null(strstr(script_headers(w->script, 1), "Content-Type"));
	assert_string_equal(json_get_text(c.result, "data"), "there");

	script_reply(w->script, 307, "Location: /again\r\n", "");
	script_reply(w->script, 200, "", "1");
	ask(w, &c, "{'method':'PUT','url':'$U/','body':'b'}");
	assert_string_equal(script_request(w->script, 3), "PUT /again b");
}

TEST(what_proves_an_identity_stays_with_its_server)
{
	struct world *w = *state;
	struct op_call c;
	const char *headers = arena_printf(w->arena, "Location: %s/x\r\n", script_url(w->other));

	script_reply(w->script, 302, headers, "");
	script_reply(w->other, 200, "", "1");
	ask(w, &c,
	    "{'url':'$U/','headers':[{'header':'authorization','value':'Bearer "
	    "key'},{'header':'Cookie',"
	    "'value':'s=1'},{'header':'X-Kept','value':'yes'}]}");
	assert_non_null(strstr(script_headers(w->script, 0), "authorization: Bearer key"));
	assert_string_equal(script_request(w->other, 0), "GET /x");
	assert_null(strstr(script_headers(w->other, 0), "Bearer"));
	assert_null(strstr(script_headers(w->other, 0), "Cookie"));
	assert_non_null(strstr(script_headers(w->other, 0), "X-Kept: yes"));
}

TEST(redirects_end_somewhere)
{
	struct world *w = *state;
	struct op_call c;

	for (int i = 0; i < 30; i++)
		script_reply(w->script, 302, "Location: /round\r\n", "");
	ask(w, &c, "{'url':'$U/'}");
	assert_string_equal(error_name(&c.task.call.err), "ERR_FR_TOO_MANY_REDIRECTS");
	assert_int_equal(script_count(w->script), 22);
}

TEST(a_redirect_is_no_way_into_the_own_network)
{
	struct world *w = *state;
	struct op_call c;

	script_reply(w->script, 302, "Location: http://169.254.169.254/latest/meta-data\r\n", "");
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal(c.task.call.err.code, ERR_FORBIDDEN);
	script_reply(w->script, 302, "Location: file:///etc/passwd\r\n", "");
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal(c.task.call.err.code, ERR_INVALID_PAYLOAD);

	http_free(w->http);
	w->http = http_new(w->loop, &(struct http_options){.user_agent = "test"});
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal(c.task.call.err.code, ERR_FORBIDDEN);
	assert_int_equal(script_count(w->script), 2);
}

TEST(failures_of_the_network_have_nodes_names)
{
	struct world *w = *state;
	struct script *gone = script_new(w->loop, w->arena);
	const char *url = arena_printf(w->arena, "{'url':'%s/'}", script_url(gone));
	struct op_call c;

	script_free(gone);
	ask(w, &c, url);
	assert_string_equal(error_name(&c.task.call.err), "ECONNREFUSED");
	assert_string_equal(json_get_text(c.error_extra, "name"), "Error");
	ask(w, &c, "{'url':'http://nobody.invalid/'}");
	assert_string_equal(error_name(&c.task.call.err), "ENOTFOUND");
	script_reply(w->script, SCRIPT_CUT, "", "");
	ask(w, &c, "{'url':'$U/'}");
	assert_string_equal(error_name(&c.task.call.err), "ECONNRESET");
	ask(w, &c, "{'url':'not a url'}");
	assert_string_equal(error_name(&c.task.call.err), "ERR_INVALID_URL");
	ask(w, &c, "{'url':''}");
	assert_int_equal(c.task.call.err.code, ERR_INVALID_PAYLOAD);
	ask(w, &c, "{'url':'$U/','headers':[{'header':'X','value':'a\\r\\nY: b'}]}");
	assert_int_equal(c.task.call.err.code, ERR_INVALID_PAYLOAD);
	script_reply(w->script, SCRIPT_SILENT, "", "");
	ask(w, &c, "{'url':'$U/','timeout':50}");
	assert_int_equal(c.task.call.err.code, ERR_TIMEOUT);
	ask(w, &c, "{'url':'$U/','timeout':'soon'}");
	assert_int_equal(c.task.call.err.code, ERR_INVALID_PAYLOAD);
}

TEST(nothing_is_tried_again_unless_asked_for)
{
	struct world *w = *state;
	struct op_call c;

	script_reply(w->script, 503, "", "busy");
	ask(w, &c, "{'url':'$U/'}");
	assert_int_equal(c.task.call.err.status, 503);
	assert_int_equal(script_count(w->script), 1);
	script_reply(w->script, 503, "Retry-After: 0\r\n", "busy");
	script_reply(w->script, 429, "", "busy");
	script_reply(w->script, 200, "", "1");
	ask(w, &c, "{'method':'POST','url':'$U/','retries':2}");
	assert_non_null(c.result);
	assert_int_equal(script_count(w->script), 4);
	script_reply(w->script, 400, "", "no");
	ask(w, &c, "{'url':'$U/','retries':3}");
	assert_int_equal(c.task.call.err.status, 400);
	assert_int_equal(script_count(w->script), 5);
}

TEST(urls_are_encoded_where_they_must_be)
{
	static const char *const rows[][2] = {
		{"http://a.b/c d?e=f g#h",  "http://a.b/c%20d?e=f%20g#h"},
		{"http://a.b/%20%zz%4",     "http://a.b/%20%25zz%254"   },
		{" http://a.b/[x]|~ ",      "http://a.b/[x]|~"          },
		{"http://a.b\\c",           "http://a.b/c"              },
		{"http://a.b/\xe2\x82\xac", "http://a.b/%E2%82%AC"      },
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(request_url(w->arena, rows[i][0]), rows[i][1]);
}

#define ENTRY_IN_WORLD(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY_IN_WORLD(bodies_go_out_as_directus_sends_them),
		ENTRY_IN_WORLD(headers_and_bodies_of_get_go_out_too),
		ENTRY_IN_WORLD(answers_become_json_where_they_parse),
		ENTRY_IN_WORLD(another_status_than_2xx_rejects_with_the_answer),
		ENTRY_IN_WORLD(redirects_are_followed_as_browsers_follow_them),
		ENTRY_IN_WORLD(what_proves_an_identity_stays_with_its_server),
		ENTRY_IN_WORLD(redirects_end_somewhere),
		ENTRY_IN_WORLD(a_redirect_is_no_way_into_the_own_network),
		ENTRY_IN_WORLD(failures_of_the_network_have_nodes_names),
		ENTRY_IN_WORLD(nothing_is_tried_again_unless_asked_for),
		ENTRY_IN_WORLD(urls_are_encoded_where_they_must_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
