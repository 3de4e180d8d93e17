/* common/address.h: addresses that a request whose URL comes from a user must not reach.
 *
 * The list is Directus' IMPORT_IP_DENY_LIST: a comma list of addresses, networks (10.0.0.0/8) and
 * ranges (10.0.0.1-10.0.0.9), IPv4 or IPv6. Two entries stand for more than themselves:
 *   0.0.0.0           every address of this machine: loopback and all its interfaces
 *   169.254.169.254   the link-local networks, where clouds keep their metadata services
 * An IPv4 entry also holds for the IPv6 addresses that carry an IPv4 address (mapped, compatible,
 * NAT64, 6to4), so that ::ffff:127.0.0.1 is no way around it. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/error.h"

struct deny_list;
struct sockaddr;

#define DENY_LIST_DEFAULT "0.0.0.0,169.254.169.254"

/* NULL and ERR_CONFIG, which names the entry, if there is a bad one. "" denies nothing. */
struct deny_list *deny_list_new(const char *list, struct error *err) NODISCARD;
void deny_list_free(struct deny_list *d); /* takes NULL */

bool deny_list_has(const struct deny_list *d, const struct sockaddr *address);

enum { ADDRESS_TEXT_MAX = 64 };
/* "192.0.2.1", "2001:db8::1"; "?" for other families. */
const char *address_text(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX]);

#endif
