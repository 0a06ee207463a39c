/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question (struct resolve, behind an asker of ours) waits for a query, which
 * is the only one for its name and family. What a query finds goes to its
 * askers and into the table of names; askers that have their result wait in
 * `ready` until the timer `soon` tells them, from the loop: so no `done` runs
 * inside c-ares or inside resolve_start().
 *
 * Queries wait for a place, because the answers to thousands at once would not
 * fit into the buffer of the one socket that they share. One that is slow gives
 * its place back, so that a dead zone does not keep others waiting. A query
 * whose askers have all gone cannot be taken from c-ares; it gives its place
 * back, too, and goes on. When there are too many of these all queries are
 * started anew.
 */
#include "net/resolve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/mem.h"
#include "net/dns.h"
#include "net/hostname.h"
#include "net/names.h"
#include "net/nss.h"

enum {
	PLACES = 64,
	ORPHANS_MAX = 512, /* queries in flight that nobody waits for */
	REFRESH_SECONDS = 1,
};

#define PATIENCE 0.5 /* seconds, with the first try */
#define SLOW_TRIES 1.5

struct asker {
	TAILQ_ENTRY(asker) link;
	struct resolve *resolve;
	struct query *query; /* NULL: it is ready */
};

TAILQ_HEAD(askers, asker);

enum stage { QUEUED, DNS, NSS };

struct query {
	TAILQ_ENTRY(query) link;
	struct resolver *resolver;
	struct name *name;
	struct askers askers;
	enum stage stage;
	bool placed;
	double begun;
	struct nss_request *nss;
	struct err err; /* what the name servers said, while NSS is asked */
};

TAILQ_HEAD(queries, query);

struct resolver {
	struct loop *loop;
	const struct allow *allow;
	struct dns *dns; /* NULL until it is needed */
	struct nss nss;
	struct resolver_options options;
	struct names names;
	struct queries queued, busy; /* in the order of their beginning */
	struct askers ready;
	unsigned places; /* taken */
	unsigned orphans;
	struct timer patrol; /* while queries are queued */
	bool patrols;
	double refreshed;
	struct timer soon;
	bool due; /* `soon` is started */
};

static void wake(struct resolver *resolver)
{
	if (!resolver->due)
		timer_start(&resolver->soon, 0);
	resolver->due = true;
}

/* ---- results ---- */

static void set_result(struct resolve *resolve, const union address *addresses,
		       size_t n, double ttl)
{
	resolve->ok = true;
	resolve->n = n;
	resolve->ttl = ttl;
	memcpy(resolve->addresses, addresses, n * sizeof *addresses);
}

static void set_failure(struct resolve *resolve, const struct err *err)
{
	resolve->ok = false;
	resolve->err = *err;
}

static void set_ready(struct resolver *resolver, struct asker *asker)
{
	asker->query = NULL;
	TAILQ_INSERT_TAIL(&resolver->ready, asker, link);
	wake(resolver);
}

/* Of a question that needs no query. */
static void settle(struct resolver *resolver, struct resolve *resolve)
{
	struct asker *asker = mem_alloc(sizeof *asker);

	asker->resolve = resolve;
	resolve->private = asker;
	set_ready(resolver, asker);
}

static void drop_asker(struct asker *asker)
{
	asker->resolve->private = NULL;
	free(asker);
}

/* ---- queries ---- */

static struct query *new_query(struct resolver *resolver, struct name *name)
{
	struct query *query = mem_alloc(sizeof *query);

	query->resolver = resolver;
	query->name = name;
	name->query = query;
	TAILQ_INIT(&query->askers);
	TAILQ_INSERT_TAIL(&resolver->queued, query, link);
	return query;
}

static void leave_place(struct query *query)
{
	if (!query->placed)
		return;
	query->placed = false;
	query->resolver->places--;
	wake(query->resolver);
}

static void leave_busy(struct query *query)
{
	leave_place(query);
	TAILQ_REMOVE(&query->resolver->busy, query, link);
	if (TAILQ_EMPTY(&query->askers))
		query->resolver->orphans--;
}

static void free_query(struct query *query)
{
	names_settle(&query->resolver->names, query->name);
	free(query);
}

/* Its askers get what the name table has, or the error. */
static void end_query(struct query *query, const struct err *err)
{
	struct resolver *resolver = query->resolver;
	const struct name *name = query->name;
	struct asker *asker;

	leave_busy(query);
	while ((asker = TAILQ_FIRST(&query->askers))) {
		TAILQ_REMOVE(&query->askers, asker, link);
		if (err)
			set_failure(asker->resolve, err);
		else
			set_result(asker->resolve, name->addresses, name->n,
				   name->expires - name->told);
		set_ready(resolver, asker);
	}
	free_query(query);
}

static void keep(struct query *query, const union address *addresses, size_t n,
		 double ttl)
{
	struct resolver *resolver = query->resolver;

	if (ttl < 0)
		ttl = RESOLVE_TTL_UNSTATED;
	else if (ttl < RESOLVE_TTL_MIN)
		ttl = RESOLVE_TTL_MIN;
	else if (ttl > RESOLVE_TTL_MAX)
		ttl = RESOLVE_TTL_MAX;
	names_keep(&resolver->names, query->name, addresses, n,
		   loop_now(resolver->loop), ttl);
}

static void on_nss(void *arg, const union address *addresses, size_t n)
{
	struct query *query = arg;

	if (n > 0)
		keep(query, addresses, n, -1);
	end_query(query, n > 0 ? NULL : &query->err);
}

static void ask_nss(struct query *query)
{
	query->stage = NSS;
	query->nss = nss_ask(query->resolver->loop, query->name->text,
			     query->name->family, RESOLVE_ADDRESSES_MAX, on_nss,
			     query);
	if (!query->nss)
		end_query(query, &query->err);
}

static void requeue(struct query *query)
{
	bool orphan = TAILQ_EMPTY(&query->askers);

	leave_busy(query);
	if (orphan) {
		free_query(query);
		return;
	}
	query->stage = QUEUED;
	TAILQ_INSERT_TAIL(&query->resolver->queued, query, link);
}

static void on_dns(void *arg, const struct dns_answer *answer)
{
	struct query *query = arg;

	if (answer->result == DNS_RENEWED) {
		requeue(query);
	} else if (answer->result == DNS_FOUND) {
		keep(query, answer->addresses, answer->n, answer->ttl);
		end_query(query, NULL);
	} else if (query->resolver->nss.more && !TAILQ_EMPTY(&query->askers)) {
		query->err = answer->err;
		ask_nss(query);
	} else {
		end_query(query, &answer->err);
	}
}

static void begin(struct query *query)
{
	struct resolver *resolver = query->resolver;
	const char *name = query->name->text;

	TAILQ_REMOVE(&resolver->queued, query, link);
	TAILQ_INSERT_TAIL(&resolver->busy, query, link);
	resolver->places++;
	query->placed = true;
	query->begun = loop_now(resolver->loop);
	query->stage = DNS;
	/* "local" is multicast DNS' (RFC 6762): name servers know nothing of
	 * it, and often say so late. */
	if (!resolver->nss.more || !hostname_in(name, "local")) {
		dns_ask(resolver->dns, name, query->name->family, on_dns,
			query);
		return;
	}
	err_set(&query->err, ERR_IO, "%s: no such name", name);
	ask_nss(query);
}

static void begin_queued(struct resolver *resolver)
{
	struct query *query;

	if (resolver->orphans > ORPHANS_MAX)
		dns_renew(resolver->dns);
	while (resolver->places < PLACES &&
	       (query = TAILQ_FIRST(&resolver->queued)))
		begin(query);
	if (resolver->patrols || TAILQ_EMPTY(&resolver->queued))
		return;
	resolver->patrols = true;
	timer_start(&resolver->patrol, resolver->options.patience / 4);
}

static void on_patrol(struct timer *timer)
{
	struct resolver *resolver =
		(struct resolver *)((char *)timer -
				    offsetof(struct resolver, patrol));
	double slow = loop_now(resolver->loop) -
		      SLOW_TRIES * resolver->options.patience;
	struct query *query = TAILQ_FIRST(&resolver->busy);

	resolver->patrols = false;
	for (; query && query->begun < slow; query = TAILQ_NEXT(query, link))
		leave_place(query);
	begin_queued(resolver);
}

/* ---- askers ---- */

static void on_soon(struct timer *timer)
{
	struct resolver *resolver =
		(struct resolver *)((char *)timer -
				    offsetof(struct resolver, soon));
	struct asker *asker;

	resolver->due = false;
	begin_queued(resolver);
	while ((asker = TAILQ_FIRST(&resolver->ready))) {
		struct resolve *resolve = asker->resolve;

		TAILQ_REMOVE(&resolver->ready, asker, link);
		drop_asker(asker);
		resolve->done(resolve);
	}
}

static void abandon(struct query *query)
{
	struct resolver *resolver = query->resolver;

	if (query->stage == QUEUED) {
		TAILQ_REMOVE(&resolver->queued, query, link);
		free_query(query);
		return;
	}
	resolver->orphans++;
	leave_place(query);
	if (query->stage == NSS) {
		nss_forget(query->nss);
		leave_busy(query);
		free_query(query);
	} else {
		wake(resolver);
	}
}

void resolve_forget(struct resolver *resolver, struct resolve *resolve)
{
	struct asker *asker = resolve->private;
	struct query *query;

	if (!asker)
		return;
	query = asker->query;
	TAILQ_REMOVE(query ? &query->askers : &resolver->ready, asker, link);
	drop_asker(asker);
	if (query && TAILQ_EMPTY(&query->askers))
		abandon(query);
}

void resolve_expire(struct resolver *resolver, struct resolve *resolve,
		    double seconds)
{
	struct asker *asker = resolve->private;

	if (asker && asker->query && resolver->dns)
		dns_work(resolver->dns);
	if (asker && asker->query) {
		resolve->ok = false;
		err_set(&resolve->err, ERR_TIMEOUT,
			"%s: %s did not answer within %.3g s", resolve->name,
			resolver->dns ? dns_servers(resolver->dns)
				      : "the system",
			seconds);
	}
	resolve_forget(resolver, resolve);
}

static void join(struct resolver *resolver, struct query *query,
		 struct resolve *resolve)
{
	struct asker *asker = mem_alloc(sizeof *asker);

	if (query->stage != QUEUED && TAILQ_EMPTY(&query->askers))
		resolver->orphans--;
	asker->resolve = resolve;
	asker->query = query;
	resolve->private = asker;
	TAILQ_INSERT_TAIL(&query->askers, asker, link);
}

/* ---- answers without a query ---- */

static bool from_number(struct resolve *resolve)
{
	union address address;
	int family = resolve->family;
	bool zone = strchr(resolve->name, '%');

	if (!address_number(&address, resolve->name))
		return false;
	set_result(resolve, &address, 1, RESOLVE_TTL_MAX);
	if (zone && address.v6.sin6_scope_id == 0)
		resolve->ok = err_set(&resolve->err, ERR_IO,
				      "%s: there is no such interface",
				      resolve->name);
	else if (family != AF_UNSPEC && family != address.any.sa_family)
		resolve->ok = err_set(&resolve->err, ERR_IO,
				      "%s: is not an IPv%d address",
				      resolve->name, family == AF_INET ? 4 : 6);
	return true;
}

/* All of "localhost" is this host, and is not to be asked for (RFC 6761). */
static bool from_localhost(struct resolve *resolve)
{
	union address both[2];

	if (!hostname_in(resolve->name, "localhost"))
		return false;
	address_number(&both[0], "127.0.0.1");
	address_number(&both[1], "::1");
	if (resolve->family == AF_UNSPEC)
		set_result(resolve, both, 2, RESOLVE_TTL_MAX);
	else
		set_result(resolve, &both[resolve->family == AF_INET6], 1,
			   RESOLVE_TTL_MAX);
	return true;
}

static bool from_table(struct resolver *resolver, const struct name *name,
		       struct resolve *resolve)
{
	double now = loop_now(resolver->loop);

	if (!name || !name->addresses || now >= name->expires)
		return false;
	if (resolve->max_age >= 0 && now - name->told > resolve->max_age)
		return false;
	set_result(resolve, name->addresses, name->n, name->expires - now);
	return true;
}

/* ---- questions ---- */

/* When the files are others than they were, what the former servers have said
 * counts no more. */
static void refresh(struct resolver *resolver)
{
	double now = loop_now(resolver->loop);
	struct nss nss;

	if (!resolver->dns || now < resolver->refreshed + REFRESH_SECONDS)
		return;
	resolver->refreshed = now;
	nss_read(&nss, resolver->options.nsswitch);
	resolver->nss.more = nss.more;
	if (strcmp(nss.lookups, resolver->nss.lookups) != 0) {
		strcpy(resolver->nss.lookups, nss.lookups);
		dns_renew(resolver->dns);
		names_clear(&resolver->names);
	} else if (dns_refresh(resolver->dns)) {
		names_clear(&resolver->names);
	}
}

static bool open_dns(struct resolver *resolver, struct err *err)
{
	struct dns_options options = {
		.resolv_conf = resolver->options.resolv_conf,
		.lookups = resolver->nss.lookups,
		.port = resolver->options.port,
		.patience = resolver->options.patience,
	};

	if (resolver->dns)
		return true;
	nss_read(&resolver->nss, resolver->options.nsswitch);
	resolver->refreshed = loop_now(resolver->loop);
	resolver->dns = dns_new(resolver->loop, &options, err);
	return resolver->dns;
}

void resolve_start(struct resolver *resolver, struct resolve *resolve)
{
	struct name *name;

	resolve->ok = false;
	if (!allow_name(resolver->allow, resolve->name, &resolve->err) ||
	    from_number(resolve) || from_localhost(resolve) ||
	    !hostname_check(resolve->name, &resolve->err)) {
		settle(resolver, resolve);
		return;
	}
	refresh(resolver);
	name = names_find(&resolver->names, resolve->name, resolve->family);
	if (from_table(resolver, name, resolve) ||
	    !open_dns(resolver, &resolve->err)) {
		settle(resolver, resolve);
		return;
	}
	if (!name)
		name = names_add(&resolver->names, resolve->name,
				 resolve->family);
	join(resolver, name->query ? name->query : new_query(resolver, name),
	     resolve);
	begin_queued(resolver);
}

/* ---- a resolver's life ---- */

struct resolver *resolver_new(struct loop *loop, const struct allow *allow)
{
	struct resolver *resolver = mem_alloc(sizeof *resolver);

	resolver->loop = loop;
	resolver->allow = allow;
	names_init(&resolver->names, RESOLVE_CACHE_MAX);
	TAILQ_INIT(&resolver->queued);
	TAILQ_INIT(&resolver->busy);
	TAILQ_INIT(&resolver->ready);
	timer_init(loop, &resolver->soon, on_soon);
	timer_init(loop, &resolver->patrol, on_patrol);
	resolver_configure(resolver, &(struct resolver_options){ 0 });
	return resolver;
}

void resolver_configure(struct resolver *resolver,
			const struct resolver_options *options)
{
	dns_free(resolver->dns);
	resolver->dns = NULL;
	names_clear(&resolver->names);
	resolver->options = *options;
	if (!options->resolv_conf)
		resolver->options.resolv_conf = "/etc/resolv.conf";
	if (!options->nsswitch)
		resolver->options.nsswitch = "/etc/nsswitch.conf";
	if (options->patience <= 0)
		resolver->options.patience = PATIENCE;
}

static void drop_askers(struct askers *askers)
{
	struct asker *asker;

	while ((asker = TAILQ_FIRST(askers))) {
		TAILQ_REMOVE(askers, asker, link);
		drop_asker(asker);
	}
}

static void drop_queries(struct queries *queries)
{
	struct query *query;

	while ((query = TAILQ_FIRST(queries))) {
		TAILQ_REMOVE(queries, query, link);
		if (query->stage == NSS)
			nss_forget(query->nss);
		drop_askers(&query->askers);
		free(query);
	}
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	dns_free(resolver->dns); /* its queries are queued again */
	drop_queries(&resolver->queued);
	drop_queries(&resolver->busy);
	drop_askers(&resolver->ready);
	timer_release(&resolver->soon);
	timer_release(&resolver->patrol);
	names_release(&resolver->names);
	free(resolver);
}
