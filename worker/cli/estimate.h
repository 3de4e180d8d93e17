/* worker/cli/estimate.h: what many will need, from a few that were tried. */
#ifndef WORKER_CLI_ESTIMATE_H
#define WORKER_CLI_ESTIMATE_H

#include <stddef.h>

/* The range holds the sum in 19 of 20 cases if the few were picked well: Student's t for the mean of so
 * few. From one sample only: half to twice as much. Never below 0. */
struct estimate {
	double expected, low, high;
};

struct estimate estimate_sum(const double *samples, size_t count, double of);

#endif
