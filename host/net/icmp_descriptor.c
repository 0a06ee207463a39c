/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp_descriptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "net/address.h"
#include "net/icmp_filter.h"

enum { RECEIVE_BUFFER = 4 << 20 };

static bool set_int(int fd, int level, int name, int value)
{
	return !setsockopt(fd, level, name, &value, sizeof value);
}

/* The kernel chooses the identifier of a datagram socket. */
static bool begin_datagram(struct icmp_descriptor *opened, int family,
			   const union address *source)
{
	union address own = { .any = { .sa_family = (sa_family_t)family } };
	socklen_t size = sizeof own;
	bool four = family == AF_INET;

	if (source)
		own = *source;
	if (bind(opened->fd, &own.any, address_len(&own.any)) ||
	    getsockname(opened->fd, &own.any, &size))
		return false;
	opened->id = (uint16_t)address_port(&own.any);
	return set_int(opened->fd, four ? IPPROTO_IP : IPPROTO_IPV6,
		       four ? IP_RECVERR : IPV6_RECVERR, 1);
}

/* Not the same twice in this process, and for others hard to guess. */
static uint16_t next_id(void)
{
	static atomic_uint last;
	static atomic_flag begun = ATOMIC_FLAG_INIT;
	uint16_t start = 0;

	if (!atomic_flag_test_and_set(&begun) &&
	    getrandom(&start, sizeof start, 0) == sizeof start)
		atomic_fetch_add(&last, start);
	return (uint16_t)atomic_fetch_add(&last, 1);
}

static bool begin_raw(struct icmp_descriptor *opened, int family,
		      const union address *source)
{
	opened->id = next_id();
	return (!source ||
		!bind(opened->fd, &source->any, address_len(&source->any))) &&
	       icmp_filter_attach(opened->fd, family, opened->id);
}

static bool begin(struct icmp_descriptor *opened, int family,
		  const union address *source)
{
	bool four = family == AF_INET;
	int fd = opened->fd;

	/* The first needs CAP_NET_ADMIN, the second is cut to what is
	 * allowed. */
	if (!set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER))
		set_int(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER);
	return (opened->raw ? begin_raw(opened, family, source)
			    : begin_datagram(opened, family, source)) &&
	       set_int(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) &&
	       set_int(fd, four ? IPPROTO_IP : IPPROTO_IPV6,
		       four ? IP_RECVTTL : IPV6_RECVHOPLIMIT, 1);
}

static bool is_denial(int error)
{
	return error == EACCES || error == EPERM;
}

int icmp_descriptor_open(struct icmp_descriptor *opened, int family,
			 const union address *source)
{
	int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
	int protocol =
		family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	int error;

	opened->raw = false;
	opened->fd = socket(family, SOCK_DGRAM | flags, protocol);
	/* The second is what a kernel without such sockets says. */
	if (opened->fd < 0 && (is_denial(errno) || errno == EPROTONOSUPPORT)) {
		opened->raw = true;
		opened->fd = socket(family, SOCK_RAW | flags, protocol);
	}
	if (opened->fd < 0)
		return errno;
	if (begin(opened, family, source))
		return 0;
	error = errno;
	close(opened->fd);
	return error;
}

void icmp_descriptor_explain(int error, struct err *err)
{
	unsigned group = (unsigned)getegid();
	char program[256];
	ssize_t n;

	if (!is_denial(error)) {
		err_set(err, ERR_IO, "icmp: %s",
			uv_strerror(uv_translate_sys_error(error)));
		return;
	}
	n = readlink("/proc/self/exe", program, sizeof program - 1);
	program[n > 0 ? n : 0] = '\0';
	err_set(err, ERR_DENIED,
		"icmp: this process may not ping: either open datagram "
		"sockets to its group, "
		"sysctl -w net.ipv4.ping_group_range='%u %u', or raw "
		"sockets to the program, setcap cap_net_raw+ep %s",
		group, group, n > 0 ? program : "lunex");
}
