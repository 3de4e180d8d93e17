/* worker/cli/csv.h: rows of comma separated text (RFC 4180, and what spreadsheets make of it).
 *
 *	struct csv c;
 *	csv_start(&c, text);
 *	while (csv_row(&c, a, &row, &err)) ...
 *	if (err.code != ERR_OK) ...
 *
 * Quoted fields may hold separators, line ends and doubled quotes. Lines end with LF, CRLF or CR; empty
 * ones are left out. A byte order mark is skipped. The separator is the first of , ; and tab that
 * stands outside quotes in the first line. Text must be UTF-8. */
#ifndef WORKER_CLI_CSV_H
#define WORKER_CLI_CSV_H

#include "common/arena.h"
#include "common/error.h"

enum { CSV_FIELDS_MAX = 1000 };

struct csv {
	struct str text;
	size_t at, line; /* from 1: of the row that was read last */
	size_t next_line;
	char separator;
};

struct csv_row {
	struct str *fields; /* in the arena, ended by NUL */
	size_t count;
};

void csv_start(struct csv *c, struct str text);
/* false and ERR_OK: there are no more. ERR_INVALID_PAYLOAD names the line. */
bool csv_row(struct csv *c, struct arena *a, struct csv_row *row, struct error *err);

/* A field as it is written: quoted where it has to be. */
struct buf;
void csv_print(struct buf *out, struct str field);

#endif
