#include "operations/jws.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

struct jws_algorithm {
	const char *name;
	const EVP_MD *(*digest)(void);
	bool wants_secret;
};

static const struct jws_algorithm algorithms[] = {
	{"HS256", EVP_sha256, true },
        {"HS384", EVP_sha384, true },
        {"HS512", EVP_sha512, true },
	{"RS256", EVP_sha256, false},
        {"RS384", EVP_sha384, false},
        {"RS512", EVP_sha512, false},
};

const struct jws_algorithm *jws_algorithm_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

bool jws_wants_secret(const struct jws_algorithm *algorithm)
{
	return algorithm->wants_secret;
}

/* ---- keys ---- */

static void free_key(void *pkey)
{
	EVP_PKEY_free(pkey);
}

/* A key with a password would ask for it on the terminal: the empty one is tried. */
static int no_password(char *password, int size, int writing, void *arg)
{
	(void)password, (void)size, (void)writing, (void)arg;
	return 0;
}

static EVP_PKEY *read_pem(struct str text, bool private_only)
{
	BIO *bio = BIO_new_mem_buf(text.ptr, (int)size_min(text.len, INT32_MAX));
	EVP_PKEY *pkey = NULL;

	if (!bio)
		return NULL;
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!pkey && !private_only && BIO_reset(bio) == 1)
		pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
	BIO_free(bio);
	return pkey;
}

static struct jws_key make_key(struct arena *a, struct str text, enum jws_key_kind kind)
{
	struct jws_key key = {.kind = JWS_SECRET, .secret = text};
	EVP_PKEY *pkey = text.len ? read_pem(text, kind == JWS_PRIVATE) : NULL;

	if (!pkey)
		return key;
	arena_defer(a, free_key, pkey);
	return (struct jws_key){.kind = kind, .pkey = pkey, .bits = EVP_PKEY_get_bits(pkey)};
}

struct jws_key jws_private_key(struct arena *a, struct str text)
{
	return make_key(a, text, JWS_PRIVATE);
}

struct jws_key jws_public_key(struct arena *a, struct str text)
{
	return make_key(a, text, JWS_PUBLIC);
}

/* ---- signatures ---- */

static bool hmac(const struct jws_algorithm *algorithm, const struct jws_key *key, struct str bytes,
		 unsigned char digest[EVP_MAX_MD_SIZE], unsigned *length)
{
	return HMAC(algorithm->digest(), key->secret.ptr, (int)key->secret.len,
		    (const unsigned char *)bytes.ptr, bytes.len, digest, length) != NULL;
}

bool jws_sign(struct arena *a, const struct jws_algorithm *algorithm, const struct jws_key *key,
	      struct str bytes, struct str *signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE], *made;
	unsigned length = 0;
	size_t size = 0;
	EVP_MD_CTX *ctx;
	bool good;

	if (algorithm->wants_secret) {
		if (!hmac(algorithm, key, bytes, digest, &length))
			return false;
		*signature = arena_str(a, (struct str){(char *)digest, length});
		return true;
	}
	ctx = EVP_MD_CTX_new();
	size = (size_t)EVP_PKEY_get_size(key->pkey);
	made = arena_alloc(a, size);
	good = ctx && EVP_DigestSignInit(ctx, NULL, algorithm->digest(), NULL, key->pkey) == 1 &&
	       EVP_DigestSign(ctx, made, &size, (const unsigned char *)bytes.ptr, bytes.len) == 1;
	EVP_MD_CTX_free(ctx);
	*signature = (struct str){(const char *)made, size};
	return good;
}

bool jws_verify(const struct jws_algorithm *algorithm, const struct jws_key *key, struct str bytes,
		struct str signature)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	EVP_MD_CTX *ctx;
	bool good;

	if (algorithm->wants_secret)
		return hmac(algorithm, key, bytes, digest, &length) && signature.len == length &&
		       CRYPTO_memcmp(digest, signature.ptr, length) == 0;
	ctx = EVP_MD_CTX_new();
	good = ctx && EVP_DigestVerifyInit(ctx, NULL, algorithm->digest(), NULL, key->pkey) == 1 &&
	       EVP_DigestVerify(ctx, (const unsigned char *)signature.ptr, signature.len,
				(const unsigned char *)bytes.ptr, bytes.len) == 1;
	EVP_MD_CTX_free(ctx);
	return good;
}

/* ---- base64url ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct str base64url_encode(struct arena *a, struct str bytes)
{
	char *text = arena_alloc(a, bytes.len / 3 * 4 + 5);
	uint32_t bits = 0;
	size_t length = 0;
	unsigned held = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		bits = bits << 8 | (unsigned char)bytes.ptr[i];
		for (held += 8; held >= 6; held -= 6)
			text[length++] = letters[bits >> (held - 6) & 63];
	}
	if (held > 0)
		text[length++] = letters[bits << (6 - held) & 63];
	return (struct str){text, length};
}

bool base64url_decode(struct arena *a, struct str text, struct str *bytes)
{
	char *out;
	uint32_t bits = 0;
	size_t length = 0;
	unsigned held = 0;

	while (text.len > 0 && text.ptr[text.len - 1] == '=')
		text.len--;
	out = arena_alloc(a, text.len / 4 * 3 + 4);
	for (size_t i = 0; i < text.len; i++) {
		const char *letter = text.ptr[i] ? strchr(letters, text.ptr[i]) : NULL;

		if (!letter)
			return false;
		bits = bits << 6 | (uint32_t)(letter - letters);
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[length++] = (char)(bits >> held);
		}
	}
	*bytes = (struct str){out, length};
	return text.len % 4 != 1;
}
