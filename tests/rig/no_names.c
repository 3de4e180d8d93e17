/* With LD_PRELOAD: a resolver whose servers do not answer. Addresses that are numbers are known. */
#include <dlfcn.h>
#include <netdb.h>
#include <unistd.h>

typedef int resolver(const char *host, const char *port, const struct addrinfo *hints,
		     struct addrinfo **found);

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the names there are reserved */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
		struct addrinfo **found)
{
	struct addrinfo numbers = hints ? *hints : (struct addrinfo){.ai_family = AF_UNSPEC};
	resolver *next = (resolver *)dlsym(RTLD_NEXT, "getaddrinfo");
	int failed;

	numbers.ai_flags |= AI_NUMERICHOST;
	failed = next(host, port, &numbers, found);
	if (failed != EAI_NONAME)
		return failed;
	for (;;)
		(void)pause();
}
