#include "operations/date.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a JavaScript Date can hold. */
static const double LARGEST = 8.64e15;

/* ---- ISO 8601 ---- */

/* So many digits; the text moves behind them. */
static bool take_number(const char **text, size_t digits, int *number)
{
	*number = 0;
	for (size_t i = 0; i < digits; i++, ++*text) {
		if (**text < '0' || **text > '9')
			return false;
		*number = *number * 10 + **text - '0';
	}
	return true;
}

static double take_fraction(const char **text)
{
	double fraction = 0, unit = 1;

	while (**text >= '0' && **text <= '9') {
		unit /= 10;
		fraction += unit * (*(*text)++ - '0');
	}
	return fraction;
}

/* "Z", "+02:00", "-0330", "+02" or nothing */
static bool take_zone(const char **text, double *offset_ms)
{
	int sign = **text == '-' ? -1 : 1, hours = 0, minutes = 0;

	*offset_ms = 0;
	if (**text == '\0')
		return true;
	if (**text == 'Z' || **text == 'z') {
		++*text;
		return true;
	}
	if (**text != '+' && **text != '-')
		return false;
	++*text;
	if (!take_number(text, 2, &hours))
		return false;
	*text += **text == ':';
	if (**text && !take_number(text, 2, &minutes))
		return false;
	*offset_ms = sign * (hours * 60 + minutes) * 60e3;
	return hours < 24 && minutes < 60;
}

static bool take_time(const char **text, struct tm *tm, double *ms)
{
	*ms = 0;
	if (!take_number(text, 2, &tm->tm_hour))
		return false;
	if (**text != ':')
		return false;
	++*text;
	if (!take_number(text, 2, &tm->tm_min))
		return false;
	if (**text == ':') {
		++*text;
		if (!take_number(text, 2, &tm->tm_sec))
			return false;
		if (**text == '.' || **text == ',') {
			++*text;
			*ms = trunc(take_fraction(text) * 1000 + 1e-6);
		}
	}
	return tm->tm_min < 60 && tm->tm_sec < 60 &&
	       (tm->tm_hour < 24 || (tm->tm_hour == 24 && tm->tm_min == 0 && tm->tm_sec == 0));
}

static bool take_date(const char **text, struct tm *tm)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month = 1, day = 1;

	if (!take_number(text, 4, &year))
		return false;
	if (**text == '-') {
		++*text;
		if (!take_number(text, 2, &month))
			return false;
	}
	if (**text == '-') {
		++*text;
		if (!take_number(text, 2, &day))
			return false;
	}
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

bool date_parse_iso(const char *text, double *ms)
{
	struct tm tm = {0};
	double fraction = 0, offset = 0;

	if (!take_date(&text, &tm))
		return false;
	if (*text == 'T' || *text == 't' || *text == ' ') {
		text++;
		if (!take_time(&text, &tm, &fraction))
			return false;
		text += *text == ' ';
		if (!take_zone(&text, &offset))
			return false;
	}
	if (*text)
		return false;
	*ms = (double)timegm(&tm) * 1000 + fraction - offset;
	return true;
}

/* ---- other forms ---- */

bool date_parse(const char *text, double *ms)
{
	static const char *const forms[] = {
		"%a, %d %b %Y %H:%M:%S",
		"%a %b %d %Y %H:%M:%S",
		"%d %b %Y %H:%M:%S",
		"%d %b %Y %H:%M",
		"%d %b %Y",
		"%b %d, %Y %H:%M:%S",
		"%b %d, %Y %H:%M",
		"%b %d, %Y",
		"%b %d %Y",
		"%Y/%m/%d %H:%M:%S",
		"%Y/%m/%d %H:%M",
		"%Y/%m/%d",
		"%m/%d/%Y %H:%M:%S",
		"%m/%d/%Y %H:%M",
		"%m/%d/%Y",
	};

	if (date_parse_iso(text, ms))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct tm tm = {0};
		const char *rest = strptime(text, forms[i], &tm);
		double offset = 0;

		if (!rest)
			continue;
		rest += strspn(rest, " ");
		if (strncmp(rest, "GMT", 3) == 0 || strncmp(rest, "UTC", 3) == 0)
			rest += 3;
		if (!take_zone(&rest, &offset) || strcspn(rest, "(") > strspn(rest, " "))
			continue;
		*ms = (double)timegm(&tm) * 1000 - offset;
		return true;
	}
	return false;
}

/* ---- calculating ---- */

static double add_months(double ms, double months)
{
	struct tm tm;
	int day, last;
	double rest = ms - floor(ms / 1000) * 1000;

	date_fields(ms, &tm);
	day = tm.tm_mday;
	tm.tm_mday = 1;
	tm.tm_mon += (int)fmax(-1e6, fmin(1e6, trunc(months)));
	(void)timegm(&tm); /* brings the month into its year */
	last = tm.tm_mon == 1 ? 28 + ((tm.tm_year % 4 == 0 && tm.tm_year % 100 != 0) ||
				      (tm.tm_year + 1900) % 400 == 0)
			      : 30 + ((tm.tm_mon + 1 + (tm.tm_mon > 6)) % 2);
	tm.tm_mday = day < last ? day : last;
	return (double)timegm(&tm) * 1000 + rest;
}

double date_add(double ms, struct duration d)
{
	if (d.unit == DURATION_MONTH || d.unit == DURATION_YEAR)
		return add_months(ms, d.unit == DURATION_YEAR ? d.amount * 12 : d.amount);
	if (d.unit == DURATION_DAY || d.unit == DURATION_WEEK)
		d.amount = d.unit == DURATION_WEEK ? trunc(d.amount * 7) / 7 : trunc(d.amount);
	return ms + trunc(duration_ms(d));
}

void date_fields(double ms, struct tm *tm)
{
	time_t seconds = (time_t)floor(fmax(-LARGEST, fmin(LARGEST, ms)) / 1000);

	memset(tm, 0, sizeof(*tm));
	(void)gmtime_r(&seconds, tm);
}

/* ---- writing ---- */

const char *date_iso(double ms, char text[DATE_TEXT_MAX])
{
	struct tm tm;
	char front[40];

	date_fields(ms, &tm);
	(void)strftime(front, sizeof(front), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, DATE_TEXT_MAX, "%s.%03dZ", front, (int)(ms - floor(ms / 1000) * 1000));
	return text;
}

const char *date_string(double ms, char text[DATE_TEXT_MAX])
{
	struct tm tm;

	date_fields(ms, &tm);
	(void)strftime(text, DATE_TEXT_MAX,
		       "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)", &tm);
	return text;
}
