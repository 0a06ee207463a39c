/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, names, and what stands between: proxies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "site.h"

#define RUN(test) cmocka_unit_test_setup_teardown(test, site_start, site_stop)

/* ---- certificates ---- */

enum { DAY = 86400 };

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

static struct identity authority, stranger;
static char folder[] = "/tmp/lunex-spec-XXXXXX";
static char ca_file[64], cert_file[64], key_file[64], both_file[64];

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	X509_add_ext(cert, extension, -1);
	X509_EXTENSION_free(extension);
}

/* NAMES is a subjectAltName, or NULL for an authority, which ISSUER NULL makes
 * its own. Valid from and until so many seconds from now. */
static struct identity issue(const struct identity *issuer, const char *names,
			     long from, long until)
{
	static long serial;
	struct identity self = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *name = X509_get_subject_name(self.cert);
	char common[32];

	snprintf(common, sizeof common, "number %ld", ++serial);
	X509_set_version(self.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(self.cert), serial);
	X509_gmtime_adj(X509_getm_notBefore(self.cert), from);
	X509_gmtime_adj(X509_getm_notAfter(self.cert), until);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				   (const unsigned char *)common, -1, -1, 0);
	if (!issuer)
		issuer = &self;
	X509_set_issuer_name(self.cert, X509_get_subject_name(issuer->cert));
	X509_set_pubkey(self.cert, self.key);
	extend(self.cert, issuer->cert, NID_basic_constraints,
	       names ? "CA:FALSE" : "critical,CA:TRUE");
	if (names)
		extend(self.cert, issuer->cert, NID_subject_alt_name, names);
	assert_true(X509_sign(self.cert, issuer->key, EVP_sha256()) > 0);
	return self;
}

static void forget(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
}

static void write_pem(char *path, size_t size, const char *name, X509 *cert,
		      EVP_PKEY *key)
{
	FILE *file;

	snprintf(path, size, "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	if (cert)
		PEM_write_X509(file, cert);
	if (key)
		PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

static int make_identities(void **state)
{
	struct identity guest;

	(void)state;
	assert_non_null(mkdtemp(folder));
	authority = issue(NULL, NULL, -DAY, 10 * DAY);
	stranger = issue(NULL, NULL, -DAY, 10 * DAY);
	guest = issue(&authority, "DNS:guest", -DAY, DAY);
	write_pem(ca_file, sizeof ca_file, "ca", authority.cert, NULL);
	write_pem(cert_file, sizeof cert_file, "cert", guest.cert, NULL);
	write_pem(key_file, sizeof key_file, "key", NULL, guest.key);
	write_pem(both_file, sizeof both_file, "both", guest.cert, guest.key);
	forget(&guest);
	return 0;
}

static int remove_identities(void **state)
{
	(void)state;
	unlink(ca_file);
	unlink(cert_file);
	unlink(key_file);
	unlink(both_file);
	rmdir(folder);
	forget(&authority);
	forget(&stranger);
	return 0;
}

/* ---- sites with one of them ---- */

static SSL_CTX *context;

static void hello(struct peer *peer)
{
	while (peer_read(peer) && peer_answer(peer, "", "hello"))
		;
}

static struct site *secure(const struct identity *issuer, const char *names,
			   long from, long until)
{
	struct identity self = issue(issuer, names, from, until);

	context = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(context, self.cert);
	SSL_CTX_use_PrivateKey(context, self.key);
	forget(&self);
	return site_open(hello, context);
}

static void close_secure(struct site *site)
{
	site_close(site);
	SSL_CTX_free(context);
}

static struct http_request with_ca(const char *url)
{
	return (struct http_request){ .url = url, .ca_file = ca_file };
}

static void refuses_certificate(struct site *site, const char *text)
{
	const char *url = site_url(site, "/");
	char sentence[512];

	snprintf(sentence, sizeof sentence, "GET %s: the certificate %s", url,
		 text);
	assert_string_equal(sentence, failure(with_ca(url), ERR_IO));
	assert_int_equal(0, site_requests(site));
}

/* ---- verification ---- */

static void verifies_against_the_ca_file(void **state)
{
	struct site *site = secure(&authority, "IP:127.0.0.1", -DAY, 3 * DAY);
	struct answer *answer = fetch(with_ca(site_url(site, "/")));
	double expected = (double)time(NULL) + 3 * DAY;

	(void)state;
	assert_string_equal("", answer->err.text);
	assert_string_equal("hello", answer->body);
	assert_true(answer->timings.tls > answer->timings.connect);
	assert_true(answer->timings.first_byte >= answer->timings.tls);
	assert_true(answer->expiry > expected - 60);
	assert_true(answer->expiry <= expected);
	/* On the kept connection there was no certificate to see. */
	expected = answer->expiry;
	answer = fetch(with_ca(site_url(site, "/again")));
	assert_int_equal(1, site_accepts(site));
	assert_true(answer->timings.tls == 0);
	assert_true(answer->expiry == expected);
	close_secure(site);
}

static void refuses_an_unknown_authority(void **state)
{
	static const char text[] =
		"of 127.0.0.1 is not signed by a known authority (ca_file or "
		"insecure = true)";
	struct site *site = secure(&stranger, "IP:127.0.0.1", -DAY, DAY);

	(void)state;
	refuses_certificate(site, text);
	assert_contains(get_failure(site_url(site, "/"), ERR_IO), text);
	close_secure(site);
	site = secure(NULL, "IP:127.0.0.1", -DAY, DAY);
	refuses_certificate(site, text);
	close_secure(site);
	/* Another authority that bears the name of ours. */
	X509_set_subject_name(stranger.cert,
			      X509_get_subject_name(authority.cert));
	site = secure(&stranger, "IP:127.0.0.1", -DAY, DAY);
	refuses_certificate(
		site,
		"of 127.0.0.1 is not signed by the authority that it names");
	close_secure(site);
}

static void refuses_an_expired_certificate(void **state)
{
	struct site *site =
		secure(&authority, "IP:127.0.0.1", -3 * DAY, -2 * DAY);

	(void)state;
	refuses_certificate(site, "of 127.0.0.1 has expired");
	close_secure(site);
	site = secure(&authority, "IP:127.0.0.1", DAY, 2 * DAY);
	refuses_certificate(site, "of 127.0.0.1 is not valid yet");
	close_secure(site);
}

static void refuses_a_certificate_for_another_name(void **state)
{
	struct site *site = secure(&authority, "DNS:other.test", -DAY, DAY);

	(void)state;
	refuses_certificate(site, "is not for 127.0.0.1 (server_name)");
	close_secure(site);
}

static void takes_anything_when_insecure(void **state)
{
	struct site *site =
		secure(&stranger, "DNS:other.test", -3 * DAY, -2 * DAY);
	struct http_request request = { .url = site_url(site, "/"),
					.insecure = true };
	struct answer *answer = fetch(request);

	(void)state;
	assert_string_equal("hello", answer->body);
	assert_true(answer->expiry < (double)time(NULL) - DAY);
	/* But the next one, which is not, has no use of that connection. */
	assert_contains(failure(with_ca(request.url), ERR_IO), "certificate");
	close_secure(site);
}

static void says_when_the_ca_file_is_none(void **state)
{
	struct site *site = secure(&authority, "IP:127.0.0.1", -DAY, DAY);
	struct http_request request = { .url = site_url(site, "/"),
					.ca_file = key_file };

	(void)state;
	assert_contains(failure(request, ERR_IO), "ca_file");
	close_secure(site);
}

static void plain(struct peer *peer)
{
	peer_say(peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
	peer_hold(peer);
}

static void says_when_the_other_side_does_not_speak_TLS(void **state)
{
	struct site *site = site_open(plain, NULL);

	(void)state;
	assert_contains(get_failure(site_url_as(site, "https://127.0.0.1", "/"),
				    ERR_IO),
			": TLS: wrong version number");
	site_close(site);
}

/* ---- server_name ---- */

static char indicated[64];

static int on_name(SSL *tls, int *alert, void *arg)
{
	const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	(void)arg;
	snprintf(indicated, sizeof indicated, "%s", name ? name : "");
	return SSL_TLSEXT_ERR_OK;
}

static void verifies_and_indicates_server_name(void **state)
{
	struct site *site = secure(&authority, "DNS:mirth.test", -DAY, DAY);
	struct http_request request = with_ca(site_url(site, "/p?q=1"));
	struct answer *answer;
	char host[200];

	(void)state;
	SSL_CTX_set_tlsext_servername_callback(context, on_name);
	request.server_name = "mirth.test";
	answer = fetch(request);
	assert_string_equal("", answer->err.text);
	assert_string_equal("hello", answer->body);
	assert_string_equal("mirth.test", indicated);
	assert_string_equal(request.url, answer->url);
	snprintf(host, sizeof host, "\r\nHost: 127.0.0.1:%u\r\n",
		 site_port(site));
	assert_contains(site_last(site), "GET /p?q=1 HTTP/1.1\r\n");
	assert_contains(site_last(site), host);
	request.server_name = "other.test";
	snprintf(host, sizeof host,
		 "GET https://127.0.0.1:%u/p?q=...: the certificate is not for "
		 "other.test (server_name)",
		 site_port(site));
	assert_string_equal(host, failure(request, ERR_IO));
	close_secure(site);
}

/* ---- client certificates ---- */

static void shows_a_client_certificate(void **state)
{
	struct site *site = secure(&authority, "IP:127.0.0.1", -DAY, DAY);
	struct http_request request = with_ca(site_url(site, "/"));

	(void)state;
	SSL_CTX_set_verify(context,
			   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
			   NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.cert);
	assert_contains(failure(request, ERR_IO),
			"the server wants a client certificate (cert_file)");
	request.cert_file = cert_file;
	request.key_file = ca_file;
	assert_contains(failure(request, ERR_IO), "key_file");
	request.cert_file = request.key_file = key_file;
	assert_contains(failure(request, ERR_IO), "cert_file");
	request.cert_file = cert_file;
	assert_string_equal("hello", fetch(request)->body);
	request.cert_file = both_file;
	request.key_file = NULL;
	assert_string_equal("hello", fetch(request)->body);
	assert_int_equal(2, site_requests(site));
	close_secure(site);
}

/* ---- proxies ---- */

static void asks_the_proxy_of_the_environment(void **state)
{
	struct site *proxy = site_open(hello, NULL);
	struct site *site = site_open(hello, NULL);
	struct http_request request = { .url = "http://far.test/path?a=b" };

	(void)state;
	setenv("http_proxy", site_url(proxy, ""), 1);
	assert_string_equal("hello", fetch(request)->body);
	assert_contains(site_last(proxy),
			"GET http://far.test/path?a=b HTTP/1.1\r\n");
	setenv("no_proxy", "127.0.0.1", 1);
	request.url = site_url(site, "/near");
	assert_string_equal("hello", fetch(request)->body);
	assert_contains(site_last(site), "GET /near HTTP/1.1\r\n");
	unsetenv("no_proxy");
	request.proxy = "";
	assert_string_equal("hello", fetch(request)->body);
	assert_int_equal(2, site_requests(site));
	assert_int_equal(1, site_requests(proxy));
	unsetenv("http_proxy");
	site_close(site);
	site_close(proxy);
}

static void asks_the_proxy_of_the_request(void **state)
{
	struct site *proxy = site_open(hello, NULL);
	struct http_request request = {
		.url = "http://far.test/",
		.bearer = "s3cret",
		.proxy = site_url_as(proxy, "http://me:pass@127.0.0.1", ""),
	};

	(void)state;
	assert_string_equal("hello", fetch(request)->body);
	assert_contains(site_last(proxy), "GET http://far.test/ HTTP/1.1\r\n");
	assert_contains(site_last(proxy),
			"Proxy-Authorization: Basic bWU6cGFzcw==\r\n");
	site_close(proxy);
}

static void refusing(struct peer *peer)
{
	peer_read(peer);
	peer_say(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
}

static void tells_a_proxy_nothing_of_a_tunnel(void **state)
{
	struct site *proxy = site_open(refusing, NULL);
	struct http_request request = { .url = "https://far.test/secret",
					.bearer = "s3cret",
					.proxy = site_url(proxy, "") };

	(void)state;
	assert_string_equal("GET https://far.test/secret: CONNECT tunnel "
			    "failed, response 403",
			    failure(request, ERR_IO));
	assert_contains(site_last(proxy), "CONNECT far.test:443 HTTP/1.1\r\n");
	assert_lacks(site_last(proxy), "secret");
	assert_lacks(site_last(proxy), "s3cret");
	site_close(proxy);
}

static void says_when_the_proxy_is_not_there(void **state)
{
	struct http_request request = { .url = "http://far.test/",
					.proxy = "http://nobody.invalid:1" };

	(void)state;
	assert_string_equal("GET http://far.test/: the host of the proxy is "
			    "not known",
			    failure(request, ERR_IO));
	request.proxy = "http://127.0.0.1:1";
	assert_string_equal("GET http://far.test/: the proxy: connection "
			    "refused",
			    failure(request, ERR_IO));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(verifies_against_the_ca_file),
		RUN(refuses_an_unknown_authority),
		RUN(refuses_an_expired_certificate),
		RUN(refuses_a_certificate_for_another_name),
		RUN(takes_anything_when_insecure),
		RUN(says_when_the_ca_file_is_none),
		RUN(says_when_the_other_side_does_not_speak_TLS),
		RUN(verifies_and_indicates_server_name),
		RUN(shows_a_client_certificate),
		RUN(asks_the_proxy_of_the_environment),
		RUN(asks_the_proxy_of_the_request),
		RUN(tells_a_proxy_nothing_of_a_tunnel),
		RUN(says_when_the_proxy_is_not_there),
	};

	return cmocka_run_group_tests(tests, make_identities,
				      remove_identities);
}
