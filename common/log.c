/* A line is made in one buffer and written at once, so that lines of several processes on the same
 * descriptor do not mix. */
#include "common/log.h"

#include "common/arena.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/secrets.h"
#include "common/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A text is cut at TEXT_MAX bytes, of which each may become six. */
enum { TEXT_MAX = 1000, LINE_MAX_BYTES = 256 * 1024 };

static enum log_level current_level = LOG_INFO;
static enum log_style current_style = LOG_STYLE_RAW;

static const char *const level_names[] = {
#define X(constant, name) [LOG_##constant] = (name),
	LOG_LEVELS(X)
#undef X
};

/* For terminals: red, red, yellow, green, blue, grey. */
static const char *const level_colours[] = {
	[LOG_SILENT] = "",        [LOG_FATAL] = "\033[1;31m", [LOG_ERROR] = "\033[31m",
	[LOG_WARN] = "\033[33m",  [LOG_INFO] = "\033[32m",    [LOG_DEBUG] = "\033[34m",
	[LOG_TRACE] = "\033[90m",
};

void log_configure(enum log_level level, enum log_style style)
{
	current_level = level;
	current_style = style;
}

bool log_is_on(enum log_level level)
{
	return level <= current_level && level != LOG_SILENT;
}

/* ---- texts ---- */

/* One character so that it stays in the line and does nothing to a terminal; length 0: a byte that
 * is none. */
static void add_character(struct buf *line, uint32_t code, struct str bytes, bool json)
{
	if (bytes.len == 0)
		(void)buf_add_text(line, "\xEF\xBF\xBD"); /* U+FFFD */
	else if (code == '\n' || code == '\t')
		(void)buf_add_text(line, code == '\n' ? "\\n" : "\\t");
	else if (code < 0x20 || (code >= 0x7F && code < 0xA0))
		(void)buf_printf(line, "\\u%04x", code);
	else if (json && (code == '"' || code == '\\'))
		(void)buf_printf(line, "\\%c", (char)code);
	else
		(void)buf_add_str(line, bytes);
}

static void add_escaped(struct buf *line, struct str text, bool json)
{
	size_t at = 0;

	while (at < text.len && at < TEXT_MAX) {
		struct str rest = {text.ptr + at, text.len - at};
		size_t length = utf8_strict(rest), next = 0;
		uint32_t code = length ? utf8_next(rest, &next) : UTF8_REPLACEMENT;

		add_character(line, code, (struct str){rest.ptr, length}, json);
		at += length ? length : 1;
	}
	if (at < text.len)
		(void)buf_printf(line, "… (%zu bytes)", text.len);
}

static void add_number(struct buf *line, double number)
{
	if (!isfinite(number))
		(void)buf_add_text(line, "null");
	else if (number == floor(number) && fabs(number) < 1e15)
		(void)buf_printf(line, "%.0f", number + 0.0); /* -0 is 0 */
	else
		(void)buf_printf(line, "%.15g", number);
}

static void add_value(struct buf *line, struct arena *a, const struct log_field *field, bool json)
{
	switch (field->kind) {
	case LOG_KIND_TEXT:
		if (json)
			(void)buf_add_char(line, '"');
		add_escaped(line, secrets_mask(a, field->text), json);
		if (json)
			(void)buf_add_char(line, '"');
		break;
	case LOG_KIND_NUMBER:
		add_number(line, field->number);
		break;
	case LOG_KIND_BOOL:
		(void)buf_add_text(line, field->number != 0.0 ? "true" : "false");
		break;
	case LOG_KIND_END:
		break;
	}
}

/* A text that is NULL is not there. */
static bool is_there(const struct log_field *field)
{
	return field->kind != LOG_KIND_TEXT || field->text.ptr != NULL;
}

/* ---- lines ---- */

static void add_time(struct buf *line, uint64_t at_ms, bool json)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm parts;
	char text[32];

	(void)gmtime_r(&seconds, &parts);
	(void)strftime(text, sizeof(text), json ? "%Y-%m-%dT%H:%M:%S" : "%H:%M:%S", &parts);
	(void)buf_printf(line, "%s.%03u%s", text, (unsigned)(at_ms % 1000), json ? "Z" : "");
}

static void format_raw(struct buf *out, struct arena *a, const struct log_line *line)
{
	(void)buf_add_text(out, "{\"time\":\"");
	add_time(out, line->at_ms, true);
	(void)buf_printf(out, "\",\"level\":\"%s\",\"message\":\"", level_names[line->level]);
	add_escaped(out, secrets_mask(a, str_of(line->message)), true);
	(void)buf_add_char(out, '"');
	for (const struct log_field *f = line->fields; f->kind != LOG_KIND_END; f++)
		if (is_there(f)) {
			(void)buf_printf(out, ",\"%s\":", f->name);
			add_value(out, a, f, true);
		}
	(void)buf_add_text(out, "}\n");
}

static void format_pretty(struct buf *out, struct arena *a, const struct log_line *line,
			  bool colours)
{
	(void)buf_add_char(out, '[');
	add_time(out, line->at_ms, false);
	(void)buf_printf(out, "] %s%-5s%s ", colours ? level_colours[line->level] : "",
			 level_names[line->level], colours ? "\033[0m" : "");
	add_escaped(out, secrets_mask(a, str_of(line->message)), false);
	for (const struct log_field *f = line->fields; f->kind != LOG_KIND_END; f++)
		if (is_there(f)) {
			(void)buf_printf(out, colours ? "  \033[90m%s=\033[0m" : "  %s=", f->name);
			add_value(out, a, f, false);
		}
	(void)buf_add_char(out, '\n');
}

void log_format(struct buf *out, const struct log_line *line, enum log_style style, bool colours)
{
	struct arena *a = arena_new();

	if (style == LOG_STYLE_PRETTY)
		format_pretty(out, a, line, colours);
	else
		format_raw(out, a, line);
	arena_free(a);
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields)
{
	struct log_line line = {wall_ms(), level, message, fields};
	struct buf out;
	struct str text;

	buf_init(&out, LINE_MAX_BYTES);
	log_format(&out, &line, current_style, isatty(STDERR_FILENO) == 1);
	text = buf_str(&out);
	while (text.len > 0) {
		ssize_t written = write(STDERR_FILENO, text.ptr, text.len);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break; /* there is nobody left to tell */
		text.ptr += written;
		text.len -= (size_t)written;
	}
	buf_clear(&out);
}
