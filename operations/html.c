/* The parser's memory is an arena of its own, given back at once: gumbo gives its tree back by
 * recursion, which a deep tree would turn into a crash. Since its work grows with length times depth,
 * the depth is estimated, and refused, before it sees the text. */
#include "operations/html.h"

#include "common/buf.h"

#include <gumbo.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 12, WALK_MAX = 4 * HTML_DEPTH_MAX };

enum fate { KEEP, KEEP_CONTENT, DROP };

/* Attributes: "!" in front of a link's, "#" of a number's. */
static const struct element {
	const char *name, *attributes;
} kept[] = {
	{"a",          "!href title"                  },
	{"abbr",       "title"			},
	{"article",    ""			     },
	{"aside",      ""			     },
	{"b",          ""			     },
	{"blockquote", "!cite"                        },
	{"br",         ""			     },
	{"caption",    ""			     },
	{"cite",       ""			     },
	{"code",       ""			     },
	{"dd",         ""			     },
	{"del",        "!cite"			},
	{"details",    ""			     },
	{"dfn",        "title"			},
	{"dl",         ""			     },
	{"dt",         ""			     },
	{"em",         ""			     },
	{"figcaption", ""			     },
	{"figure",     ""			     },
	{"h1",         ""			     },
	{"h2",         ""			     },
	{"h3",         ""			     },
	{"h4",         ""			     },
	{"h5",         ""			     },
	{"h6",         ""			     },
	{"hr",         ""			     },
	{"i",          ""			     },
	{"img",        "!src alt title #width #height"},
	{"ins",        "!cite"			},
	{"kbd",        ""			     },
	{"li",         "#value"		       },
	{"mark",       ""			     },
	{"ol",         "#start"		       },
	{"p",          ""			     },
	{"pre",        ""			     },
	{"q",          "!cite"			},
	{"s",          ""			     },
	{"samp",       ""			     },
	{"section",    ""			     },
	{"small",      ""			     },
	{"strong",     ""			     },
	{"sub",        ""			     },
	{"summary",    ""			     },
	{"sup",        ""			     },
	{"table",      ""			     },
	{"tbody",      ""			     },
	{"td",         "#colspan #rowspan"            },
	{"tfoot",      ""			     },
	{"th",         "#colspan #rowspan"            },
	{"thead",      ""			     },
	{"time",       "datetime"                     },
	{"tr",         ""			     },
	{"u",          ""			     },
	{"ul",         ""			     },
	{"var",        ""			     },
	{"wbr",        ""			     },
};

/* Those that go with all that is in them. */
static const char dropped[] = " applet audio base button canvas datalist dialog embed form frame "
			      "frameset head iframe input keygen link map math meta noembed "
			      "noframes noscript object option param plaintext script select "
			      "source style svg template textarea title track video xmp ";

static const char empty[] =
	" area base br col embed hr img input link meta param source track wbr ";

/* Those that end where the next one begins: they are never deeper than what is around them. */
static const char implied[] =
	" body dd dt html li optgroup option p rb rp rt rtc tbody td tfoot th thead tr ";

static bool is_listed(const char *list, struct str name)
{
	for (const char *at = strchr(list, ' '); at; at = strchr(at + 1, ' '))
		if (strncasecmp(at + 1, name.ptr, name.len) == 0 && at[1 + name.len] == ' ')
			return true;
	return false;
}

/* ---- depth ---- */

struct open_tags {
	char names[HTML_DEPTH_MAX][NAME_MAX_BYTES + 1]; /* cut: two long names may count as one */
	size_t count;
};

/* A tag counts until its own end tag, whatever ends in between: the parser may keep it that long. */
static bool note_tag(struct open_tags *open, struct str name, bool is_end)
{
	char cut[NAME_MAX_BYTES + 1] = "";

	if (is_listed(empty, name) || is_listed(implied, name))
		return true;
	for (size_t i = 0; i < name.len && i < NAME_MAX_BYTES; i++)
		cut[i] = name.ptr[i];
	for (size_t i = open->count; is_end && i > 0; i--) {
		if (strcasecmp(open->names[i - 1], cut) != 0)
			continue;
		memmove(open->names[i - 1], open->names[i],
			(open->count - i) * sizeof(open->names[0]));
		open->count--;
		return true;
	}
	if (is_end)
		return true;
	if (open->count == HTML_DEPTH_MAX)
		return false;
	memcpy(open->names[open->count++], cut, sizeof(cut));
	return true;
}

/* Whatever looks like a tag counts as one, also in a comment: better too deep than too late. */
static bool is_flat_enough(struct str html)
{
	struct open_tags open = {.count = 0};
	const char *at = html.ptr, *end = html.ptr + html.len;

	while (at < end && (at = memchr(at, '<', (size_t)(end - at)))) {
		bool is_end = at + 1 < end && at[1] == '/';
		struct str name = {at + 1 + is_end, 0};

		while (name.ptr + name.len < end && !strchr(" \t\n\f\r/>", name.ptr[name.len]))
			name.len++;
		if (name.len > 0 && (name.ptr[0] | 0x20) >= 'a' && (name.ptr[0] | 0x20) <= 'z' &&
		    !note_tag(&open, name, is_end))
			return false;
		at++;
	}
	return true;
}

/* ---- writing ---- */

static void write_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '&')
			buf_add_text(out, "&amp;");
		else if (c == '<')
			buf_add_text(out, "&lt;");
		else if (c == '>')
			buf_add_text(out, "&gt;");
		else if (c == '"')
			buf_add_text(out, "&quot;");
		else if (c >= 0x20 || c == '\n' || c == '\t')
			buf_add_char(out, *text);
	}
}

/* ---- links ---- */

/* A browser leaves control characters and spaces out before it looks at the scheme. */
static char *without_controls(struct arena *a, const char *url)
{
	char *clean = arena_strdup(a, url), *to = clean;

	for (const char *c = clean; *c; c++)
		if ((unsigned char)*c > 0x20 && *c != 0x7F)
			*to++ = *c;
	*to = '\0';
	return clean;
}

static bool is_good_link(const char *url, bool is_image)
{
	static const char *const schemes[] = {"http", "https", "mailto", "tel"};
	size_t scheme = strcspn(url, ":/?#");

	if (url[scheme] != ':')
		return true; /* relative */
	for (size_t i = 0; i < ARRAY_LEN(schemes) - (is_image ? 2 : 0); i++)
		if (strlen(schemes[i]) == scheme && strncasecmp(url, schemes[i], scheme) == 0)
			return true;
	return false;
}

static bool is_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits > 0 && digits < 6 && text[digits] == '\0';
}

/* ---- the tree ---- */

struct walk {
	struct arena *arena;
	struct buf out;
	unsigned depth;
};

static void write_children(struct walk *w, const GumboVector *children);

/* kind is '!' for a link, '#' for a number, else 0 */
static void write_attribute(struct walk *w, const GumboElement *element, char kind, struct str name)
{
	const char *key = arena_strndup(w->arena, name.ptr, name.len), *value;
	const GumboAttribute *found = gumbo_get_attribute(&element->attributes, key);

	if (!found)
		return;
	value = found->value;
	if (kind == '!') {
		value = without_controls(w->arena, value);
		if (!is_good_link(value, element->tag == GUMBO_TAG_IMG))
			return;
	}
	if (kind == '#' && !is_number(value))
		return;
	buf_printf(&w->out, " %s=\"", key);
	write_escaped(&w->out, value);
	buf_add_char(&w->out, '"');
}

static void write_element(struct walk *w, const GumboElement *element, const struct element *as)
{
	buf_printf(&w->out, "<%s", as->name);
	for (const char *at = as->attributes; *at; at += strspn(at, " ")) {
		char kind = *at == '!' || *at == '#' ? *at : '\0';
		struct str name = {at + (kind != '\0'), 0};

		name.len = strcspn(name.ptr, " ");
		write_attribute(w, element, kind, name);
		at = name.ptr + name.len;
	}
	buf_add_char(&w->out, '>');
	if (element->tag == GUMBO_TAG_PRE) /* the parser takes a line's end here for none */
		buf_add_char(&w->out, '\n');
	if (is_listed(empty, str_of(as->name)))
		return;
	write_children(w, &element->children);
	buf_printf(&w->out, "</%s>", as->name);
}

static enum fate fate_of(const GumboElement *element, const struct element **as)
{
	struct str name = str_of(gumbo_normalized_tagname(element->tag));

	if (element->tag_namespace != GUMBO_NAMESPACE_HTML || is_listed(dropped, name))
		return DROP;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (!str_is(name, kept[i].name))
			continue;
		*as = &kept[i];
		return KEEP;
	}
	return KEEP_CONTENT;
}

static void write_node(struct walk *w, const GumboNode *node)
{
	const struct element *as = NULL;

	switch (node->type) {
	case GUMBO_NODE_TEXT:
	case GUMBO_NODE_CDATA:
	case GUMBO_NODE_WHITESPACE:
		write_escaped(&w->out, node->v.text.text);
		return;
	case GUMBO_NODE_ELEMENT:
		break;
	case GUMBO_NODE_DOCUMENT:
	case GUMBO_NODE_COMMENT:
	case GUMBO_NODE_TEMPLATE:
		return;
	}
	switch (fate_of(&node->v.element, &as)) {
	case KEEP:
		write_element(w, &node->v.element, as);
		return;
	case KEEP_CONTENT:
		write_children(w, &node->v.element.children);
		return;
	case DROP:
		return;
	}
}

static void write_children(struct walk *w, const GumboVector *children)
{
	if (w->depth >= WALK_MAX) /* the estimate makes sure that it is not */
		return;
	w->depth++;
	for (unsigned i = 0; i < children->length; i++)
		write_node(w, children->data[i]);
	w->depth--;
}

/* ---- */

static void *allocate(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void forget(void *arena, void *ptr)
{
	(void)arena, (void)ptr;
}

static void parse_and_write(struct walk *w, struct str html)
{
	GumboOptions options = kGumboDefaultOptions;
	struct arena *tree = arena_new();
	const GumboOutput *parsed;

	options.allocator = allocate;
	options.deallocator = forget;
	options.userdata = tree;
	options.max_errors = 0;
	parsed = gumbo_parse_with_options(&options, html.ptr, html.len);
	write_node(w, parsed->root);
	arena_free(tree);
}

bool html_sanitize(struct arena *a, struct str html, struct str *clean, struct error *err)
{
	struct walk w = {.arena = a};

	if (html.len > HTML_BYTES_MAX)
		return fail(err, ERR_INVALID_PAYLOAD, "HTML of %zu bytes, expected at most %d",
			    html.len, HTML_BYTES_MAX);
	if (!is_flat_enough(html))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "HTML with elements nested deeper than %d, or as many tags that are "
			    "not ended",
			    HTML_DEPTH_MAX);
	buf_init(&w.out, (size_t)8 * HTML_BYTES_MAX);
	if (html.len > 0)
		parse_and_write(&w, html);
	*clean = arena_str(a, buf_str(&w.out));
	buf_clear(&w.out);
	return true;
}
