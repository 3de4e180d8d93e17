/* The answer to a question: text made of the request, and what it costs. README.md has the rule. */
#include "simulator.h"

enum { QUOTED_WORDS = 12 };

long tokens_of(size_t bytes)
{
	return (long)((bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN);
}

long question_tokens(const struct question *q)
{
	return tokens_of(q->text_bytes) + TOKENS_PER_ATTACHMENT * q->attachments;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The first words of a text with single spaces between them. */
static void add_words(struct buf *out, struct str text, int words)
{
	for (size_t i = 0; i < text.len; i++) {
		bool starts_word = i > 0 && is_blank(text.ptr[i - 1]);
		if (is_blank(text.ptr[i]))
			continue;
		if (starts_word && --words == 0)
			return;
		if (starts_word)
			buf_add_char(out, ' ');
		buf_add_char(out, text.ptr[i]);
	}
}

/* The first `bytes` bytes, less what would split a character. */
static struct str cut_text(struct str text, size_t bytes)
{
	if (bytes >= text.len)
		return text;
	while (bytes > 0 && ((unsigned char)text.ptr[bytes] & 0xC0) == 0x80)
		bytes--;
	return (struct str){text.ptr, bytes};
}

struct str next_word(struct str *rest)
{
	struct str word = {rest->ptr, 0};

	while (word.len < rest->len && !is_blank(rest->ptr[word.len]))
		word.len++;
	while (word.len < rest->len && is_blank(rest->ptr[word.len]))
		word.len++;
	*rest = (struct str){rest->ptr + word.len, rest->len - word.len};
	return word;
}

static struct str plain_text(const struct question *q, uint64_t number)
{
	struct buf *out = buf_in(q->arena);

	buf_add_text(out, "SIMULATED answer");
	if (options.numbered)
		buf_printf(out, " %llu", (unsigned long long)number);
	buf_add_text(out, " to: ");
	add_words(out, q->user_text, QUOTED_WORDS);
	while (out->len < options.answer_bytes)
		buf_add_text(out, " and so on");
	return cut_text(buf_str(out), options.answer_bytes ? options.answer_bytes : out->len);
}

static struct str make_text(const struct question *q, uint64_t number)
{
	struct str text = plain_text(q, number);
	struct buf *out;

	if (q->schema)
		return schema_value(q->arena, q->schema, text);
	if (!q->wants_json)
		return text;
	out = buf_in(q->arena);
	buf_add_text(out, "{\"simulated\":");
	add_quoted(out, text);
	buf_add_char(out, '}');
	return buf_str(out);
}

static enum finish finish_named(const char *name, enum finish otherwise)
{
	static const char *const names[] = {"stop", "length", "filter", "refusal"};

	for (size_t i = 0; name && i < ARRAY_LEN(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (enum finish)i;
	return otherwise;
}

static void script_answer(struct answer *a, const struct fault *fault)
{
	const cJSON *usage = cJSON_GetObjectItemCaseSensitive(fault->json, "usage");

	a->finish = finish_named(field_text(fault->json, "finish"), a->finish);
	a->usage.input = (long)field_number(usage, "input", (double)a->usage.input);
	a->usage.cached = (long)field_number(usage, "cached", 0);
	a->usage.output = (long)field_number(usage, "output", (double)a->usage.output);
	a->usage.reasoning = (long)field_number(usage, "reasoning", (double)a->usage.reasoning);
}

struct answer answer_make(const struct question *q, const struct fault *fault, uint64_t number)
{
	const char *given = fault ? field_text(fault->json, "text") : NULL;
	const char *reasoning = fault ? field_text(fault->json, "reasoning") : NULL;
	struct answer a = {.number = number, .created = (long)(now_ms() / 1000)};

	a.text = given ? str_of(given) : make_text(q, number);
	a.reasoning = str_of(reasoning);
	if (!given && q->max_tokens > 0 && tokens_of(a.text.len) > q->max_tokens) {
		a.text = cut_text(a.text, (size_t)q->max_tokens * BYTES_PER_TOKEN);
		a.finish = FINISH_LENGTH;
	}
	a.usage.input = question_tokens(q);
	a.usage.reasoning = tokens_of(a.reasoning.len);
	a.usage.output = tokens_of(a.text.len) + a.usage.reasoning;
	if (fault)
		script_answer(&a, fault);
	return a;
}
