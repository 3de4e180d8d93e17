/* What can be said of requests, replies and URLs without a connection. */
#include "common/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <strings.h>

static bool is_token(const char *text)
{
	for (const char *c = text; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("!#$%&'*+-.^_`|~", *c))
			return false;
	return text[0] != '\0';
}

/* A line end in a value would be a header of its own, of whoever wrote the value. */
bool http_check(const struct http_request *req, struct error *err)
{
	if (!is_token(req->method))
		return fail(err, ERR_INVALID_PAYLOAD, "'%.20s' is no HTTP method", req->method);
	for (const char *c = req->url; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '\\')
			return fail(err, ERR_INVALID_PAYLOAD,
				    "the URL has a space, a backslash or a control character at "
				    "position %d",
				    (int)(c - req->url) + 1);
	for (const struct http_header *h = req->headers; h && h->name; h++) {
		if (!is_token(h->name))
			return fail(err, ERR_INVALID_PAYLOAD, "'%.40s' is no header name", h->name);
		if (strpbrk(h->value, "\r\n"))
			return fail(err, ERR_INVALID_PAYLOAD,
				    "the value of header '%.40s' has a line end", h->name);
	}
	return true;
}

const char *http_url_join(struct arena *a, const char *base, const char *reference)
{
	CURLU *url = curl_url();
	char *joined = NULL;
	const char *copy = NULL;

	if (url && curl_url_set(url, CURLUPART_URL, base, 0) == CURLUE_OK &&
	    curl_url_set(url, CURLUPART_URL, reference, CURLU_URLENCODE) == CURLUE_OK &&
	    curl_url_get(url, CURLUPART_URL, &joined, 0) == CURLUE_OK)
		copy = arena_strdup(a, joined);
	curl_free(joined);
	curl_url_cleanup(url);
	return copy;
}

const char *http_reply_header(const struct http_call *c, const char *name)
{
	for (size_t i = 0; i < c->header_count; i++)
		if (strcasecmp(c->headers[i].name, name) == 0)
			return c->headers[i].value;
	return NULL;
}
