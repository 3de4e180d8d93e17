#include "worker/cli/estimate.h"

#include <math.h>

/* Student's t, 95 % in the middle, by degrees of freedom from 1; then it is nearly that of 30. */
static const double t_of[] = {
	12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
	2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
	2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
};
enum { T_COUNT = sizeof(t_of) / sizeof(t_of[0]) };

struct estimate estimate_sum(const double *samples, size_t count, double of)
{
	double sum = 0, squares = 0, mean, half, low;
	size_t degrees;

	if (count == 0)
		return (struct estimate){0, 0, 0};
	for (size_t i = 0; i < count; i++)
		sum += samples[i];
	mean = sum / (double)count;
	if (count == 1)
		return (struct estimate){mean * of, mean * of / 2, mean * of * 2};
	for (size_t i = 0; i < count; i++)
		squares += (samples[i] - mean) * (samples[i] - mean);
	degrees = count - 1 < T_COUNT ? count - 1 : T_COUNT;
	half = t_of[degrees - 1] * sqrt(squares / (double)(count - 1) / (double)count);
	low = fmax(0, mean - half);
	return (struct estimate){mean * of, low * of, (mean + half) * of};
}
