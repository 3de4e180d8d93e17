#include "common/html_text.h"

#include "common/buf.h"
#include "common/utf8.h"

#include <strings.h>

struct reader {
	struct str html;
	size_t at;
	struct buf out;
};

/* ---- entities ---- */

/* U+00A0 to U+00FF, in order. */
static const char latin[] =
	"nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg "
	"plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 "
	"iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml "
	"Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave "
	"Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil "
	"egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde "
	"ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";

static const struct {
	const char *name;
	uint32_t character;
} others[] = {
	{"amp",    '&'   },
        {"lt",     '<'   },
        {"gt",     '>'   },
        {"quot",   '"'   },
	{"apos",   '\''  },
        {"OElig",  0x152 },
        {"oelig",  0x153 },
        {"Scaron", 0x160 },
	{"scaron", 0x161 },
        {"Yuml",   0x178 },
        {"fnof",   0x192 },
        {"circ",   0x2C6 },
	{"tilde",  0x2DC },
        {"ensp",   0x2002},
        {"emsp",   0x2003},
        {"thinsp", 0x2009},
	{"zwnj",   0x200C},
        {"zwj",    0x200D},
        {"lrm",    0x200E},
        {"rlm",    0x200F},
	{"ndash",  0x2013},
        {"mdash",  0x2014},
        {"lsquo",  0x2018},
        {"rsquo",  0x2019},
	{"sbquo",  0x201A},
        {"ldquo",  0x201C},
        {"rdquo",  0x201D},
        {"bdquo",  0x201E},
	{"dagger", 0x2020},
        {"Dagger", 0x2021},
        {"bull",   0x2022},
        {"hellip", 0x2026},
	{"permil", 0x2030},
        {"prime",  0x2032},
        {"Prime",  0x2033},
        {"lsaquo", 0x2039},
	{"rsaquo", 0x203A},
        {"oline",  0x203E},
        {"frasl",  0x2044},
        {"euro",   0x20AC},
	{"trade",  0x2122},
        {"larr",   0x2190},
        {"uarr",   0x2191},
        {"rarr",   0x2192},
	{"darr",   0x2193},
        {"harr",   0x2194},
        {"minus",  0x2212},
        {"infin",  0x221E},
	{"asymp",  0x2248},
        {"ne",     0x2260},
        {"le",     0x2264},
        {"ge",     0x2265},
};

static uint32_t numbered(struct str digits)
{
	unsigned base = 10;
	uint32_t number = 0;

	if (digits.len > 1 && (digits.ptr[0] | 0x20) == 'x') {
		base = 16;
		digits = (struct str){digits.ptr + 1, digits.len - 1};
	}
	if (digits.len == 0 || digits.len > 7)
		return 0;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i];
		unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0')
						      : (unsigned)((c | 0x20) - 'a') + 10;

		if (digit >= base)
			return 0;
		number = number * base + digit;
	}
	return number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF) ? 0 : number;
}

uint32_t html_entity(struct str name)
{
	const char *word = latin;

	if (name.len > 0 && name.ptr[0] == '#')
		return numbered((struct str){name.ptr + 1, name.len - 1});
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (str_is(name, others[i].name))
			return others[i].character;
	for (uint32_t c = 0xA0; c <= 0xFF; c++) {
		size_t len = strcspn(word, " ");

		if (str_equal(name, (struct str){word, len}))
			return c;
		word += len + 1;
	}
	return 0;
}

/* ---- writing ---- */

static char last_but(const struct reader *r, size_t back)
{
	return r->out.len > back ? buf_str(&r->out).ptr[r->out.len - 1 - back] : '\n';
}

static void put(struct reader *r, const char *bytes, size_t len)
{
	if (len == 1 && bytes[0] == '\n' && last_but(r, 0) == '\n' && last_but(r, 1) == '\n')
		return;
	buf_add(&r->out, bytes, len);
}

static void end_line(struct reader *r)
{
	if (last_but(r, 0) != '\n')
		put(r, "\n", 1);
}

/* ---- reading ---- */

static struct str rest(const struct reader *r)
{
	return (struct str){r->html.ptr + r->at, r->html.len - r->at};
}

/* Moves behind the next `what`, or to the end. */
static void skip_behind(struct reader *r, const char *what)
{
	struct str s = rest(r);
	const char *found = memmem(s.ptr, s.len, what, strlen(what));

	r->at = found ? (size_t)(found - r->html.ptr) + strlen(what) : r->html.len;
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_one_of(struct str name, const char *names)
{
	for (const char *word = names; *word; word += strspn(word, " ")) {
		size_t len = strcspn(word, " ");

		if (len == name.len && strncasecmp(word, name.ptr, len) == 0)
			return true;
		word += len;
	}
	return false;
}

/* From behind the name to behind the >; a > in quotes does not count. */
static void skip_attributes(struct reader *r)
{
	char quote = 0;

	for (; r->at < r->html.len; r->at++) {
		char c = r->html.ptr[r->at];

		if (quote) {
			if (c == quote)
				quote = 0;
		} else if ((c == '"' || c == '\'') && r->html.ptr[r->at - 1] == '=') {
			quote = c;
		} else if (c == '>') {
			r->at++;
			return;
		}
	}
}

/* What is in a script is no HTML: it ends at its end tag only. */
static void skip_raw(struct reader *r, struct str name)
{
	for (; r->at < r->html.len; r->at++) {
		struct str s = rest(r);

		if (s.len > name.len + 2 && s.ptr[0] == '<' && s.ptr[1] == '/' &&
		    strncasecmp(s.ptr + 2, name.ptr, name.len) == 0 &&
		    !is_letter(s.ptr[name.len + 2]))
			break;
	}
	if (r->at < r->html.len)
		skip_behind(r, ">");
}

static void read_tag(struct reader *r)
{
	static const char blocks[] = "address article aside blockquote br dd details div dl dt "
				     "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
				     "header hr li main nav ol p pre section summary table tr ul";
	struct str s = rest(r), name;
	bool is_end = s.ptr[1] == '/';

	name.ptr = s.ptr + 1 + is_end;
	for (name.len = 0; name.ptr + name.len < s.ptr + s.len; name.len++)
		if (!is_letter(name.ptr[name.len]) &&
		    !(name.ptr[name.len] >= '0' && name.ptr[name.len] <= '9'))
			break;
	r->at += 1 + is_end + name.len;
	skip_attributes(r);
	if (!is_end && is_one_of(name, "script style"))
		skip_raw(r, name);
	else if (is_one_of(name, blocks))
		end_line(r);
	else if (!is_end && is_one_of(name, "td th") && last_but(r, 0) != '\n')
		put(r, "\t", 1);
}

static void read_markup(struct reader *r)
{
	struct str s = rest(r);

	if (str_starts(s, STR("<!--"))) {
		r->at += 4;
		skip_behind(r, "-->");
	} else if (s.len > 1 && (s.ptr[1] == '!' || s.ptr[1] == '?')) {
		skip_behind(r, ">");
	} else if (s.len > 1 &&
		   (is_letter(s.ptr[1]) || (s.len > 2 && s.ptr[1] == '/' && is_letter(s.ptr[2])))) {
		read_tag(r);
	} else {
		put(r, "<", 1);
		r->at++;
	}
}

static void read_entity(struct reader *r)
{
	enum { LONGEST = 10 };
	struct str s = rest(r);
	const char *end = memchr(s.ptr, ';', size_min(s.len, LONGEST));
	uint32_t c = end ? html_entity((struct str){s.ptr + 1, (size_t)(end - s.ptr) - 1}) : 0;
	char bytes[UTF8_MAX];

	if (!c) {
		put(r, "&", 1);
		r->at++;
		return;
	}
	if (c == 0xA0) /* keeps words together on a screen; here it is a space */
		c = ' ';
	put(r, bytes, utf8_write(c, bytes));
	r->at += (size_t)(end - s.ptr) + 1;
}

struct str html_text(struct arena *a, struct str html)
{
	struct reader r = {.html = html};
	struct str text;

	buf_init(&r.out, html.len + 1); /* nothing gets longer */
	while (r.at < html.len) {
		char c = html.ptr[r.at];

		if (c == '<') {
			read_markup(&r);
		} else if (c == '&') {
			read_entity(&r);
		} else {
			if (c != '\r')
				put(&r, &c, 1);
			r.at++;
		}
	}
	text = arena_str(a, utf8_trim(buf_str(&r.out)));
	buf_clear(&r.out);
	return text;
}
