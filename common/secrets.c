/* All forms of all secrets are looked for at once (Wu and Manber's way): a window of WINDOW bytes
 * slides over the text, the two bytes at its end say how far it may move without missing anything,
 * and only where they say "not at all" are forms compared. As no form is shorter than the window,
 * innocent text is crossed in leaps of seven bytes. */
#include "common/secrets.h"

#include "common/buf.h"
#include "common/error.h"
#include "common/json.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum {
	WINDOW = SECRET_WHOLE_BELOW,
	HASHES = 4096,
	FORM_MAX = 64 * 1024,
	MASKED_MAX = 256 * 1024 * 1024
};

struct form {
	char *ptr;
	size_t len;
	struct form *next; /* with the same hash of the window's end; the longer first */
};

static struct {
	struct form *forms; /* short ones: whole texts only */
	struct form *at[HASHES];
	unsigned char leap[HASHES];
	bool any_long;
} set;

static size_t hash(const char *two)
{
	return ((size_t)(unsigned char)two[0] << 4 ^ (unsigned char)two[1]) % HASHES;
}

static void form_insert(struct form **place, struct str text)
{
	struct form *f;

	for (; *place && (*place)->len >= text.len; place = &(*place)->next)
		if (str_equal((struct str){(*place)->ptr, (*place)->len}, text))
			return;
	f = xmalloc(sizeof(*f));
	f->ptr = xmalloc(text.len);
	memcpy(f->ptr, text.ptr, text.len);
	f->len = text.len;
	f->next = *place;
	*place = f;
}

static void form_add(struct str text)
{
	if (text.len == 0 || text.len > FORM_MAX)
		return;
	if (text.len < WINDOW) {
		form_insert(&set.forms, text);
		return;
	}
	if (!set.any_long)
		memset(set.leap, WINDOW - 1, sizeof(set.leap));
	set.any_long = true;
	for (size_t i = 0; i + 1 < WINDOW; i++) {
		unsigned char *leap = &set.leap[hash(text.ptr + i)];

		if (*leap > WINDOW - 2 - i)
			*leap = (unsigned char)(WINDOW - 2 - i);
	}
	form_insert(&set.at[hash(text.ptr + WINDOW - 2)], text);
}

/* ---- forms ---- */

static void add_json_form(struct str secret)
{
	struct buf b;

	buf_init(&b, FORM_MAX);
	for (size_t i = 0; i < secret.len; i++) {
		static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
		char c = secret.ptr[i];
		const char *special = c ? strchr(from, c) : NULL;

		if (special)
			(void)buf_printf(&b, "\\%c", to[special - from]);
		else if ((unsigned char)c < 0x20)
			(void)buf_printf(&b, "\\u%04x", (unsigned)c);
		else
			(void)buf_add_char(&b, c);
	}
	form_add(buf_str(&b));
	buf_clear(&b);
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("-._~", c));
}

static void add_url_form(struct str secret, bool upper)
{
	struct buf b;

	buf_init(&b, FORM_MAX);
	for (size_t i = 0; i < secret.len; i++) {
		unsigned byte = (unsigned char)secret.ptr[i];

		if (is_unreserved(secret.ptr[i]))
			(void)buf_add_char(&b, secret.ptr[i]);
		else
			(void)buf_printf(&b, upper ? "%%%02X" : "%%%02x", byte);
	}
	form_add(buf_str(&b));
	buf_clear(&b);
}

/* Without the padding, in whose place a longer text has other characters. */
static void add_base64_form(struct str text)
{
	unsigned char *encoded;
	size_t len;

	if (text.len > FORM_MAX / 2)
		return;
	encoded = xmalloc(text.len / 3 * 4 + 8);
	len = (size_t)EVP_EncodeBlock(encoded, (const unsigned char *)text.ptr, (int)text.len);
	while (len && encoded[len - 1] == '=')
		len--;
	form_add((struct str){(const char *)encoded, len});
	free(encoded);
}

void secrets_add(struct str secret)
{
	if (secret.len == 0)
		return;
	form_add(secret);
	if (secret.len < WINDOW)
		return;
	add_json_form(secret);
	add_url_form(secret, true);
	add_url_form(secret, false);
	add_base64_form(secret);
}

void secrets_add_login(struct str user, struct str password)
{
	struct buf b;

	secrets_add(password);
	if (password.len == 0)
		return;
	buf_init(&b, FORM_MAX);
	(void)buf_add_str(&b, user);
	(void)buf_add_char(&b, ':');
	(void)buf_add_str(&b, password);
	if (!buf_overflowed(&b))
		add_base64_form(buf_str(&b));
	buf_clear(&b);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

	return found ? (int)(found - digits) : -1;
}

static void url_decode(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.len; i++) {
		int high = i + 2 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
		int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;

		if (text.ptr[i] == '%' && high >= 0 && low >= 0) {
			(void)buf_add_char(out, (char)(high << 4 | low));
			i += 2;
		} else {
			(void)buf_add_char(out, text.ptr[i]);
		}
	}
}

void secrets_add_url(struct str url)
{
	const char *end = url.ptr + url.len, *start, *at, *colon;
	struct buf user, password;

	start = url.len ? memmem(url.ptr, url.len, "://", 3) : NULL;
	if (!start)
		return;
	start += 3;
	for (at = start; at < end && !strchr("/?#", *at); at++)
		;
	at = memrchr(start, '@', (size_t)(at - start));
	colon = at ? memchr(start, ':', (size_t)(at - start)) : NULL;
	if (!colon)
		return;
	secrets_add((struct str){colon + 1, (size_t)(at - colon - 1)});
	buf_init(&user, FORM_MAX);
	buf_init(&password, FORM_MAX);
	url_decode(&user, (struct str){start, (size_t)(colon - start)});
	url_decode(&password, (struct str){colon + 1, (size_t)(at - colon - 1)});
	secrets_add_login(buf_str(&user), buf_str(&password));
	buf_clear(&user);
	buf_clear(&password);
}

static void forms_free(struct form **list)
{
	while (*list) {
		struct form *f = *list;

		*list = f->next;
		OPENSSL_cleanse(f->ptr, f->len);
		free(f->ptr);
		free(f);
	}
}

void secrets_clear(void)
{
	forms_free(&set.forms);
	for (size_t i = 0; i < HASHES; i++)
		forms_free(&set.at[i]);
	set.any_long = false;
}

/* ---- masking ---- */

static bool is_short_secret(struct str text)
{
	for (const struct form *f = set.forms; f; f = f->next)
		if (str_equal(text, (struct str){f->ptr, f->len}))
			return true;
	return false;
}

/* The next place of a secret at or behind *at; its length, or 0: there is none. */
static size_t find(struct str text, size_t *at)
{
	while (*at + WINDOW <= text.len) {
		const char *here = text.ptr + *at;
		size_t h = hash(here + WINDOW - 2);

		if (set.leap[h] > 0) {
			*at += set.leap[h];
			continue;
		}
		for (const struct form *f = set.at[h]; f; f = f->next)
			if (f->len <= text.len - *at && memcmp(f->ptr, here, f->len) == 0)
				return f->len;
		(*at)++;
	}
	return 0;
}

struct str secrets_mask(struct arena *a, struct str text)
{
	size_t at = 0, done = 0, length;
	struct buf b;
	struct str masked;

	if (is_short_secret(text))
		return STR(SECRET_MASK);
	if (!set.any_long || (length = find(text, &at)) == 0)
		return text;
	buf_init(&b, MASKED_MAX);
	for (; length; length = find(text, &at)) {
		(void)buf_add(&b, text.ptr + done, at - done);
		(void)buf_add_text(&b, SECRET_MASK);
		done = at += length;
	}
	(void)buf_add(&b, text.ptr + done, text.len - done);
	/* What does not fit is not let out at all. */
	masked = arena_str(a, buf_overflowed(&b) ? STR(SECRET_MASK) : buf_str(&b));
	buf_clear(&b);
	return masked;
}

const char *secrets_mask_text(struct arena *a, const char *text)
{
	return text ? secrets_mask(a, str_of(text)).ptr : NULL;
}

static void mask_string(struct arena *a, char **text)
{
	struct str whole = str_of(*text);
	struct str masked = secrets_mask(a, whole);

	if (masked.ptr != whole.ptr)
		*text = arena_strndup(a, masked.ptr, masked.len);
}

void secrets_mask_json(struct arena *a, struct cJSON *value)
{
	cJSON *child;

	if (cJSON_IsString(value))
		mask_string(a, &value->valuestring);
	if (value->string)
		mask_string(a, &value->string);
	json_each(child, value)
		secrets_mask_json(a, child);
}

static void mask_field(struct arena *a, char *field, size_t size)
{
	struct str masked = secrets_mask(a, (struct str){field, strlen(field)});

	if (masked.ptr == field)
		return;
	masked.len = size_min(masked.len, size - 1);
	memcpy(field, masked.ptr, masked.len);
	field[masked.len] = '\0';
}

void secrets_mask_error(struct error *err)
{
	struct arena *a = arena_new();

	mask_field(a, err->text, sizeof(err->text));
	mask_field(a, err->detail, sizeof(err->detail));
	mask_field(a, err->name, sizeof(err->name));
	arena_free(a);
}

bool secrets_equal(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void secrets_protect_process(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its leak check has to look into the process */
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}
