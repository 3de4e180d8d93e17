#include "worker/door/door_parts.h"

#include "common/log.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { IDLE_TIMEOUT_S = 30, CONNECTIONS_MAX = 256, CONNECTIONS_PER_ADDRESS_MAX = 128 };

/* ---- the loop ---- */

static void due(struct timeout *t)
{
	door_run(container_of(t, struct door, timeout));
}

void door_run(struct door *d)
{
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(d->daemon);
	if (MHD_get_timeout(d->daemon, &ms) == MHD_YES)
		timeout_start(d->loop, &d->timeout, ms, due);
	else
		timeout_stop(d->loop, &d->timeout);
}

static void readable(void *arg, int events)
{
	(void)events;
	door_run(arg);
}

/* ---- opening and closing ---- */

static PRINTF(2, 0) void log_message(void *arg, const char *format, va_list args)
{
	char text[300];

	(void)arg;
	(void)vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\r\n")] = '\0';
	log_write(LOG_DEBUG, "http door", LOG_TEXT("detail", text), LOG_END);
}

static bool daemon_start(struct door *d, const struct sockaddr *address, bool dual)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

	if (address->sa_family == AF_INET6)
		flags |= dual ? MHD_USE_DUAL_STACK : MHD_USE_IPv6;
	d->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, request_handle, d, MHD_OPTION_EXTERNAL_LOGGER, log_message,
		NULL, MHD_OPTION_SOCK_ADDR, address, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
		MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_PER_ADDRESS_MAX,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, NULL, MHD_OPTION_END);
	return d->daemon != NULL;
}

/* "host:port", "[::1]:port", ":port", "port": host "" is all addresses. */
static void split_address(struct arena *a, const char *address, const char **host,
			  const char **port)
{
	const char *colon = strrchr(address, ':');
	size_t len;

	*host = "127.0.0.1";
	*port = colon ? colon + 1 : address;
	if (!colon)
		return;
	len = (size_t)(colon - address);
	if (len >= 2 && address[0] == '[' && address[len - 1] == ']')
		*host = arena_strndup(a, address + 1, len - 2);
	else
		*host = arena_strndup(a, address, len);
}

const char *door_url(struct arena *a, const char *address, const char *path)
{
	const char *here = address[0] == ':'      ? "127.0.0.1"
			   : strchr(address, ':') ? ""
						  : "127.0.0.1:";

	return arena_printf(a, "http://%s%s%s", here, address, path);
}

/* All addresses are those of IPv6 and IPv4 in one socket, or of IPv4 where there is no IPv6. */
static bool listen_all(struct door *d, const char *port)
{
	uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = number};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = number};

	return daemon_start(d, (struct sockaddr *)&six, true) ||
	       daemon_start(d, (struct sockaddr *)&four, false);
}

static bool listen_at(struct door *d, const char *address, struct error *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	struct arena *a = arena_new();
	const char *host, *port;
	bool well;
	int failed = 0;

	split_address(a, address, &host, &port);
	errno = 0;
	if (!host[0])
		well = listen_all(d, port);
	else {
		failed = getaddrinfo(host, port, &hints, &found);
		well = !failed && daemon_start(d, found->ai_addr, false);
		if (found)
			freeaddrinfo(found);
	}
	arena_free(a);
	if (well)
		return true;
	return fail(err, ERR_CONFIG,
		    "WORKER_HTTP_ADDRESS is '%.100s', expected an address to listen on (%s)",
		    address, failed ? gai_strerror(failed) : strerror(errno));
}

struct door *door_new(struct loop *l, const struct door_options *options, struct error *err)
{
	struct door *d = xmalloc(sizeof(*d));
	const union MHD_DaemonInfo *info;

	d->loop = l;
	d->handlers = options->handlers;
	d->job_max_bytes = options->job_max_bytes;
	if (!listen_at(d, options->address, err)) {
		free(d);
		return NULL;
	}
	d->token = options->token ? xstrdup(options->token) : NULL;
	info = MHD_get_daemon_info(d->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	d->watch = watch_new(l, info->epoll_fd, WATCH_READ, readable, d);
	return d;
}

void door_free(struct door *d)
{
	if (!d)
		return;
	requests_wake(d);
	watch_free(d->watch);
	timeout_stop(d->loop, &d->timeout);
	MHD_stop_daemon(d->daemon);
	free(d->token);
	free(d);
}

uint16_t door_port(const struct door *d)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(d->daemon, MHD_DAEMON_INFO_BIND_PORT);

	return info ? info->port : 0;
}
