/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening TCP sockets from addresses as people write them. Start-up only: a
 * name as host is looked up at once.
 */
#ifndef WEB_LISTEN_H
#define WEB_LISTEN_H

#include "core/err.h"
#include "net/address.h"

enum { LISTEN_TEXT_MAX = ADDRESS_HOST_MAX + 8 };

/*
 * Listens on ADDRESS: ":8000" (both families by one socket; IPv4 alone where
 * IPv6 is switched off), "127.0.0.1:0", "[::1]:80", "localhost:9100" (as Go
 * does: the first IPv4 address of a name). Returns the descriptor and writes
 * the address with the port really bound into NAME (LISTEN_TEXT_MAX bytes); -1
 * and ERR ("listen :8000: address already in use").
 */
int listen_open(const char *address, char *name, struct err *err);

#endif
