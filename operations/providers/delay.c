#include "operations/providers/delay.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

static const struct {
	const char *name;
	double ms;
} units[] = {
	{"ms",        1    },
        {"us",        1e-3 },
        {"\xC2\xB5s", 1e-3 },
        {"ns",        1e-6 },
	{"seconds",   1e3  },
        {"second",    1e3  },
        {"minutes",   6e4  },
        {"minute",    6e4  },
	{"d",         864e5},
        {"h",         36e5 },
        {"m",         6e4  },
        {"s",         1e3  }
};

/* A number of digits and at most one point: strtod() would also take "inf" and "0x1p3". */
static bool read_number(const char **text, double *number)
{
	const char *p = *text;
	double value = 0, scale = 1;
	bool digits = false;

	for (; isdigit((unsigned char)*p); p++, digits = true)
		value = value * 10 + (*p - '0');
	if (*p == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++)
			value += (*p - '0') * (scale /= 10);
	*number = value;
	*text = p;
	return digits;
}

static bool read_unit(const char **text, double *ms)
{
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		size_t len = strlen(units[i].name);

		if (strncasecmp(*text, units[i].name, len) == 0) {
			*text += len;
			*ms = units[i].ms;
			return true;
		}
	}
	return false;
}

bool delay_duration(const char *text, uint64_t *ms)
{
	double sum = 0, number = 0, unit = 0;
	bool found = false;

	while (isspace((unsigned char)*text))
		text++;
	while (read_number(&text, &number)) {
		const char *behind = text;

		while (*behind == ' ')
			behind++;
		if (!read_unit(&behind, &unit)) {
			sum += found ? 0 : number * 1e3; /* "37" */
			found = true;
			break;
		}
		text = behind;
		sum += number * unit;
		found = true;
	}
	if (!found || sum > 1e15)
		return false;
	*ms = (uint64_t)(sum + 0.5);
	return true;
}

static bool in_utc(struct tm *tm, double fraction, long offset_s, uint64_t *ms)
{
	time_t seconds = timegm(tm);

	if (seconds < 0 || seconds - offset_s < 0)
		return false;
	*ms = (uint64_t)(seconds - offset_s) * 1000 + (uint64_t)(fraction * 1000);
	return true;
}

static bool read_offset(const char *text, long *offset_s)
{
	struct tm tm = {0};

	*offset_s = 0;
	if (*text == 'Z' || *text == 'z' || *text == '\0')
		return true;
	if ((*text != '+' && *text != '-') || !strptime(text + 1, "%H:%M", &tm))
		return false;
	*offset_s = (tm.tm_hour * 60L + tm.tm_min) * 60 * (*text == '-' ? -1 : 1);
	return true;
}

bool delay_instant(const char *text, uint64_t *ms)
{
	struct tm tm = {0};
	double fraction = 0;
	long offset_s = 0;
	const char *rest;

	/* The names of days and months are the C locale's: the program never calls setlocale(). */
	if (strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		return in_utc(&tm, 0, 0, ms);
	rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest)
		return false;
	if (*rest == '.') {
		double scale = 1;

		for (rest++; isdigit((unsigned char)*rest); rest++)
			fraction += (*rest - '0') * (scale /= 10);
	}
	return read_offset(rest, &offset_s) && in_utc(&tm, fraction, offset_s, ms);
}

bool delay_until(const char *text, uint64_t now_ms, uint64_t *ms)
{
	uint64_t instant;

	if (delay_instant(text, &instant)) {
		*ms = instant > now_ms ? instant - now_ms : 0;
		return true;
	}
	return delay_duration(text, ms);
}

bool delay_in_sentence(const char *text, uint64_t *ms)
{
	static const char *const phrases[] = {"retry in ", "try again in ", "retry after ",
					      "resets in ~", "resets in "};

	for (size_t i = 0; i < ARRAY_LEN(phrases); i++) {
		const char *found = strcasestr(text, phrases[i]);

		if (found && delay_duration(found + strlen(phrases[i]), ms))
			return true;
	}
	return false;
}
