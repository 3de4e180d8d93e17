/* common/digest.h: SHA-256, HMAC and random names, by OpenSSL. */
#ifndef COMMON_DIGEST_H
#define COMMON_DIGEST_H

#include "common/base.h"

enum { DIGEST_SIZE = 32, DIGEST_HEX_SIZE = 65, UUID_SIZE = 37 };

void sha256(struct str bytes, unsigned char digest[DIGEST_SIZE]);
void sha256_hex(struct str bytes, char hex[DIGEST_HEX_SIZE]);
void hmac_sha256_hex(struct str key, struct str bytes, char hex[DIGEST_HEX_SIZE]);

/* In a time that does not depend on where they differ. */
bool digest_equal(struct str a, struct str b);

/* Lower-case: a random one (version 4), and one that is always the same for the same name
 * (version 8: the first 122 bits of the name's SHA-256). */
void uuid_random(char uuid[UUID_SIZE]);
void uuid_of(struct str name, char uuid[UUID_SIZE]);

#endif
