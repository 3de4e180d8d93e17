/* A JSON reader that builds nothing: recursive descent over the bytes, to JSON_DEPTH_MAX. It is as
 * strict as RFC 8259, which cJSON is not, and refuses what cJSON or a double would change. */
#include "common/json_scan.h"

#include "common/buf.h"
#include "common/json.h"
#include "common/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* cJSON 1.7.15 copies a number into 64 bytes and takes the rest for garbage. */
enum { CJSON_NUMBER_MAX = 63, SAFE_DIGITS = 15, EXPONENT_MAX = 100000 };

static const double SAFE_INTEGER = 9007199254740992.0;

struct scan {
	struct str text;
	size_t at;
	unsigned depth;
	bool rounding;
	struct buf out; /* the changed text, as far as `copied`; empty while nothing is changed */
	size_t copied;
	const char *expected; /* where it stopped */
	struct error *err;
};

static bool scan_value(struct scan *s);

/* ---- errors ---- */

static void place(const struct scan *s, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < s->at; i++) {
		if (s->text.ptr[i] == '\n') {
			++*line;
			*column = 1;
		} else if (((unsigned char)s->text.ptr[i] & 0xC0) != 0x80) {
			++*column;
		}
	}
}

/* What stands here, for the error text. */
static void describe(const struct scan *s, char found[48])
{
	struct str rest = {s->text.ptr + s->at, s->text.len - s->at};
	size_t length = utf8_strict(rest);
	char character[UTF8_MAX + 1] = "";

	if (rest.len == 0)
		(void)snprintf(found, 48, "the end");
	else if (length == 0)
		(void)snprintf(found, 48, "the byte 0x%02X, which is not UTF-8",
			       (unsigned char)rest.ptr[0]);
	else if (length == 3 && memcmp(rest.ptr, "\xEF\xBB\xBF", 3) == 0)
		(void)snprintf(found, 48, "a byte order mark");
	else if ((unsigned char)rest.ptr[0] < 0x20)
		(void)snprintf(found, 48, "the control character U+%04X",
			       (unsigned char)rest.ptr[0]);
	else
		(void)snprintf(found, 48, "'%s'", (char *)memcpy(character, rest.ptr, length));
}

static bool expected(struct scan *s, const char *what)
{
	unsigned line, column;
	char found[48];

	s->expected = what;
	place(s, &line, &column);
	describe(s, found);
	return fail(s->err, ERR_INVALID_PAYLOAD, "line %u, column %u: found %s, expected %s", line,
		    column, found, what);
}

static bool refuse(struct scan *s, const char *found, const char *what)
{
	unsigned line, column;

	s->expected = NULL;
	place(s, &line, &column);
	return fail(s->err, ERR_INVALID_PAYLOAD, "line %u, column %u: found %s, expected %s", line,
		    column, found, what);
}

/* ---- bytes ---- */

static int peek(const struct scan *s)
{
	return s->at < s->text.len ? (unsigned char)s->text.ptr[s->at] : -1;
}

static bool take(struct scan *s, char c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

static void skip_space(struct scan *s)
{
	int c = peek(s);

	while (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
		s->at++;
		c = peek(s);
	}
}

/* The bytes from `from` to here are replaced in what cJSON gets. */
static void replace(struct scan *s, size_t from, struct str with)
{
	buf_add(&s->out, s->text.ptr + s->copied, from - s->copied);
	buf_add_str(&s->out, with);
	s->copied = s->at;
}

/* ---- strings ---- */

static bool scan_hex(struct scan *s, uint32_t *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++, s->at++) {
		int c = peek(s);

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (uint32_t)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			*unit = *unit << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return expected(s, "a hexadecimal digit");
	}
	return true;
}

static bool is_high(uint32_t unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low(uint32_t unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* A low surrogate's escape right here? It is taken then. */
static bool take_low(struct scan *s)
{
	size_t start = s->at;
	struct error ignored, *err = s->err;
	uint32_t unit = 0;
	bool found;

	s->err = &ignored;
	found = take(s, '\\') && take(s, 'u') && scan_hex(s, &unit) && is_low(unit);
	s->err = err;
	if (!found)
		s->at = start;
	return found;
}

static bool scan_unicode_escape(struct scan *s, size_t start)
{
	char bytes[UTF8_MAX];
	uint32_t unit;

	if (!scan_hex(s, &unit))
		return false;
	if (unit == 0) {
		s->at = start;
		return refuse(s, "\\u0000", "a text without it: it can not be kept");
	}
	if (is_low(unit) || (is_high(unit) && !take_low(s)))
		replace(s, start, (struct str){bytes, utf8_write(unit, bytes)});
	return true;
}

static bool scan_escape(struct scan *s)
{
	size_t start = s->at++;
	int c = peek(s);

	if (c <= 0 || !strchr("\"\\/bfnrtu", c))
		return expected(s, "one of \" \\ / b f n r t u behind a backslash");
	s->at++;
	return c != 'u' || scan_unicode_escape(s, start);
}

/* One character that is neither a quote nor the beginning of an escape. */
static bool scan_character(struct scan *s)
{
	struct str rest = {s->text.ptr + s->at, s->text.len - s->at};
	int c = peek(s);

	if (c < 0x20)
		return expected(s, c < 0 ? "'\"'" : "its escape in a string");
	if (c >= 0x80 && utf8_strict(rest) == 0)
		return expected(s, "UTF-8");
	s->at += c < 0x80 ? 1 : utf8_strict(rest);
	return true;
}

static bool scan_string(struct scan *s)
{
	if (!take(s, '"'))
		return expected(s, "a key in double quotes");
	while (!take(s, '"'))
		if (!(peek(s) == '\\' ? scan_escape(s) : scan_character(s)))
			return false;
	return true;
}

/* ---- numbers ---- */

/* A decimal number as digits without zeros at either end and the power of ten of the first one. */
struct decimal {
	char digits[32]; /* what is longer than a double can be is cut, and is_cut */
	size_t count;
	bool is_cut;
	long exponent;
};

static void read_digits(struct decimal *d, const char **text)
{
	bool fraction = false;

	d->exponent = -1;
	for (; **text == '.' || (**text >= '0' && **text <= '9'); ++*text) {
		if (**text == '.') {
			fraction = true;
		} else if (**text == '0' && d->count == 0) {
			d->exponent -= fraction;
		} else {
			d->exponent += !fraction;
			if (d->count < sizeof(d->digits))
				d->digits[d->count++] = **text;
			else
				d->is_cut |= **text != '0';
		}
	}
}

static struct decimal decimal_of(const char *text)
{
	struct decimal d = {.count = 0};
	long exponent;

	text += *text == '-';
	read_digits(&d, &text);
	exponent = *text ? strtol(text + 1, NULL, 10) : 0; /* behind the e; clamped */
	if (exponent > -EXPONENT_MAX && exponent < EXPONENT_MAX)
		d.exponent += exponent;
	while (d.count > 0 && d.digits[d.count - 1] == '0')
		d.count--;
	return d;
}

/* Whether the double of this text is the same number for all that people expect: 0.1 is, since it
 * prints as 0.1 again; an integer must keep each digit. */
static bool is_kept(const char *text, double number)
{
	char printed[JSON_NUMBER_MAX];
	struct decimal d = decimal_of(text), p;
	bool has_fraction = (long)d.count > d.exponent + 1;

	if (d.count == 0)
		return true;
	if (isnormal(number) &&
	    (d.count <= SAFE_DIGITS || (has_fraction && fabs(number) < SAFE_INTEGER)))
		return true;
	p = decimal_of(json_number_text(number, printed));
	return !d.is_cut && d.count == p.count && d.exponent == p.exponent &&
	       memcmp(d.digits, p.digits, d.count) == 0;
}

/* What cJSON is to read in place of the number from `start` to here, if it must not see that. */
static bool judge_number(struct scan *s, size_t start, const char *text)
{
	double number = strtod(text, NULL);
	char printed[JSON_NUMBER_MAX], found[48];

	if (!s->rounding && !is_kept(text, number)) {
		(void)snprintf(found, sizeof(found), "'%.40s'", text);
		s->at = start;
		return refuse(s, found, "a number that a double can hold (or put it in quotes)");
	}
	if (isinf(number)) /* JSON.stringify(JSON.parse("1e400")) is null */
		replace(s, start, STR("null"));
	else if (s->at - start > CJSON_NUMBER_MAX)
		replace(s, start, str_of(json_number_text(number, printed)));
	return true;
}

static bool check_number(struct scan *s, size_t start)
{
	struct str text = {s->text.ptr + start, s->at - start};
	struct buf copy;
	bool good;

	if (text.len <= SAFE_DIGITS && !memchr(text.ptr, 'e', text.len) &&
	    !memchr(text.ptr, 'E', text.len))
		return true;
	buf_init(&copy, SIZE_MAX / 2 - 1); /* strtod() wants a NUL behind it */
	buf_add_str(&copy, text);
	good = judge_number(s, start, buf_str(&copy).ptr);
	buf_clear(&copy);
	return good;
}

static bool scan_digits(struct scan *s)
{
	size_t start = s->at;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->at++;
	return s->at > start || expected(s, "a digit");
}

static bool scan_number(struct scan *s)
{
	size_t start = s->at;

	take(s, '-');
	if (!take(s, '0') && !scan_digits(s))
		return false;
	if (take(s, '.') && !scan_digits(s))
		return false;
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		if (!scan_digits(s))
			return false;
	}
	return check_number(s, start);
}

/* ---- values ---- */

static bool scan_word(struct scan *s, const char *word)
{
	for (; *word; word++)
		if (!take(s, *word))
			return expected(s, "true, false or null");
	return true;
}

static bool scan_member(struct scan *s)
{
	if (!scan_string(s))
		return false;
	skip_space(s);
	if (!take(s, ':'))
		return expected(s, "':'");
	return scan_value(s);
}

/* An array or an object, whose first byte has been taken. */
static bool scan_container(struct scan *s, char end, bool (*scan_item)(struct scan *s),
			   const char *separators)
{
	if (++s->depth > JSON_DEPTH_MAX) {
		s->at--;
		return refuse(s, "nesting deeper than 512", "a flatter document");
	}
	skip_space(s);
	if (!take(s, end)) {
		do {
			skip_space(s);
			if (!scan_item(s))
				return false;
			skip_space(s);
		} while (take(s, ','));
		if (!take(s, end))
			return expected(s, separators);
	}
	s->depth--;
	return true;
}

static bool scan_value(struct scan *s)
{
	skip_space(s);
	switch (peek(s)) {
	case '{':
		s->at++;
		return scan_container(s, '}', scan_member, "',' or '}'");
	case '[':
		s->at++;
		return scan_container(s, ']', scan_value, "',' or ']'");
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		if (peek(s) == '-' || (peek(s) >= '0' && peek(s) <= '9'))
			return scan_number(s);
		return expected(s, "a value");
	}
}

bool json_scan(struct arena *a, struct str text, bool rounding, struct str *ready,
	       struct json_stop *stop, struct error *err)
{
	struct scan s = {.text = text, .rounding = rounding, .err = err};
	bool good;

	buf_init(&s.out, SIZE_MAX / 2 - 1);
	good = scan_value(&s);
	if (good) {
		skip_space(&s);
		good = s.at == text.len || expected(&s, "nothing behind the value");
	}
	if (good && s.copied) {
		buf_add(&s.out, text.ptr + s.copied, text.len - s.copied);
		text = arena_str(a, buf_str(&s.out));
	}
	buf_clear(&s.out);
	if (good)
		*ready = text;
	else if (stop)
		*stop = (struct json_stop){s.at, s.expected};
	return good;
}
