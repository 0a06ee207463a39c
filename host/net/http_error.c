/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's own texts are used for TLS and for broken connections alone: they
 * come from the system and from OpenSSL there. Others may quote a URL or a
 * proxy, with the password in it.
 */
#include "net/http_error.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/http_url.h"

enum { MESSAGE_MAX = 300, REASON_MAX = 100, HOST_MAX = 100 };

bool http_error_set(struct err *err, enum err_code code, const char *method,
		    const char *url, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct buf shown;
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof message, fmt, args);
	va_end(args);
	buf_init(&shown, HTTP_URL_SHOWN + 3);
	http_url_redact(&shown, url);
	err_set(err, code, "%s %s: %s", method ? method : "GET",
		buf_text(&shown), message);
	buf_release(&shown);
	return false;
}

static curl_off_t number(struct http_transfer *t, CURLINFO info)
{
	curl_off_t value = 0;

	t->curl->easy_getinfo(t->easy, info, &value);
	return value;
}

static long small(struct http_transfer *t, CURLINFO info)
{
	long value = 0;

	t->curl->easy_getinfo(t->easy, info, &value);
	return value;
}

/* Where the transfer is, by URL: the first one or that of a redirect. */
static const char *place(struct http_transfer *t)
{
	char *url = NULL;

	if (small(t, CURLINFO_REDIRECT_COUNT) > 0)
		t->curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	return url ? url : t->url;
}

/* What FMT says, after the URL asked for; behind a redirect also where to. */
__attribute__((format(printf, 4, 5))) static void fail(struct err *err,
						       struct http_transfer *t,
						       enum err_code code,
						       const char *fmt, ...)
{
	const char *at = place(t);
	char text[MESSAGE_MAX];
	struct buf shown;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	buf_init(&shown, HTTP_URL_SHOWN + 3);
	if (at != t->url)
		http_url_redact(&shown, at);
	if (shown.len)
		http_error_set(err, code, t->method, t->url,
			       "%s (after a redirect to %.100s)", text,
			       buf_text(&shown));
	else
		http_error_set(err, code, t->method, t->url, "%s", text);
	buf_release(&shown);
}

/* The host, or what is to be its name. */
static char *find_host(struct http_transfer *t)
{
	CURLU *parser = t->curl->url();
	char *host = NULL;

	if (parser && !t->curl->url_set(parser, CURLUPART_URL, place(t), 0))
		host = curl_url_text(t->curl, parser, CURLUPART_HOST, 0);
	t->curl->url_cleanup(parser);
	return host;
}

static void host_name(struct http_transfer *t, char *out, size_t size)
{
	char *host = find_host(t);

	if (t->named && place(t) == t->url)
		snprintf(out, size, "%.80s", t->named);
	else
		snprintf(out, size, "%.80s", host ? host : "the host");
	t->curl->free(host);
	for (; *out; out++)
		if (*out < ' ' || *out == 0x7f)
			*out = '?';
}

/* libcurl's text without what it puts before OpenSSL's. */
static void reason(struct http_transfer *t, CURLcode code, char *out,
		   size_t size)
{
	const char *text = t->error, *inner = strstr(text, " routines::");

	if (inner)
		text = inner + strlen(" routines::");
	else if (!*text)
		text = t->curl->easy_strerror(code);
	snprintf(out, size, "%.*s", (int)size - 1, text);
	out[strcspn(out, "\r\n")] = '\0';
	if (inner)
		out[strcspn(out, ",")] = '\0';
	for (char *c = out; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
}

/* ---- by kind ---- */

static const char *doing(struct http_transfer *t)
{
	if (t->receiving)
		return t->headers_done ? "receiving the body"
				       : "receiving the headers";
	if (number(t, CURLINFO_PRETRANSFER_TIME_T))
		return "waiting for the answer";
	if (t->handshaking)
		return "negotiating TLS";
	if (number(t, CURLINFO_NAMELOOKUP_TIME_T))
		return "connecting";
	return t->resolving ? "resolving"
			    : "waiting for one of the host's connections";
}

static void too_large(struct err *err, struct http_transfer *t,
		      const char *what, size_t limit)
{
	if (limit % (1 << 20) == 0)
		fail(err, t, ERR_LIMIT, "%s larger than %zu MiB", what,
		     limit >> 20);
	else if (limit % (1 << 10) == 0)
		fail(err, t, ERR_LIMIT, "%s larger than %zu KiB", what,
		     limit >> 10);
	else
		fail(err, t, ERR_LIMIT, "%s larger than %zu bytes", what,
		     limit);
}

static void body_too_large(struct err *err, struct http_transfer *t)
{
	if (t->body_met)
		*t->body_met = true;
	too_large(err, t, "the body is", t->body_max);
}

/* libcurl says whom it called: who is not the URL's host is a proxy, which
 * may come from the environment without anybody thinking of it. */
static bool is_proxy(struct http_transfer *t)
{
	static const char BEFORE[] = "Failed to connect to ";
	const char *called = t->error + sizeof BEFORE - 1;
	char *host, *name;
	size_t len;
	bool other;

	if (t->named || strncmp(t->error, BEFORE, sizeof BEFORE - 1))
		return false;
	host = find_host(t);
	name = host && *host == '[' ? host + 1 : host;
	len = name ? strcspn(name, "]%") : 0;
	if (len && name[len - 1] == '.')
		len--;
	other = len && (strncasecmp(called, name, len) != 0 ||
			!strchr(" .%", called[len]));
	t->curl->free(host);
	return other;
}

static void not_connected(struct err *err, struct http_transfer *t)
{
	int error = (int)small(t, CURLINFO_OS_ERRNO);

	if (!strncmp(t->error, "Unsupported proxy", 17)) {
		fail(err, t, ERR_IO, "the scheme of the proxy is not known");
		return;
	}
	fail(err, t, ERR_IO, "%s%s",
	     t->local	   ? "the unix socket: "
	     : is_proxy(t) ? "the proxy: "
			   : "",
	     error ? uv_strerror(uv_translate_sys_error(error))
		   : "no connection");
}

/* The connection ended in the middle of an answer. */
static void cut(struct err *err, struct http_transfer *t, const char *how)
{
	curl_off_t all = number(t, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T);
	curl_off_t got = number(t, CURLINFO_SIZE_DOWNLOAD_T);

	if (!t->receiving)
		fail(err, t, ERR_IO, "%s before there was an answer", how);
	else if (!t->headers_done)
		fail(err, t, ERR_IO, "%s within the headers", how);
	else if (all >= 0)
		fail(err, t, ERR_IO,
		     "%s after %" CURL_FORMAT_CURL_OFF_T
		     " of %" CURL_FORMAT_CURL_OFF_T " bytes",
		     how, got, all);
	else
		fail(err, t, ERR_IO,
		     "%s within the body, after %" CURL_FORMAT_CURL_OFF_T
		     " bytes",
		     how, got);
}

static void broken(struct err *err, struct http_transfer *t, CURLcode code)
{
	char why[REASON_MAX];

	reason(t, code, why, sizeof why);
	if (strstr(why, "certificate required"))
		fail(err, t, ERR_IO,
		     "the server wants a client certificate (cert_file)");
	else if (strstr(why, "reset"))
		cut(err, t, "the connection was reset");
	else if (strstr(t->error, "CONNECT") || strstr(t->error, "SSL"))
		fail(err, t, ERR_IO, "%s", why);
	else
		cut(err, t, "the connection broke");
}

/* X509_V_ERR_* of OpenSSL. */
enum {
	NOT_YET_VALID = 9,
	EXPIRED = 10,
	SELF_SIGNED = 18,
	SELF_SIGNED_CHAIN = 19,
	NO_ISSUER = 20,
	NO_FIRST = 21,
};

static void not_trusted(struct err *err, struct http_transfer *t)
{
	char host[HOST_MAX], why[REASON_MAX];

	host_name(t, host, sizeof host);
	reason(t, CURLE_PEER_FAILED_VERIFICATION, why, sizeof why);
	switch (small(t, CURLINFO_SSL_VERIFYRESULT)) {
	case EXPIRED:
		fail(err, t, ERR_IO, "the certificate of %s has expired", host);
		break;
	case NOT_YET_VALID:
		fail(err, t, ERR_IO, "the certificate of %s is not valid yet",
		     host);
		break;
	case SELF_SIGNED:
	case SELF_SIGNED_CHAIN:
	case NO_ISSUER:
	case NO_FIRST:
		fail(err, t, ERR_IO,
		     "the certificate of %s is not signed by a known authority "
		     "(ca_file or insecure = true)",
		     host);
		break;
	default:
		if (strstr(why, "subject name"))
			fail(err, t, ERR_IO,
			     "the certificate is not for %s (server_name)",
			     host);
		else
			fail(err, t, ERR_IO, "the certificate of %s: %s", host,
			     why);
	}
}

static void no_handshake(struct err *err, struct http_transfer *t,
			 CURLcode code)
{
	char host[HOST_MAX], why[REASON_MAX];

	/* A signature that is wrong fails below TLS, without a result of the
	 * verification; 1 is what libcurl puts there before there is one. */
	if (strstr(t->error, "asn1 encoding routines") ||
	    strstr(t->error, "rsa routines")) {
		host_name(t, host, sizeof host);
		fail(err, t, ERR_IO,
		     "the certificate of %s is not signed by the authority "
		     "that it names",
		     host);
	} else if (small(t, CURLINFO_SSL_VERIFYRESULT) > 1) {
		not_trusted(err, t);
	} else {
		reason(t, code, why, sizeof why);
		fail(err, t, ERR_IO, "TLS: %s", why);
	}
}

static void unresolved(struct err *err, struct http_transfer *t)
{
	char host[HOST_MAX];

	host_name(t, host, sizeof host);
	fail(err, t, ERR_IO, "the host %s is not known", host);
}

/* About where a redirect led, which is not shown: it is no http URL. */
static void bad_redirect(struct err *err, struct http_transfer *t,
			 const char *text)
{
	http_error_set(err, ERR_IO, t->method, t->url, "%s", text);
}

/* libcurl's parser has seen the URL of the request before, not its host. */
static void malformed(struct err *err, struct http_transfer *t)
{
	if (t->first_byte > 0)
		bad_redirect(err, t, "a redirect to a malformed URL");
	else
		fail(err, t, ERR_IO,
		     "the host is malformed (one that is not ASCII is written "
		     "as xn--...)");
}

static void too_many_redirects(struct err *err, struct http_transfer *t)
{
	http_error_set(err, ERR_IO, t->method, t->url,
		       "more than %d redirect%s", t->redirects,
		       t->redirects == 1 ? "" : "s");
}

/* What libcurl says when one line of the headers has more than 100 KiB. */
static void out_of_memory(struct err *err, struct http_transfer *t)
{
	if (t->receiving && !t->headers_done)
		fail(err, t, ERR_LIMIT, "a header is larger than 100 KiB");
	else
		fail(err, t, ERR_IO, "libcurl has no memory");
}

static void other(struct err *err, struct http_transfer *t, CURLcode code)
{
	const char *text = t->curl->easy_strerror(code);

	if (code == CURLE_WRITE_ERROR && t->headers_full)
		too_large(err, t, "the headers are", HTTP_HEADERS_MAX);
	else if (code == CURLE_WRITE_ERROR && t->outcome.body.full)
		body_too_large(err, t);
	else
		fail(err, t, ERR_IO, "%c%s", tolower((unsigned char)*text),
		     *text ? text + 1 : "");
}

static void tls(struct err *err, struct http_transfer *t, CURLcode code)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION: not_trusted(err, t); break;
	case CURLE_SSL_CACERT_BADFILE:
		fail(err, t, ERR_IO, "%s",
		     t->own_ca ? "the ca_file has no certificate that can be "
				 "used"
			       : "this system has no list of authorities "
				 "(package ca-certificates, or ca_file)");
		break;
	case CURLE_SSL_CERTPROBLEM:
		fail(err, t, ERR_IO,
		     "cert_file and key_file are not a certificate and its "
		     "key, in PEM");
		break;
	default: no_handshake(err, t, code);
	}
}

void http_error_curl(struct err *err, struct http_transfer *t, CURLcode code)
{
	if (t->denied.code) {
		fail(err, t, t->denied.code, "%s", t->denied.text);
		return;
	}
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		/* %g would write a thousand as 1e+03. */
		fail(err, t, ERR_TIMEOUT, "timed out after %.*g s while %s",
		     t->timeout < 100 ? 3 : 9,
		     t->timeout < 100 ? t->timeout : round(t->timeout),
		     doing(t));
		break;
	case CURLE_COULDNT_RESOLVE_HOST: unresolved(err, t); break;
	case CURLE_COULDNT_RESOLVE_PROXY:
		fail(err, t, ERR_IO, "the host of the proxy is not known");
		break;
	case CURLE_COULDNT_CONNECT: not_connected(err, t); break;
	case CURLE_FILESIZE_EXCEEDED: body_too_large(err, t); break;
	case CURLE_GOT_NOTHING:
		fail(err, t, ERR_IO,
		     "the connection was closed without an answer");
		break;
	case CURLE_PARTIAL_FILE:
		cut(err, t, "the connection was closed");
		break;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR: broken(err, t, code); break;
	case CURLE_TOO_MANY_REDIRECTS: too_many_redirects(err, t); break;
	case CURLE_OUT_OF_MEMORY: out_of_memory(err, t); break;
	case CURLE_URL_MALFORMAT: malformed(err, t); break;
	case CURLE_UNSUPPORTED_PROTOCOL:
		if (!strncmp(t->error, "Protocol ", 9)) {
			bad_redirect(err, t,
				     "a redirect to something else than http "
				     "or https was refused");
			break;
		}
		/* fallthrough */
	case CURLE_WEIRD_SERVER_REPLY:
		fail(err, t, ERR_IO, "the answer is not HTTP");
		break;
	case CURLE_BAD_CONTENT_ENCODING:
		fail(err, t, ERR_IO, "the body cannot be decompressed");
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CIPHER: tls(err, t, code); break;
	default: other(err, t, code);
	}
}
