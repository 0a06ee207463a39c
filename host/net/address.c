/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

static bool parse_port(const char *text, unsigned *port)
{
	unsigned long n = 0;
	size_t i;

	for (i = 0; i < 5 && text[i] >= '0' && text[i] <= '9'; i++)
		n = n * 10 + (unsigned long)(text[i] - '0');
	*port = (unsigned)n;
	return i > 0 && text[i] == '\0' && n <= 65535;
}

bool address_split(const char *text, char *host, unsigned *port)
{
	const char *colon = strrchr(text, ':');
	size_t len;

	if (!colon || !parse_port(colon + 1, port))
		return false;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	} else if (memchr(text, ':', len)) {
		return false;
	}
	if (len >= ADDRESS_HOST_MAX)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return true;
}

bool address_set(struct sockaddr_storage *address, const char *host,
		 unsigned port)
{
	memset(address, 0, sizeof *address);
	return !uv_ip4_addr(host, (int)port, (struct sockaddr_in *)address) ||
	       !uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)address);
}

bool address_parse(struct sockaddr_storage *address, const char *text)
{
	char host[ADDRESS_HOST_MAX];
	unsigned port;

	return address_split(text, host, &port) &&
	       address_set(address, host, port);
}

void address_map(struct sockaddr_storage *address)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four;

	if (address->ss_family != AF_INET)
		return;
	memcpy(&four, address, sizeof four);
	six.sin6_port = four.sin_port;
	six.sin6_addr.s6_addr[10] = 0xff;
	six.sin6_addr.s6_addr[11] = 0xff;
	memcpy(&six.sin6_addr.s6_addr[12], &four.sin_addr, 4);
	memcpy(address, &six, sizeof six);
}

static void text_four(const void *in, unsigned port, char *out)
{
	char ip[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, in, ip, sizeof ip);
	snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", ip, port);
}

static void text_six(const struct sockaddr_in6 *six, char *out)
{
	unsigned port = ntohs(six->sin6_port);
	char ip[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];

	if (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
		text_four(&six->sin6_addr.s6_addr[12], port, out);
		return;
	}
	inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof ip);
	if (six->sin6_scope_id && if_indextoname(six->sin6_scope_id, zone))
		snprintf(out, ADDRESS_TEXT_MAX, "[%s%%%s]:%u", ip, zone, port);
	else
		snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", ip, port);
}

void address_text(const struct sockaddr *address, char *out)
{
	const struct sockaddr_in *four = (const void *)address;

	out[0] = '\0';
	if (address->sa_family == AF_INET)
		text_four(&four->sin_addr, ntohs(four->sin_port), out);
	else if (address->sa_family == AF_INET6)
		text_six((const void *)address, out);
}

socklen_t address_len(const struct sockaddr *address)
{
	return address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
					      : sizeof(struct sockaddr_in);
}

unsigned address_port(const struct sockaddr *address)
{
	/* Both families have it in the same place. */
	return ntohs(
		((const struct sockaddr_in *)(const void *)address)->sin_port);
}
