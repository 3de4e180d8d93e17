/* common/html_text.h: the text of a piece of HTML, for prompts.
 *
 * Tags and comments go, scripts and styles with what is in them; entities become characters; where a
 * block begins or ends there is a line's end. White space stays otherwise, but for that at both ends
 * and more than one empty line. It reads the bytes once from front to back whatever they are. This is
 * no defence against hostile HTML: what comes out is text, and < and > may be in it. */
#ifndef COMMON_HTML_TEXT_H
#define COMMON_HTML_TEXT_H

#include "common/arena.h"

struct str html_text(struct arena *a, struct str html);

/* The character of "amp", "#39", "#x27", "eacute"; 0: unknown. */
uint32_t html_entity(struct str name);

#endif
