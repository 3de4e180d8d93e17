/* Covers redis_url.c: the URL, the host and the list of sentinels, from one input of three lines.
 * Whatever comes, either there is an error that says ERR_CONFIG, or the parts are within bounds. */
#include "common/redis.h"
#include "common/redis_private.h"

#include <stdlib.h>
#include <sys/un.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_node(const struct redis_node *n)
{
	check(n->port > 0);
	if (n->host)
		check(n->host[0] && strlen(n->host) < 256 && !strpbrk(n->host, " /?#@[]\\"));
	else
		check(n->path[0] == '/' &&
		      strlen(n->path) < sizeof(((struct sockaddr_un *)NULL)->sun_path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	char *url = arena_strndup(a, (const char *)data, size), *host, *sentinels;
	struct redis_target t;
	struct error err = {.code = ERR_OK};

	host = strchrnul(url, '\n');
	if (*host)
		*host++ = '\0';
	sentinels = strchrnul(host, '\n');
	if (*sentinels)
		*sentinels++ = '\0';
	if (redis_target_parse(
		    &t,
		    &(struct redis_options){
			    .url = url, .host = host, .sentinels = sentinels, .sentinel_name = "m"},
		    a, &err)) {
		check_node(&t.node);
		check(t.db >= 0 && t.sentinel_count <= 16);
		for (size_t i = 0; i < t.sentinel_count; i++)
			check_node(&t.sentinels[i]);
		check(!t.login.username || t.login.password);
	} else {
		check(err.code == ERR_CONFIG && err.text[0]);
	}
	arena_free(a);
	return 0;
}
