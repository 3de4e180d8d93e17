#include "worker/cli/cli.h"

#include <malloc.h>

/* Texts of articles go back to the system when they are freed. Left alone, the allocator would keep
 * larger and larger ones, and fill the gaps between them badly. */
enum { APART_FROM = 128 * 1024 };

int main(int argc, char **argv)
{
	(void)mallopt(M_MMAP_THRESHOLD, APART_FROM);
	return cli_main(argc, argv);
}
