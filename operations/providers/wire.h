/* operations/providers/wire.h: what writing and reading have in common on every wire. */
#ifndef OPERATIONS_PROVIDERS_WIRE_H
#define OPERATIONS_PROVIDERS_WIRE_H

#include "operations/providers/provider.h"

struct wire_request {
	const struct provider *provider;
	const char *path; /* behind the endpoint's base URL */
	const struct http_header
		*extra; /* ends with {NULL}; or NULL; those without a value are left out */
	cJSON *body;
};

/* Makes the request: the body with the model's options and then the operation's providerOptions
 * merged in; the headers, with the key. Fails where providerOptions would change what was checked:
 * the model, whether it streams. */
bool wire_write(const struct wire_request *w, const struct llm_question *q,
		const struct endpoint *e, struct arena *a, struct http_request *req,
		struct error *err) NODISCARD;
/* A copy of what a write() has made, without the tree that its body was printed from. */
void wire_keep_request(const struct http_request *from, struct arena *a, struct http_request *to);

/* The headers of a request, with the key: what wire_write() sets. call_id may be NULL. */
const struct http_header *wire_headers(const struct wire_request *w, const struct endpoint *e,
				       const char *call_id, struct arena *a);

/* Members of `from` join `into`; objects are merged in depth, all else is replaced. */
void wire_merge(struct arena *a, cJSON *into, const cJSON *from);

const char *wire_data_url(struct arena *a, const struct llm_part *part);

/* All text parts of a message in one, with an empty line between. */
const char *wire_message_text(struct arena *a, const struct llm_message *m);
bool wire_is_plain_text(const struct llm_message *m);

void wire_set_maybe(struct arena *a, cJSON *body, const char *name, struct maybe value);
cJSON *wire_stop_list(struct arena *a, const char *const *stop);

/* A count of an answer: 0 if it is missing or no count. */
uint64_t wire_count(const cJSON *object, const char *name);

/* Puts the words of a reader together: each piece behind the last one. */
void wire_add(struct buf *b, const char *text);       /* NULL adds nothing */
struct str wire_keep(struct arena *a, struct buf *b); /* the text, in the arena; clears b */
const char *wire_keep_text(struct arena *a, const char *text); /* NULL stays NULL */

#endif
