/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datagram to ourselves is left lying for a while: its stamp is from before
 * that, if it is one.
 */
#include "net/icmp_stamp.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/icmp_clock.h"

enum { LIE = 10000, PAUSE = 200000, MILLISECOND = 1000000 };

static int open_probe(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET,
				   .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof own;
	int one = 1;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&own, size) &&
	    !getsockname(fd, (struct sockaddr *)&own, &size) &&
	    !connect(fd, (struct sockaddr *)&own, size) &&
	    !setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* The stamp of the datagram that lies there; 0: there is none. */
static int64_t read_stamp(int fd)
{
	_Alignas(struct cmsghdr) char control[64];
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr header = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof control };
	struct cmsghdr *at;
	struct timespec time;

	if (recvmsg(fd, &header, 0) < 0)
		return 0;
	at = CMSG_FIRSTHDR(&header);
	if (!at || at->cmsg_type != SCM_TIMESTAMPNS)
		return 0;
	memcpy(&time, CMSG_DATA(at), sizeof time);
	return icmp_clock_stamp(&time);
}

/* Whether there is nothing to wait for; also when it cannot be known. */
static bool is_stamped(int fd)
{
	int64_t end, stamp, wall;

	if (send(fd, "", 1, 0) != 1)
		return true;
	end = icmp_clock_now() + LIE;
	while (icmp_clock_now() < end)
		;
	wall = icmp_clock_read().offset + icmp_clock_now();
	stamp = read_stamp(fd);
	return stamp == 0 || stamp < wall;
}

void icmp_stamp_await(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE };
	int64_t end =
		icmp_clock_now() + (int64_t)ICMP_STAMP_WAIT_MAX * MILLISECOND;
	int fd = open_probe();

	if (fd < 0)
		return;
	while (!is_stamped(fd) && icmp_clock_now() < end)
		nanosleep(&pause, NULL);
	close(fd);
}
