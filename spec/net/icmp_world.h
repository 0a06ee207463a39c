/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces for specs of ICMP: each test has one of its own, where the
 * loopback interface is up and one kind of socket is allowed; if it wants so, a
 * second one behind it, which is a router. A peer sees the echo requests that
 * reach this host and answers as it likes.
 */
#ifndef SPEC_NET_ICMP_WORLD_H
#define SPEC_NET_ICMP_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/address.h"
#include "net/icmp.h"

/* What a test is run with: four of them. */
struct world {
	bool raw;
	int family;
	const char *self, *other; /* both are this host */
	const char *any, *router, *unreached;
	const char *many; /* of this host, with a number at the end */
};

extern const struct world worlds[4];
extern const struct world *world;
extern struct loop *loop;
extern struct icmp *icmp;

/* Set-ups and tear-downs; the first argument points to a world. The third and
 * fourth are for tests that use the router. */
int world_start(void **state);
int world_stop(void **state);
int world_start_routed(void **state);
int world_stop_routed(void **state);

/* "10.N.0.9" or its like in IPv6. The router has network 1 in common with this
 * host, behind it is 2 (1400 bytes, nobody there); it says of 3 that it is
 * unreachable, and of 4 that it is prohibited. */
const char *world_host(unsigned n);

void world_run(const char *command);
void world_sysctl(const char *name, const char *value);

/* Whether this host answers echoes by itself. */
void world_answer(bool yes);

/* Keeps the thread busy. */
void world_burn(double seconds);

/* ---- echoes ---- */

union address world_address(const char *text);

/* To TARGET, with five seconds time; being told is counted. */
struct icmp_echo world_echo(const char *target);
void world_send(struct icmp_echo *echo);

/* Until N more were told; not one more. */
void world_wait(unsigned n);

/* Both, and the echo is forgotten. SHAPE may be NULL. */
struct icmp_echo world_ping(const char *target, const struct icmp_shape *shape);

void assert_outcome(enum icmp_outcome outcome, const struct icmp_echo *echo);
void assert_explained(const char *expected, const struct icmp_echo *echo);
void assert_address(const char *text, const union address *address);

/* ---- the peer ---- */

enum {
	PEER_ID = 4, /* offsets in a message */
	PEER_SEQUENCE = 6,
	PEER_COOKIE = 8,
	PEER_BYTES = 2048,
};

struct peer;

/* An ICMP message, and the IP header that was before it or would be. */
struct peer_message {
	uint8_t header[64];
	size_t header_len;
	uint8_t bytes[PEER_BYTES];
	size_t len;
	union address from;
};

struct peer *peer_new(void);
void peer_free(struct peer *peer);

/* The next echo request that reaches this host. */
struct peer_message peer_request(struct peer *peer);
unsigned peer_sequence(const struct peer_message *request);

/* The reply that belongs to it. */
struct peer_message peer_reply(const struct peer_message *request);

/* The error "unreachable" that quotes it with N bytes of its message, as sent
 * to TO. */
struct peer_message peer_error(const struct peer_message *request,
			       const char *to, size_t n);

/* Sends it to this host as if it came from FROM. SPOILED: with a checksum that
 * is wrong (IPv4). */
void peer_send(struct peer_message *message, const char *from);
void peer_send_spoiled(struct peer_message *message, const char *from);

#define WORLD_TEST(function, start, stop)                                      \
	{ "datagram, IPv4: " #function, function, start, stop,                 \
	  (void *)&worlds[0] },                                                \
		{ "raw, IPv4: " #function, function, start, stop,              \
		  (void *)&worlds[1] },                                        \
		{ "datagram, IPv6: " #function, function, start, stop,         \
		  (void *)&worlds[2] },                                        \
	{                                                                      \
		"raw, IPv6: " #function, function, start, stop,                \
			(void *)&worlds[3]                                     \
	}

#define world_test(function) WORLD_TEST(function, world_start, world_stop)
#define routed_test(function)                                                  \
	WORLD_TEST(function, world_start_routed, world_stop_routed)

#endif
