#include "operations/duration.h"

#include <stdlib.h>
#include <strings.h>

static const struct {
	enum duration_unit unit;
	double ms;
	const char *names;
} units[] = {
	{DURATION_MS,     1,               " ms msec msecs millisecond milliseconds "},
	{DURATION_SECOND, 1000,            " s sec secs second seconds "             },
	{DURATION_MINUTE, 60 * 1000,       " m min mins minute minutes "             },
	{DURATION_HOUR,   3600 * 1000,     " h hr hrs hour hours "                   },
	{DURATION_DAY,    86400e3,         " d day days "                            },
	{DURATION_WEEK,   7 * 86400e3,     " w week weeks "                          },
	{DURATION_MONTH,  30.4375 * 864e5, " mo mth month months "                   },
	{DURATION_YEAR,   365.25 * 864e5,  " y yr yrs year years "                   },
};

static bool is_name(const char *names, struct str name)
{
	for (const char *at = names; *at; at++)
		if (*at == ' ' && strncasecmp(at + 1, name.ptr, name.len) == 0 &&
		    at[1 + name.len] == ' ')
			return true;
	return false;
}

bool duration_parse(struct str text, struct duration *duration)
{
	char number[40] = "";
	struct duration made = {.unit = DURATION_NO_UNIT};
	size_t sign = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+'), at = sign;

	while (at < text.len && strchr("0123456789.", text.ptr[at]) && text.ptr[at])
		at++;
	if (at == sign || at >= sizeof(number) || text.ptr[at - 1] == '.' ||
	    memchr(text.ptr + sign, '.', at - sign) != memrchr(text.ptr + sign, '.', at - sign))
		return false;
	memcpy(number, text.ptr, at);
	made.amount = strtod(number, NULL);
	while (at < text.len && text.ptr[at] == ' ')
		at++;
	for (size_t i = 0; at < text.len && i < ARRAY_LEN(units); i++)
		if (is_name(units[i].names, (struct str){text.ptr + at, text.len - at}))
			made.unit = units[i].unit;
	if (at < text.len && made.unit == DURATION_NO_UNIT)
		return false;
	*duration = made;
	return true;
}

double duration_ms(struct duration d)
{
	return d.unit == DURATION_NO_UNIT ? d.amount : d.amount * units[d.unit].ms;
}
