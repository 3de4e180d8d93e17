/* operations/duration.h: "90", "-1 day", "2.5 hrs": an amount and a unit, as in $NOW(-1 day) and in the
 * expiresIn of a JSON web token. */
#ifndef OPERATIONS_DURATION_H
#define OPERATIONS_DURATION_H

#include "common/base.h"

enum duration_unit {
	DURATION_MS,
	DURATION_SECOND,
	DURATION_MINUTE,
	DURATION_HOUR,
	DURATION_DAY,
	DURATION_WEEK,
	DURATION_MONTH,
	DURATION_YEAR,
	DURATION_NO_UNIT
};

struct duration {
	double amount;
	enum duration_unit unit;
};

/* false: it is none. A sign stands in front; units are not case sensitive, and may be left out. */
bool duration_parse(struct str text, struct duration *duration) NODISCARD;

/* Milliseconds; a month has 30.4375 days, a year 365.25. No unit: milliseconds. */
double duration_ms(struct duration d);

#endif
