/* The format of .env files, as people write it for Directus:
 *
 *	NAME=value            # comment; in a value without quotes every # begins one
 *	export NAME = "a\nb"  double quotes: \n and \r are line breaks; may go over several lines
 *	NAME='{"a": 1}'       single quotes and backquotes: as it stands
 *	NAME: value           a colon and a space do as well
 *
 * A quote that is not closed at the end of its line, or of the text, is a character like others.
 * The last of several lines for the same name wins. */
#include "common/config_parts.h"

#include "common/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct env_variable *env_find(struct env *env, const char *name)
{
	for (size_t i = 0; i < env->count; i++)
		if (strcmp(env->items[i].name, name) == 0)
			return &env->items[i];
	return NULL;
}

static struct env_variable *add(struct config_reader *r, const char *name)
{
	struct env *env = &r->env;

	if (env->count == env->size) {
		struct env_variable *larger;

		env->size = env->size ? env->size * 2 : 64;
		larger = arena_array(r->a, struct env_variable, env->size);
		if (env->count)
			memcpy(larger, env->items, env->count * sizeof(*larger));
		env->items = larger;
	}
	env->items[env->count] = (struct env_variable){.name = name};
	return &env->items[env->count++];
}

void env_add_environment(struct config_reader *r, const char *const *environment)
{
	for (; environment && *environment; environment++) {
		const char *equals = strchr(*environment, '=');
		const char *name;

		if (!equals)
			continue;
		name = arena_strndup(r->a, *environment, (size_t)(equals - *environment));
		if (!env_find(&r->env, name))
			add(r, name)->value = arena_strdup(r->a, equals + 1);
	}
}

/* ---- .env ---- */

/* What is being read. Every text is followed by a NUL. */
struct scan {
	const char *at, *end;
	unsigned line;
};

static bool is_name(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\f' || c == '\v';
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

static const char *line_end(const struct scan *s)
{
	const char *end = memchr(s->at, '\n', (size_t)(s->end - s->at));

	return end ? end : s->end;
}

/* "export" and blanks; the name follows. */
static void skip_export(struct scan *s)
{
	if (s->end - s->at > 7 && memcmp(s->at, "export", 6) == 0 && is_blank(s->at[6])) {
		s->at += 6;
		skip_blanks(s);
	}
}

static struct str scan_name(struct scan *s)
{
	struct str name = {s->at, 0};

	while (s->at < s->end && is_name(*s->at))
		s->at++;
	name.len = (size_t)(s->at - name.ptr);
	return name;
}

static bool skip_equals(struct scan *s)
{
	if (s->end - s->at > 1 && *s->at == ':' && is_blank(s->at[1])) {
		s->at++;
	} else {
		skip_blanks(s);
		if (s->at == s->end || *s->at != '=')
			return false;
		s->at++;
	}
	skip_blanks(s);
	return true;
}

/* The place of the quote that ends the value, behind which there is only a comment; or NULL. */
static const char *closing_quote(const struct scan *s)
{
	char quote = *s->at;

	for (const char *c = s->at + 1; c < s->end; c++) {
		if (*c == '\\' && c + 1 < s->end && c[1] == quote) {
			c++;
		} else if (*c == quote) {
			struct scan behind = {c + 1, s->end, 0};

			skip_blanks(&behind);
			return behind.at == s->end || *behind.at == '\n' || *behind.at == '#'
				       ? c
				       : NULL;
		}
	}
	return NULL;
}

static const char *expand(struct arena *a, struct str text)
{
	char *copy = arena_strndup(a, text.ptr, text.len), *to = copy;

	for (const char *from = copy; *from; from++)
		if (from[0] == '\\' && (from[1] == 'n' || from[1] == 'r'))
			*to++ = *++from == 'n' ? '\n' : '\r';
		else
			*to++ = *from;
	*to = '\0';
	return copy;
}

static unsigned count_lines(struct str text)
{
	unsigned count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '\n';
	return count;
}

static const char *scan_quoted(struct config_reader *r, struct scan *s, const char *close)
{
	struct str text = {s->at + 1, (size_t)(close - s->at - 1)};
	char quote = *s->at;

	s->line += count_lines(text);
	s->at = close + 1;
	return quote == '"' ? expand(r->a, text) : arena_strndup(r->a, text.ptr, text.len);
}

/* To the end of the line or to a comment; quotes around all of it are taken away. */
static const char *scan_plain(struct config_reader *r, struct scan *s)
{
	const char *end = line_end(s);
	const char *comment = memchr(s->at, '#', (size_t)(end - s->at));
	struct str text = {s->at, (size_t)((comment ? comment : end) - s->at)};
	char quote;

	while (text.len && is_blank(text.ptr[text.len - 1]))
		text.len--;
	s->at = end;
	quote = text.len ? text.ptr[0] : 'x';
	if (text.len < 2 || !strchr("'\"`", quote) || text.ptr[text.len - 1] != quote)
		return arena_strndup(r->a, text.ptr, text.len);
	text = (struct str){text.ptr + 1, text.len - 2};
	return quote == '"' ? expand(r->a, text) : arena_strndup(r->a, text.ptr, text.len);
}

static const char *scan_value(struct config_reader *r, struct scan *s)
{
	const char *close;

	if (s->at == s->end || !*s->at || !strchr("'\"`", *s->at))
		return scan_plain(r, s);
	close = closing_quote(s);
	return close ? scan_quoted(r, s, close) : scan_plain(r, s);
}

static void keep(struct config_reader *r, struct str name, const char *value, unsigned line)
{
	const char *copy = arena_strndup(r->a, name.ptr, name.len);
	struct env_variable *there = env_find(&r->env, copy);

	if (there && there->line == 0)
		return; /* the environment wins */
	if (!there)
		there = add(r, copy);
	there->value = value;
	there->line = line;
}

static void scan_line(struct config_reader *r, struct scan *s)
{
	unsigned line = s->line;
	struct str name;

	skip_blanks(s);
	if (s->at == s->end || *s->at == '\n' || *s->at == '#')
		return;
	skip_export(s);
	name = scan_name(s);
	if (name.len == 0 || !skip_equals(s)) {
		config_warning(r, "%s line %u is not NAME=value and is left out", r->env.file,
			       line);
		return;
	}
	keep(r, name, scan_value(r, s), line);
}

/* CR LF and CR alone become LF; a NUL would end values before their time. */
static struct str clean(struct arena *a, struct str text)
{
	char *copy = arena_alloc(a, text.len + 1);
	size_t len = 0, i = 0;

	if (str_starts(text, STR("\xEF\xBB\xBF")))
		i = 3;
	for (; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '\r') {
			c = '\n';
			i += i + 1 < text.len && text.ptr[i + 1] == '\n';
		}
		copy[len++] = c ? c : ' ';
	}
	return (struct str){copy, len};
}

void env_add_text(struct config_reader *r, struct str text)
{
	struct str cleaned = clean(r->a, text);
	struct scan s = {cleaned.ptr, cleaned.ptr + cleaned.len, 1};

	while (s.at < s.end) {
		scan_line(r, &s);
		s.at = line_end(&s);
		if (s.at < s.end) {
			s.at++;
			s.line++;
		}
	}
}

/* ---- files ---- */

static const char *read_all(struct arena *a, int fd, struct buf *b, size_t *len, const char **why)
{
	char piece[4096];
	ssize_t got;

	while ((got = read(fd, piece, sizeof(piece))) > 0)
		if (!buf_add(b, piece, (size_t)got)) {
			*why = arena_printf(a, "longer than %zu bytes", b->max);
			return NULL;
		}
	if (got < 0) {
		*why = arena_strdup(a, strerror(errno));
		return NULL;
	}
	*len = buf_str(b).len;
	return arena_strndup(a, buf_str(b).ptr, *len);
}

const char *env_read_file(struct arena *a, const char *path, size_t max, size_t *len,
			  const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *text;
	struct buf b;

	if (fd < 0) {
		*why = arena_strdup(a, strerror(errno));
		return NULL;
	}
	buf_init(&b, max);
	text = read_all(a, fd, &b, len, why);
	buf_clear(&b);
	(void)close(fd);
	return text;
}
