#include "worker/cli/csv.h"

#include "common/buf.h"
#include "common/utf8.h"

static bool is_end(char c)
{
	return c == '\n' || c == '\r';
}

static bool is_text(struct str s)
{
	while (s.len) {
		size_t n = utf8_strict(s);

		if (n == 0 || s.ptr[0] == '\0')
			return false;
		s = (struct str){s.ptr + n, s.len - n};
	}
	return true;
}

static char separator_of(struct str text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || c == ';' || c == '\t'))
			return c;
		else if (!quoted && is_end(c))
			break;
	}
	return ',';
}

void csv_start(struct csv *c, struct str text)
{
	*c = (struct csv){.text = text, .next_line = 1};
	if (str_starts(text, STR("\xEF\xBB\xBF")))
		c->at = 3;
	c->separator = separator_of((struct str){text.ptr + c->at, text.len - c->at});
}

static char peek(const struct csv *c)
{
	return c->at < c->text.len ? c->text.ptr[c->at] : '\n';
}

static void end_line(struct csv *c)
{
	if (peek(c) == '\r')
		c->at++;
	if (c->at < c->text.len && c->text.ptr[c->at] == '\n')
		c->at++;
	c->next_line++;
}

/* Behind the opening quote. */
static bool quoted_field(struct csv *c, struct buf *out, struct error *err)
{
	for (; c->at < c->text.len; c->at++) {
		char ch = c->text.ptr[c->at];

		if (ch == '"' && c->at + 1 < c->text.len && c->text.ptr[c->at + 1] == '"')
			c->at++;
		else if (ch == '"')
			break;
		if (ch == '\n')
			c->next_line++;
		(void)buf_add_char(out, ch);
	}
	if (c->at >= c->text.len)
		return fail(err, ERR_INVALID_PAYLOAD, "line %zu: a quote is not closed", c->line);
	c->at++;
	if (peek(c) != c->separator && !is_end(peek(c)))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "line %zu: found '%c' behind a closing quote, expected the separator "
			    "or the end of the line",
			    c->next_line, peek(c));
	return true;
}

static bool read_field(struct csv *c, struct arena *a, struct str *field, struct error *err)
{
	struct buf out;
	bool good = true;

	buf_init(&out, c->text.len + 1);
	if (peek(c) == '"') {
		c->at++;
		good = quoted_field(c, &out, err);
	} else {
		while (peek(c) != c->separator && !is_end(peek(c)))
			(void)buf_add_char(&out, c->text.ptr[c->at++]);
	}
	*field = arena_str(a, buf_str(&out));
	buf_clear(&out);
	if (good && !is_text(*field))
		return fail(err, ERR_INVALID_PAYLOAD,
			    "line %zu: this is no UTF-8 text: save the file as UTF-8", c->line);
	return good;
}

bool csv_row(struct csv *c, struct arena *a, struct csv_row *row, struct error *err)
{
	struct str fields[CSV_FIELDS_MAX];
	size_t count = 0;

	err->code = ERR_OK;
	while (c->at < c->text.len && is_end(c->text.ptr[c->at]))
		end_line(c);
	if (c->at >= c->text.len)
		return false;
	c->line = c->next_line;
	for (;;) {
		if (count == CSV_FIELDS_MAX)
			return fail(err, ERR_INVALID_PAYLOAD, "line %zu: more than %d fields",
				    c->line, CSV_FIELDS_MAX);
		if (!read_field(c, a, &fields[count++], err))
			return false;
		if (c->at >= c->text.len || peek(c) != c->separator)
			break;
		c->at++;
	}
	if (c->at < c->text.len)
		end_line(c);
	row->fields = arena_array(a, struct str, count);
	row->count = count;
	memcpy(row->fields, fields, count * sizeof(*fields));
	return true;
}

void csv_print(struct buf *out, struct str field)
{
	bool plain = true;

	for (size_t i = 0; i < field.len; i++)
		plain = plain && !strchr("\",;\t\r\n", field.ptr[i]);
	if (plain) {
		(void)buf_add_str(out, field);
		return;
	}
	(void)buf_add_char(out, '"');
	for (size_t i = 0; i < field.len; i++) {
		if (field.ptr[i] == '"')
			(void)buf_add_char(out, '"');
		(void)buf_add_char(out, field.ptr[i]);
	}
	(void)buf_add_char(out, '"');
}
