/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_request.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/http_error.h"

enum { METHOD_MAX = 32, NAME_MAX_BYTES = 253 };

static const char ALNUM[] = "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* What names of methods and headers are made of. */
static bool is_token(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (!strchr(ALNUM, s[i]) && !strchr("!#$%&'*+-.^_`|~", s[i]))
			return false;
	return len > 0;
}

/* No line break, nor anything else that is no text. NULL is clean. */
static bool is_clean(const char *s)
{
	for (; s && *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

static bool usage(const struct http_request *request, struct err *err,
		  const char *text)
{
	return http_error_set(err, ERR_USAGE, request->method, request->url,
			      "%s", text);
}

static bool check_url(const struct http_request *request,
		      const struct curl *curl, CURLU *parser, struct err *err)
{
	const char *url = request->url;

	if (strncasecmp(url, "http://", 7) && strncasecmp(url, "https://", 8))
		return usage(request, err, "not an http:// or https:// URL");
	for (; *url; url++)
		if ((unsigned char)*url <= ' ' || *url == 0x7f)
			return usage(request, err,
				     "a URL has no spaces or line breaks "
				     "(write %20)");
	if (curl->url_set(parser, CURLUPART_URL, request->url, 0))
		return usage(request, err, "the URL is malformed");
	return true;
}

static bool check_header(const struct http_request *request,
			 const struct http_header *header, struct err *err)
{
	if (!is_token(header->name))
		return usage(request, err,
			     "the name of a header has a character that is "
			     "not allowed");
	if (!is_clean(header->value))
		return http_error_set(err, ERR_USAGE, request->method,
				      request->url,
				      "the header %.64s has a line break or "
				      "another control character",
				      header->name);
	if (!strcasecmp(header->name, "content-length") ||
	    !strcasecmp(header->name, "transfer-encoding"))
		return http_error_set(
			err, ERR_USAGE, request->method, request->url,
			"the header %s comes from the body", header->name);
	return true;
}

static bool check_text(const struct http_request *request, struct err *err)
{
	for (size_t i = 0; i < request->nheaders; i++)
		if (!check_header(request, &request->headers[i], err))
			return false;
	if (!is_clean(request->bearer))
		return usage(request, err, "the bearer token has a line break");
	if (!is_clean(request->user) || !is_clean(request->password))
		return usage(request, err,
			     "the user or password has a line break");
	if (request->user && strchr(request->user, ':'))
		return usage(request, err, "the user has a colon");
	if (!is_clean(request->proxy))
		return usage(request, err, "the proxy has a line break");
	return true;
}

static bool check_file(const struct http_request *request, const char *what,
		       const char *path, struct err *err)
{
	if (!path || !access(path, R_OK))
		return true;
	return http_error_set(err, ERR_USAGE, request->method, request->url,
			      "%s %.120s: %s", what, path,
			      uv_strerror(uv_translate_sys_error(errno)));
}

static bool is_name(const char *s)
{
	size_t len = strlen(s);

	for (size_t i = 0; i < len; i++)
		if (!strchr(ALNUM, s[i]) && !strchr("-._", s[i]))
			return false;
	return len > 0 && len <= NAME_MAX_BYTES;
}

static bool check_peer(const struct http_request *request, struct err *err)
{
	struct sockaddr_un address;

	if (request->unix_socket &&
	    strlen(request->unix_socket) >= sizeof address.sun_path)
		return usage(request, err,
			     "the path of the unix socket is too long");
	if (request->server_name && !is_name(request->server_name))
		return usage(request, err, "server_name is not a host name");
	if (request->key_file && !request->cert_file)
		return usage(request, err, "a key_file needs a cert_file");
	return check_file(request, "ca_file", request->ca_file, err) &&
	       check_file(request, "cert_file", request->cert_file, err) &&
	       check_file(request, "key_file", request->key_file, err);
}

bool http_request_check(const struct http_request *request,
			const struct curl *curl, CURLU *parser, struct err *err)
{
	if (request->method && (!is_token(request->method) ||
				strlen(request->method) > METHOD_MAX))
		return err_set(err, ERR_USAGE, "http: not a method name");
	if (!check_url(request, curl, parser, err) ||
	    !check_text(request, err) || !check_peer(request, err))
		return false;
	if (!(request->timeout > 0))
		return usage(request, err, "the timeout must be above 0");
	if (request->body.data && http_request_is(request, "HEAD"))
		return usage(request, err, "HEAD has no body");
	return true;
}

bool http_request_has(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->nheaders; i++)
		if (!strcasecmp(request->headers[i].name, name))
			return true;
	return false;
}

bool http_request_is(const struct http_request *request, const char *method)
{
	return !strcmp(request->method ? request->method : "GET", method);
}
