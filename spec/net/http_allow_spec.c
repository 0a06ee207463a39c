/* SPDX-License-Identifier: Apache-2.0 */
/* A client that may not go everywhere, where TLS is to see another name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "net/allow.h"
#include "site.h"

static SSL_CTX *tls;

/* A certificate that nobody trusts: requests here are `insecure`. */
static int make_tls(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	(void)state;
	X509_gmtime_adj(X509_getm_notBefore(cert), -1000);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(1, SSL_CTX_use_certificate(tls, cert));
	assert_int_equal(1, SSL_CTX_use_PrivateKey(tls, key));
	EVP_PKEY_free(key);
	X509_free(cert);
	return 0;
}

static int free_tls(void **state)
{
	(void)state;
	SSL_CTX_free(tls);
	return 0;
}

static struct allow *allow;

/* The client may go to A and B from now on. */
static void restrict_to(const char *a, const char *b)
{
	const char *const texts[] = { a, b, NULL };
	struct http_client_options options = { .loop = loop };
	struct err err;

	use(NULL);
	allow_free(allow);
	allow = allow_new(texts, &err);
	assert_non_null(allow);
	options.allow = allow;
	use(http_client_new(&options, &err));
	assert_non_null(client);
}

static int stop(void **state)
{
	int status = site_stop(state);

	allow_free(allow);
	allow = NULL;
	return status;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, site_start, stop)

/* "/to/URL" leads there; all else is an answer. */
static void lead(struct peer *peer)
{
	char text[512];

	while (peer_read(peer)) {
		if (strncmp(peer->path, "/to/", 4) != 0) {
			peer_answer(peer, "", "here");
			continue;
		}
		snprintf(text, sizeof text,
			 "HTTP/1.1 302 Found\r\nLocation: %s\r\n"
			 "Content-Length: 0\r\n\r\n",
			 peer->path + 4);
		peer_say(peer, text);
	}
}

static struct http_request secure(const struct site *site, const char *path)
{
	return (struct http_request){
		.url = site_url_as(site, "https://127.0.0.1", path),
		.server_name = "localhost",
		.insecure = true,
	};
}

/* What is refused before it begins has no `done`. */
static const char *denied(struct http_request request)
{
	struct answer *answer = fetch(request);

	assert_int_equal(ERR_DENIED, answer->err.code);
	return answer->err.text;
}

static void the_place_is_that_of_the_connection(void **state)
{
	struct site *site = site_open(lead, tls);

	(void)state;
	restrict_to("localhost", NULL);
	assert_contains(denied(secure(site, "/")), "127.0.0.1:");
	assert_int_equal(0, site_accepts(site));
	restrict_to("127.0.0.1", NULL);
	assert_string_equal("here", fetch(secure(site, "/"))->body);
	site_close(site);
}

static void a_redirect_to_the_name_that_tls_sees_is_a_name(void **state)
{
	struct site *site = site_open(lead, tls),
		    *other = site_open(lead, NULL);
	char path[256];

	(void)state;
	restrict_to("127.0.0.1", NULL);
	snprintf(path, sizeof path, "/to/%s",
		 site_url_as(other, "http://localhost", "/x"));
	assert_contains(failure(secure(site, path), ERR_DENIED), "localhost:");
	assert_int_equal(0, site_accepts(other));
	/* At its own port it is the place that it was. */
	snprintf(path, sizeof path, "/to/%s",
		 site_url_as(site, "https://localhost", "/x"));
	assert_string_equal("here", fetch(secure(site, path))->body);
	site_close(site);
	site_close(other);
}

static void a_kept_connection_is_for_the_same_place_alone(void **state)
{
	struct site *site = site_open(lead, NULL);

	(void)state;
	restrict_to("127.0.0.1", NULL);
	assert_string_equal("here", get(site_url(site, "/"))->body);
	assert_string_equal("here", get(site_url(site, "/"))->body);
	assert_int_equal(1, site_accepts(site));
	denied((struct http_request){
		.url = site_url_as(site, "http://localhost", "/") });
	assert_string_equal("here", get(site_url(site, "/"))->body);
	assert_int_equal(1, site_accepts(site));
	site_close(site);
}

static void each_hop_of_a_redirect_is_looked_at(void **state)
{
	struct site *site = site_open(lead, NULL),
		    *other = site_open(lead, NULL);
	char back[200], path[256], port[32];

	(void)state;
	snprintf(port, sizeof port, "127.0.0.1:%u", site_port(site));
	restrict_to(port, NULL);
	snprintf(back, sizeof back, "/to/%s", site_url(site, "/x"));
	snprintf(path, sizeof path, "/to/%s", site_url(site, back));
	assert_string_equal("here", get(site_url(site, path))->body);
	snprintf(path, sizeof path, "/to/%s", site_url(other, back));
	assert_contains(get_failure(site_url(site, path), ERR_DENIED),
			"after a redirect to");
	assert_int_equal(0, site_accepts(other));
	site_close(site);
	site_close(other);
}

static void an_address_that_may_be_asked_is_tried_after_one_that_may_not(
	void **state)
{
	struct site *site = site_open(lead, NULL);

	(void)state;
	/* localhost is ::1 and 127.0.0.1 to libcurl; so is what is below it,
	 * but that does not lead to this machine by itself. */
	restrict_to("a.localhost", "127.0.0.1");
	assert_string_equal(
		"here",
		get(site_url_as(site, "http://a.localhost", "/"))->body);
	restrict_to("a.localhost", "::1");
	get_failure(site_url_as(site, "http://a.localhost", "/"), ERR_IO);
	assert_int_equal(1, site_accepts(site));
	site_close(site);
}

static void a_name_that_is_not_listed_is_not_looked_up(void **state)
{
	struct site *site = site_open(lead, NULL);
	unsigned before = slow_lookups();

	(void)state;
	restrict_to("127.0.0.1", NULL);
	denied((struct http_request){ .url = "http://" SLOW_NAME "/" });
	assert_contains(get_failure(site_url(site, "/to/http://" SLOW_NAME "/"),
				    ERR_DENIED),
			SLOW_NAME ":80: not allowed");
	assert_int_equal(before, slow_lookups());
	site_close(site);
}

static void files_and_ways_around_are_refused_unseen(void **state)
{
	static const struct http_request requests[] = {
		{ .ca_file = "/nowhere" },     { .cert_file = "/nowhere" },
		{ .key_file = "/nowhere" },    { .proxy = "http://a" },
		{ .unix_socket = "/nowhere" },
	};

	(void)state;
	restrict_to("127.0.0.1", NULL);
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct http_request request = requests[i];

		request.url = "http://127.0.0.1:1/";
		assert_contains(failure(request, ERR_USAGE),
				"is not available in a sandbox");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_place_is_that_of_the_connection),
		TEST(a_redirect_to_the_name_that_tls_sees_is_a_name),
		TEST(a_kept_connection_is_for_the_same_place_alone),
		TEST(each_hop_of_a_redirect_is_looked_at),
		TEST(an_address_that_may_be_asked_is_tried_after_one_that_may_not),
		TEST(a_name_that_is_not_listed_is_not_looked_up),
		TEST(files_and_ways_around_are_refused_unseen),
	};

	return cmocka_run_group_tests(tests, make_tls, free_tls);
}
