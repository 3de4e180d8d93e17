#include "operations/calibration.h"

#include <math.h>
#include <stdlib.h>

enum { INPUT_FROM = 5, TEXT_MAX = 160, NUMBERS = 5, OUTPUT_MAX = 100000000 };

/* The scripts only know a line. Far off the texts that it was fitted to it may lead anywhere. */
static const double LEAST = 0.2, MOST = 5;

bool calibration_parse(struct str text, struct calibration *c)
{
	char copy[TEXT_MAX] = "";
	const char *at = copy;
	double numbers[NUMBERS];

	*c = (struct calibration){.calls = 0};
	if (text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	for (size_t i = 0; i < NUMBERS; i++) {
		char *end;

		numbers[i] = strtod(at, &end);
		if (end == at || !isfinite(numbers[i]))
			return false;
		at = end;
	}
	if (*at || numbers[0] < 0 || numbers[0] > UINT32_MAX || numbers[4] < 0 ||
	    numbers[4] > OUTPUT_MAX)
		return false;
	*c = (struct calibration){(uint32_t)numbers[0], numbers[1], numbers[2], numbers[3],
				  (uint64_t)numbers[4]};
	return true;
}

uint64_t calibration_input(const struct calibration *c, const struct token_count *count,
			   uint64_t otherwise)
{
	double raw = (double)count->tokens;
	double fitted = c->fixed + c->per_token * raw + c->per_byte * (double)count->bytes;

	if (c->calls < INPUT_FROM || count->tokens == 0)
		return otherwise;
	return (uint64_t)llround(fmin(fmax(fitted, raw * LEAST), raw * MOST));
}

uint64_t calibration_output(const struct calibration *c, uint64_t most)
{
	return c->output_p95 > 0 && c->output_p95 < most ? c->output_p95 : most;
}
