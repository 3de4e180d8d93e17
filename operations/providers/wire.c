#include "operations/providers/wire.h"

#include <math.h>
#include <strings.h>

/* ---- requests ---- */

void wire_merge(struct arena *a, cJSON *into, const cJSON *from)
{
	const cJSON *member;

	json_each(member, from) {
		const cJSON *there = json_get(into, member->string);

		if (cJSON_IsObject(member) && cJSON_IsObject(there)) {
			cJSON *merged = json_copy(a, there);

			wire_merge(a, merged, member);
			json_set(a, into, member->string, merged);
		} else {
			json_set(a, into, member->string, json_share(a, member));
		}
	}
}

struct headers {
	struct http_header *list;
	size_t count;
};

/* The last one of a name counts. */
static void set_header(struct headers *h, const char *name, const char *value)
{
	size_t i = 0;

	if (!value)
		return;
	while (i < h->count && strcasecmp(h->list[i].name, name) != 0)
		i++;
	h->list[i] = (struct http_header){name, value};
	if (i == h->count)
		h->count++;
}

static void set_key(struct headers *h, const struct endpoint *e, const struct provider *p,
		    struct arena *a)
{
	enum auth_style auth = e->auth != AUTH_DEFAULT ? e->auth : p->default_auth;

	if (auth == AUTH_DEFAULT)
		auth = e->preset->auth;
	if (!e->key || !*e->key)
		return;
	switch (auth) {
	case AUTH_DEFAULT:
	case AUTH_BEARER:
		set_header(h, "Authorization", arena_printf(a, "Bearer %s", e->key));
		return;
	case AUTH_X_API_KEY:
		set_header(h, "x-api-key", e->key);
		return;
	case AUTH_API_KEY:
		set_header(h, "api-key", e->key);
		return;
	case AUTH_GOOGLE:
		set_header(h, "x-goog-api-key", e->key);
		return;
	case AUTH_NONE:
		return;
	}
}

static size_t header_count(const struct http_header *list)
{
	size_t count = 0;

	while (list && list[count].name)
		count++;
	return count;
}

const struct http_header *wire_headers(const struct wire_request *w, const struct endpoint *e,
				       const char *call_id, struct arena *a)
{
	const struct http_header *extra = w->extra;
	struct headers h = {NULL, 0};

	h.list = arena_array(a, struct http_header,
			     header_count(extra) + header_count(e->headers) + 8);
	set_header(&h, "Content-Type", "application/json");
	set_key(&h, e, w->provider, a);
	set_header(&h, "X-Client-Request-Id", call_id);
	for (size_t i = 0; extra && extra[i].name; i++)
		set_header(&h, extra[i].name, extra[i].value);
	for (size_t i = 0; e->headers && e->headers[i].name; i++)
		set_header(&h, e->headers[i].name, e->headers[i].value);
	return h.list;
}

static bool check_options(const cJSON *options, struct error *err)
{
	static const char *const fixed[] = {"model", "stream"};

	for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
		if (json_get(options, fixed[i]))
			return fail(err, ERR_INVALID_PAYLOAD,
				    "option 'providerOptions' may not set '%s'", fixed[i]);
	return true;
}

bool wire_write(const struct wire_request *w, const struct llm_question *q,
		const struct endpoint *e, struct arena *a, struct http_request *req,
		struct error *err)
{
	if (!check_options(q->options, err) || !check_options(q->model->options, err))
		return false;
	wire_merge(a, w->body, q->model->options);
	wire_merge(a, w->body, q->options);
	req->method = "POST";
	req->url = arena_printf(a, "%s%s", e->base_url, w->path);
	req->headers = wire_headers(w, e, q->call_id, a);
	req->body = json_print(a, w->body);
	return true;
}

void wire_keep_request(const struct http_request *from, struct arena *a, struct http_request *to)
{
	struct http_header *headers;
	size_t count = 0;

	while (from->headers && from->headers[count].name)
		count++;
	headers = arena_array(a, struct http_header, count + 1);
	for (size_t i = 0; i < count; i++)
		headers[i] = (struct http_header){arena_strdup(a, from->headers[i].name),
						  arena_strdup(a, from->headers[i].value)};
	*to = *from;
	to->url = arena_strdup(a, from->url);
	to->headers = headers;
	to->body = arena_str(a, from->body);
}

const char *wire_data_url(struct arena *a, const struct llm_part *part)
{
	return arena_printf(a, "data:%s;base64,%s", part->media_type, part->base64);
}

bool wire_is_plain_text(const struct llm_message *m)
{
	for (size_t i = 0; i < m->count; i++)
		if (m->parts[i].kind != PART_TEXT)
			return false;
	return true;
}

const char *wire_message_text(struct arena *a, const struct llm_message *m)
{
	const char *text = "";

	for (size_t i = 0; i < m->count; i++)
		if (m->parts[i].kind == PART_TEXT)
			text = *text ? arena_printf(a, "%s\n\n%s", text, m->parts[i].text)
				     : m->parts[i].text;
	return text;
}

void wire_set_maybe(struct arena *a, cJSON *body, const char *name, struct maybe value)
{
	if (value.set)
		json_set_number(a, body, name, value.value);
}

cJSON *wire_stop_list(struct arena *a, const char *const *stop)
{
	cJSON *list = json_array(a);

	for (size_t i = 0; stop && stop[i]; i++)
		json_push(list, json_text(a, stop[i]));
	return list;
}

/* ---- answers ---- */

uint64_t wire_count(const cJSON *object, const char *name)
{
	double number = json_get_number(object, name, 0);

	return number >= 1 && number < 1e15 ? (uint64_t)number : 0;
}

void wire_add(struct buf *b, const char *text)
{
	if (text)
		(void)buf_add_text(b, text);
}

struct str wire_keep(struct arena *a, struct buf *b)
{
	struct str text = arena_str(a, buf_str(b));

	buf_clear(b);
	return text;
}

const char *wire_keep_text(struct arena *a, const char *text)
{
	return text && *text ? arena_strdup(a, text) : NULL;
}
