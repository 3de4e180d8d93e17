#include "common/crashpoint.h"

#ifdef CRASHPOINTS

#include <signal.h>
#include <stdlib.h>
#include <string.h>

void crash_point(const char *name)
{
	static unsigned long passes; /* only one point is named, so one counter does */
	const char *at = getenv("CRASH_AT");
	size_t len = strlen(name);
	unsigned long wanted;

	if (!at || strncmp(at, name, len) != 0 || (at[len] != ':' && at[len] != '\0'))
		return;
	wanted = at[len] == ':' ? strtoul(at + len + 1, NULL, 10) : 1;
	if (++passes == wanted)
		(void)raise(SIGKILL);
}

#else

typedef int crashpoint_nothing; /* ISO C wants something in a file */

#endif
