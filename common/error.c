#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	const char *name;
	bool retry;
} codes[] = {
#define X(code, code_name, may_retry) [ERR_##code] = {code_name, may_retry},
	ERROR_CODES(X)
#undef X
};

/* A text that vsnprintf has cut may end inside a UTF-8 character: take the piece away. */
static void drop_broken_character(char *text)
{
	size_t end = strlen(text), start = end;

	while (start > 0 && end - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
		start--;
	if (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0xC0)
		text[start - 1] = '\0';
}

void error_set(struct error *err, enum error_code code, const char *format, ...)
{
	struct error made = {.code = code};
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(made.text, sizeof(made.text), format, args);
	va_end(args);
	if (length >= (int)sizeof(made.text))
		drop_broken_character(made.text);
	*err = made; /* the arguments may have pointed into *err */
}

const char *error_code_name(enum error_code code)
{
	return codes[code].name;
}

const char *error_name(const struct error *err)
{
	return err->name[0] ? err->name : codes[err->code].name;
}

bool error_is_retryable(const struct error *err)
{
	if (err->code == ERR_NAMED)
		return err->status == 408 || err->status == 429 || err->status >= 500;
	return codes[err->code].retry;
}
