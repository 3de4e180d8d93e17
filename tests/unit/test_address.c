#include "common/address.h"

#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

static bool denied(const char *list, const char *text)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
	} address = {.any.sa_family = AF_INET};
	struct error err;
	struct deny_list *d = deny_list_new(list, &err);
	bool found;

	assert_non_null(d);
	if (inet_pton(AF_INET, text, &address.four.sin_addr) != 1) {
		address.any.sa_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &address.six.sin6_addr), 1);
	}
	found = deny_list_has(d, &address.any);
	deny_list_free(d);
	return found;
}

TEST(addresses_networks_and_ranges_are_denied)
{
	static const struct {
		const char *list, *address;
		bool denied;
	} rows[] = {
		{DENY_LIST_DEFAULT,            "127.0.0.1",              true },
		{DENY_LIST_DEFAULT,            "127.9.9.9",              true },
		{DENY_LIST_DEFAULT,            "0.0.0.0",                true },
		{DENY_LIST_DEFAULT,            "::1",                    true },
		{DENY_LIST_DEFAULT,            "::",                     true },
		{DENY_LIST_DEFAULT,            "::ffff:127.0.0.1",       true },
		{DENY_LIST_DEFAULT,            "::127.0.0.1",            true },
		{DENY_LIST_DEFAULT,            "64:ff9b::7f00:1",        true },
		{DENY_LIST_DEFAULT,            "2002:7f00:1::",          true },
		{DENY_LIST_DEFAULT,            "169.254.169.254",        true },
		{DENY_LIST_DEFAULT,            "169.254.170.2",          true },
		{DENY_LIST_DEFAULT,            "::ffff:169.254.169.254", true },
		{DENY_LIST_DEFAULT,            "fe80::1",                true },
		{DENY_LIST_DEFAULT,            "fd00:ec2::254",          true },
		{DENY_LIST_DEFAULT,            "8.8.8.8",                false},
		{DENY_LIST_DEFAULT,            "2001:4860:4860::8888",   false},
		{"",			   "127.0.0.1",              false},
		{"169.254.169.254",            "127.0.0.1",              false},
		{"10.0.0.0/8, 192.168.0.0/16", "10.255.255.255",         true },
		{"10.0.0.0/8, 192.168.0.0/16", "11.0.0.0",               false},
		{"10.0.0.0/8, 192.168.0.0/16", "9.255.255.255",          false},
		{"10.0.0.0/8, 192.168.0.0/16", "192.168.3.4",            true },
		{"10.0.0.0/8",                 "::ffff:10.1.2.3",        true },
		{"172.16.0.0/12",              "172.31.255.255",         true },
		{"172.16.0.0/12",              "172.32.0.0",             false},
		{"10.0.0.5-10.0.0.9",          "10.0.0.9",               true },
		{"10.0.0.5-10.0.0.9",          "10.0.0.10",              false},
		{"10.0.0.5-10.0.0.9",          "10.0.0.4",               false},
		{"192.0.2.7",                  "192.0.2.7",              true },
		{"192.0.2.7",                  "192.0.2.8",              false},
		{"2001:db8::/32",              "2001:db8:ffff::1",       true },
		{"2001:db8::/32",              "2001:db9::1",            false},
		{"0.0.0.0/0",                  "8.8.8.8",                true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool found = denied(rows[i].list, rows[i].address);

		if (found != rows[i].denied)
			print_error("list '%s', address %s\n", rows[i].list, rows[i].address);
		assert_int_equal(found, rows[i].denied);
	}
}

TEST(every_interface_of_this_machine_is_denied)
{
	struct ifaddrs *all;
	int seen = 0;

	(void)state;
	assert_int_equal(getifaddrs(&all), 0);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		char text[ADDRESS_TEXT_MAX];

		if (!i->ifa_addr ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		assert_true(denied("0.0.0.0", address_text(i->ifa_addr, text)));
		seen++;
	}
	freeifaddrs(all);
	assert_true(seen > 0);
}

TEST(a_bad_entry_is_named)
{
	static const char *const bad[] = {"10.0.0.0/33",       "10.0.0",  "localhost",
					  "10.0.0.9-10.0.0.5", "::1/129", "1.2.3.4/",
					  "1.2.3.4/8x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct error err;

		assert_null(deny_list_new(bad[i], &err));
		assert_int_equal(err.code, ERR_CONFIG);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ENTRY(addresses_networks_and_ranges_are_denied),
		ENTRY(every_interface_of_this_machine_is_denied),
		ENTRY(a_bad_entry_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
