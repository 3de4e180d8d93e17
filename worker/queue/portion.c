#include "worker/queue/portion.h"

size_t portion_next(const struct portion *p, size_t most)
{
	size_t count = p->count ? p->count : PORTION_FIRST;

	return count < most ? count : most;
}

void portion_came(struct portion *p, size_t count, size_t bytes)
{
	size_t twice = 2 * (p->count ? p->count : PORTION_FIRST);
	size_t each, fit;

	if (!count)
		return;
	each = bytes / count;
	fit = each ? PORTION_BYTES / each : twice;
	p->count = fit < twice ? fit : twice;
	if (!p->count)
		p->count = 1;
}
