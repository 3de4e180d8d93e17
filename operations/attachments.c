#include "operations/attachments.h"

#include "common/utf8.h"
#include "operations/media.h"
#include "operations/services.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

enum { UUID_LENGTH = 36, URL_TIMEOUT_MS = 30000 };

static task_step begin, next, described, ask_bytes, got_bytes, got_url;

static struct attachments_call *attachments_of(struct task *t)
{
	return container_of(t, struct attachments_call, task);
}

static const char *const pictures[] = {"image/jpeg", "image/png", "image/gif", "image/webp"};

static bool is_picture(const char *type)
{
	for (size_t i = 0; type && i < ARRAY_LEN(pictures); i++)
		if (strcasecmp(pictures[i], type) == 0)
			return true;
	return false;
}

static bool is_text_type(const char *type)
{
	static const char *const others[] = {"application/json", "application/xml",
					     "application/x-yaml"};

	if (!type || strncasecmp(type, "text/", 5) == 0)
		return type != NULL;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strncasecmp(others[i], type, strlen(others[i])) == 0)
			return true;
	return false;
}

static bool is_uuid(const char *text, size_t len)
{
	if (len != UUID_LENGTH)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return false;
	}
	return true;
}

/* ---- one after the other ---- */

static enum task_next begin(struct task *t)
{
	const struct attachments_call *c = attachments_of(t);

	if (json_count(c->list) > ATTACHMENTS_MAX)
		return task_fail(t, ERR_ATTACHMENT_TOO_LARGE,
				 "option 'attachments' holds %zu files, more than %d",
				 json_count(c->list), ATTACHMENTS_MAX);
	return task_go(t, next);
}

/* The id in "<our Directus>/assets/<id>…", or in a bare "/assets/<id>…". */
static const char *own_asset(const struct attachments_call *c, const char *url)
{
	const struct directus *d = c->op->use->directus;
	const char *path = url;
	size_t len;

	if (d && strncmp(url, directus_url(d), strlen(directus_url(d))) == 0)
		path = url + strlen(directus_url(d));
	if (strncmp(path, "/assets/", 8) != 0)
		return NULL;
	path += 8;
	len = strcspn(path, "/?#");
	return is_uuid(path, len) ? arena_strndup(c->op->arena, path, len) : NULL;
}

static enum task_next ask_file(struct attachments_call *c)
{
	struct directus_request req = {
		.method = "GET",
		.path = arena_printf(c->op->arena, "/files/%s", c->id),
		.query = "fields=id,type,filesize,width,height,filename_download",
		.user_agent = directus_user_agent(c->op->arena, c->op->job_id,
						  c->op->origin ? c->op->origin->chain_id : NULL,
						  c->op->origin ? c->op->origin->depth : 0),
		.may_be_new = true,
		.is_bulk = c->op->origin && c->op->origin->is_bulk,
	};

	if (!c->op->use->directus)
		return task_fail(&c->task, ERR_INVALID_PAYLOAD,
				 "option 'attachments' names a file, and DIRECTUS_URL is not set");
	directus_start(c->op->use->directus, &c->directus, &req, c->op->arena);
	return task_await(&c->task, &c->directus.task.call, described);
}

static enum task_next ask_url(struct attachments_call *c, const char *url)
{
	if (strncasecmp(url, "https://", 8) != 0 && strncasecmp(url, "http://", 7) != 0)
		return task_fail(&c->task, ERR_INVALID_PAYLOAD,
				 "option 'attachments': '%.80s' is no http or https address", url);
	c->request = (struct http_request){.method = "GET",
					   .url = url,
					   .timeout_ms = URL_TIMEOUT_MS,
					   .max_reply = ATTACHMENT_MAX_BYTES,
					   .repeatable = true,
					   .guarded = true};
	http_start(c->op->use->http, &c->http, &c->request, c->op->arena);
	return task_await_either(&c->task, &c->http.call, got_url);
}

/* What an item names: an id, an address, or both in one text. */
static void read_item(struct attachments_call *c, const char **id, const char **url)
{
	*id = cJSON_IsString(c->item) ? c->item->valuestring : json_get_text(c->item, "fileId");
	if (!*id)
		*id = json_get_text(c->item, "id");
	*url = json_get_text(c->item, "url");
	if (*id && strchr(*id, '/')) {
		*url = *url ? *url : *id;
		*id = NULL;
	}
	if (!*id && *url)
		*id = own_asset(c, *url);
}

static enum task_next next(struct task *t)
{
	struct attachments_call *c = attachments_of(t);
	const char *url;

	if (!c->item)
		return task_end(t);
	c->name = c->mime = NULL;
	c->try = 0;
	read_item(c, &c->id, &url);
	if (!c->id && url && strchr(url, ':'))
		return ask_url(c, url);
	if (!c->id)
		return task_fail(t, ERR_INVALID_PAYLOAD,
				 "option 'attachments' holds %s '%.60s', expected {type: file, "
				 "fileId}",
				 json_type_name(c->item), url ? url : "");
	if (!is_uuid(c->id, strlen(c->id)))
		return task_fail(t, ERR_INVALID_PAYLOAD,
				 "option 'attachments': '%.60s' is not the id of a file", c->id);
	return ask_file(c);
}

/* ---- a file of Directus ---- */

static enum task_next described(struct task *t)
{
	struct attachments_call *c = attachments_of(t);
	const cJSON *file = c->directus.data;
	double size = json_get_number(file, "filesize", 0);

	c->mime = json_get_text(file, "type");
	c->name = json_get_text(file, "filename_download");
	if (!is_picture(c->mime) && !is_text_type(c->mime) &&
	    (!c->mime || strcmp(c->mime, "application/pdf") != 0))
		return task_fail(t, ERR_ATTACHMENT_UNSUPPORTED,
				 "file '%s' is of type %s: models take JPEG, PNG, GIF, WebP, PDF "
				 "and text",
				 c->id, c->mime ? c->mime : "unknown");
	/* Pictures are made smaller by Directus; what they are then is checked when they come. */
	if ((!is_picture(c->mime) || !c->resize) && size > ATTACHMENT_MAX_BYTES)
		return task_fail(t, ERR_ATTACHMENT_TOO_LARGE,
				 "file '%s' has %.0f bytes, more than %d", c->id, size,
				 ATTACHMENT_MAX_BYTES);
	if (!is_picture(c->mime) || !c->resize)
		c->try = 2;
	return task_go(t, ask_bytes);
}

/* A project may forbid sizes of one's own (settings, transformations): then the largest one that
 * Directus itself uses, which is always allowed; then the original. */
static const char *asset_query(const struct attachments_call *c)
{
	if (c->try == 0)
		return arena_printf(c->op->arena,
				    "width=%u&height=%u&fit=inside&withoutEnlargement=true",
				    c->resize, c->resize);
	return c->try == 1 ? "key=system-large-contain" : NULL;
}

static enum task_next ask_bytes(struct task *t)
{
	struct attachments_call *c = attachments_of(t);
	struct directus_request req = {
		.method = "GET",
		.path = arena_printf(c->op->arena, "/assets/%s", c->id),
		.query = asset_query(c),
		.accept = is_picture(c->mime) ? "image/jpeg, image/png" : NULL,
		.user_agent = c->directus.req.user_agent,
		.is_bulk = c->directus.req.is_bulk,
		.max_reply = ATTACHMENT_MAX_BYTES,
		.raw = true,
	};

	directus_start(c->op->use->directus, &c->directus, &req, c->op->arena);
	return task_await_either(t, &c->directus.task.call, got_bytes);
}

static bool take(struct attachments_call *c, struct str bytes, struct error *err);

static enum task_next got_bytes(struct task *t)
{
	struct attachments_call *c = attachments_of(t);
	struct error *failed = &c->directus.task.call.err, err;

	if (failed->code != ERR_OK && c->directus.status == 400 && c->try < 2) {
		c->try++;
		return task_go(t, ask_bytes);
	}
	if (failed->code == ERR_INVALID_RESPONSE && c->directus.http.status == 200)
		return task_fail(t, ERR_ATTACHMENT_TOO_LARGE, "file '%s' has more than %d bytes",
				 c->id, ATTACHMENT_MAX_BYTES);
	if (failed->code != ERR_OK)
		return task_fail_as(t, failed);
	if (!take(c, c->directus.http.body, &err))
		return task_fail_as(t, &err);
	return task_go(t, next);
}

/* ---- an address ---- */

static enum task_next got_url(struct task *t)
{
	struct attachments_call *c = attachments_of(t);
	const struct error *failed = &c->http.call.err;
	struct error err;

	if (failed->code == ERR_FORBIDDEN || failed->code == ERR_INVALID_PAYLOAD)
		return task_fail(t, ERR_INVALID_PAYLOAD, "option 'attachments': %s", failed->text);
	if (failed->code == ERR_INVALID_RESPONSE)
		return task_fail(t, ERR_ATTACHMENT_TOO_LARGE, "'%.100s' has more than %d bytes",
				 c->request.url, ATTACHMENT_MAX_BYTES);
	if (failed->code != ERR_OK)
		return task_fail(t, ERR_ATTACHMENT_UNSUPPORTED, "'%.100s' can not be read: %s",
				 c->request.url, failed->text);
	if (c->http.status != 200)
		return task_fail(t, ERR_ATTACHMENT_UNSUPPORTED,
				 "'%.100s' answered with status %d, expected 200", c->request.url,
				 c->http.status);
	c->id = c->request.url;
	c->mime = http_reply_header(&c->http, "content-type");
	if (!take(c, c->http.body, &err))
		return task_fail_as(t, &err);
	return task_go(t, next);
}

/* ---- what came ---- */

static bool is_utf8(struct str bytes)
{
	for (size_t at = 0; at < bytes.len;) {
		size_t len = utf8_strict((struct str){bytes.ptr + at, bytes.len - at});

		if (len == 0 || bytes.ptr[at] == '\0')
			return false;
		at += len;
	}
	return true;
}

static bool take(struct attachments_call *c, struct str bytes, struct error *err)
{
	struct llm_part *part = &c->parts[c->count];
	struct media media = media_sniff(bytes);
	struct arena *a = c->op->arena;

	*part = (struct llm_part){.media_type = media.type,
				  .name = c->name,
				  .detail = json_get_text(c->item, "detail"),
				  .width = media.width,
				  .height = media.height};
	if (media.type && is_picture(media.type)) {
		if (!media.width || !media.height)
			return fail(err, ERR_ATTACHMENT_UNSUPPORTED,
				    "'%.100s' begins like %s, and is no picture that can be read",
				    c->id, media.type);
		part->kind = PART_IMAGE;
		part->base64 = media_base64(a, bytes);
	} else if (media.type) {
		part->kind = PART_DOCUMENT;
		part->base64 = media_base64(a, bytes);
	} else if (is_text_type(c->mime) && is_utf8(bytes)) {
		part->kind = PART_TEXT;
		part->text = arena_strndup(a, bytes.ptr, bytes.len);
	} else {
		return fail(err, ERR_ATTACHMENT_UNSUPPORTED,
			    "'%.100s' is said to be %.60s, and is neither that nor anything else "
			    "that models take",
			    c->id, c->mime ? c->mime : "of no type");
	}
	c->count++;
	c->item = c->item->next;
	return true;
}

void attachments_start(struct attachments_call *c, struct op_call *op, const cJSON *list,
		       uint32_t resize)
{
	size_t count = json_count(list);

	c->op = op;
	c->list = list;
	c->resize = resize;
	c->count = 0;
	c->item = list ? list->child : NULL;
	c->parts = arena_array(op->arena, struct llm_part, count + 1);
	task_start(&c->task, op->use->loop, begin);
}
