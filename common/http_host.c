#include "common/http_host.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	LANE_SIZE = 128,
	KNOWN_MS = 60 * 1000, /* a name's addresses */
	IDLE_MS = 60 * 1000,  /* a lane without requests */
	IDLE_CONNECTION_S = 55
};

/* ---- what a URL says ---- */

/* "https://host:port" of a URL: all up to the path. 0: there is no such beginning. */
static size_t prefix_length(const char *url)
{
	const char *colon = strstr(url, "://");

	return colon ? (size_t)(colon - url) + 3 + strcspn(colon + 3, "/?#\\") : 0;
}

static bool is_address(const char *name)
{
	unsigned char bytes[16];

	return name[0] == '[' || inet_pton(AF_INET, name, bytes) == 1;
}

static bool take_part(CURLU *url, CURLUPart part, unsigned flags, char *text, size_t size)
{
	char *value = NULL;
	bool fits;

	if (curl_url_get(url, part, &value, flags) != CURLUE_OK)
		return false;
	fits = strlen(value) < size;
	if (fits)
		memcpy(text, value, strlen(value) + 1);
	curl_free(value);
	return fits;
}

static bool read_url(struct host *h, CURLU *url, const char *text)
{
	char scheme[8], port[8];

	if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
	    !take_part(url, CURLUPART_SCHEME, 0, scheme, sizeof(scheme)) ||
	    !take_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, port, sizeof(port)))
		return false;
	if (!take_part(url, CURLUPART_HOST, CURLU_PUNYCODE, h->name, sizeof(h->name)) &&
	    !take_part(url, CURLUPART_HOST, 0, h->name, sizeof(h->name)))
		return false;
	h->is_https = strcmp(scheme, "https") == 0;
	h->port = (uint16_t)strtoul(port, NULL, 10);
	h->is_address = is_address(h->name);
	return h->is_https || strcmp(scheme, "http") == 0;
}

static void host_free(struct host *h)
{
	free(h->prefix);
	free(h);
}

static struct host *host_new(struct hosts *all, const char *url, size_t length)
{
	struct host *h = xmalloc(sizeof(*h));
	CURLU *parser = curl_url();
	bool good;

	h->prefix = xmalloc(length + 1);
	memcpy(h->prefix, url, length);
	good = parser && read_url(h, parser, h->prefix);
	curl_url_cleanup(parser);
	if (!good) {
		host_free(h);
		return NULL;
	}
	h->hosts = all;
	h->idle_s = IDLE_CONNECTION_S;
	h->last_wait = &h->first_wait;
	h->entry.data = h->entry_text;
	return h;
}

bool host_find(struct hosts *all, const char *url, bool guarded, struct host **host,
	       struct error *err)
{
	size_t length = prefix_length(url);
	struct host *h;

	for (h = all->first; h; h = h->next)
		if (h->guarded == guarded && strncmp(h->prefix, url, length) == 0 &&
		    h->prefix[length] == '\0')
			break;
	if (!h) {
		h = length ? host_new(all, url, length) : NULL;
		if (!h)
			return fail(err, ERR_INVALID_PAYLOAD,
				    "URL '%.*s...': expected http:// or https:// and a host",
				    (int)size_min(strcspn(url, ":/"), 40), url);
		h->guarded = guarded;
		h->next = all->first;
		all->first = h;
	}
	*host = h;
	return true;
}

/* ---- its addresses ---- */

static void drop_if_unused(struct host *h)
{
	struct host **at = &h->hosts->first;

	if (h->lanes || h->first_wait || h->looking_up)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	host_free(h);
}

static void write_entry(struct host *h)
{
	int length = snprintf(h->entry_text, sizeof(h->entry_text), "%s:%u:", h->name, h->port);

	for (size_t i = 0; i < h->lookup.count; i++) {
		char text[INET6_ADDRSTRLEN];
		const struct sockaddr_storage *address = &h->lookup.addresses[i];
		bool six = address->ss_family == AF_INET6;
		const void *bytes =
			six ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
			    : (const void *)&((const struct sockaddr_in *)address)->sin_addr;

		(void)inet_ntop(address->ss_family, bytes, text, sizeof(text));
		length += snprintf(h->entry_text + length, sizeof(h->entry_text) - (size_t)length,
				   six ? "%s[%s]" : "%s%s", i ? "," : "", text);
	}
	h->entry_number++;
	h->known_until = loop_now(h->hosts->loop) + KNOWN_MS;
}

static void looked_up(struct call *c)
{
	struct host *h = container_of(c, struct host, lookup.call);

	h->looking_up = false;
	if (!h->hosts) { /* cancelled by hosts_clear() */
		host_free(h);
		return;
	}
	if (c->err.code == ERR_OK)
		write_entry(h);
	while (h->first_wait) {
		struct host_wait *w = h->first_wait;

		host_stop_waiting(h, w);
		w->known(w, &c->err);
	}
	drop_if_unused(h);
}

bool host_is_known(struct host *h, struct host_wait *w)
{
	if (h->is_address || (h->entry_number && loop_now(h->hosts->loop) < h->known_until))
		return true;
	w->waiting = true;
	w->next = NULL;
	*h->last_wait = w;
	h->last_wait = &w->next;
	if (!h->looking_up) {
		h->looking_up = true;
		h->lookup.call.done = looked_up;
		resolve_start(h->hosts->loop, &h->lookup, h->name, h->port);
	}
	return false;
}

void host_stop_waiting(struct host *h, struct host_wait *w)
{
	struct host_wait **at = &h->first_wait;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (!w->next)
		h->last_wait = at;
	w->waiting = false;
}

/* ---- its lanes ---- */

static void lane_free(struct lane *l)
{
	assert(l->running == 0);
	timeout_stop(l->host->hosts->loop, &l->idle);
	multi_free(l->multi);
	free(l);
}

static void lane_idle(struct timeout *t)
{
	struct lane *l = container_of(t, struct lane, idle);
	struct host *h = l->host;
	struct lane **at = &h->lanes;

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	lane_free(l);
	drop_if_unused(h);
}

struct lane *lane_take(struct host *h)
{
	struct lane **at = &h->lanes, *l;

	while (*at && (*at)->running >= LANE_SIZE)
		at = &(*at)->next;
	l = *at;
	if (!l) {
		l = xmalloc(sizeof(*l));
		l->host = h;
		l->multi = multi_new(h->hosts->sockets, LANE_SIZE, h->hosts->ended);
		*at = l;
	}
	timeout_stop(h->hosts->loop, &l->idle);
	l->running++;
	return l;
}

void lane_give_back(struct lane *l)
{
	assert(l->running > 0);
	if (--l->running == 0)
		timeout_start(l->host->hosts->loop, &l->idle, IDLE_MS, lane_idle);
}

void hosts_clear(struct hosts *all)
{
	while (all->first) {
		struct host *h = all->first;

		assert(!h->first_wait);
		all->first = h->next;
		for (struct lane *l = h->lanes, *next; l; l = next) {
			next = l->next;
			lane_free(l);
		}
		if (h->looking_up) {
			h->hosts = NULL;
			call_cancel(&h->lookup.call, ERR_SHUTDOWN);
		} else {
			host_free(h);
		}
	}
}
