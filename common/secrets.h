/* common/secrets.h: what must never be seen, and the pen that blots it out.
 *
 * Config adds every key, token, password and header value. Whoever lets a text out of the process
 * (log, run log, results, errors) passes it through secrets_mask() or secrets_mask_json(), which
 * put --redacted-- in the place of each secret: as it is, escaped for JSON, encoded for a URL, in
 * base64. Secrets shorter than SECRET_WHOLE_BELOW would garble innocent texts (`test` is in many
 * words): those are masked only where they are the whole text.
 *
 * The set belongs to the process, since what must be handed through every function is forgotten in
 * one of them. Looking for all secrets takes one pass over the text, however many there are. */
#ifndef COMMON_SECRETS_H
#define COMMON_SECRETS_H

#include "common/arena.h"

struct cJSON;
struct error;

enum { SECRET_WHOLE_BELOW = 8 };
#define SECRET_MASK "--redacted--"

void secrets_add(struct str secret); /* copied; the empty text is no secret */
/* A password and, where there is a user, what HTTP's Basic scheme makes of the two. */
void secrets_add_login(struct str user, struct str password);
/* The password within "scheme://user:password@host", if there is one. */
void secrets_add_url(struct str url);
void secrets_clear(void); /* for tests, and before the process ends */

/* The text itself if there is nothing to hide, else a copy in the arena. Ended by NUL only if it
 * was, or had to be copied. */
struct str secrets_mask(struct arena *a, struct str text);
const char *secrets_mask_text(struct arena *a, const char *text); /* NULL stays NULL */

/* Masks every string of a tree and every key, in place: the tree must not be shared with anybody
 * who needs the truth. */
void secrets_mask_json(struct arena *a, struct cJSON *value);

void secrets_mask_error(struct error *err);

/* Whether two secrets are the same, in a time that does not tell where they differ. */
bool secrets_equal(struct str a, struct str b);

/* No core files of this process, and nobody of the same user may look into it. */
void secrets_protect_process(void);

#endif
