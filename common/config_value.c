/* Texts to values: what a variable of each type may look like, and what to say if it does not. */
#include "common/config_parts.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <strings.h>

/* ---- prefixes ---- */

/* Directus' names of types, which may stand before a value. */
enum prefix {
	PREFIX_STRING,
	PREFIX_NUMBER,
	PREFIX_BOOLEAN,
	PREFIX_ARRAY,
	PREFIX_STRING_ARRAY,
	PREFIX_JSON,
	PREFIX_REGEX,
	PREFIX_NONE
};

static const char *const prefixes[] = {
	[PREFIX_STRING] = "string:",
	[PREFIX_NUMBER] = "number:",
	[PREFIX_BOOLEAN] = "boolean:",
	[PREFIX_ARRAY] = "array:",
	[PREFIX_STRING_ARRAY] = "string-array:",
	[PREFIX_JSON] = "json:",
	[PREFIX_REGEX] = "regex:",
};

static enum prefix find_prefix(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0)
			return (enum prefix)i;
	return PREFIX_NONE;
}

enum {
	FITS_NUMBER = 1 << PREFIX_NUMBER | 1 << PREFIX_STRING,
	FITS_LIST = 1 << PREFIX_ARRAY | 1 << PREFIX_STRING_ARRAY | 1 << PREFIX_JSON
};

/* Which of them fit a type; those that are not here are texts. */
static const unsigned fits[] = {
	[CONFIG_BOOL] = 1 << PREFIX_BOOLEAN, [CONFIG_NUMBER] = FITS_NUMBER,
	[CONFIG_DURATION] = FITS_NUMBER,     [CONFIG_SIZE] = FITS_NUMBER,
	[CONFIG_LIST] = FITS_LIST,           [CONFIG_MODELS] = FITS_LIST,
	[CONFIG_JSON] = 1 << PREFIX_JSON,    [CONFIG_HEADERS] = 1 << PREFIX_JSON,
};

static bool prefix_fits(enum config_type type, enum prefix p)
{
	unsigned mask = type < ARRAY_LEN(fits) ? fits[type] : 0;

	return (mask ? mask : 1U << PREFIX_STRING) & 1U << p;
}

const char *config_skip_prefix(enum config_type type, const char *text)
{
	enum prefix p = find_prefix(text);

	return p != PREFIX_NONE && prefix_fits(type, p) ? text + strlen(prefixes[p]) : text;
}

/* ---- single values ---- */

static bool parse_bool(const char *text, bool *value)
{
	static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*value = i % 2 == 1;
			return true;
		}
	return false;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	return true;
}

static bool has_no_blank(const char *text)
{
	return is_printable(text) && !strchr(text, ' ');
}

/* "scheme://" is there, and a host behind it. */
static bool is_url(const char *text, const char *scheme)
{
	size_t len = strlen(scheme);

	return strncasecmp(text, scheme, len) == 0 && text[len] && !strchr("/?#:", text[len]) &&
	       has_no_blank(text) && !strchr(text, '#');
}

static bool is_web_url(const char *text)
{
	return is_url(text, "http://") || is_url(text, "https://");
}

static bool is_redis_url(const char *text)
{
	return is_url(text, "redis://") || is_url(text, "rediss://") ||
	       (strncmp(text, "unix:", 5) == 0 && text[5] && is_printable(text));
}

static bool is_address(const char *text)
{
	const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
	size_t digits = strspn(port, "0123456789");

	return digits > 0 && digits <= 5 && !port[digits] && strtoul(port, NULL, 10) <= 65535 &&
	       has_no_blank(text);
}

static bool is_name(const char *text)
{
	return *text && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_-.:{}")];
}

/* The place of a text in "a|b|c"; or -1. */
static int find_choice(const char *text, const char *choices)
{
	size_t len = strlen(text);

	for (int place = 0; *choices; place++) {
		size_t one = strcspn(choices, "|");

		if (one == len && strncasecmp(choices, text, len) == 0)
			return place;
		choices += one + (choices[one] == '|');
	}
	return -1;
}

static bool is_base_url(const char *text)
{
	return is_web_url(text) && !strchr(text, '?');
}

static bool is_webhook(const char *text)
{
	static const char in_directus[] = "directus:";
	size_t len = sizeof(in_directus) - 1;

	return is_web_url(text) ||
	       (strncmp(text, in_directus, len) == 0 && strlen(text + len) == 36 &&
		!text[len + strspn(text + len, "0123456789abcdefABCDEF-")]);
}

/* The types that are not here take any text. */
static bool (*const text_checks[])(const char *text) = {
	[CONFIG_LINE] = is_printable,    [CONFIG_WEBHOOK] = is_webhook,
	[CONFIG_BASE_URL] = is_base_url, [CONFIG_REDIS] = is_redis_url,
	[CONFIG_ADDRESS] = is_address,   [CONFIG_NAME] = is_name,
};

static bool is_text_of(enum config_type type, const char *text)
{
	return type >= ARRAY_LEN(text_checks) || !text_checks[type] || text_checks[type](text);
}

static const char *without_end_slashes(struct arena *a, const char *text)
{
	size_t len = strlen(text);

	while (len && text[len - 1] == '/')
		len--;
	return arena_strndup(a, text, len);
}

/* ---- lists ---- */

static void list_add(struct arena *a, struct config_list *list, struct str item)
{
	const char **items = arena_array(a, const char *, list->count + 1);

	item = utf8_trim(item);
	if (item.len == 0)
		return;
	if (list->count)
		memcpy(items, list->items, list->count * sizeof(*items));
	items[list->count++] = arena_strndup(a, item.ptr, item.len);
	list->items = items;
}

static struct config_list split_commas(struct arena *a, const char *text)
{
	struct config_list list = {.set = true};

	while (*text) {
		size_t len = strcspn(text, ",");

		list_add(a, &list, (struct str){text, len});
		text += len + (text[len] == ',');
	}
	return list;
}

static const char *parse_list(struct arena *a, const char *text, struct config_list *list)
{
	struct error err;
	cJSON *array, *item;

	if (text[0] != '[') {
		*list = split_commas(a, text);
		return NULL;
	}
	array = json_parse(a, str_of(text), &err);
	if (!array)
		return arena_printf(a, "a JSON array (%s)", err.text);
	*list = (struct config_list){.set = true};
	json_each(item, array) {
		if (!cJSON_IsString(item))
			return "an array of texts";
		list_add(a, list, str_of(item->valuestring));
	}
	return NULL;
}

/* ---- JSON ---- */

static const char *parse_json(struct arena *a, const struct config_variable *v, const char *text,
			      const cJSON **value)
{
	struct error err;
	const cJSON *parsed = json_parse(a, str_of(text), &err);
	const char *wrong;

	if (!parsed)
		return arena_printf(a, "JSON (%s)", err.text);
	wrong = v->shape ? v->shape(a, parsed) : NULL;
	if (!wrong)
		*value = parsed;
	return wrong;
}

static const char *parse_headers(struct arena *a, const char *text,
				 const struct http_header **headers)
{
	struct error err;
	const cJSON *parsed = json_parse(a, str_of(text), &err);

	if (!parsed)
		return arena_printf(a, "JSON (%s)", err.text);
	return config_parse_headers(a, parsed, headers);
}

/* JSON, or a comma list of ids. */
static const char *parse_models(struct arena *a, const struct config_variable *v, const char *text,
				const cJSON **value)
{
	struct config_list ids;
	cJSON *models;

	if (text[0] == '[' || text[0] == '{')
		return parse_json(a, v, text, value);
	ids = split_commas(a, text);
	models = json_array(a);
	for (size_t i = 0; i < ids.count; i++) {
		cJSON *model = json_object(a);

		json_set_text(a, model, "id", ids.items[i]);
		json_push(models, model);
	}
	*value = models;
	return NULL;
}

/* ---- by type ---- */

const char *config_expected(struct arena *a, const struct config_variable *v)
{
	const char *from = config_number_text(a, v->type, v->min);
	const char *to = config_number_text(a, v->type, v->max);

	switch (v->type) {
	case CONFIG_BOOL:
		return "true or false";
	case CONFIG_TEXT:
		return v->choices ? arena_printf(a, "one of %s", v->choices) : "a text";
	case CONFIG_LINE:
		return "a text in one line";
	case CONFIG_WEBHOOK:
		return "a URL such as https://example.com/hook, or directus:USER-ID";
	case CONFIG_BASE_URL:
		return "a URL such as https://example.com/v1, without ? and #";
	case CONFIG_REDIS:
		return "redis://host:port, rediss://host:port or unix:/path";
	case CONFIG_ADDRESS:
		return "host:port, :port or a port";
	case CONFIG_NAME:
		return "a name of letters, digits, _ - . : { }";
	case CONFIG_CHOICE:
		return arena_printf(a, "one of %s", v->choices);
	case CONFIG_LIST:
		return "a comma list";
	case CONFIG_NUMBER:
		return arena_printf(a, "a whole number from %s to %s", from, to);
	case CONFIG_DURATION:
		return arena_printf(a, "a time such as 500ms, 15s, 5m or 24h, from %s to %s", from,
				    to);
	case CONFIG_SIZE:
		return arena_printf(a, "a size such as 4096, 64kb or 1mb, from %s to %s", from, to);
	case CONFIG_JSON:
	case CONFIG_HEADERS:
		return "JSON";
	case CONFIG_MODELS:
		return "JSON or a comma list";
	}
	return "";
}

static const char *parse_amount(struct arena *a, const struct config_variable *v, const char *text,
				uint64_t *number)
{
	uint64_t found;

	if (!config_parse_number(v->type, text, &found) || found < v->min || found > v->max)
		return config_expected(a, v);
	*number = found;
	return NULL;
}

static const char *parse_choice(struct arena *a, const struct config_variable *v, const char *text,
				unsigned *choice)
{
	int place = find_choice(text, v->choices);

	if (place < 0)
		return config_expected(a, v);
	*choice = (unsigned)place;
	return NULL;
}

static const char *parse_text(struct arena *a, const struct config_variable *v, const char *text,
			      const char **field)
{
	if (v->choices ? find_choice(text, v->choices) < 0 : !is_text_of(v->type, text))
		return config_expected(a, v);
	*field = v->type == CONFIG_BASE_URL ? without_end_slashes(a, text) : arena_strdup(a, text);
	return NULL;
}

const char *config_parse(struct arena *a, const struct config_variable *v, const char *text,
			 void *field)
{
	struct str trimmed = utf8_trim(str_of(config_skip_prefix(v->type, text)));

	if (v->type != CONFIG_TEXT)
		text = arena_strndup(a, trimmed.ptr, trimmed.len);
	else
		text = config_skip_prefix(v->type, text);
	switch (v->type) {
	case CONFIG_BOOL:
		return parse_bool(text, field) ? NULL : config_expected(a, v);
	case CONFIG_NUMBER:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return parse_amount(a, v, text, field);
	case CONFIG_LIST:
		return parse_list(a, text, field);
	case CONFIG_JSON:
		return parse_json(a, v, text, field);
	case CONFIG_HEADERS:
		return parse_headers(a, text, field);
	case CONFIG_MODELS:
		return parse_models(a, v, text, field);
	case CONFIG_TEXT:
	case CONFIG_LINE:
	case CONFIG_WEBHOOK:
	case CONFIG_BASE_URL:
	case CONFIG_REDIS:
	case CONFIG_ADDRESS:
	case CONFIG_NAME:
		return parse_text(a, v, text, field);
	case CONFIG_CHOICE:
		return parse_choice(a, v, text, field);
	}
	return "";
}
