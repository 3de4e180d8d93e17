#include "operations/request_text.h"

#include "common/buf.h"
#include "common/utf8.h"

#include <ctype.h>
#include <strings.h>

enum { TEXT_MAX = 64 * 1024 * 1024, DEPTH_MAX = 32 };

static const char content_type[] = "Content-Type";
static const char form_type[] = "application/x-www-form-urlencoded";

static struct str take(struct arena *a, struct buf *b)
{
	struct str text = arena_str(a, buf_str(b));

	buf_clear(b);
	return text;
}

/* ---- the URL ---- */

static bool stays_in_url(const char *at)
{
	unsigned char c = (unsigned char)*at;

	if (c == '%')
		return isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]);
	return c > ' ' && c < 0x7f && !strchr("\"<>`{}", c);
}

const char *request_url(struct arena *a, const char *url)
{
	struct str text = utf8_trim(str_of(url));
	struct buf b;

	buf_init(&b, text.len * 3 + 1);
	for (const char *at = arena_str(a, text).ptr; *at; at++) {
		if (*at == '\\') /* as every browser reads it */
			(void)buf_add_char(&b, '/');
		else if (stays_in_url(at))
			(void)buf_add_char(&b, *at);
		else
			(void)buf_printf(&b, "%%%02X", (unsigned char)*at);
	}
	return take(a, &b).ptr;
}

/* ---- headers ---- */

static const char *text_of(struct arena *a, const cJSON *value)
{
	return cJSON_IsString(value) ? value->valuestring : json_print(a, value).ptr;
}

/* A name that comes twice keeps its last value; null leaves it out. */
static void set_header(struct arena *a, struct http_header *list, const char *name,
		       const cJSON *value)
{
	if (!value || cJSON_IsNull(value))
		return;
	while (list->name && strcasecmp(list->name, name) != 0)
		list++;
	*list = (struct http_header){name, text_of(a, value)};
}

static const char *find_header(const struct http_header *list, const char *name, bool exactly)
{
	for (; list->name; list++)
		if ((exactly ? strcmp : strcasecmp)(list->name, name) == 0)
			return list->value;
	return NULL;
}

static void replace_type(struct http_header *list, const char *type)
{
	while (list->name && strcasecmp(list->name, content_type) != 0)
		list++;
	*list = (struct http_header){content_type, type};
}

static bool read_headers(struct arena *a, const cJSON *headers, struct http_header *list,
			 struct error *err)
{
	const cJSON *item;

	json_each(item, headers) {
		const char *name = item->string ? item->string : json_get_text(item, "header");
		const cJSON *value = item->string ? item : json_get(item, "value");

		if (!name)
			return fail(
				err, ERR_INVALID_PAYLOAD,
				"option 'headers': found %s, expected objects with 'header' and "
				"'value'",
				json_type_name(item));
		if (name[0])
			set_header(a, list, name, value);
	}
	return true;
}

/* ---- the body ---- */

static void add_form_text(struct buf *b, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || strchr("*-._", c))
			(void)buf_add_char(b, (char)c);
		else if (c == ' ')
			(void)buf_add_char(b, '+');
		else
			(void)buf_printf(b, "%%%02X", c);
	}
}

static bool is_container(const cJSON *value)
{
	return cJSON_IsObject(value) || cJSON_IsArray(value);
}

static bool is_flat(const cJSON *list)
{
	const cJSON *item;

	json_each(item, list)
		if (is_container(item))
			return false;
	return true;
}

static void add_pair(struct arena *a, struct buf *b, const char *name, const cJSON *value)
{
	if (b->len)
		(void)buf_add_char(b, '&');
	add_form_text(b, name);
	(void)buf_add_char(b, '=');
	add_form_text(b, text_of(a, value));
}

/* {"a":1,"b":[2,3],"c":{"d":[4]}} is a=1&b[]=2&b[]=3&c[d][0]=4, brackets encoded; nulls are left out */
static void add_form(struct arena *a, struct buf *b, const char *prefix, const cJSON *value,
		     int depth)
{
	bool unnumbered = depth == 1 && cJSON_IsArray(value) && is_flat(value);
	const cJSON *item;
	int i = 0;

	json_each(item, value) {
		const char *key = item->string ? item->string : arena_printf(a, "%d", i);
		const char *name =
			depth == 0 ? key : arena_printf(a, "%s[%s]", prefix, unnumbered ? "" : key);

		i++;
		if (is_container(item) && depth < DEPTH_MAX)
			add_form(a, b, name, item, depth + 1);
		else if (!cJSON_IsNull(item))
			add_pair(a, b, name, item);
	}
}

static bool is_json_text(struct arena *a, const char *text)
{
	struct error ignored;

	return json_parse_rounding(a, str_of(text), &ignored) != NULL;
}

static struct str body_text(struct arena *a, const cJSON *body, const char *type)
{
	bool json = type && strstr(type, "application/json");
	struct buf b;

	if (cJSON_IsString(body)) {
		if (!json)
			return str_of(body->valuestring);
		if (is_json_text(a, body->valuestring))
			return utf8_trim(str_of(body->valuestring));
		return json_print(a, body);
	}
	if (type && strstr(type, form_type) && is_container(body)) {
		buf_init(&b, TEXT_MAX);
		add_form(a, &b, NULL, body, 0);
		return take(a, &b);
	}
	return json_print(a, body);
}

static bool has_form_by_default(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

bool request_write(struct arena *a, const struct request_parts *parts, struct request_text *out,
		   struct error *err)
{
	struct http_header *list =
		arena_array(a, struct http_header, json_count(parts->headers) + 2);
	const cJSON *body = parts->body;
	const char *type;

	if (!read_headers(a, parts->headers, list, err))
		return false;
	if (body && !find_header(list, content_type, true) &&
	    (!cJSON_IsString(body) || is_json_text(a, body->valuestring)))
		replace_type(list, "application/json");
	type = find_header(list, content_type, false);
	if (!type && has_form_by_default(parts->method))
		replace_type(list, form_type);
	if (type && strstr(type, "multipart/form-data") && is_container(body))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "option 'body': an object can not be sent as multipart/form-data");
	out->headers = list;
	out->body = body ? body_text(a, body, type) : (struct str){"", 0};
	return true;
}

/* ---- what came ---- */

static const char *clean(struct arena *a, struct str text)
{
	struct buf b;
	size_t at = 0;

	buf_init(&b, text.len * 3 + 1);
	while (at < text.len) {
		size_t length = utf8_strict((struct str){text.ptr + at, text.len - at});

		if (length && text.ptr[at])
			(void)buf_add(&b, text.ptr + at, length);
		else
			(void)buf_add_text(&b, "\xef\xbf\xbd");
		at += length ? length : 1;
	}
	return take(a, &b).ptr;
}

cJSON *request_read(struct arena *a, struct str body)
{
	struct error ignored;
	cJSON *value;

	if (str_starts(body, STR("\xef\xbb\xbf")))
		body = (struct str){body.ptr + 3, body.len - 3};
	value = body.len ? json_parse_rounding(a, body, &ignored) : NULL;
	return value ? value : json_text(a, clean(a, body));
}
