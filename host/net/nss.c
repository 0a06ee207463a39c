/* SPDX-License-Identifier: Apache-2.0 */
#include "net/nss.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { LINE_SIZE = 1024 };

struct nss_request {
	uv_getaddrinfo_t uv;
	nss_done done; /* NULL: forgotten */
	void *arg;
	size_t max;
};

/* ---- /etc/nsswitch.conf ---- */

static void add_lookup(struct nss *nss, char c)
{
	size_t len = strlen(nss->lookups);

	if (len < sizeof nss->lookups - 1 && !strchr(nss->lookups, c))
		nss->lookups[len] = c;
}

/* "files mdns4_minimal [NOTFOUND=return] dns". What stands in brackets says
 * when to go on, and is left to getaddrinfo(). */
static void read_sources(struct nss *nss, char *line)
{
	static const char blank[] = " \t\r\n";
	char *rest, *word = strtok_r(line, blank, &rest);
	bool bracket = false;

	for (; word; word = strtok_r(NULL, blank, &rest)) {
		bracket = bracket || *word == '[';
		if (bracket)
			bracket = !strchr(word, ']');
		else if (strcmp(word, "files") == 0)
			add_lookup(nss, 'f');
		else if (strcmp(word, "dns") == 0)
			add_lookup(nss, 'b');
		else
			nss->more = true;
	}
}

void nss_read(struct nss *nss, const char *path)
{
	FILE *file = fopen(path, "re");
	char line[LINE_SIZE];

	*nss = (struct nss){ 0 };
	while (file && fgets(line, sizeof line, file)) {
		char *at = line + strspn(line, " \t");

		at[strcspn(at, "#")] = '\0';
		if (strncmp(at, "hosts:", 6) == 0)
			read_sources(nss, at + 6);
	}
	if (file)
		fclose(file);
	if (!nss->lookups[0] && !nss->more)
		strcpy(nss->lookups, "fb");
}

/* ---- getaddrinfo() ---- */

static bool take(union address *address, const struct addrinfo *at)
{
	if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
		return false;
	memset(address, 0, sizeof *address);
	memcpy(address, at->ai_addr, at->ai_addrlen);
	return true;
}

static void on_answer(uv_getaddrinfo_t *uv, int status, struct addrinfo *list)
{
	struct nss_request *request = uv->data;
	union address *addresses;
	size_t n = 0;

	if (request->done) {
		addresses = mem_array(request->max, sizeof *addresses);
		for (struct addrinfo *at = status ? NULL : list;
		     at && n < request->max; at = at->ai_next)
			n += take(&addresses[n], at);
		request->done(request->arg, addresses, n);
		free(addresses);
	}
	uv_freeaddrinfo(list);
	free(request);
}

struct nss_request *nss_ask(struct loop *loop, const char *name, int family,
			    size_t max, nss_done done, void *arg)
{
	struct addrinfo hints = { .ai_family = family,
				  .ai_socktype = SOCK_DGRAM };
	struct nss_request *request = mem_alloc(sizeof *request);

	request->uv.data = request;
	request->done = done;
	request->arg = arg;
	request->max = max;
	if (!uv_getaddrinfo(loop_uv(loop), &request->uv, on_answer, name, NULL,
			    &hints))
		return request;
	free(request);
	return NULL;
}

void nss_forget(struct nss_request *request)
{
	request->done = NULL;
	uv_cancel((uv_req_t *)&request->uv);
}
