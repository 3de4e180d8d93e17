/* Numbers with a unit: 15s, 1.5mb. */
#include "common/config_parts.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

static const struct unit no_units[] = {
	{"",   1},
        {NULL, 0}
};
static const struct unit time_units[] = {
	{"",        1         },
	{"ms",      1         },
	{"s",       SECOND    },
	{"sec",     SECOND    },
	{"second",  SECOND    },
	{"seconds", SECOND    },
	{"m",       MINUTE    },
	{"min",     MINUTE    },
	{"minute",  MINUTE    },
	{"minutes", MINUTE    },
	{"h",       HOUR      },
	{"hour",    HOUR      },
	{"hours",   HOUR      },
	{"d",       DAY       },
	{"day",     DAY       },
	{"days",    DAY       },
	{"w",       7ULL * DAY},
	{NULL,      0         },
};
static const struct unit size_units[] = {
	{"",    1         },
	{"b",   1         },
	{"k",   1ULL << 10},
	{"kb",  1ULL << 10},
	{"kib", 1ULL << 10},
	{"m",   1ULL << 20},
	{"mb",  1ULL << 20},
	{"mib", 1ULL << 20},
	{"g",   1ULL << 30},
	{"gb",  1ULL << 30},
	{"gib", 1ULL << 30},
	{NULL,  0         },
};

static const struct unit *find_unit(const struct unit *units, const char *name)
{
	for (; units->name; units++)
		if (strcasecmp(units->name, name) == 0)
			return units;
	return NULL;
}

static const struct unit *units_of(enum config_type type)
{
	return type == CONFIG_DURATION ? time_units : type == CONFIG_SIZE ? size_units : no_units;
}

/* "15", "1.5 mb": digits, perhaps a fraction, blanks, a unit. */
bool config_parse_number(enum config_type type, const char *text, uint64_t *number)
{
	size_t digits = strspn(text, "0123456789"), fraction = 0;
	const char *rest = text + digits;
	const struct unit *unit;
	double value;

	if (digits == 0 || digits > 19)
		return false;
	if (*rest == '.') {
		fraction = strspn(rest + 1, "0123456789");
		if (fraction == 0 || fraction > 9)
			return false;
		rest += 1 + fraction;
	}
	while (*rest == ' ')
		rest++;
	unit = find_unit(units_of(type), rest);
	if (!unit || (fraction && unit->factor == 1))
		return false;
	value = strtod(text, NULL) * (double)unit->factor;
	if (value > 9007199254740991.0)
		return false;
	*number = (uint64_t)llround(value);
	return true;
}

bool config_duration(const char *text, uint64_t *ms)
{
	return config_parse_number(CONFIG_DURATION, text, ms);
}

const char *config_number_text(struct arena *a, enum config_type type, uint64_t number)
{
	static const struct unit shown_times[] = {
		{"d",  DAY   },
                {"h",  HOUR  },
                {"m",  MINUTE},
                {"s",  SECOND},
                {NULL, 0     }
        };
	static const struct unit shown_sizes[] = {
		{"gb", 1ULL << 30},
                {"mb", 1ULL << 20},
                {"kb", 1ULL << 10},
                {NULL, 0         }
        };
	const struct unit *units = type == CONFIG_DURATION ? shown_times
				   : type == CONFIG_SIZE   ? shown_sizes
							   : no_units + 1;

	for (; units->name && number; units++)
		if (number % units->factor == 0)
			return arena_printf(a, "%ju%s", (uintmax_t)(number / units->factor),
					    units->name);
	return arena_printf(a, "%ju", (uintmax_t)number);
}
