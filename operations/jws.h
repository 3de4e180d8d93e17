/* operations/jws.h: signatures of JSON web tokens (RFC 7515): HS256, HS384, HS512 with a secret,
 * RS256, RS384, RS512 with a PEM key. */
#ifndef OPERATIONS_JWS_H
#define OPERATIONS_JWS_H

#include "common/arena.h"
#include "common/error.h"

enum jws_key_kind { JWS_SECRET, JWS_PRIVATE, JWS_PUBLIC };

/* A PEM key is never taken for a secret: a token signed "HS256" with a public key would be valid. */
struct jws_key {
	enum jws_key_kind kind;
	struct str secret;
	void *pkey; /* OpenSSL's, freed with the arena */
	int bits;
};

struct jws_algorithm;

/* NULL: not one of the six. */
const struct jws_algorithm *jws_algorithm_find(const char *name);
bool jws_wants_secret(const struct jws_algorithm *algorithm);

struct jws_key jws_private_key(struct arena *a, struct str text); /* PEM, or a secret */
struct jws_key jws_public_key(struct arena *a, struct str text);  /* also from a private PEM */

/* The signature, as it is; the key must be of the kind that the algorithm wants. */
bool jws_sign(struct arena *a, const struct jws_algorithm *algorithm, const struct jws_key *key,
	      struct str bytes, struct str *signature) NODISCARD;
bool jws_verify(const struct jws_algorithm *algorithm, const struct jws_key *key, struct str bytes,
		struct str signature) NODISCARD;

struct str base64url_encode(struct arena *a, struct str bytes);
/* false: not base64url. Padding is not needed. */
bool base64url_decode(struct arena *a, struct str text, struct str *bytes) NODISCARD;

#endif
