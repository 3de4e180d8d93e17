#include "common/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static void to_hex(const unsigned char *bytes, size_t count, char *hex)
{
	for (size_t i = 0; i < count; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void sha256(struct str bytes, unsigned char digest[DIGEST_SIZE])
{
	if (!EVP_Digest(bytes.ptr, bytes.len, digest, NULL, EVP_sha256(), NULL))
		abort();
}

void sha256_hex(struct str bytes, char hex[DIGEST_HEX_SIZE])
{
	unsigned char digest[DIGEST_SIZE];

	sha256(bytes, digest);
	to_hex(digest, sizeof(digest), hex);
}

void hmac_sha256_hex(struct str key, struct str bytes, char hex[DIGEST_HEX_SIZE])
{
	unsigned char digest[DIGEST_SIZE];
	unsigned length = sizeof(digest);

	if (!HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)bytes.ptr, bytes.len,
		  digest, &length))
		abort();
	to_hex(digest, sizeof(digest), hex);
}

bool digest_equal(struct str a, struct str b)
{
	return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

static void print_uuid(unsigned char bytes[16], unsigned version, char uuid[UUID_SIZE])
{
	char hex[DIGEST_HEX_SIZE];

	bytes[6] = (unsigned char)((bytes[6] & 0x0F) | (version << 4));
	bytes[8] = (bytes[8] & 0x3F) | 0x80;
	to_hex(bytes, 16, hex);
	(void)snprintf(uuid, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12,
		       hex + 16, hex + 20);
}

void uuid_random(char uuid[UUID_SIZE])
{
	unsigned char bytes[16];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		abort();
	print_uuid(bytes, 4, uuid);
}

void uuid_of(struct str name, char uuid[UUID_SIZE])
{
	unsigned char digest[DIGEST_SIZE];

	sha256(name, digest);
	print_uuid(digest, 8, uuid);
}
