#include "proxy.h"

#include <stdlib.h>

/* The head of a value is complete: "*3", "$5", ":1", "+OK", "-ERR ...". false: none of these. */
static bool take_head(struct resp *r)
{
	long long n;

	r->line[r->line_len] = '\0';
	n = strtoll(r->line + 1, NULL, 10);
	r->values--;
	switch (r->line[0]) {
	case '+':
	case '-':
	case ':':
		return true;
	case '$':
		r->skip = n < 0 ? 0 : (size_t)n + 2;
		r->is_first_word = n >= 0 && r->word_len == 0;
		return true;
	case '*':
		r->values += n > 0 ? n : 0;
		return true;
	default:
		return false;
	}
}

static size_t take_bulk(struct resp *r, const char *ptr, size_t len)
{
	size_t taken = size_min(len, r->skip);

	for (size_t i = 0; r->is_first_word && i < taken && r->skip - i > 2; i++)
		if (r->word_len + 1 < sizeof(r->word))
			r->word[r->word_len++] = ptr[i];
	r->skip -= taken;
	if (r->skip == 0)
		r->is_first_word = false;
	return taken;
}

/* A byte of a head's line; false: this is not the protocol. */
static bool take_line_byte(struct resp *r, char c)
{
	if (c == '\n') {
		if (!take_head(r))
			return false;
		r->line_len = 0;
	} else if (c != '\r' && r->line_len + 1 < sizeof(r->line)) {
		r->line[r->line_len++] = c; /* of a longer line, the beginning is all that counts */
	}
	return true;
}

size_t resp_scan(struct resp *r, const char *ptr, size_t len, bool *complete)
{
	size_t at = 0;

	*complete = false;
	if (r->values == 0)
		*r = (struct resp){.values = 1};
	if (r->line_len == 0 && r->skip == 0 && len && !strchr("+-:$*", ptr[0]))
		return 0;
	while (at < len && !*complete) {
		if (r->skip)
			at += take_bulk(r, ptr + at, len - at);
		else if (!take_line_byte(r, ptr[at++]))
			return 0;
		*complete = r->values == 0 && r->skip == 0;
	}
	return at;
}
