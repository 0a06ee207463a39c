/* SPDX-License-Identifier: Apache-2.0 */
#include "net/icmp.h"

#include <errno.h>
#include <stdio.h>

#include <uv.h>

static const char *unreachable4(unsigned code)
{
	switch (code) {
	case 0: return "network unreachable";
	case 1: return "host unreachable";
	case 2: return "protocol unreachable";
	case 3: return "port unreachable";
	case 5: return "source route failed";
	case 6: return "network unknown";
	case 7: return "host unknown";
	case 9: return "network prohibited";
	case 10: return "host prohibited";
	case 11: return "network unreachable for this type of service";
	case 12: return "host unreachable for this type of service";
	case 13: return "prohibited by a filter";
	case ICMP_CODE_MALFORMED: return "malformed";
	default: return NULL;
	}
}

static const char *unreachable6(unsigned code)
{
	switch (code) {
	case 0: return "no route";
	case 1: return "prohibited by a filter";
	case 2: return "beyond the scope of the source address";
	case 3: return "address unreachable";
	case 4: return "port unreachable";
	case 5: return "prohibited for this source address";
	case 6: return "route rejected";
	case ICMP_CODE_MALFORMED: return "malformed";
	default: return NULL;
	}
}

static void unreachable(const struct icmp_echo *echo, const char *from,
			struct err *err)
{
	const char *reason = echo->to.any.sa_family == AF_INET
				     ? unreachable4(echo->code)
				     : unreachable6(echo->code);

	if (reason)
		err_set(err, ERR_IO, "%s, says %s", reason, from);
	else
		err_set(err, ERR_IO, "unreachable (code %u), says %s",
			echo->code, from);
}

static void too_big(const struct icmp_echo *echo, const char *from,
		    struct err *err)
{
	const char *who = *from ? from : "the path";

	if (echo->mtu)
		err_set(err, ERR_IO, "too big for %s, which takes %u bytes",
			who, echo->mtu);
	else
		err_set(err, ERR_IO, "too big for %s", who);
}

static void not_sent(const struct icmp_echo *echo, struct err *err)
{
	const struct icmp_shape *shape = echo->shape;
	char source[ADDRESS_TEXT_MAX] = "";
	const char *reason;

	if (shape)
		address_host_text(&shape->source.any, source);
	switch (echo->error) {
	case EACCES:
		reason = "a broadcast address, or prohibited by a route";
		break;
	case EPERM: reason = "prohibited by a filter of this host"; break;
	case ENETUNREACH: reason = "no route"; break;
	case EHOSTUNREACH: reason = "a route says unreachable"; break;
	case EAGAIN:
	case ENOBUFS: reason = "the send buffer is full"; break;
	default:
		reason = uv_strerror(uv_translate_sys_error(echo->error));
		break;
	}
	if (echo->error == EINVAL && address_needs_zone(&echo->to))
		reason = "the interface is missing, as in fe80::1%eth0";
	if (*source && echo->error == EADDRNOTAVAIL)
		err_set(err, ERR_IO,
			"not sent: %s is not an address of this "
			"host",
			source);
	else
		err_set(err, ERR_IO, "not sent: %s", reason);
}

void icmp_explain(const struct icmp_echo *echo, struct err *err)
{
	char from[ADDRESS_TEXT_MAX];

	address_host_text(&echo->from.any, from);
	switch (echo->outcome) {
	case ICMP_WAITING: err_set(err, ERR_NONE, "no answer yet"); break;
	case ICMP_REPLY: err_set(err, ERR_NONE, "answered"); break;
	case ICMP_TIMED_OUT:
		err_set(err, ERR_TIMEOUT, "no answer within %.3g s",
			echo->timeout);
		break;
	case ICMP_UNREACHABLE: unreachable(echo, from, err); break;
	case ICMP_TTL_EXCEEDED:
		err_set(err, ERR_IO, "TTL exceeded at %s", from);
		break;
	case ICMP_TOO_BIG: too_big(echo, from, err); break;
	case ICMP_FAILED: not_sent(echo, err); break;
	}
}
