/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two filters: one by type, which is cheap, and a program for the rest. It sees
 * IPv4 messages with their IP header and those of IPv6 without. A load from
 * outside of a message drops it.
 */
#include "net/icmp_filter.h"

#include <linux/filter.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define LOAD(size, mode, at) BPF_STMT(BPF_LD | (size) | (mode), (at))
#define COMPUTE(op, n) BPF_STMT(BPF_ALU | (op), (n))
#define GOTO(skip) BPF_STMT(BPF_JMP | BPF_JA, (skip))
/* Both are counts of instructions to leave out. */
#define EQUAL(n, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (n), (yes), (no))
#define DROP BPF_STMT(BPF_RET | BPF_K, 0)
#define PASS BPF_STMT(BPF_RET | BPF_K, 0xffffffff)

static bool attach(int fd, struct sock_filter *code, unsigned short n)
{
	struct sock_fprog program = { .len = n, .filter = code };

	return !setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			   sizeof program);
}

static bool attach4(int fd, uint16_t id)
{
	struct icmp_filter types = {
		.data = ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH |
			  1u << ICMP_TIME_EXCEEDED | 1u << ICMP_PARAMETERPROB),
	};
	struct sock_filter code[] = {
		/* X: where the message begins */
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		LOAD(BPF_B, BPF_IND, 0),
		EQUAL(ICMP_ECHOREPLY, 9, 0),
		/* An error, of an ICMP datagram? */
		LOAD(BPF_B, BPF_IND, 8 + 9),
		EQUAL(IPPROTO_ICMP, 0, 9),
		/* X: as far as the quoted message, less the 8 before */
		LOAD(BPF_B, BPF_IND, 8),
		COMPUTE(BPF_AND, 15),
		COMPUTE(BPF_LSH, 2),
		COMPUTE(BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		LOAD(BPF_H, BPF_IND, 8 + 4),
		EQUAL(id, 3, 2),
		/* A reply. */
		LOAD(BPF_H, BPF_IND, 4),
		EQUAL(id, 1, 0),
		DROP,
		PASS,
	};

	return !setsockopt(fd, SOL_RAW, ICMP_FILTER, &types, sizeof types) &&
	       attach(fd, code, sizeof code / sizeof *code);
}

static bool attach6(int fd, uint16_t id)
{
	struct icmp6_filter types;
	struct sock_filter code[] = {
		LOAD(BPF_B, BPF_ABS, 0),
		EQUAL(ICMP6_ECHO_REPLY, 9, 0),
		/* An error, of an ICMPv6 datagram or its first fragment? */
		LOAD(BPF_B, BPF_ABS, 8 + 6),
		EQUAL(IPPROTO_ICMPV6, 5, 0),
		EQUAL(IPPROTO_FRAGMENT, 0, 8),
		LOAD(BPF_B, BPF_ABS, 8 + 40),
		EQUAL(IPPROTO_ICMPV6, 0, 6),
		LOAD(BPF_H, BPF_ABS, 8 + 40 + 8 + 4),
		GOTO(3),
		LOAD(BPF_H, BPF_ABS, 8 + 40 + 4),
		GOTO(1),
		/* A reply. */
		LOAD(BPF_H, BPF_ABS, 4),
		EQUAL(id, 1, 0),
		DROP,
		PASS,
	};

	ICMP6_FILTER_SETBLOCKALL(&types);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &types);
	ICMP6_FILTER_SETPASS(ICMP6_DST_UNREACH, &types);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &types);
	ICMP6_FILTER_SETPASS(ICMP6_TIME_EXCEEDED, &types);
	ICMP6_FILTER_SETPASS(ICMP6_PARAM_PROB, &types);
	return !setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &types,
			   sizeof types) &&
	       attach(fd, code, sizeof code / sizeof *code);
}

bool icmp_filter_attach(int fd, int family, uint16_t id)
{
	return family == AF_INET ? attach4(fd, id) : attach6(fd, id);
}
