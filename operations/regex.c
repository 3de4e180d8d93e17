#define PCRE2_CODE_UNIT_WIDTH 8
#include "operations/regex.h"

#include <pcre2.h>

/* ^(a+)+$ on 41 bytes takes 132 ms without a limit, and 0.2 ms with MATCH_LIMIT. That begins anew at
 * each place of the text, so what a search does in all is limited, too, by the parts of the pattern
 * that it tries: (a?){14}[bc] on 200 kB would take a minute. A list of fifty words tries 40 for each
 * byte, (\w+\s)*end 16; a try takes 10 ns. */
enum {
	MATCH_LIMIT = 50000,
	DEPTH_LIMIT = 2000,
	HEAP_KIB = 4096,
	PATTERN_MAX = 10000,
	TRIES_LEAST = 500000,
	TRIES_PER_BYTE = 100
};

struct regex {
	pcre2_code *code;
	bool counts; /* it counts what it tries */
	pcre2_match_context *context;
	pcre2_match_data *found;
};

static void free_regex(void *arg)
{
	struct regex *r = arg;

	pcre2_match_data_free(r->found);
	pcre2_match_context_free(r->context);
	pcre2_code_free(r->code);
}

static pcre2_code *compile(struct str pattern, uint32_t more, int *code, PCRE2_SIZE *offset)
{
	/* \uXXXX, [], $ only at the very end, and references to groups that took no part */
	const uint32_t options = PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS | PCRE2_DOLLAR_ENDONLY |
				 PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C |
				 PCRE2_MATCH_INVALID_UTF | PCRE2_UTF;
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	pcre2_code *compiled;

	if (context)
		(void)pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
	compiled = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options | more, code, offset,
				 context);
	pcre2_compile_context_free(context);
	return compiled;
}

struct regex *regex_compile(struct arena *a, struct str pattern, struct error *err)
{
	struct regex *r = arena_make(a, struct regex);
	PCRE2_UCHAR text[128] = "out of memory";
	PCRE2_SIZE offset = 0;
	int code = 0;

	if (pattern.len > PATTERN_MAX) {
		(void)fail(err, ERR_INVALID_PAYLOAD,
			   "a regular expression of %zu bytes, expected at most %d", pattern.len,
			   PATTERN_MAX);
		return NULL;
	}
	/* a callout before each part makes some patterns too large */
	r->code = compile(pattern, PCRE2_AUTO_CALLOUT, &code, &offset);
	r->counts = r->code != NULL;
	if (!r->code)
		r->code = compile(pattern, 0, &code, &offset);
	if (!r->code) {
		if (code)
			(void)pcre2_get_error_message(code, text, sizeof(text));
		(void)fail(err, ERR_INVALID_PAYLOAD,
			   "Invalid regular expression: /%.*s/: %s at position %zu",
			   (int)size_min(pattern.len, 80), pattern.ptr, (char *)text,
			   (size_t)offset);
		return NULL;
	}
	arena_defer(a, free_regex, r);
	r->found = pcre2_match_data_create(1, NULL);
	r->context = pcre2_match_context_create(NULL);
	if (r->context) {
		(void)pcre2_set_depth_limit(r->context, DEPTH_LIMIT);
		(void)pcre2_set_heap_limit(r->context, HEAP_KIB);
	}
	return r;
}

static int count_try(pcre2_callout_block *block, void *left)
{
	(void)block;
	return --*(uint64_t *)left > 0 ? 0 : PCRE2_ERROR_CALLOUT;
}

enum regex_result regex_search(const struct regex *r, struct str text)
{
	uint64_t left = TRIES_LEAST + (uint64_t)TRIES_PER_BYTE * text.len;
	uint64_t each = r->counts ? MATCH_LIMIT : left / (text.len + 1);
	int result;

	if (!r->found || !r->context)
		return REGEX_TOO_MUCH_WORK;
	(void)pcre2_set_match_limit(r->context, (uint32_t)u64_min(each, MATCH_LIMIT));
	(void)pcre2_set_callout(r->context, count_try, &left);
	result = pcre2_match(r->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""), text.len, 0, 0,
			     r->found, r->context);
	if (result >= 0)
		return REGEX_FOUND;
	return result == PCRE2_ERROR_NOMATCH ? REGEX_NOT_FOUND : REGEX_TOO_MUCH_WORK;
}
