/* operations/regex.h: regular expressions that come from users: PCRE2, set up to be near to what
 * JavaScript understands, with limits on the work that a search may cause. */
#ifndef OPERATIONS_REGEX_H
#define OPERATIONS_REGEX_H

#include "common/arena.h"
#include "common/error.h"

struct regex;

/* Gives itself back with the arena. NULL and ERR_INVALID_PAYLOAD: what is wrong with it. */
struct regex *regex_compile(struct arena *a, struct str pattern, struct error *err) NODISCARD;

enum regex_result { REGEX_FOUND, REGEX_NOT_FOUND, REGEX_TOO_MUCH_WORK };
enum regex_result regex_search(const struct regex *r, struct str text);

#endif
