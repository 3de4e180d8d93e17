#include "common/crashpoint.h"

#ifdef CRASHPOINTS

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether the variable names this pass of the point. */
static bool is_named(const char *variable, const char *name, unsigned long *passes)
{
	const char *at = getenv(variable);
	size_t len = strlen(name);

	if (!at || strncmp(at, name, len) != 0 || (at[len] != ':' && at[len] != '\0'))
		return false;
	return ++*passes == (at[len] == ':' ? strtoul(at + len + 1, NULL, 10) : 1);
}

void crash_point(const char *name)
{
	static unsigned long passes, stops; /* a variable names one point: one counter each */

	if (is_named("STOP_AT", name, &stops))
		(void)raise(SIGSTOP);
	if (is_named("CRASH_AT", name, &passes))
		(void)raise(SIGKILL);
}

#else

typedef int crashpoint_nothing; /* ISO C wants something in a file */

#endif
