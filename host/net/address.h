/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internet addresses with a port, as text and as the system has them. Numbers
 * only: no name is looked up here, and nothing waits. Any thread.
 */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { ADDRESS_HOST_MAX = 256, ADDRESS_TEXT_MAX = 80 };

/* An address of either family, or of none (AF_UNSPEC), in a quarter of the
 * space of sockaddr_storage. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/*
 * Takes "host:port" apart; the host may be empty, a name, or an IPv6 address in
 * brackets, which are dropped. False when there is no port from 0 to 65535, or
 * when the host is longer than ADDRESS_HOST_MAX - 1 or is an IPv6 address
 * without brackets. HOST has ADDRESS_HOST_MAX bytes.
 */
bool address_split(const char *text, char *host, unsigned *port);

/* The address HOST, which must be a number ("192.0.2.1", "fe80::1%eth0"), and
 * PORT; false for anything else. */
bool address_set(struct sockaddr_storage *address, const char *host,
		 unsigned port);

/* The same with port 0, for what has no ports. */
bool address_number(union address *address, const char *host);

/* Do both name the same host? Ports are not looked at. */
bool address_same_host(const union address *a, const union address *b);

/* Is it of IPv6, valid on one link only, and does not say on which? */
bool address_needs_zone(const union address *address);

/* Turns an IPv6 address that is a mapped IPv4 one into that. Others stay. */
void address_unmap(union address *address);

/* The reverse of address_text(). */
bool address_parse(struct sockaddr_storage *address, const char *text);

/* Turns an IPv4 address into the IPv6 one that a socket of both families wants.
 * Others stay. */
void address_map(struct sockaddr_storage *address);

/* "192.0.2.1:5000", "[2001:db8::1]:5000". IPv4 addresses that were mapped into
 * IPv6 look like the first. "" for what is neither. OUT has ADDRESS_TEXT_MAX
 * bytes. */
void address_text(const struct sockaddr *address, char *out);

/* Without port and brackets: "192.0.2.1", "fe80::1%eth0". */
void address_host_text(const struct sockaddr *address, char *out);

socklen_t address_len(const struct sockaddr *address);
unsigned address_port(const struct sockaddr *address);

#endif
