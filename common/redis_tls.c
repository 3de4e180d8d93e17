/* TLS between a link and its socket: OpenSSL over two pieces of memory, so that all reading and
 * writing stays with the link. The certificate must belong to the host, and be signed by ca_file,
 * or by one of the system's authorities if there is none. */
#include "common/redis_private.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

enum { PIECE = 16 * 1024 }; /* the most that one TLS record holds */

struct tls {
	SSL *ssl;
	BIO *in, *out; /* ssl's own */
};

/* What OpenSSL has to say about the last failure. */
static const char *reason(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return text ? text : "no reason given";
}

struct ssl_ctx_st *tls_context_new(const char *ca_file, struct error *err)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	int trusted;

	if (!context)
		abort(); /* out of memory */
	ERR_clear_error();
	trusted = ca_file ? SSL_CTX_load_verify_file(context, ca_file)
			  : SSL_CTX_set_default_verify_paths(context);
	if (trusted != 1) {
		(void)fail(err, ERR_CONFIG, "TLS to Redis: cannot read certificates from '%s': %s",
			   ca_file ? ca_file : "the system", reason());
		SSL_CTX_free(context);
		return NULL;
	}
	(void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return context;
}

struct ssl_ctx_st *tls_context_share(struct ssl_ctx_st *context)
{
	if (context && SSL_CTX_up_ref(context) != 1)
		abort(); /* only with a context that has been freed */
	return context;
}

void tls_context_free(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

static bool is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

struct tls *tls_new(struct ssl_ctx_st *context, const char *host)
{
	struct tls *t = xmalloc(sizeof(*t));
	char name[256];
	int set;

	t->ssl = SSL_new(context);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (!t->ssl || !t->in || !t->out)
		abort(); /* out of memory */
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_connect_state(t->ssl);
	(void)snprintf(name, sizeof(name), "%s", host);
	if (is_address(host))
		set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), host);
	else
		set = SSL_set1_host(t->ssl, name) == 1 && SSL_set_tlsext_host_name(t->ssl, name);
	if (!set)
		abort(); /* a host that resolves has no NUL in it and fits */
	ERR_clear_error();
	(void)SSL_do_handshake(t->ssl); /* the first message; there is nothing to read yet */
	return t;
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

bool tls_is_ready(const struct tls *t)
{
	return SSL_is_init_finished(t->ssl);
}

/* Why SSL_read() gave nothing; true: because there is nothing more. */
static bool wants_more(struct tls *t, int result, struct error *err)
{
	long verified = SSL_get_verify_result(t->ssl);

	switch (SSL_get_error(t->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return true;
	case SSL_ERROR_ZERO_RETURN:
		return fail(err, ERR_REDIS, "the server closed it");
	default:
		if (verified != X509_V_OK)
			return fail(err, ERR_REDIS, "TLS: its certificate is not accepted: %s",
				    X509_verify_cert_error_string(verified));
		return fail(err, ERR_REDIS, "TLS: %s", reason());
	}
}

bool tls_read(struct tls *t, struct str bytes, struct buf *plain, struct error *err)
{
	char piece[PIECE];
	int got;

	assert(bytes.len < INT32_MAX);
	ERR_clear_error();
	if (BIO_write(t->in, bytes.ptr, (int)bytes.len) != (int)bytes.len)
		abort(); /* out of memory */
	while ((got = SSL_read(t->ssl, piece, sizeof(piece))) > 0)
		(void)buf_add(plain, piece, (size_t)got);
	return wants_more(t, got, err);
}

bool tls_write(struct tls *t, struct str plain, struct error *err)
{
	ERR_clear_error();
	while (plain.len) {
		int piece = (int)size_min(plain.len, PIECE);
		int sent = SSL_write(t->ssl, plain.ptr, piece);

		if (sent <= 0)
			return fail(err, ERR_REDIS, "TLS: %s", reason());
		plain = (struct str){plain.ptr + sent, plain.len - (size_t)sent};
	}
	return true;
}

void tls_take(struct tls *t, struct buf *wire)
{
	char piece[PIECE];
	int got;

	while ((got = BIO_read(t->out, piece, sizeof(piece))) > 0)
		(void)buf_add(wire, piece, (size_t)got);
}
