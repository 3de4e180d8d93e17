/* Every address is kept as the 16 bytes of IPv6, IPv4 as ::ffff:a.b.c.d, so that an address, a
 * network and a range are all the same thing: a first and a last one. */
#include "common/address.h"

#include "common/arena.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

struct ip {
	unsigned char bytes[16];
};

struct range {
	struct ip first, last;
};

struct deny_list {
	bool this_machine;
	size_t count;
	struct range *ranges;
};

static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
static const unsigned char nat64[12] = {0x00, 0x64, 0xff, 0x9b};
static const unsigned char compatible[12] = {0};
static const unsigned char six_to_four[2] = {0x20, 0x02};

static struct ip ip_of_v4(const void *four)
{
	struct ip ip;

	memcpy(ip.bytes, mapped, sizeof(mapped));
	memcpy(ip.bytes + sizeof(mapped), four, 4);
	return ip;
}

/* Takes the IPv4 address out of an IPv6 address that carries one; others stay as they are. */
static struct ip unwrap(struct ip ip)
{
	static const struct ip loopback = {{[15] = 1}}, any = {{0}};

	if (memcmp(ip.bytes, six_to_four, sizeof(six_to_four)) == 0)
		return ip_of_v4(ip.bytes + sizeof(six_to_four));
	if (memcmp(ip.bytes, nat64, sizeof(nat64)) == 0)
		return ip_of_v4(ip.bytes + sizeof(nat64));
	if (memcmp(ip.bytes, compatible, sizeof(compatible)) == 0 &&
	    memcmp(&ip, &loopback, sizeof(ip)) != 0 && memcmp(&ip, &any, sizeof(ip)) != 0)
		return ip_of_v4(ip.bytes + sizeof(compatible));
	return ip;
}

static bool ip_of_sockaddr(const struct sockaddr *address, struct ip *ip)
{
	if (address->sa_family == AF_INET) {
		*ip = ip_of_v4(&((const struct sockaddr_in *)(const void *)address)->sin_addr);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		memcpy(ip->bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
		       sizeof(ip->bytes));
		return true;
	}
	return false;
}

/* ---- the list ---- */

static bool parse_ip(const char *text, struct ip *ip, int *bits)
{
	struct in_addr four;

	*bits = 128;
	if (inet_pton(AF_INET6, text, ip->bytes) == 1)
		return true;
	*bits = 32;
	if (inet_pton(AF_INET, text, &four) != 1)
		return false;
	*ip = ip_of_v4(&four);
	return true;
}

static bool parse_bits(const char *text, int max, int *bits)
{
	char *end;
	long value;

	if (!isdigit((unsigned char)text[0]))
		return false;
	value = strtol(text, &end, 10);
	if (*end != '\0' || value > max)
		return false;
	*bits = 128 - max + (int)value;
	return true;
}

static struct range network(struct ip ip, int bits)
{
	struct range r = {ip, ip};

	for (int i = 0; i < 16; i++) {
		int keep = bits - i * 8; /* how many bits of this byte are the network's */
		unsigned host = keep >= 8 ? 0 : keep <= 0 ? 0xff : 0xffU >> keep;

		r.first.bytes[i] = (unsigned char)(r.first.bytes[i] & ~host);
		r.last.bytes[i] = (unsigned char)(r.last.bytes[i] | host);
	}
	return r;
}

static bool parse_range(char *entry, struct range *r)
{
	char *slash = strchr(entry, '/'), *dash = strchr(entry, '-');
	int bits;

	if (dash) {
		*dash++ = '\0';
		return parse_ip(entry, &r->first, &bits) && parse_ip(dash, &r->last, &bits) &&
		       memcmp(&r->first, &r->last, sizeof(r->first)) <= 0;
	}
	if (slash)
		*slash = '\0';
	if (!parse_ip(entry, &r->first, &bits))
		return false;
	if (slash && !parse_bits(slash + 1, bits, &bits))
		return false;
	*r = network(r->first, slash ? bits : 128);
	return true;
}

static void add(struct deny_list *d, struct range r)
{
	d->ranges = xrealloc(d->ranges, (d->count + 1) * sizeof(r));
	d->ranges[d->count++] = r;
}

static void add_texts(struct deny_list *d, const char *const *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char entry[ADDRESS_TEXT_MAX];
		struct range r;

		(void)snprintf(entry, sizeof(entry), "%s", texts[i]);
		if (parse_range(entry, &r))
			add(d, r);
	}
}

static bool add_entry(struct deny_list *d, const char *text, size_t len)
{
	static const char *const machine[] = {"0.0.0.0/8", "127.0.0.0/8", "::", "::1"};
	static const char *const link_local[] = {"169.254.0.0/16", "fe80::/10", "fd00:ec2::254"};
	char entry[2 * ADDRESS_TEXT_MAX];
	struct range r;

	if (len >= sizeof(entry))
		return false;
	memcpy(entry, text, len);
	entry[len] = '\0';
	if (strcmp(entry, "0.0.0.0") == 0) {
		d->this_machine = true;
		add_texts(d, machine, ARRAY_LEN(machine));
	} else if (strcmp(entry, "169.254.169.254") == 0) {
		add_texts(d, link_local, ARRAY_LEN(link_local));
	} else if (parse_range(entry, &r)) {
		add(d, r);
	} else {
		return false;
	}
	return true;
}

struct deny_list *deny_list_new(const char *list, struct error *err)
{
	struct deny_list *d = xmalloc(sizeof(*d));
	const char *at = list;

	while (*at) {
		size_t len;

		at += strspn(at, ", \t");
		len = strcspn(at, ", \t");
		if (len && !add_entry(d, at, len)) {
			(void)fail(err, ERR_CONFIG,
				   "deny list entry '%.*s': expected an address, a network such as "
				   "10.0.0.0/8 or a range such as 10.0.0.1-10.0.0.9",
				   (int)size_min(len, 60), at);
			deny_list_free(d);
			return NULL;
		}
		at += len;
	}
	return d;
}

void deny_list_free(struct deny_list *d)
{
	if (!d)
		return;
	free(d->ranges);
	free(d);
}

/* ---- asking ---- */

static bool in_ranges(const struct deny_list *d, struct ip ip)
{
	for (size_t i = 0; i < d->count; i++)
		if (memcmp(&ip, &d->ranges[i].first, sizeof(ip)) >= 0 &&
		    memcmp(&ip, &d->ranges[i].last, sizeof(ip)) <= 0)
			return true;
	return false;
}

/* Interfaces come and go, so they are asked for each time; if the system does not tell, all is ours. */
static bool is_of_this_machine(struct ip ip)
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all) != 0)
		return true;
	for (i = all; i && !found; i = i->ifa_next) {
		struct ip own;

		found = i->ifa_addr && ip_of_sockaddr(i->ifa_addr, &own) &&
			memcmp(&own, &ip, sizeof(ip)) == 0;
	}
	freeifaddrs(all);
	return found;
}

bool deny_list_has(const struct deny_list *d, const struct sockaddr *address)
{
	struct ip ip, inner;

	if (!ip_of_sockaddr(address, &ip))
		return true; /* a family that nobody asked for */
	inner = unwrap(ip);
	return in_ranges(d, ip) || in_ranges(d, inner) ||
	       (d->this_machine && (is_of_this_machine(ip) || is_of_this_machine(inner)));
}

const char *address_text(const struct sockaddr *address, char text[ADDRESS_TEXT_MAX])
{
	const void *bytes = NULL;

	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (!bytes || !inet_ntop(address->sa_family, bytes, text, ADDRESS_TEXT_MAX))
		(void)snprintf(text, ADDRESS_TEXT_MAX, "?");
	return text;
}
