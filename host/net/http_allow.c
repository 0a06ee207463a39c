/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_allow.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/address.h"
#include "net/http_error.h"

/* What a URL leads to. */
struct place {
	char host[ADDRESS_HOST_MAX]; /* without brackets */
	unsigned port;
};

/* False: it is no URL with a host of a reasonable length. */
static bool read_place(const struct curl *curl, CURLU *parser,
		       struct place *place)
{
	char *host = curl_url_text(curl, parser, CURLUPART_HOST, 0);
	char *port =
		curl_url_text(curl, parser, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	size_t len = host ? strlen(host) : 0, skip = len && *host == '[';
	bool good = len > 2 * skip && len < sizeof place->host && port;

	if (good) {
		memcpy(place->host, host + skip, len - 2 * skip);
		place->host[len - 2 * skip] = '\0';
		place->port = (unsigned)atoi(port);
	}
	curl->free(host);
	curl->free(port);
	return good;
}

/* ---- before it begins ---- */

static bool refuse(const struct http_request *request, const char *option,
		   struct err *err)
{
	return http_error_set(err, ERR_USAGE, request->method, request->url,
			      "the option '%s' is not available in a sandbox",
			      option);
}

bool http_allow_options(const struct allow *allow,
			const struct http_request *request, struct err *err)
{
	if (!allow)
		return true;
	if (request->proxy)
		return refuse(request, "proxy", err);
	if (request->unix_socket)
		return refuse(request, "unix_socket", err);
	if (request->ca_file)
		return refuse(request, "ca_file", err);
	if (request->cert_file)
		return refuse(request, "cert_file", err);
	return !request->key_file || refuse(request, "key_file", err);
}

bool http_allow_request(const struct allow *allow,
			const struct http_request *request,
			const struct curl *curl, CURLU *parser, struct err *err)
{
	struct place place;
	struct err why;

	if (!allow)
		return true;
	if (!read_place(curl, parser, &place))
		return http_error_set(err, ERR_USAGE, request->method,
				      request->url, "the URL has no host");
	return allow_host(allow, place.host, place.port, &why) ||
	       http_error_set(err, why.code, request->method, request->url,
			      "%s", why.text);
}

/* ---- while it runs ---- */

/* What the URL calls by the name that TLS is to see is reached as `alias`. */
static void undo_alias(const struct http_transfer *t, struct place *place)
{
	size_t len, skip;

	if (!t->named || place->port != t->alias_port ||
	    strcasecmp(place->host, t->named) != 0)
		return;
	len = strlen(t->alias);
	skip = *t->alias == '[';
	if (len < sizeof place->host && len > 2 * skip) {
		memcpy(place->host, t->alias + skip, len - 2 * skip);
		place->host[len - 2 * skip] = '\0';
	}
}

/* Where libcurl goes now: the URL of the request, or that of a redirect. */
static bool present_place(struct http_transfer *t, struct place *place)
{
	CURLU *parser = t->curl->url();
	char *url = NULL;
	bool good;

	t->curl->easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &url);
	good = parser && url &&
	       !t->curl->url_set(parser, CURLUPART_URL, url, 0) &&
	       read_place(t->curl, parser, place);
	t->curl->url_cleanup(parser);
	if (good)
		undo_alias(t, place);
	return good || err_set(&t->denied, ERR_DENIED, "the URL has no host");
}

bool http_allow_lookup(struct http_transfer *t)
{
	struct place place;

	if (!t->allow)
		return true;
	t->denied.code = ERR_NONE;
	return present_place(t, &place) &&
	       allow_host(t->allow, place.host, place.port, &t->denied);
}

static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *to)
{
	struct http_transfer *t = arg;
	struct place place;
	int fd;

	(void)purpose;
	if (!present_place(t, &place) ||
	    !allow_check(t->allow, place.host, &to->addr, place.port,
			 &t->denied))
		return CURL_SOCKET_BAD;
	/* Another address of the host may have been refused. */
	t->denied.code = ERR_NONE;
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd < 0 || allow_descriptor(t->allow, fd, &t->denied))
		return fd;
	close(fd);
	return CURL_SOCKET_BAD;
}

bool http_allow_set(struct http_transfer *t)
{
	const struct curl *curl = t->curl;

	if (!t->allow)
		return true;
	curl->easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
	curl->easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	t->refused = curl->easy_setopt(t->easy, CURLOPT_PROXY, "");
	return !t->refused;
}
