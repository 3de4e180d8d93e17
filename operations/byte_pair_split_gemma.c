#include "operations/byte_pair_split_gemma.h"

enum { LONGEST_RUN = 31 };

static const char *const tags[] = {
	"table", "caption", "thead", "tbody", "tfoot", "tr",         "th",     "td",    "h1",
	"h2",    "h3",      "h4",    "h5",    "h6",    "blockquote", "strong", "em",    "b",
	"i",     "u",       "s",     "sub",   "sup",   "code",       "a",      "html",  "body",
	"img",   "span",    "bbox",  "ul",    "li",    "div",        "iframe", "footer"};

/* Behind a tag that is a token; where it began: it is none. */
static size_t tag(struct str text, size_t at)
{
	size_t from = at + 1, end;

	if (from < text.len && text.ptr[from] == '/')
		from++;
	for (end = from; end < text.len && end - from < 11 && text.ptr[end] != '>';)
		end++;
	if (end >= text.len || text.ptr[end] != '>')
		return at;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++)
		if (strlen(tags[i]) == end - from &&
		    memcmp(tags[i], text.ptr + from, end - from) == 0)
			return end + 1;
	return at;
}

static bool stops(struct str text, size_t at)
{
	char c = text.ptr[at];

	return c == ' ' || c == '\n' || c == '\t' || (c == '<' && tag(text, at) > at);
}

static size_t run(struct str text, size_t at, size_t most)
{
	size_t end = at;

	while (end < text.len && end - at < most && text.ptr[end] == text.ptr[at])
		end++;
	return end;
}

size_t gemma_next(struct str text, size_t at)
{
	char c = text.ptr[at];
	size_t end = at;

	if (c == '\n' || c == '\t')
		return run(text, at, LONGEST_RUN);
	if (c == '<' && (end = tag(text, at)) > at)
		return end;
	if (c == ' ')
		end = run(text, at, SIZE_MAX);
	while (end < text.len && !stops(text, end))
		end++;
	return end;
}
