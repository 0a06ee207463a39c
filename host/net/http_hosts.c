/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_hosts.h"

#include <stdlib.h>

#include "core/mem.h"

static struct http_host *find(struct http_hosts *hosts, uint64_t key)
{
	struct http_host *host = hosts->first;

	while (host && host->key != key)
		host = host->next;
	return host;
}

static struct http_host *add(struct http_hosts *hosts, uint64_t key)
{
	struct http_host *host = mem_alloc(sizeof *host);

	host->key = key;
	host->next = hosts->first;
	hosts->first = host;
	return host;
}

static void forget(struct http_hosts *hosts, struct http_host *host)
{
	struct http_host **at = &hosts->first;

	while (*at != host)
		at = &(*at)->next;
	*at = host->next;
	free(host);
}

bool http_hosts_enter(struct http_hosts *hosts, struct http_transfer *t,
		      uint64_t key)
{
	struct http_host *host = find(hosts, key);

	if (!host)
		host = add(hosts, key);
	t->host = host;
	t->queued = host->active == hosts->limit;
	if (t->queued)
		http_list_add(&host->waiting, t);
	else
		host->active++;
	return !t->queued;
}

struct http_transfer *http_hosts_leave(struct http_hosts *hosts,
				       struct http_transfer *t)
{
	struct http_host *host = t->host;
	struct http_transfer *next;

	t->host = NULL;
	if (t->queued) {
		t->queued = false;
		http_list_remove(&host->waiting, t);
		return NULL;
	}
	next = http_list_take(&host->waiting);
	if (next)
		next->queued = false;
	else if (--host->active == 0)
		forget(hosts, host);
	return next;
}

struct http_transfer *http_hosts_waiting(const struct http_hosts *hosts)
{
	struct http_host *host = hosts->first;

	while (host && !host->waiting.first)
		host = host->next;
	return host ? host->waiting.first : NULL;
}
