/* common/log.h: one line for each event, on standard error.
 *
 *	log_write(LOG_INFO, "job done", LOG_TEXT("job", id), LOG_NUMBER("ms", ms), LOG_END);
 *	log_write(LOG_ERROR, "redis lost", LOG_FAILURE(&err), LOG_END);
 *
 * Raw style is one JSON object a line ({"time","level","message",fields...}), pretty is for people.
 * Whatever a text holds, it stays in its line: control characters are escaped, invalid UTF-8 becomes
 * U+FFFD, long texts are cut, and every text passes secrets_mask() first. Fields are not evaluated
 * when the level is off.
 *
 * The level and the style are the only mutable globals of the program besides the set of secrets:
 * a log that must be handed through every function is a log that is not written. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "common/error.h"

/* X(constant, name): Directus' names, the gravest first. */
#define LOG_LEVELS(X)       \
	X(SILENT, "silent") \
	X(FATAL, "fatal")   \
	X(ERROR, "error")   \
	X(WARN, "warn")     \
	X(INFO, "info")     \
	X(DEBUG, "debug")   \
	X(TRACE, "trace")

enum log_level {
#define X(constant, name) LOG_##constant,
	LOG_LEVELS(X)
#undef X
};

enum log_style { LOG_STYLE_RAW, LOG_STYLE_PRETTY };

enum log_kind { LOG_KIND_END, LOG_KIND_TEXT, LOG_KIND_NUMBER, LOG_KIND_BOOL };

struct log_field {
	enum log_kind kind;
	const char *name; /* a literal of ours */
	struct str text;
	double number;
};

#define LOG_STR(name, value)    log_field_text((name), (value))
#define LOG_TEXT(name, value)   log_field_text((name), str_of(value)) /* NULL: left out */
#define LOG_NUMBER(name, value) log_field_number(LOG_KIND_NUMBER, (name), (double)(value))
#define LOG_BOOL(name, value)   log_field_number(LOG_KIND_BOOL, (name), (value) ? 1 : 0)
#define LOG_FAILURE(err)        LOG_TEXT("code", error_name(err)), LOG_TEXT("error", (err)->text)
#define LOG_END                 log_field_number(LOG_KIND_END, NULL, 0)

static inline struct log_field log_field_text(const char *name, struct str text)
{
	return (struct log_field){.kind = LOG_KIND_TEXT, .name = name, .text = text};
}

static inline struct log_field log_field_number(enum log_kind kind, const char *name, double number)
{
	return (struct log_field){.kind = kind, .name = name, .number = number};
}

#define log_write(level, message, ...)                                                     \
	(log_is_on(level)                                                                  \
		 ? log_fields((level), (message), (const struct log_field[]){__VA_ARGS__}) \
		 : (void)0)

/* Before this: level info, style raw. */
void log_configure(enum log_level level, enum log_style style);
bool log_is_on(enum log_level level);

/* What log_write() stands for. */
void log_fields(enum log_level level, const char *message, const struct log_field *fields);

/* The line as it is written, with its line feed. */
struct buf;
struct log_line {
	uint64_t at_ms;
	enum log_level level;
	const char *message;
	const struct log_field *fields;
};
void log_format(struct buf *out, const struct log_line *line, enum log_style style, bool colours);

#endif
