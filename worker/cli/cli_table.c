#include "worker/cli/cli_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { CELL_MAX = 60, GAP = 2 };

struct cli_table_row {
	const char *cells[CLI_COLUMNS_MAX];
	struct cli_table_row *next;
};

/* Code points: good enough for a width. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xC0) != 0x80;
	return n;
}

static const char *fit(struct arena *a, const char *text)
{
	char *copy = arena_strdup(a, text ? text : "");
	size_t n = 0;

	for (char *c = copy; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
		n += ((unsigned char)*c & 0xC0) != 0x80;
		if (n > CELL_MAX) {
			*c = '\0';
			return arena_printf(a, "%s…", copy);
		}
	}
	return copy;
}

static void add_row(struct cli_table *t, va_list args)
{
	struct cli_table_row *row = arena_make(t->arena, struct cli_table_row);
	const char *cell;
	size_t n = 0;

	while ((cell = va_arg(args, const char *)) && n < CLI_COLUMNS_MAX) {
		row->cells[n] = fit(t->arena, cell);
		if (width_of(row->cells[n]) > t->widths[n])
			t->widths[n] = width_of(row->cells[n]);
		n++;
	}
	if (t->columns == 0)
		t->columns = n;
	assert(n == t->columns);
	*t->end = row;
	t->end = &row->next;
}

void cli_table_start(struct cli_table *t, struct arena *a, ...)
{
	va_list args;

	*t = (struct cli_table){.arena = a};
	t->end = &t->first;
	va_start(args, a);
	add_row(t, args);
	va_end(args);
}

void cli_table_row(struct cli_table *t, ...)
{
	va_list args;

	va_start(args, t);
	add_row(t, args);
	va_end(args);
	t->rows++;
}

void cli_table_print(const struct cli_table *t)
{
	for (const struct cli_table_row *row = t->first; row; row = row->next) {
		for (size_t i = 0; i < t->columns; i++) {
			size_t gap = t->widths[i] - width_of(row->cells[i]) + GAP;

			(void)fputs(row->cells[i], stdout);
			if (i + 1 < t->columns)
				(void)printf("%*s", (int)gap, "");
		}
		(void)putchar('\n');
	}
}

const char *cli_duration(struct arena *a, uint64_t ms)
{
	const uint64_t minute = 60 * 1000, hour = 60 * minute, day = 24 * hour;

	if (ms < minute)
		return arena_printf(a, "%.1f s", (double)ms / 1000);
	if (ms < 2 * hour)
		return arena_printf(a, "%llu min", (unsigned long long)(ms / minute));
	if (ms < 2 * day)
		return arena_printf(a, "%llu h", (unsigned long long)(ms / hour));
	return arena_printf(a, "%llu d", (unsigned long long)(ms / day));
}

const char *cli_time(struct arena *a, uint64_t ms)
{
	time_t seconds = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	if (ms == 0)
		return "-";
	(void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&seconds, &tm));
	return arena_strdup(a, text);
}

const char *cli_dollars(struct arena *a, double nano)
{
	return arena_printf(a, nano < 1e7 ? "$%.6f" : "$%.4f", nano / 1e9);
}
