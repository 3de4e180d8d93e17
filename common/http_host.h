/* common/http_host.h: where requests go; http.c's own, nobody else includes it.
 *
 * A host is scheme, name and port as the URL writes them, apart for guarded requests: those must
 * never get a connection that was opened without looking at its address. It holds the name's
 * addresses for a minute (one look-up, however many requests wait for it) and a few lanes: multi
 * handles of at most LANE_SIZE requests each. Lanes that were idle for a minute go, with their
 * connections, and a host without lanes goes, too. */
#ifndef COMMON_HTTP_HOST_H
#define COMMON_HTTP_HOST_H

#include "common/http.h"
#include "common/http_multi.h"

struct address_book;

/* A request that waits for addresses. */
struct host_wait {
	void (*known)(struct host_wait *w, const struct error *err); /* ERR_OK: there are some */
	struct host_wait *next;
	bool waiting;
};

struct host {
	struct hosts *hosts;
	char *prefix; /* "https://api.openai.com:443", as the URL begins */
	bool guarded;
	bool is_https;
	bool is_address; /* its name is an address: nothing to look up */
	char name[256];  /* for look-ups and for error texts */
	uint16_t port;
	long idle_s; /* how long its server keeps a connection without requests */
	struct resolve_call lookup;
	bool looking_up;
	uint64_t known_until;
	struct curl_slist entry; /* "name:port:address,..." for CURLOPT_RESOLVE */
	char entry_text[1024];
	unsigned entry_number; /* counts the look-ups */
	struct host_wait *first_wait, **last_wait;
	struct lane *lanes;
	struct host *next;
};

struct lane {
	struct host *host;
	struct multi *multi;
	unsigned running;
	unsigned entry_number; /* which of the host's addresses its multi has been given */
	struct timeout idle;
	struct lane *next;
};

struct hosts {
	struct loop *loop;
	struct sockets *sockets;
	void (*ended)(CURL *easy, CURLcode result);
	struct host *first;
};

/* false and ERR_INVALID_PAYLOAD if the URL is no good http or https URL. */
bool host_find(struct hosts *all, const char *url, bool guarded, struct host **host,
	       struct error *err) NODISCARD;
/* Whether the addresses are at hand; if not, w->known() is called from the loop. */
bool host_is_known(struct host *h, struct host_wait *w);
void host_stop_waiting(struct host *h, struct host_wait *w);

struct lane *lane_take(struct host *h); /* one request more */
void lane_give_back(struct lane *l);    /* one less; may close idle lanes later */

void hosts_clear(struct hosts *all); /* no request may be under way */

#endif
