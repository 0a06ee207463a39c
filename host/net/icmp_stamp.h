/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel stamps arrivals only while some socket of the system wants that,
 * and begins a little after the first one does. Until then it makes up the time
 * when a message is read, which tells nothing and cannot be told from a stamp.
 * Any thread.
 */
#ifndef NET_ICMP_STAMP_H
#define NET_ICMP_STAMP_H

/* Waits until arrivals are stamped, at most ICMP_STAMP_WAIT_MAX milliseconds.
 * A socket that wants it must be open. Takes some 30 microseconds when they
 * are. */
void icmp_stamp_await(void);

enum { ICMP_STAMP_WAIT_MAX = 50 };

#endif
