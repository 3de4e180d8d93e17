#include "common/utf8.h"

#include <locale.h>
#include <wctype.h>

/* The length that a first byte announces; 0: it is not a first byte. */
static size_t announced(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xC2 && first < 0xE0)
		return 2;
	if (first >= 0xE0 && first < 0xF0)
		return 3;
	return first >= 0xF0 && first < 0xF5 ? 4 : 0;
}

/* The character at the front of s and its length; length 0: not WTF-8. */
static uint32_t decode(struct str s, size_t *length)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t n = s.len ? announced(p[0]) : 0;
	uint32_t character;

	*length = 0;
	if (n == 0 || n > s.len)
		return UTF8_REPLACEMENT;
	character = n == 1 ? p[0] : p[0] & (0x7FU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return UTF8_REPLACEMENT;
		character = character << 6 | (p[i] & 0x3F);
	}
	if (character < smallest[n] || character > 0x10FFFF)
		return UTF8_REPLACEMENT;
	*length = n;
	return character;
}

uint32_t utf8_next(struct str s, size_t *at)
{
	size_t length;
	uint32_t character = decode((struct str){s.ptr + *at, s.len - *at}, &length);

	*at += length ? length : 1;
	return character;
}

size_t utf8_write(uint32_t character, char *to)
{
	static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
	size_t n = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;

	for (size_t i = n - 1; i > 0; i--, character >>= 6)
		to[i] = (char)(0x80 | (character & 0x3F));
	to[0] = (char)(lead[n] | character);
	return n;
}

size_t utf8_strict(struct str s)
{
	size_t length;
	uint32_t character = decode(s, &length);

	return character >= 0xD800 && character <= 0xDFFF ? 0 : length;
}

size_t utf8_count(struct str s)
{
	size_t count = 0;

	for (size_t at = 0; at < s.len; count++)
		(void)utf8_next(s, &at);
	return count;
}

size_t utf8_units(struct str s)
{
	size_t units = 0;

	for (size_t at = 0; at < s.len;)
		units += utf8_next(s, &at) > 0xFFFF ? 2 : 1;
	return units;
}

struct str utf8_first(struct str s, size_t max)
{
	size_t at = 0;

	while (at < s.len && max-- > 0)
		(void)utf8_next(s, &at);
	return (struct str){s.ptr, at};
}

struct str utf8_cut(struct str s, size_t max_bytes)
{
	if (s.len <= max_bytes)
		return s;
	while (max_bytes > 0 && ((unsigned char)s.ptr[max_bytes] & 0xC0) == 0x80)
		max_bytes--;
	return (struct str){s.ptr, max_bytes};
}

bool utf8_is_space(uint32_t c)
{
	return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0xA0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
	       c == 0x205F || c == 0x3000 || c == 0xFEFF;
}

struct str utf8_trim(struct str s)
{
	size_t first = s.len, behind = 0;

	for (size_t at = 0; at < s.len;) {
		size_t start = at;

		if (utf8_is_space(utf8_next(s, &at)))
			continue;
		first = size_min(first, start);
		behind = at;
	}
	return behind ? (struct str){s.ptr + first, behind - first} : (struct str){s.ptr, 0};
}

/* ---- letters ---- */

static locale_t unicode(void)
{
	static locale_t locale;

	if (!locale)
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return locale ? locale : LC_GLOBAL_LOCALE;
}

uint32_t utf8_to_lower(uint32_t character)
{
	return towlower_l(character, unicode());
}

bool utf8_is_alnum(uint32_t character)
{
	return iswalnum_l(character, unicode()) != 0;
}

static struct str map(struct arena *a, struct str s, bool upper)
{
	/* some letters are longer in the other case */
	char *mapped = arena_alloc(a, 3 * s.len + 1);
	size_t len = 0;

	for (size_t at = 0; at < s.len;) {
		uint32_t c = utf8_next(s, &at);

		len += utf8_write(upper ? towupper_l(c, unicode()) : utf8_to_lower(c),
				  mapped + len);
	}
	return (struct str){mapped, len};
}

struct str utf8_lower(struct arena *a, struct str s)
{
	return map(a, s, false);
}

struct str utf8_upper(struct arena *a, struct str s)
{
	return map(a, s, true);
}
