/* common/http_multi.h: curl's multi handles on the loop; http.c's own, nobody else includes it.
 *
 * There are many multi handles, since curl goes through all connections of a handle for each request
 * (at 2,000 connections that is a quarter of all CPU): http.c gives each host some of its own. The
 * descriptors of all of them are in one table.
 *
 * A descriptor that curl opened through multi_open_socket() keeps its libuv handle, armed, between
 * two requests on the connection: that saves most epoll_ctl calls. Other descriptors (curl's
 * resolver has some) are closed without a word, so their handle goes when curl says REMOVE. */
#ifndef COMMON_HTTP_MULTI_H
#define COMMON_HTTP_MULTI_H

#include "common/loop.h"

#include <curl/curl.h>

struct multi;
struct sockets;

struct sockets *sockets_new(struct loop *l);
void sockets_free(struct sockets *s); /* after all multis */

/* ended() is called when a transfer is over and taken out of the multi. It may start and end
 * whatever it likes but must not free the multi. */
struct multi *multi_new(struct sockets *s, long max_connections,
			void (*ended)(CURL *easy, CURLcode result));
void multi_free(struct multi *m); /* closes its connections; no transfer may be in it */

void multi_add(struct multi *m, CURL *easy);
void multi_remove(struct multi *m, CURL *easy); /* a transfer that is under way is cut */

/* For CURLOPT_OPENSOCKETFUNCTION, after the address has been looked at; CURL_SOCKET_BAD on failure. */
curl_socket_t multi_open_socket(struct multi *m, const struct curl_sockaddr *address);
/* For CURLOPT_CLOSESOCKETFUNCTION, its data being the multi. */
int multi_close_socket(void *multi, curl_socket_t fd);

#endif
