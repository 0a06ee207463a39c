/* SPDX-License-Identifier: Apache-2.0 */
#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
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

/* One of the four numbers of "192.0.2.1", and what follows; NULL: none. */
static const char *parse_octet(const char *text, unsigned *octet)
{
	const char *start = text;
	unsigned n = 0;

	while (*text >= '0' && *text <= '9' && text - start < 3)
		n = n * 10 + (unsigned)(*text++ - '0');
	if (text == start || n > 255 || (*start == '0' && text - start > 1))
		return NULL;
	*octet = n;
	return text;
}

/* As inet_pton() does it, in a tenth of the time: a sweep has thousands. */
static bool parse_ipv4(const char *text, uint32_t *address)
{
	unsigned octet = 0;

	*address = 0;
	for (int i = 0; i < 4; i++) {
		if (i > 0 && *text++ != '.')
			return false;
		text = parse_octet(text, &octet);
		if (!text)
			return false;
		*address = *address << 8 | octet;
	}
	return *text == '\0';
}

bool address_number(union address *address, const char *host)
{
	uint32_t v4;

	memset(address, 0, sizeof *address);
	if (!parse_ipv4(host, &v4))
		return !uv_ip6_addr(host, 0, &address->v6);
	address->v4.sin_family = AF_INET;
	address->v4.sin_addr.s_addr = htonl(v4);
	return true;
}

bool address_same_host(const union address *a, const union address *b)
{
	if (a->any.sa_family != b->any.sa_family)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	return a->any.sa_family != AF_INET6 ||
	       (IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr) &&
		a->v6.sin6_scope_id == b->v6.sin6_scope_id);
}

bool address_needs_zone(const union address *address)
{
	const struct in6_addr *six = &address->v6.sin6_addr;

	return address->any.sa_family == AF_INET6 &&
	       !address->v6.sin6_scope_id &&
	       (IN6_IS_ADDR_LINKLOCAL(six) || IN6_IS_ADDR_MC_LINKLOCAL(six));
}

void address_unmap(union address *address)
{
	const struct in6_addr *six = &address->v6.sin6_addr;
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(six))
		return;
	four.sin_port = address->v6.sin6_port;
	memcpy(&four.sin_addr, &six->s6_addr[12], 4);
	memset(address, 0, sizeof *address);
	address->v4 = four;
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

static void host_six(const struct sockaddr_in6 *six, char *out)
{
	char ip[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];

	inet_ntop(AF_INET6, &six->sin6_addr, ip, sizeof ip);
	if (six->sin6_scope_id && if_indextoname(six->sin6_scope_id, zone))
		snprintf(out, ADDRESS_TEXT_MAX, "%s%%%s", ip, zone);
	else
		snprintf(out, ADDRESS_TEXT_MAX, "%s", ip);
}

/* Is the text to be bracketed before a port follows? */
static bool host_text(const struct sockaddr *address, char *out)
{
	const struct sockaddr_in *four = (const void *)address;
	const struct sockaddr_in6 *six = (const void *)address;

	out[0] = '\0';
	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, out, ADDRESS_TEXT_MAX);
	} else if (address->sa_family == AF_INET6) {
		if (!IN6_IS_ADDR_V4MAPPED(&six->sin6_addr)) {
			host_six(six, out);
			return true;
		}
		inet_ntop(AF_INET, &six->sin6_addr.s6_addr[12], out,
			  ADDRESS_TEXT_MAX);
	}
	return false;
}

void address_host_text(const struct sockaddr *address, char *out)
{
	(void)host_text(address, out);
}

void address_text(const struct sockaddr *address, char *out)
{
	char host[ADDRESS_TEXT_MAX];
	bool six = host_text(address, host);

	out[0] = '\0';
	if (host[0])
		snprintf(out, ADDRESS_TEXT_MAX, six ? "[%.70s]:%u" : "%.70s:%u",
			 host, address_port(address));
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
