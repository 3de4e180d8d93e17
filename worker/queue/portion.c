#include "worker/queue/portion.h"

size_t portion_next(const struct portion *p, size_t most)
{
	size_t count = p->count ? p->count : PORTION_FIRST;

	return count < most ? count : most;
}

void portion_came(struct portion *p, size_t count, size_t bytes)
{
	size_t each = count ? bytes / count : 0;
	size_t fit = PORTION_BYTES / (each ? each : 1);
	size_t twice = 2 * (p->count ? p->count : PORTION_FIRST);

	if (!count)
		return;
	p->count = fit < twice ? fit : twice;
	if (!p->count)
		p->count = 1;
}
