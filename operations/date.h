/* operations/date.h: dates as JavaScript has them: milliseconds since 1970, here always in UTC. */
#ifndef OPERATIONS_DATE_H
#define OPERATIONS_DATE_H

#include "operations/duration.h"

#include <time.h>

enum { DATE_TEXT_MAX = 80 };

/* "2024", "2024-05-24", "2024-05-24T10:00", "2024-05-24 10:00:00.5+02:00". */
bool date_parse_iso(const char *text, double *ms) NODISCARD;
/* Date.parse(): that, and the forms that people and mail use: "24 May 2024 10:00 GMT". */
bool date_parse(const char *text, double *ms) NODISCARD;

/* A day is a day and a month a month: 31 January and a month is the last day of February. */
double date_add(double ms, struct duration d);

void date_fields(double ms, struct tm *tm); /* tm_yday too; clamped to what a tm can hold */

const char *date_iso(double ms, char text[DATE_TEXT_MAX]);    /* toISOString() */
const char *date_string(double ms, char text[DATE_TEXT_MAX]); /* String(date) */

#endif
