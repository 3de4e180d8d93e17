/* operations/request_text.h: how the request operation writes what it was given: as Directus does
 * through axios and encodeurl, oddities included. Pure functions. */
#ifndef OPERATIONS_REQUEST_TEXT_H
#define OPERATIONS_REQUEST_TEXT_H

#include "common/http.h"
#include "common/json.h"

/* Spaces, other characters than ASCII and a "%" that encodes nothing are percent-encoded; what is
 * encoded already stays. */
const char *request_url(struct arena *a, const char *url);

struct request_text {
	struct http_header *headers; /* ends with {NULL} */
	struct str body;
};

struct request_parts {
	const char *method;
	const cJSON *headers; /* [{"header","value"}], or an object; or NULL */
	const cJSON *body;    /* any value; NULL: none */
};

/* Without a header written exactly "Content-Type", whatever is JSON (also a text that is) goes as
 * application/json, over a header in another spelling; a plain text, or nothing, in a POST, PUT or
 * PATCH as a form. With one: a text for
 * a JSON type that is no JSON is quoted, an object for a form is written as a form. */
bool request_write(struct arena *a, const struct request_parts *parts, struct request_text *out,
		   struct error *err) NODISCARD;

/* What came: JSON wherever it parses, else the text, with U+FFFD for what is no text. */
cJSON *request_read(struct arena *a, struct str body);

#endif
