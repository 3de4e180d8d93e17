#include "operations/media.h"

static uint32_t big_endian(const unsigned char *p, size_t count)
{
	uint32_t value = 0;

	while (count--)
		value = value << 8 | *p++;
	return value;
}

static uint32_t little_endian(const unsigned char *p, size_t count)
{
	uint32_t value = 0;

	while (count--)
		value = value << 8 | p[count];
	return value;
}

static void png_size(const unsigned char *p, size_t len, struct media *m)
{
	if (len < 24 || memcmp(p + 12, "IHDR", 4) != 0)
		return;
	m->width = big_endian(p + 16, 4);
	m->height = big_endian(p + 20, 4);
}

static void gif_size(const unsigned char *p, size_t len, struct media *m)
{
	if (len < 10)
		return;
	m->width = little_endian(p + 6, 2);
	m->height = little_endian(p + 8, 2);
}

/* Segments follow one another; the frame's header is a start-of-frame: C0 to CF but C4, C8, CC. */
static void jpeg_size(const unsigned char *p, size_t len, struct media *m)
{
	size_t at = 2;

	while (at + 9 < len && p[at] == 0xFF) {
		unsigned char marker = p[at + 1];

		if (marker == 0xFF) { /* filling */
			at++;
		} else if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 &&
			   marker != 0xCC) {
			m->height = big_endian(p + at + 5, 2);
			m->width = big_endian(p + at + 7, 2);
			return;
		} else {
			at += 2 + big_endian(p + at + 2, 2);
		}
	}
}

static void webp_size(const unsigned char *p, size_t len, struct media *m)
{
	if (len < 30)
		return;
	if (memcmp(p + 12, "VP8X", 4) == 0) {
		m->width = little_endian(p + 24, 3) + 1;
		m->height = little_endian(p + 27, 3) + 1;
	} else if (memcmp(p + 12, "VP8L", 4) == 0) {
		uint32_t bits = little_endian(p + 21, 4);

		m->width = (bits & 0x3FFF) + 1;
		m->height = (bits >> 14 & 0x3FFF) + 1;
	} else if (memcmp(p + 12, "VP8 ", 4) == 0) {
		m->width = little_endian(p + 26, 2) & 0x3FFF;
		m->height = little_endian(p + 28, 2) & 0x3FFF;
	}
}

static const struct {
	const char *magic;
	size_t len;
	const char *type;
	void (*size)(const unsigned char *p, size_t len, struct media *m);
} kinds[] = {
	{"\xFF\xD8\xFF",      3, "image/jpeg",      jpeg_size},
	{"\x89PNG\r\n\x1A\n", 8, "image/png",       png_size },
	{"GIF8",              4, "image/gif",       gif_size },
	{"%PDF-",             5, "application/pdf", NULL     },
};

struct media media_sniff(struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.ptr;
	struct media m = {.type = NULL};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (bytes.len >= kinds[i].len && memcmp(p, kinds[i].magic, kinds[i].len) == 0) {
			m.type = kinds[i].type;
			if (kinds[i].size)
				kinds[i].size(p, bytes.len, &m);
			return m;
		}
	if (bytes.len >= 12 && memcmp(p, "RIFF", 4) == 0 && memcmp(p + 8, "WEBP", 4) == 0) {
		m.type = "image/webp";
		webp_size(p, bytes.len, &m);
	}
	return m;
}

const char *media_base64(struct arena *a, struct str bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = arena_alloc(a, (bytes.len + 2) / 3 * 4 + 1), *to = text;
	const unsigned char *p = (const unsigned char *)bytes.ptr;

	for (size_t left = bytes.len; left; p += 3) {
		size_t count = size_min(left, 3);
		uint32_t group = big_endian(p, count) << (8 * (3 - count));

		*to++ = digits[group >> 18];
		*to++ = digits[group >> 12 & 63];
		*to++ = count > 1 ? digits[group >> 6 & 63] : '=';
		*to++ = count > 2 ? digits[group & 63] : '=';
		left -= count;
	}
	return text;
}
