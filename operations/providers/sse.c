#include "operations/providers/sse.h"

void sse_init(struct sse *s, size_t max, void (*event)(void *arg, struct str name, struct str data),
	      void *arg)
{
	*s = (struct sse){.event = event, .arg = arg, .at_start = true};
	buf_init(&s->line, max);
	buf_init(&s->name, max);
	buf_init(&s->data, max);
}

void sse_clear(struct sse *s)
{
	buf_clear(&s->line);
	buf_clear(&s->name);
	buf_clear(&s->data);
}

bool sse_failed(const struct sse *s)
{
	return buf_overflowed(&s->line) || buf_overflowed(&s->name) || buf_overflowed(&s->data);
}

static void give_out(struct sse *s)
{
	if (s->has_data && !sse_failed(s))
		s->event(s->arg, buf_str(&s->name), buf_str(&s->data));
	s->has_data = false;
	if (sse_failed(s))
		return;
	buf_reset(&s->name);
	buf_reset(&s->data);
}

static void add_data(struct sse *s, struct str value)
{
	if (s->has_data)
		(void)buf_add_char(&s->data, '\n');
	(void)buf_add_str(&s->data, value);
	s->has_data = true;
}

static void take_line(struct sse *s)
{
	struct str line = buf_str(&s->line);
	const char *colon;
	struct str field = line, value = {NULL, 0};

	if (s->at_start && str_starts(line, STR("\xEF\xBB\xBF")))
		line = field = (struct str){line.ptr + 3, line.len - 3};
	s->at_start = false;
	if (line.len == 0) {
		give_out(s);
		return;
	}
	colon = memchr(line.ptr, ':', line.len);
	if (colon) {
		field.len = (size_t)(colon - line.ptr);
		value = (struct str){colon + 1, line.len - field.len - 1};
		if (value.len && value.ptr[0] == ' ')
			value = (struct str){value.ptr + 1, value.len - 1};
	}
	if (str_is(field, "data")) {
		add_data(s, value);
	} else if (str_is(field, "event")) {
		buf_reset(&s->name);
		(void)buf_add_str(&s->name, value);
	}
}

static size_t line_length(struct str piece)
{
	size_t i = 0;

	while (i < piece.len && piece.ptr[i] != '\n' && piece.ptr[i] != '\r')
		i++;
	return i;
}

void sse_feed(struct sse *s, struct str piece)
{
	while (piece.len && !sse_failed(s)) {
		size_t len;

		/* The \n of a \r\n that was cut in two. */
		if (s->after_cr && piece.ptr[0] == '\n')
			piece = (struct str){piece.ptr + 1, piece.len - 1};
		s->after_cr = false;
		len = line_length(piece);
		(void)buf_add(&s->line, piece.ptr, len);
		if (len == piece.len)
			return;
		s->after_cr = piece.ptr[len] == '\r';
		piece = (struct str){piece.ptr + len + 1, piece.len - len - 1};
		take_line(s);
		if (!sse_failed(s))
			buf_reset(&s->line);
	}
}

void sse_end(struct sse *s)
{
	if (sse_failed(s))
		return;
	if (s->line.len)
		take_line(s);
	give_out(s);
}
