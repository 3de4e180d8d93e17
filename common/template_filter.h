/* common/template_filter.h: the filters of templates.
 *
 *	truncate(n)    the first n characters (code points)
 *	strip_html     the text of HTML: no tags, scripts, styles or comments; blocks are lines
 *	json           the value's JSON text
 *	join(sep)      the items of an array as texts, with sep between them (", " if not given)
 *	default(x)     x where there is nothing, null or ""
 *	lower upper trim slugify
 *	first last     of an array; of a text its character; nothing if it is empty
 *	length         of an array, an object (members) or a text (code points)
 *
 * A text filter takes any value: null is "", what is no text is written as a tag within a text would
 * be. Where there is nothing, a filter other than `default` gives nothing. To add a filter: a function
 * and a line of the table. */
#ifndef COMMON_TEMPLATE_FILTER_H
#define COMMON_TEMPLATE_FILTER_H

#include "common/json.h"

enum { FILTERS_MAX = 10 };

struct filter;

struct filter_use {
	const struct filter *filter;
	const cJSON *argument; /* a number or a text; NULL: none */
};

struct filter_chain {
	struct str path; /* what stands before the first | */
	struct filter_use uses[FILTERS_MAX];
	size_t count;
};

/* "path | name | name(argument)". false: it is not that (err says why: no such filter, ...). A | in
 * quotes or brackets belongs to the path or the argument. */
bool filter_parse(struct arena *a, struct str text, struct filter_chain *chain,
		  struct error *err) NODISCARD;

/* value NULL: nothing. The result may be NULL, too. */
const cJSON *filter_apply(struct arena *a, const struct filter_chain *chain, const cJSON *value);

/* The value as a tag within a text writes it: a text as it is, anything else as JSON. */
struct str value_text(struct arena *a, const cJSON *value);

#endif
