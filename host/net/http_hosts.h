/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask a host now, and who waits for a place there. libcurl has such a
 * limit itself (CURLMOPT_MAX_HOST_CONNECTIONS), but in 7.88 a cancelled
 * transfer may leave those behind it waiting for ever. Used by
 * net/http_client.c alone.
 */
#ifndef NET_HTTP_HOSTS_H
#define NET_HTTP_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/http_transfer.h"

struct http_host {
	uint64_t key;
	unsigned active;
	struct http_list waiting;
	struct http_host *next;
};

struct http_hosts {
	unsigned limit;		 /* of active ones, each */
	struct http_host *first; /* those with somebody */
};

/* True: TRANSFER may run. Otherwise it is kept, transfer->queued. KEY stands
 * for the host. */
bool http_hosts_enter(struct http_hosts *hosts, struct http_transfer *transfer,
		      uint64_t key);

/* TRANSFER, running or waiting, has ended. Returns the one that may run now in
 * its place, or NULL. */
struct http_transfer *http_hosts_leave(struct http_hosts *hosts,
				       struct http_transfer *transfer);

/* One of those that wait, or NULL. */
struct http_transfer *http_hosts_waiting(const struct http_hosts *hosts);

#endif
