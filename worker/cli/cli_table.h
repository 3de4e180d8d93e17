/* worker/cli/cli_table.h: a table for people: columns as wide as their longest cell, on standard output.
 *
 *	struct cli_table t;
 *	cli_table_start(&t, a, "ID", "STATE", NULL);
 *	cli_table_row(&t, id, state, NULL);
 *	cli_table_print(&t);
 *
 * Cells are cut at a width that fits a line, control characters become '?'. */
#ifndef WORKER_CLI_CLI_TABLE_H
#define WORKER_CLI_CLI_TABLE_H

#include "common/arena.h"

enum { CLI_COLUMNS_MAX = 12 };

struct cli_table {
	struct arena *arena;
	size_t columns, widths[CLI_COLUMNS_MAX];
	struct cli_table_row *first, **end;
	size_t rows; /* without the heading */
};

void cli_table_start(struct cli_table *t, struct arena *a, ...) SENTINEL;
void cli_table_row(struct cli_table *t, ...) SENTINEL; /* as many cells as there are columns */
void cli_table_print(const struct cli_table *t);

/* "12.3 s", "4 min", "3 h", "2 d"; "2025-11-20 14:03:05 UTC"; "$0.0123". */
const char *cli_duration(struct arena *a, uint64_t ms);
const char *cli_time(struct arena *a, uint64_t ms);
const char *cli_dollars(struct arena *a, double nano);

#endif
