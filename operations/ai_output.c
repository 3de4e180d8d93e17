#include "operations/ai_output.h"

#include "common/utf8.h"
#include "operations/html.h"
#include "operations/schema.h"

/* ---- how it ended ---- */

static bool is_blank(struct str text)
{
	return utf8_trim(text).len == 0;
}

/* A text that was cut off is delivered with that flag; where its form or length matters half of it
 * is worth nothing. */
static bool check_length_end(const struct ai_request *r, const struct llm_call *c,
			     struct error *err)
{
	bool matters = r->format == OUTPUT_JSON || r->min_length || r->max_length;

	if (c->answer.finish != FINISH_LENGTH || (!matters && !is_blank(c->answer.text)))
		return true;
	return fail(err, ERR_OUTPUT_TRUNCATED,
		    "the answer was cut off at %u tokens%s: raise option 'maxTokens'",
		    c->question.max_tokens,
		    is_blank(c->answer.text) && c->answer.usage.reasoning
			    ? ", all of them used for reasoning"
			    : "");
}

static bool check_end(const struct ai_request *r, const struct llm_call *c, struct error *err)
{
	const char *detail = c->answer.detail ? c->answer.detail : "no reason given";

	if (c->answer.finish == FINISH_FILTERED)
		return fail(err, ERR_CONTENT_FILTERED,
			    "%s refused to answer, or its filter cut the answer off (%.60s)",
			    c->target.config->id, detail);
	if (c->answer.finish == FINISH_TOOL)
		return fail(err, ERR_INVALID_RESPONSE,
			    "%s wants to call a tool, and none was offered (%.60s)",
			    c->target.config->id, detail);
	return check_length_end(r, c, err);
}

/* ---- what is around it ---- */

/* ```json … ``` */
static struct str without_fence(struct str text)
{
	const char *line;

	text = utf8_trim(text);
	if (!str_starts(text, STR("```")) || text.len < 7 ||
	    memcmp(text.ptr + text.len - 3, "```", 3) != 0)
		return text;
	line = memchr(text.ptr, '\n', text.len);
	if (!line || line + 1 > text.ptr + text.len - 3)
		return text;
	return utf8_trim((struct str){line + 1, text.len - 3 - (size_t)(line + 1 - text.ptr)});
}

/* A value in the midst of other words: from the first bracket to the last one. */
static struct str from_bracket(struct str text)
{
	size_t from = 0, to = text.len;

	while (from < text.len && text.ptr[from] != '{' && text.ptr[from] != '[')
		from++;
	while (to > from && text.ptr[to - 1] != '}' && text.ptr[to - 1] != ']')
		to--;
	return (struct str){text.ptr + from, to - from};
}

/* "…" around the whole of it, as models like to give a single sentence. */
static struct str without_quotes(struct str text)
{
	static const char *const pairs[][2] = {
		{"\"",           "\""          },
                {"\xE2\x80\x9C", "\xE2\x80\x9D"},
                {"\xE2\x80\x9E", "\xE2\x80\x9C"},
		{"'",            "'"           },
                {"\xC2\xAB",     "\xC2\xBB"    },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct str open = str_of(pairs[i][0]), close = str_of(pairs[i][1]);
		struct str inner;

		if (text.len < open.len + close.len + 1 || !str_starts(text, open) ||
		    memcmp(text.ptr + text.len - close.len, close.ptr, close.len) != 0)
			continue;
		inner = (struct str){text.ptr + open.len, text.len - open.len - close.len};
		/* "A" and "B" are two quotations, not one. */
		if (memmem(inner.ptr, inner.len, open.ptr, open.len) ||
		    memmem(inner.ptr, inner.len, close.ptr, close.len))
			return text;
		return utf8_trim(inner);
	}
	return text;
}

/* Local models put what they think before the answer. */
static struct str without_thoughts(struct str text, struct ai_output *out, struct arena *a)
{
	struct str trimmed = utf8_trim(text);
	const char *end;

	if (!str_starts(trimmed, STR("<think>")))
		return text;
	end = memmem(trimmed.ptr, trimmed.len, "</think>", 8);
	if (!end)
		return text;
	if (!out->reasoning)
		out->reasoning = arena_strndup(a, trimmed.ptr + 7, (size_t)(end - trimmed.ptr) - 7);
	return utf8_trim((struct str){end + 8, trimmed.len - (size_t)(end + 8 - trimmed.ptr)});
}

/* ---- its form ---- */

static bool read_json(const struct ai_request *r, struct str text, struct ai_output *out,
		      struct arena *a, struct error *err)
{
	struct str faults = {NULL, 0};
	struct error why, ignored;

	text = without_fence(text);
	out->data = json_parse_rounding(a, text, &why);
	if (!out->data)
		out->data = json_parse_rounding(a, from_bracket(text), &ignored);
	if (!out->data)
		return fail(err, ERR_INVALID_OUTPUT, "the answer is no JSON: %s", why.text);
	if (r->schema)
		faults = schema_validate(a, r->schema, out->data);
	if (faults.len)
		return fail(err, ERR_INVALID_OUTPUT, "the answer does not fit the schema: %.*s",
			    STR_ARGS(faults));
	out->content = json_print(a, out->data).ptr;
	return true;
}

/* What a model writes ends up on public pages. */
static bool clean_html(struct str *text, struct arena *a, struct error *err)
{
	struct error why;

	if (!html_sanitize(a, *text, text, &why))
		return fail(err, ERR_INVALID_OUTPUT, "%s", why.text);
	if (is_blank(*text))
		return fail(err, ERR_INVALID_OUTPUT, "the answer holds no HTML that may be shown");
	return true;
}

static bool is_end_of_word(struct str text, size_t at)
{
	size_t next = at;

	return at >= text.len || utf8_is_space(utf8_next(text, &next));
}

/* At most max characters, whole words; a text without a space is cut where it must be. */
static struct str cut_at_word(struct str text, size_t max)
{
	struct str cut = utf8_first(text, max);
	size_t len = cut.len;

	while (len && !is_end_of_word(text, len)) {
		len--;
		while (len && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
			len--;
	}
	cut.len = len ? len : cut.len;
	cut = utf8_trim(cut);
	while (cut.len && strchr(",;:-", cut.ptr[cut.len - 1]))
		cut = utf8_trim((struct str){cut.ptr, cut.len - 1});
	return cut;
}

static bool check_length(const struct ai_request *r, bool last, struct ai_output *out,
			 struct arena *a, struct error *err)
{
	struct str text = str_of(out->content);
	size_t count = utf8_count(text);

	if (r->min_length && count < r->min_length)
		return fail(err, ERR_INVALID_OUTPUT,
			    "the answer has %zu characters, and must have at least %u", count,
			    r->min_length);
	if (!r->max_length || count <= r->max_length)
		return true;
	if (!last || r->format == OUTPUT_JSON)
		return fail(err, ERR_INVALID_OUTPUT,
			    "the answer has %zu characters, and must have at most %u", count,
			    r->max_length);
	text = cut_at_word(text, r->max_length);
	out->content = arena_strndup(a, text.ptr, text.len);
	out->cut = true;
	return true;
}

bool ai_output_read(const struct ai_request *r, const struct llm_call *c, bool last,
		    struct ai_output *out, struct error *err)
{
	struct arena *a = c->op->arena;
	struct str text = c->answer.text;

	*out = (struct ai_output){.content = ""};
	if (c->answer.reasoning.len)
		out->reasoning = arena_strndup(a, c->answer.reasoning.ptr, c->answer.reasoning.len);
	if (!check_end(r, c, err))
		return false;
	out->truncated = c->answer.finish == FINISH_LENGTH;
	text = without_thoughts(text, out, a);
	if (is_blank(text))
		return fail(err, ERR_INVALID_OUTPUT, "the answer is empty");
	if (r->format == OUTPUT_JSON)
		return read_json(r, text, out, a, err);
	if (r->format != OUTPUT_TEXT)
		text = without_fence(text);
	if (r->preset || r->max_length)
		text = without_quotes(utf8_trim(text));
	if (r->format == OUTPUT_HTML && !clean_html(&text, a, err))
		return false;
	out->content = arena_strndup(a, text.ptr, text.len);
	return check_length(r, last, out, a, err);
}
