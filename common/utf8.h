/* common/utf8.h: the few things to know about UTF-8.
 *
 * Strings in JSON trees are WTF-8: UTF-8 in which a lone half of a surrogate pair, which JavaScript
 * strings may hold, is kept as its three bytes. Bytes from outside are UTF-8 and nothing else. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/arena.h"

enum { UTF8_MAX = 4, UTF8_REPLACEMENT = 0xFFFD };

/* The character at *at, which is moved behind it. A byte that belongs to none is U+FFFD. Surrogates
 * are characters here. */
uint32_t utf8_next(struct str s, size_t *at);

/* Writes a character (no more than UTF8_MAX bytes, no NUL) and returns its length. */
size_t utf8_write(uint32_t character, char *to);

/* The length of the strict UTF-8 character at the front of s; 0: there is none. */
size_t utf8_strict(struct str s);

size_t utf8_count(struct str s);                 /* characters */
size_t utf8_units(struct str s);                 /* JavaScript's .length: UTF-16 units */
struct str utf8_first(struct str s, size_t max); /* its first max characters */
struct str utf8_cut(struct str s,
		    size_t max_bytes); /* whole characters, no more than so many bytes */

/* What JavaScript's trim() and \s call white space. */
bool utf8_is_space(uint32_t character);
struct str utf8_trim(struct str s);

/* By the tables of Unicode, a character for a character, whatever the locale of the process is. */
struct str utf8_lower(struct arena *a, struct str s);
struct str utf8_upper(struct arena *a, struct str s);
uint32_t utf8_to_lower(uint32_t character);
bool utf8_is_alnum(uint32_t character);

#endif
