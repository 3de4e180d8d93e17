/* Small things that several parts need. */
#include "simulator.h"

#include <openssl/evp.h>

static void clear_buf(void *b)
{
	buf_clear(b);
}

struct buf *buf_in(struct arena *a)
{
	struct buf *b = arena_make(a, struct buf);

	buf_init(b, REPLY_MAX);
	arena_defer(a, clear_buf, b);
	return b;
}

static void add_quoted_char(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		buf_add_text(b, "\\\"");
		break;
	case '\\':
		buf_add_text(b, "\\\\");
		break;
	case '\n':
		buf_add_text(b, "\\n");
		break;
	default:
		if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else
			buf_add_char(b, (char)c);
	}
}

void add_quoted(struct buf *b, struct str text)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < text.len; i++)
		add_quoted_char(b, (unsigned char)text.ptr[i]);
	buf_add_char(b, '"');
}

double field_number(const cJSON *object, const char *name, double otherwise)
{
	const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNumber(field) ? field->valuedouble : otherwise;
}

const char *field_text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

bool field_bool(const cJSON *object, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void delete_json(void *json)
{
	cJSON_Delete(json);
}

cJSON *parse_json(struct arena *a, struct str text)
{
	cJSON *json = cJSON_ParseWithLength(text.ptr ? text.ptr : "", text.len);

	if (json)
		arena_defer(a, delete_json, json);
	return json;
}

void sha256_hex(struct str bytes, char hex[65])
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	EVP_Digest(bytes.ptr ? bytes.ptr : "", bytes.len, hash, &len, EVP_sha256(), NULL);
	for (unsigned i = 0; i < 32; i++)
		(void)snprintf(hex + i * (size_t)2, 3, "%02x", hash[i]);
}

double random_unit(void)
{
	static uint64_t state;

	if (state == 0)
		state = options.seed * 2685821657736338717U + 88172645463325252U;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}
