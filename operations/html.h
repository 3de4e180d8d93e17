/* operations/html.h: HTML from a model, made harmless: only the elements and attributes that text is
 * made of are left (headings, paragraphs, lists, tables, quotes, code, emphasis, links, images).
 *
 * It is parsed as a browser parses it (libgumbo, the HTML5 algorithm) and written anew: what is not
 * on the list cannot be in what comes out. Scripts, styles, frames, forms and such go with all that
 * is in them; of any other unknown element the content stays. No class, id, style or on… attribute
 * stays; a link is http, https, mailto, tel or relative. */
#ifndef OPERATIONS_HTML_H
#define OPERATIONS_HTML_H

#include "common/arena.h"
#include "common/error.h"

enum { HTML_DEPTH_MAX = 200, HTML_BYTES_MAX = 4 * 1024 * 1024 };

/* ERR_INVALID_PAYLOAD: longer than HTML_BYTES_MAX, or nested deeper than HTML_DEPTH_MAX. */
bool html_sanitize(struct arena *a, struct str html, struct str *clean,
		   struct error *err) NODISCARD;

#endif
