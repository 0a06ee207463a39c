/* SPDX-License-Identifier: Apache-2.0 */
#include "web/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

enum { BACKLOG = 511 };

static int try_listen(const struct sockaddr *address, bool both)
{
	int fd = socket(address->sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1, off = 0, error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (both)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	if (!bind(fd, address, address_len(address)) && !listen(fd, BACKLOG))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int listen_all(unsigned port)
{
	struct sockaddr_storage own;
	int fd;

	address_set(&own, "::", port);
	fd = try_listen((struct sockaddr *)&own, true);
	if (fd >= 0 || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
		return fd;
	address_set(&own, "0.0.0.0", port);
	return try_listen((struct sockaddr *)&own, false);
}

static bool look_up(struct sockaddr_storage *own, const char *host,
		    unsigned port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *at;
	char service[8];

	snprintf(service, sizeof service, "%u", port);
	if (getaddrinfo(host, service, &hints, &list))
		return false;
	for (at = list; at->ai_next && at->ai_family != AF_INET;)
		at = at->ai_next;
	if (at->ai_family != AF_INET)
		at = list;
	memcpy(own, at->ai_addr, at->ai_addrlen);
	freeaddrinfo(list);
	return true;
}

static void write_name(int fd, const char *host, char *name)
{
	struct sockaddr_storage own = { 0 };
	socklen_t size = sizeof own;
	unsigned port;

	getsockname(fd, (struct sockaddr *)&own, &size);
	port = address_port((struct sockaddr *)&own);
	snprintf(name, LISTEN_TEXT_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u",
		 host, port);
}

int listen_open(const char *address, char *name, struct err *err)
{
	struct sockaddr_storage own;
	char host[ADDRESS_HOST_MAX];
	unsigned port;
	int fd;

	if (!address_split(address, host, &port)) {
		err_set(err, ERR_USAGE,
			"listen %s: expected HOST:PORT, :PORT or [IPV6]:PORT",
			address);
		return -1;
	}
	if (*host && !address_set(&own, host, port) &&
	    !look_up(&own, host, port)) {
		err_set(err, ERR_IO, "listen %s: host not known", address);
		return -1;
	}
	fd = *host ? try_listen((struct sockaddr *)&own, false)
		   : listen_all(port);
	if (fd < 0)
		err_set(err, ERR_IO, "listen %s: %s", address,
			uv_strerror(uv_translate_sys_error(errno)));
	else
		write_name(fd, host, name);
	return fd;
}
