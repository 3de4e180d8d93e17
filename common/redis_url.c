/* Where Redis is: a URL, its parts, and Sentinel's addresses, taken apart and checked.
 *
 * Error texts name the part that is wrong and show none of it: with a wrong separator, any part may
 * hold a piece of a password. */
#include "common/redis_private.h"

#include "common/redis.h"

#include <sys/un.h>

enum {
	REDIS_PORT = 6379,
	SENTINEL_PORT = 26379,
	HOST_MAX = 255,
	URL_MAX = 4096,
	SENTINELS_MAX = 16,
	DB_MAX = 1000000,
	CONNECT_TIMEOUT_MS = 5000,
	TIMEOUT_MS = 10000,
	WAIT_TIMEOUT_MS = 500,
};

/* Cuts `text` at the first `c`: what is before it is returned, what is behind it stays. Without
 * one, everything is returned, and nothing stays. */
static struct str cut_at(struct str *text, char c)
{
	const char *at = text->len ? memchr(text->ptr, c, text->len) : NULL;
	struct str before = *text;

	if (!at) {
		*text = (struct str){NULL, 0};
		return before;
	}
	before.len = (size_t)(at - text->ptr);
	*text = (struct str){at + 1, text->len - before.len - 1};
	return before;
}

static int hex_value(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool percent_decode(const char **out, struct str text, const char *what, struct arena *a,
			   struct error *err)
{
	char *to = arena_alloc(a, text.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < text.len; i++) {
		int high = -1, low = -1;

		if (text.ptr[i] != '%') {
			to[len++] = text.ptr[i];
			continue;
		}
		if (i + 2 < text.len) {
			high = hex_value(text.ptr[i + 1]);
			low = hex_value(text.ptr[i + 2]);
		}
		if (high < 0 || low < 0 || high + low == 0)
			return fail(err, ERR_CONFIG,
				    "the %s in the Redis URL has a '%%' that is not followed by "
				    "two hexadecimal digits: write it as '%%25'",
				    what);
		to[len++] = (char)(high * 16 + low);
		i += 2;
	}
	to[len] = '\0';
	*out = to;
	return true;
}

static bool parse_number(int *out, struct str text, int min, int max, const char *what,
			 struct error *err)
{
	int value = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9' || i > 6) {
			value = -1;
			break;
		}
		value = value * 10 + (text.ptr[i] - '0');
	}
	if (text.len == 0 || value < min || value > max)
		return fail(err, ERR_CONFIG,
			    "%s of Redis is no number from %d to %d; a '/', '?' or '@' in a "
			    "password is written as '%%' and two digits",
			    what, min, max);
	*out = value;
	return true;
}

static bool check_host(struct str host, struct error *err)
{
	if (host.len == 0)
		return fail(err, ERR_CONFIG, "the host of Redis is empty");
	if (host.len > HOST_MAX)
		return fail(err, ERR_CONFIG, "the host of Redis is longer than %d bytes", HOST_MAX);
	for (size_t i = 0; i < host.len; i++)
		if (host.ptr[i] <= ' ' || host.ptr[i] == 0x7f || strchr("/?#@[]\\", host.ptr[i]))
			return fail(err, ERR_CONFIG,
				    "the host of Redis has a character that no host has; if it is "
				    "part of a password, write it as '%%' and two digits");
	return true;
}

bool redis_node_parse(struct redis_node *n, struct str text, uint16_t default_port, struct arena *a,
		      struct error *err)
{
	struct str rest = text, host;
	bool has_port;
	int port = default_port;

	if (text.len && text.ptr[0] == '[') {
		rest = (struct str){text.ptr + 1, text.len - 1};
		host = cut_at(&rest, ']');
		if (!rest.ptr || (rest.len && rest.ptr[0] != ':'))
			return fail(err, ERR_CONFIG, "the host of Redis: expected [IPv6]:port");
		has_port = rest.len > 0;
		if (has_port)
			rest = (struct str){rest.ptr + 1, rest.len - 1};
	} else {
		host = cut_at(&rest, ':');
		has_port = rest.ptr != NULL;
	}
	if (!check_host(host, err))
		return false;
	if ((has_port || !default_port) && !parse_number(&port, rest, 1, 65535, "the port", err))
		return false;
	*n = (struct redis_node){arena_strndup(a, host.ptr, host.len), NULL, (uint16_t)port};
	return true;
}

static bool parse_query(struct redis_target *t, struct str query, struct error *err)
{
	while (query.len) {
		struct str value = cut_at(&query, '&'), key = cut_at(&value, '=');

		if (!str_is(key, "db"))
			return fail(err, ERR_CONFIG,
				    "the Redis URL has a parameter other than 'db'; a '?' in a "
				    "password is written as '%%3F'");
		if (!parse_number(&t->db, value, 0, DB_MAX, "the database", err))
			return false;
	}
	return true;
}

/* What is behind "unix:", with or without the two slashes of an empty host. */
static bool parse_unix(struct redis_target *t, struct str rest, struct arena *a, struct error *err)
{
	struct str path;

	if (str_starts(rest, STR("//")))
		rest = (struct str){rest.ptr + 2, rest.len - 2};
	path = cut_at(&rest, '?');
	if (path.len < 2 || path.ptr[0] != '/')
		return fail(err, ERR_CONFIG, "the Redis URL: expected unix:/path/of/the/socket");
	if (!percent_decode(&t->node.path, path, "path", a, err))
		return false;
	if (strlen(t->node.path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fail(err, ERR_CONFIG, "the path of Redis' socket is longer than %zu bytes",
			    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	return parse_query(t, rest, err);
}

/* user:password@host:port/db?query */
static bool parse_tcp(struct redis_target *t, struct str rest, struct arena *a, struct error *err)
{
	struct str db = cut_at(&rest, '?'), query = rest, place = cut_at(&db, '/'), user;
	const char *at = place.len ? memrchr(place.ptr, '@', place.len) : NULL;

	if (at) {
		struct str password = {place.ptr, (size_t)(at - place.ptr)};

		place = (struct str){at + 1, place.len - password.len - 1};
		user = cut_at(&password, ':');
		if (user.len && !percent_decode(&t->login.username, user, "user name", a, err))
			return false;
		if (password.len &&
		    !percent_decode(&t->login.password, password, "password", a, err))
			return false;
	}
	if (!redis_node_parse(&t->node, place, REDIS_PORT, a, err))
		return false;
	if (db.len && !parse_number(&t->db, db, 0, DB_MAX, "the database", err))
		return false;
	return parse_query(t, query, err);
}

static bool parse_url(struct redis_target *t, const char *url, struct arena *a, struct error *err)
{
	struct str text = str_of(url);

	if (text.len > URL_MAX)
		return fail(err, ERR_CONFIG, "the Redis URL is longer than %d bytes", URL_MAX);
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] <= ' ')
			return fail(err, ERR_CONFIG,
				    "the Redis URL has a space or control character");
	if (str_starts(text, STR("unix:")))
		return parse_unix(t, (struct str){url + 5, text.len - 5}, a, err);
	if (str_starts(text, STR("redis://")))
		return parse_tcp(t, (struct str){url + 8, text.len - 8}, a, err);
	t->tls = true;
	if (str_starts(text, STR("rediss://")))
		return parse_tcp(t, (struct str){url + 9, text.len - 9}, a, err);
	return fail(err, ERR_CONFIG,
		    "the Redis URL: expected redis://host:port, rediss://host:port or unix:/path");
}

static bool is_set(const char *text)
{
	return text && text[0];
}

/* The parts stand over those of the URL. */
static bool apply_parts(struct redis_target *t, const struct redis_options *o, struct error *err)
{
	if (is_set(o->host)) {
		if (!check_host(str_of(o->host), err))
			return false;
		if (t->node.path)
			t->node = (struct redis_node){.port = REDIS_PORT};
		t->node.host = o->host;
	}
	if (o->port)
		t->node.port = o->port;
	if (is_set(o->username))
		t->login.username = o->username;
	if (is_set(o->password))
		t->login.password = o->password;
	if (o->db < 0 || o->db > DB_MAX)
		return fail(err, ERR_CONFIG, "the database of Redis: %d is no number from 0 to %d",
			    o->db, DB_MAX);
	if (o->db)
		t->db = o->db;
	if (t->login.username && !t->login.password)
		return fail(err, ERR_CONFIG,
			    "Redis: there is a user name, but no password (REDIS_PASSWORD, or in "
			    "the URL)");
	return true;
}

static bool parse_sentinels(struct redis_target *t, const struct redis_options *o, struct arena *a,
			    struct error *err)
{
	struct str list = str_of(o->sentinels);

	if (!is_set(o->sentinels))
		return true;
	if (t->node.path)
		return fail(err, ERR_CONFIG,
			    "Redis: a Unix socket and sentinels exclude each other");
	if (!is_set(o->sentinel_name))
		return fail(err, ERR_CONFIG,
			    "Redis: there are sentinels, but the name of the master they watch "
			    "is missing (REDIS_SENTINEL_NAME)");
	t->sentinels = arena_array(a, struct redis_node, SENTINELS_MAX);
	while (list.len) {
		struct str one = cut_at(&list, ',');

		while (one.len && one.ptr[0] == ' ')
			one = (struct str){one.ptr + 1, one.len - 1};
		while (one.len && one.ptr[one.len - 1] == ' ')
			one.len--;
		if (t->sentinel_count == SENTINELS_MAX)
			return fail(err, ERR_CONFIG, "Redis: more than %d sentinels",
				    SENTINELS_MAX);
		if (!redis_node_parse(&t->sentinels[t->sentinel_count++], one, SENTINEL_PORT, a,
				      err))
			return false;
	}
	t->sentinel_name = o->sentinel_name;
	t->sentinel_login = (struct redis_login){o->sentinel_username, o->sentinel_password};
	return true;
}

static bool check_client_name(const char *name, struct error *err)
{
	for (const char *c = name; c && *c; c++)
		if (*c <= ' ' || *c > '~')
			return fail(err, ERR_CONFIG,
				    "Redis takes no space or special character in a client name");
	return true;
}

bool redis_target_parse(struct redis_target *t, const struct redis_options *o, struct arena *a,
			struct error *err)
{
	struct redis_target made = {
		.node = {"127.0.0.1", NULL, REDIS_PORT},
		.ca_file = is_set(o->ca_file) ? o->ca_file : NULL,
		.client_name = is_set(o->client_name) ? o->client_name : NULL,
		.connect_timeout_ms =
			o->connect_timeout_ms ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS,
		.timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS,
		.wait_replicas = o->wait_replicas,
		.wait_timeout_ms = o->wait_timeout_ms ? o->wait_timeout_ms : WAIT_TIMEOUT_MS,
	};

	if (is_set(o->url)) {
		made.node = (struct redis_node){.port = REDIS_PORT};
		if (!parse_url(&made, o->url, a, err))
			return false;
	}
	if (!apply_parts(&made, o, err) || !parse_sentinels(&made, o, a, err) ||
	    !check_client_name(o->client_name, err))
		return false;
	*t = made;
	return true;
}
