#include "worker/schedule/cron.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { YEARS_AHEAD = 8, DAY_S = 86400 };

struct field {
	const char *label;
	int min, max;
	const char *const *names; /* from the value `min` on; or NULL */
};

static const char *const month_names[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL",
					  "AUG", "SEP", "OCT", "NOV", "DEC", NULL};
static const char *const weekday_names[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", NULL};

static const struct field fields[] = {
	{"second",  0, 59, NULL         },
        {"minute",  0, 59, NULL         },
        {"hour",    0, 23, NULL         },
	{"day",     1, 31, NULL         },
        {"month",   1, 12, month_names  },
        {"weekday", 0, 7,  weekday_names},
};

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const struct {
	const char *name, *expression;
} nicknames[] = {
	{"@yearly",   "0 0 0 1 1 *"},
        {"@annually", "0 0 0 1 1 *"},
        {"@monthly",  "0 0 0 1 * *"},
	{"@weekly",   "0 0 0 * * 0"},
        {"@daily",    "0 0 0 * * *"},
        {"@midnight", "0 0 0 * * *"},
	{"@hourly",   "0 0 * * * *"},
};

/* ---- reading ---- */

static bool bad_field(const struct field *f, struct str text, struct error *err)
{
	return fail(err, ERR_INVALID_PAYLOAD,
		    "cron: the %s is '%.*s', expected numbers from %d to %d, '*', ranges, lists or "
		    "steps",
		    f->label, (int)size_min(text.len, 40), text.ptr, f->min, f->max);
}

/* One number or name; false: it is none. */
static bool read_value(const struct field *f, struct str text, int *value)
{
	char word[8], *end;
	long number;

	if (text.len == 0 || text.len >= sizeof(word))
		return false;
	memcpy(word, text.ptr, text.len);
	word[text.len] = '\0';
	for (int i = 0; f->names && f->names[i]; i++)
		if (strcasecmp(f->names[i], word) == 0) {
			*value = f->min + i;
			return true;
		}
	if (!isdigit((unsigned char)word[0]))
		return false;
	number = strtol(word, &end, 10);
	if (*end || number < f->min || number > f->max)
		return false;
	*value = (int)number;
	return true;
}

static struct str cut(struct str *rest, char at)
{
	const char *found = rest->len ? memchr(rest->ptr, at, rest->len) : NULL;
	struct str head = *rest;

	if (found) {
		head.len = (size_t)(found - rest->ptr);
		*rest = (struct str){found + 1, rest->len - head.len - 1};
	} else {
		*rest = (struct str){NULL, 0};
	}
	return head;
}

/* "5", "1-5"; *last stays as it is where a step says how far it goes. */
static bool read_range(const struct field *f, struct str text, bool has_step, int *first, int *last)
{
	struct str to = text, from = cut(&to, '-');

	if (!read_value(f, from, first))
		return false;
	if (!has_step)
		*last = *first;
	if (to.ptr && !read_value(f, to, last))
		return false;
	if (f == &fields[WEEKDAY] && *last == 0 && *first > 0)
		*last = 7; /* FRI-SUN */
	return *last >= *first;
}

/* "*" or a range, each with "/2" behind it or not. */
static bool read_item(const struct field *f, struct str item, uint64_t *bits)
{
	const struct field step_field = {"step", 1, 1000, NULL};
	struct str step = item, range = cut(&step, '/');
	int first = f->min, last = f == &fields[WEEKDAY] ? 6 : f->max, every = 1;

	if (step.ptr && !read_value(&step_field, step, &every))
		return false;
	if (!str_is(range, "*") && !str_is(range, "?") &&
	    !read_range(f, range, step.ptr != NULL, &first, &last))
		return false;
	assert(first >= 0 && every >= 1); /* the field's limits say so */
	for (int i = first; i <= last; i += every)
		*bits |= (uint64_t)1 << (f == &fields[WEEKDAY] ? i % 7 : i);
	return true;
}

static bool read_field(const struct field *f, struct str text, uint64_t *bits, struct error *err)
{
	struct str rest = text;

	*bits = 0;
	while (rest.ptr)
		if (!read_item(f, cut(&rest, ','), bits))
			return bad_field(f, text, err);
	return true;
}

static bool read_zone(struct cron *c, const char *zone, struct error *err)
{
	char path[128];

	if (!zone || !zone[0])
		zone = "UTC";
	(void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.64s", zone);
	if (strlen(zone) >= sizeof(c->zone) || strstr(zone, "..") || zone[0] == '/' ||
	    (strcmp(zone, "UTC") != 0 && access(path, R_OK) != 0))
		return fail(
			err, ERR_INVALID_PAYLOAD,
			"cron: there is no time zone '%.64s', expected a name like Europe/Berlin",
			zone);
	(void)snprintf(c->zone, sizeof(c->zone), "%s", zone);
	return true;
}

static bool is_restricted(struct str text)
{
	return !str_is(text, "*") && !str_is(text, "?");
}

bool cron_parse(struct cron *c, const char *expression, const char *zone, struct error *err)
{
	struct str words[FIELDS + 1], rest;
	uint64_t bits[FIELDS];
	struct cron made = {.seconds = 0};
	size_t count = 0, shift;

	for (size_t i = 0; i < ARRAY_LEN(nicknames); i++)
		if (strcasecmp(expression, nicknames[i].name) == 0)
			expression = nicknames[i].expression;
	rest = str_of(expression);
	while (rest.ptr && count <= FIELDS) {
		struct str word = cut(&rest, ' ');

		if (word.len)
			words[count++] = word;
	}
	if (count != FIELDS && count != FIELDS - 1)
		return fail(err, ERR_INVALID_PAYLOAD,
			    "cron: '%.60s' has %zu fields, expected 5 (minute hour day month "
			    "weekday) or 6 with the second first",
			    expression, count);
	shift = FIELDS - count;
	bits[SECOND] = 1;
	for (size_t i = shift; i < FIELDS; i++)
		if (!read_field(&fields[i], words[i - shift], &bits[i], err))
			return false;
	made.seconds = bits[SECOND];
	made.minutes = bits[MINUTE];
	made.hours = (uint32_t)bits[HOUR];
	made.days = (uint32_t)bits[DAY];
	made.months = (uint32_t)bits[MONTH];
	made.weekdays = (uint32_t)bits[WEEKDAY];
	made.any_day = !is_restricted(words[DAY - shift]);
	made.any_weekday = !is_restricted(words[WEEKDAY - shift]);
	made.every_hour = made.hours == (1u << 24) - 1;
	if (!read_zone(&made, zone, err))
		return false;
	*c = made;
	return true;
}

/* ---- the next time ---- */

/* The C library knows one time zone at a time, the process': it is lent to us, and given back. */
struct lent_zone {
	char before[256];
	bool had;
};

static void zone_enter(struct lent_zone *z, const char *zone)
{
	const char *before = secure_getenv("TZ");

	z->had = before != NULL;
	(void)snprintf(z->before, sizeof(z->before), "%s", before ? before : "");
	(void)setenv("TZ", zone, 1);
	tzset();
}

static void zone_leave(const struct lent_zone *z)
{
	if (z->had)
		(void)setenv("TZ", z->before, 1);
	else
		(void)unsetenv("TZ");
	tzset();
}

static bool has(uint64_t bits, int i)
{
	return bits >> i & 1;
}

static bool matches_day(const struct cron *c, const struct tm *t)
{
	bool day = has(c->days, t->tm_mday), weekday = has(c->weekdays, t->tm_wday);

	if (!has(c->months, t->tm_mon + 1))
		return false;
	if (c->any_day || c->any_weekday)
		return (c->any_day || day) && (c->any_weekday || weekday);
	return day || weekday;
}

/* The moment at which the wall shows t. One that comes twice: the first. One that is left out: the
 * moment of the change. */
static time_t moment_of(const struct tm *wall)
{
	struct tm summer = *wall, guess = *wall, back;
	time_t at, low, high;

	summer.tm_isdst = 1;
	at = mktime(&summer);
	if (at != -1 && summer.tm_hour == wall->tm_hour && summer.tm_min == wall->tm_min)
		return at;
	guess.tm_isdst = -1;
	at = mktime(&guess);
	if (guess.tm_hour == wall->tm_hour && guess.tm_min == wall->tm_min)
		return at;
	/* Left out: the offset changes somewhere within the hours around it. */
	low = at - 4 * 3600;
	high = at + 4 * 3600;
	(void)localtime_r(&low, &back);
	while (high - low > 1) {
		time_t middle = low + (high - low) / 2;
		struct tm m;

		(void)localtime_r(&middle, &m);
		if (m.tm_gmtoff == back.tm_gmtoff)
			low = middle;
		else
			high = middle;
	}
	return high;
}

static int next_bit(uint64_t bits, int from, int end)
{
	while (from < end && !has(bits, from))
		from++;
	return from;
}

/* The first match on this day of the wall calendar, not before h:m:s, that is after `after`; -1: none. */
static time_t within_day(const struct cron *c, struct tm day, time_t after)
{
	for (int h = next_bit(c->hours, day.tm_hour, 24); h < 24; h = next_bit(c->hours, h + 1, 24))
		for (int m = next_bit(c->minutes, 0, 60); m < 60;
		     m = next_bit(c->minutes, m + 1, 60))
			for (int s = next_bit(c->seconds, 0, 60); s < 60;
			     s = next_bit(c->seconds, s + 1, 60)) {
				struct tm wall = day;
				time_t at;

				wall.tm_hour = h;
				wall.tm_min = m;
				wall.tm_sec = s;
				at = moment_of(&wall);
				if (at > after)
					return at;
			}
	return -1;
}

/* Fixed hours: by the days of the wall calendar. */
static time_t next_by_wall(const struct cron *c, time_t after)
{
	struct tm day;

	(void)localtime_r(&after, &day);
	for (int i = 0; i < YEARS_AHEAD * 366; i++) {
		time_t at = matches_day(c, &day) ? within_day(c, day, after) : -1;

		if (at != -1)
			return at;
		day.tm_mday++;
		day.tm_hour = 12; /* no change of clocks is at noon */
		day.tm_min = day.tm_sec = 0;
		day.tm_isdst = -1;
		(void)mktime(&day);
		day.tm_hour = 0;
	}
	return 0;
}

/* Every hour: by the minutes that really pass. */
static time_t next_by_clock(const struct cron *c, time_t after)
{
	time_t at = after + 1, end = after + (time_t)YEARS_AHEAD * 366 * DAY_S;
	struct tm t;

	while (at < end) {
		(void)localtime_r(&at, &t);
		if (!matches_day(c, &t))
			at += 3600 - t.tm_min * 60 - t.tm_sec;
		else if (!has(c->minutes, t.tm_min))
			at += 60 - t.tm_sec;
		else if (!has(c->seconds, t.tm_sec))
			at++;
		else
			return at;
	}
	return 0;
}

uint64_t cron_next(const struct cron *c, uint64_t after_ms)
{
	time_t after = (time_t)(after_ms / 1000), next;
	struct lent_zone lent;

	zone_enter(&lent, c->zone);
	next = c->every_hour ? next_by_clock(c, after) : next_by_wall(c, after);
	zone_leave(&lent);
	return (uint64_t)next * 1000;
}
